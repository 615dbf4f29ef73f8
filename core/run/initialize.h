/* initialize.h - the app in a state of its own, before any worker.
 *
 * Owns:    the state and its loop, for the length of one call.
 * Thread:  main thread, start-up only.
 * Knows:   lua, options.
 */
#ifndef LQ_INITIALIZE_H
#define LQ_INITIALIZE_H

#include "base/buf.h"
#include "log/log.h"
#include "run/options.h"
#include "run/paths.h"

/* Loads the app and runs `step` ("initialize": out gets the packed context;
 * "routes": the routing table as text). Waits for it. Returns 0; -EINTR when a
 * signal ended it; another negative code after the reason was printed on
 * standard error. */
int lq_initialize(const lq_options *options, const lq_paths *paths,
                  const lq_log *log, const char *step, lq_buf *out);

#endif

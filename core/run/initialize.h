/* initialize.h - the app in a state of its own, before any worker.
 *
 * Owns:    that state and its loop.
 * Thread:  run - any one thread, the same for the whole run; stop - any; the
 *          others - whoever holds it while it does not run.
 * Life:    new -> run -> free; stop at any point.
 * Knows:   lua, options, watchdog.
 */
#ifndef LQ_INITIALIZE_H
#define LQ_INITIALIZE_H

#include "base/buf.h"
#include "log/log.h"
#include "loop/thread.h"
#include "lua/code.h"
#include "run/options.h"
#include "run/paths.h"
#include "run/services.h"

typedef struct lq_initialize lq_initialize;

typedef struct lq_initialize_cfg {
    const lq_options *options; /* all borrowed until free */
    const lq_paths *paths;
    const lq_log *log;
    lq_code *code;
    int generation;
    const char *step; /* "initialize": the text is the packed context;
                       * "routes": the routing table
                       * "migrate": what went wrong, or nothing */
} lq_initialize_cfg;

/* -ENOMEM, or libuv's codes. */
int lq_initialize_new(lq_initialize **out,
                      const lq_initialize_cfg *cfg) LQ_MUST_CHECK;
/* NULL is allowed. */
void lq_initialize_free(lq_initialize *i);

/* Loads the app and runs the step. Waits for it. */
void lq_initialize_run(lq_initialize *i);

/* The run ends where the app waits. */
LQ_ANY_THREAD void lq_initialize_stop(lq_initialize *i);

/* For a thread that runs it and has been told to stop, at intervals: Lua code
 * that does not wait is interrupted. Returns whether the thread is stuck. */
bool lq_initialize_watch(lq_initialize *i, uv_thread_t thread, uint64_t now_ms);

/* Writes where the Lua code of a thread that has broken stood. */
void lq_initialize_trace(const lq_initialize *i, char *out, size_t cap);

/* After run. NULL: all went well, and the text is there; both are lent. */
const char *lq_initialize_error(const lq_initialize *i);
lq_str lq_initialize_text(const lq_initialize *i);
/* The services that it has declared. */
lq_declarations *lq_initialize_declared(lq_initialize *i);

#endif

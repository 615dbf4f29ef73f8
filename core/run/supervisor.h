/* supervisor.h - the main thread: start, ready line, signals, stop.
 *
 * Owns:    the sockets, the workers, the packed context, the main loop.
 * Thread:  main thread.
 * Life:    lq_supervisor_run does it all and returns the exit status.
 * Knows:   everything below.
 */
#ifndef LQ_SUPERVISOR_H
#define LQ_SUPERVISOR_H

#include "run/options.h"
#include "run/paths.h"

/* Serves until it is told to stop. `ready_fd`: where the ready line goes;
 * paths: where `require` looks, borrowed. Returns the exit status:
 * 0 a graceful stop, 1 the app could not start or a second signal came. */
int lq_supervisor_run(const lq_options *options, const lq_paths *paths,
                      int ready_fd);

/* `luaqueduct routes`: prints the routing table. Returns the exit status. */
int lq_supervisor_routes(const lq_options *options, const lq_paths *paths);

#endif

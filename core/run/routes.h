/* routes.h - `luaqueduct routes`.
 *
 * Owns:    nothing.
 * Thread:  main thread.
 * Knows:   initialize.
 */
#ifndef LQ_ROUTES_H
#define LQ_ROUTES_H

#include "run/options.h"
#include "run/paths.h"

/* Loads the app, which may wait, and prints its routing table. Returns the exit
 * status. */
int lq_routes_run(const lq_options *options, const lq_paths *paths);

#endif

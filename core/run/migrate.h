/* migrate.h - `luaqueduct migrate`.
 *
 * Owns:    nothing.
 * Thread:  main thread.
 * Knows:   initialize.
 */
#ifndef LQ_MIGRATE_H
#define LQ_MIGRATE_H

#include "run/options.h"
#include "run/paths.h"

/* Runs the command, which writes to standard output as it goes, in a state of
 * its own. Returns the exit status. */
int lq_migrate_run(const lq_options *options, const lq_paths *paths);

#endif

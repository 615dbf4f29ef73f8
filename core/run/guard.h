/* guard.h - the tiny parent that starts the runtime again when it dies.
 *
 * It is forked from before any thread exists, holds the listening sockets, also
 * those that apps ask for, so that connections wait in the kernel's queue while
 * there is no runtime, and hands on the signals that it gets. The runtime has a
 * process group of its own (Ctrl-C reaches it once, through here), and ends
 * when its pipe to the guard does.
 *
 * Owns:    the sockets, the runtime's process.
 * Thread:  the only one of its process.
 * Life:    lq_guard_run does it all and returns the exit status.
 * Knows:   supervisor, sockets, keep.
 */
#ifndef LQ_GUARD_H
#define LQ_GUARD_H

#include "run/options.h"
#include "run/paths.h"

/* Serves until it is told to stop, or the runtime dies LQ_GUARD_DEATHS times
 * within LQ_GUARD_WITHIN_MS without having been ready for so long: 1. Without
 * respawning there is no guard: the runtime runs in this process. */
enum { LQ_GUARD_DEATHS = 5, LQ_GUARD_WITHIN_MS = 10000 };
int lq_guard_run(const lq_options *options, const lq_paths *paths,
                 int ready_fd);

#endif

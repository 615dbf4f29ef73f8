/* step.h - one step of Lua for a command that serves nothing.
 *
 * Owns:    a state, while it runs.
 * Thread:  the caller's; waits for the step.
 * Knows:   initialize.
 */
#ifndef LQ_STEP_H
#define LQ_STEP_H

#include "run/initialize.h"

/* Runs the step of that name (lq_initialize_cfg). `report` prints what came of
 * it and returns the exit status; 1, with a word on standard error, when there
 * was no memory to begin. */
int lq_step_run(const char *step, const lq_options *options,
                const lq_paths *paths, lq_log_level level,
                int (*report)(const lq_initialize *));

#endif

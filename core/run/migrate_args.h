/* migrate_args.h - the arguments of `luaqueduct migrate`.
 *
 * Owns:    nothing.
 * Thread:  start-up only.
 * Knows:   options, option_value.
 */
#ifndef LQ_MIGRATE_ARGS_H
#define LQ_MIGRATE_ARGS_H

#include "run/options.h"

/* Takes the next argument: up, down, status or new, then N or NAME.
 * LQ_EINVALID: err says what is wrong. */
int lq_migrate_args_take(lq_options *o, const char *text,
                         lq_err *err) LQ_MUST_CHECK;

/* Looks whether all is there, and makes it the pairs that Lua gets.
 * LQ_EINVALID: err says what is missing. */
int lq_migrate_args_finish(lq_options *o, lq_err *err) LQ_MUST_CHECK;

#endif

/* paths.h - where the program finds its Lua files and the rocks of its tree.
 *
 * Owns:    nothing.
 * Thread:  start-up only.
 * Knows:   libc, Linux.
 */
#ifndef LQ_PATHS_H
#define LQ_PATHS_H

#include <limits.h>

#include "base/defs.h"
#include "base/err.h"

/* Canonical folders without a slash at the end. */
typedef struct lq_paths {
    char lua[PATH_MAX]; /* holds luaqueduct/app.lua and the tree's Lua rocks */
    char lib[PATH_MAX]; /* the tree's C modules; "": not in a tree of rocks */
} lq_paths;

/* Looks around `exe`, a file's path without symbolic links; NULL: the running
 * program. Returns 0, or LQ_EINVALID with a text when there are no Lua files
 * (-errno when the program cannot be asked for its path). */
int lq_paths_find(lq_paths *out, const char *exe, lq_err *err) LQ_MUST_CHECK;

#endif

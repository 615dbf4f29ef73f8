/* keypath.h - where in a nested table a walk stands, for its errors.
 *
 * The walk keeps one lq_keypath a level in its own frame, linked outwards.
 *
 * Owns:    nothing.
 * Thread:  that of the state.
 * Knows:   lua, base.
 */
#ifndef LQ_KEYPATH_H
#define LQ_KEYPATH_H

#include <lua.h>

#include "base/defs.h"

typedef struct lq_keypath {
    const struct lq_keypath *up; /* NULL in the outermost table */
    const void *table;           /* lua_topointer of the table */
    int key;                     /* stack index of the key at hand */
} lq_keypath;

/* Raises "<doing>: <what> at users[2].name"; `path` NULL: the outermost value
 * itself is meant, and nothing stands behind <what>. */
_Noreturn void lq_keypath_fail(lua_State *L, const lq_keypath *path,
                               const char *doing, const char *what);

/* Raises for a walk that got to more than `max` levels: it names the cycle,
 * if there is one. `deepest` is the level of the first table too deep, which
 * needs no key yet. */
_Noreturn void lq_keypath_fail_depth(lua_State *L, const lq_keypath *deepest,
                                     const char *doing, int max);

#endif

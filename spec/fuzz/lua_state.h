/* lua_state.h - a Lua state for the fuzz targets, and values compared.
 *
 * Owns:    the state and its memory.
 * Thread:  none.
 * Life:    init -> (run | check)* -> fini. Embedded by value; not moved.
 * Knows:   lua, base.
 */
#ifndef LQ_FUZZ_LUA_STATE_H
#define LQ_FUZZ_LUA_STATE_H

#include <lauxlib.h>
#include <lua.h>

#include "base/buf.h"
#include "base/str.h"
#include "lua/alloc.h"

typedef struct fuzz_state {
    lua_State *L;
    lq_alloc alloc;
} fuzz_state;

/* A state without libraries. */
void fuzz_state_init(fuzz_state *s);
void fuzz_state_fini(fuzz_state *s);

/* Calls `fn` with `arg` as light userdata, and whatever it returns on the
 * stack. It may use `room` bytes of new memory (0: any amount). Returns whether
 * it went well; any error but one for memory, and that without a limit, ends
 * the run. On failure the stack is as before. */
bool fuzz_state_run(fuzz_state *s, lua_CFunction fn, void *arg, size_t room);

/* Whether two values are the same all the way down: kinds of numbers, array
 * metatables and all. */
bool fuzz_is_same_value(lua_State *L, int a, int b);

#endif

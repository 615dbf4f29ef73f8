/* pack.h - Lua values as bytes, for another state of the same process.
 *
 * nil, booleans, integers, floats, strings, null (lightuserdata NULL) and
 * tables of them; keys are strings, integers, floats or booleans. Metatables
 * do not travel, and a table reached twice arrives as two.
 *
 * Owns:    nothing.
 * Thread:  that of the state; the bytes may go to any other.
 * Knows:   lua, base.
 */
#ifndef LQ_PACK_H
#define LQ_PACK_H

#include <lua.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

enum {
    LQ_PACK_DEPTH = 32,
    LQ_PACK_MAX = 16 * 1024 * 1024, /* bytes of one packed value */
};

/* Appends the value at `idx`. Raises an error that names the path to what
 * cannot travel (`cannot pack: a function at users[2].name`), or for memory;
 * the caller then takes what was appended off again. No Lua code runs. */
void lq_pack(lua_State *L, int idx, lq_buf *out);

/* Pushes the first value in `bytes` and takes it off the front; otherwise as
 * lq_unpack. */
int lq_unpack_next(lua_State *L, lq_str *bytes, lq_err *err) LQ_MUST_CHECK;

/* Whether the one value in `bytes` is a string; lends it. */
bool lq_pack_is_string(lq_str bytes, lq_str *out);

/* Pushes the one value in `bytes` (borrowed), which may be anything.
 * LQ_EINVALID: `err` says what is wrong, nothing is pushed. Raises for memory
 * only. */
int lq_unpack(lua_State *L, lq_str bytes, lq_err *err) LQ_MUST_CHECK;

#endif

/* json.h - Lua values to JSON and back.
 *
 * A plain table without entries is {}, one with the array metatable []; a
 * table with entries is what its keys say. null is lightuserdata NULL. What
 * is decoded from an array has the array metatable, so it stays an array.
 *
 * Owns:    the array metatable, in the registry of each state.
 * Thread:  that of the state.
 * Knows:   lua, base; yajl in json_decode.c only.
 */
#ifndef LQ_JSON_H
#define LQ_JSON_H

#include <lua.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

enum { LQ_JSON_DEPTH = 200 };

/* Appends the value at `idx`. Raises an error that names the path to what
 * JSON cannot say (`cannot encode JSON: a function at users[2].name`), or for
 * memory; the caller then takes what was appended off again. Metatables but
 * the array's are not looked at, and no Lua code runs. */
void lq_json_encode(lua_State *L, int idx, lq_buf *out);

/* Pushes the value of the one JSON text in `in` (borrowed). LQ_EINVALID: `err`
 * says what is wrong and at which byte, the first being 1 (for wrong characters
 * and tokens yajl may name the one before); nothing is pushed. Raises for
 * memory only. */
int lq_json_decode(lua_State *L, lq_str in, lq_err *err) LQ_MUST_CHECK;

/* Pushes the metatable of arrays. */
void lq_json_push_array_mt(lua_State *L);

/* Makes the metatable on top of the stack another one of arrays, with fields of
 * its own. */
void lq_json_mark_array_mt(lua_State *L);

/* Whether the value at `idx` is a table with that metatable. */
bool lq_json_is_array(lua_State *L, int idx);

#endif

/* json_oracle.h - JSON read naively: RFC 8259 and nothing else.
 *
 * Owns:    nothing.
 * Thread:  that of the state.
 * Knows:   lua, base, lua/json (for the metatable of arrays).
 */
#ifndef LQ_FUZZ_JSON_ORACLE_H
#define LQ_FUZZ_JSON_ORACLE_H

#include <lua.h>

#include "base/str.h"

/* Pushes the value of the one JSON text in `in`; false, and nothing is pushed,
 * when it is none, has more levels than LQ_JSON_DEPTH, a number beyond all
 * floats, half a surrogate pair, or is not UTF-8. */
bool json_oracle_push(lua_State *L, lq_str in);

#endif

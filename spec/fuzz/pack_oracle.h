/* pack_oracle.h - packed values, read naively.
 *
 * Owns:    nothing.
 * Thread:  that of the state.
 * Knows:   lua, base/str.
 */
#ifndef LQ_FUZZ_PACK_ORACLE_H
#define LQ_FUZZ_PACK_ORACLE_H

#include <lua.h>

#include "base/str.h"

/* Pushes the one value in `in`; false, and nothing is pushed, when it is none
 * or has more levels than LQ_PACK_DEPTH. */
bool pack_oracle_push(lua_State *L, lq_str in);

#endif

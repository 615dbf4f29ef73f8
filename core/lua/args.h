/* args.h - what more than one module reads from its arguments: topics, and the
 * fields of tables of options that the Lua part has checked.
 *
 * Owns:    nothing.
 * Thread:  that of the state.
 * Knows:   lua, base.
 */
#ifndef LQ_ARGS_H
#define LQ_ARGS_H

#include <lua.h>

#include "base/defs.h"
#include "base/str.h"

/* The string at i, lent as long as it stands there; raises for another type. */
lq_str lq_check_str(lua_State *L, int i);

/* The same for a topic: 1 to 255 bytes. */
lq_str lq_check_topic(lua_State *L, int i);

/* Field `name` of the table at i; 0, false where there is none. */
lua_Integer lq_integer_field(lua_State *L, int i, const char *name);
bool lq_boolean_field(lua_State *L, int i, const char *name);
/* Seconds there, as milliseconds, rounded up. */
uint64_t lq_ms_field(lua_State *L, int i, const char *name);
/* Lent as long as the table has it; NULL: there is none. */
const char *lq_string_field(lua_State *L, int i, const char *name);

#endif

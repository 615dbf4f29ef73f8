/* error.h - the error tables that Lua sees: { code, message, __tostring }.
 *
 * Owns:    nothing.
 * Thread:  that of the state.
 * Knows:   lua, base/err, dump.
 */
#ifndef LQ_ERROR_H
#define LQ_ERROR_H

#include <lua.h>

#define LQ_ERROR_TYPE "luaqueduct.Error"

/* Pushes an error table. `message` NULL: the text of the code. */
void lq_push_error(lua_State *L, int err, const char *message);

/* ... with a code of which there is no number here. */
void lq_push_error_named(lua_State *L, const char *code, const char *message);

/* Pushes nil and the error table; returns 2. */
int lq_push_failure(lua_State *L, int err, const char *message);

/* Pushes what the error value at `idx` says: its text, or where it is a table
 * without __tostring, whose address would say nothing, `message (code)`, or all
 * that stands in it (dump.h) when it has no message. Raises what __tostring
 * raises. */
void lq_push_error_text(lua_State *L, int idx);

#endif

/* stream.h - a detached connection as Lua sees it: bytes in, bytes out.
 *
 * Owns:    the connection, from the moment it is set.
 * Thread:  that of the state.
 * Life:    push_shell -> set -> (read | write)* -> close, __close or __gc.
 * Knows:   task, conn.
 */
#ifndef LQ_STREAM_SHELL_H
#define LQ_STREAM_SHELL_H

#include <lua.h>

#include "net/conn.h"

#define LQ_STREAM_TYPE "luaqueduct.Stream"

/* Pushes a closed shell. */
void lq_push_stream_shell(lua_State *L);

/* The shell at i takes the detached connection. */
void lq_set_stream(lua_State *L, int i, lq_conn *c);

#endif

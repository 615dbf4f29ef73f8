/* headers.h - a request's header fields and cookies as Lua sees them.
 *
 * req.headers is a userdata that looks a field up when it is read; its user
 * value is the request, so it ends with it.
 *
 * Owns:    nothing.
 * Thread:  that of the state.
 * Knows:   request.
 */
#ifndef LQ_HEADERS_H
#define LQ_HEADERS_H

#include <lua.h>

#include "http/request.h"

/* Registers the metatable; before the first push. */
void lq_headers_register(lua_State *L);

/* Pushes req.headers of the request at the index. */
void lq_push_headers(lua_State *L, int request);

/* Pushes a table name -> value of the Cookie headers. */
void lq_push_cookies(lua_State *L, const lq_request *r);

/* req:header_all(name) -> list */
int lq_header_all(lua_State *L);

#endif

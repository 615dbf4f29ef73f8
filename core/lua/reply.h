/* reply.h - a handler's result, as bytes into the exchange's output.
 *
 * Owns:    nothing.
 * Thread:  that of the state, inside the task of the request.
 * Knows:   json, exchange.
 */
#ifndef LQ_REPLY_H
#define LQ_REPLY_H

#include <lua.h>

#include "net/exchange.h"

/* The metatable of responses, in the registry. */
#define LQ_RESPONSE_TYPE "luaqueduct.Response"

/* Whether the value at i is a response (lua/luaqueduct/response.lua). */
bool lq_is_response(lua_State *L, int i);

/* Answers with the value at index 2 (a string, a table, a response); the
 * request stands at index 1. Raises when it cannot be sent: what it wrote
 * from x->mark on is then to be taken back. Runs a streamed body, and so may
 * wait: call it last, as `return lq_reply(L, x)`. */
int lq_reply(lua_State *L, lq_exchange *x);

#endif

/* request.h - the request as Lua sees it: a userdata whose fields are made
 * when they are read.
 *
 * Owns:    a user value with the tables made so far.
 * Thread:  that of the state.
 * Life:    push -> reads -> shut, when the answer is complete; a read after
 *          that raises.
 * Knows:   exchange.
 */
#ifndef LQ_REQUEST_SHELL_H
#define LQ_REQUEST_SHELL_H

#include <lua.h>

#include "net/exchange.h"

#define LQ_REQUEST_TYPE "luaqueduct.Request"

/* Pushes the shell of x and enters it in x->shell. metatable: the index of the
 * one that is registered as LQ_REQUEST_TYPE. */
void lq_push_request(lua_State *L, lq_exchange *x, int metatable);

/* Cuts the shell off its exchange. */
void lq_shut_request(lq_exchange *x);

/* The exchange of the request at index i; raises for another value and after
 * the answer. */
lq_exchange *lq_check_request(lua_State *L, int i);

/* Pushes the list of functions that `req:on_response` (or on_error) has
 * collected; returns false, and pushes nothing, when there are none. i: the
 * request, that of x. name: "on_response" ... */
bool lq_push_request_hooks(lua_State *L, lq_exchange *x, int i,
                           const char *name);

/* Pushes the table of what was made of the request at index i; makes it when
 * it is not there. */
void lq_push_request_made(lua_State *L, int i);

#endif

/* lib_router.h - luaqueduct.core.router: the routing table, made from Lua.
 *
 * Owns:    the router inside its userdata.
 * Thread:  that of the state.
 * Knows:   http/route.
 */
#ifndef LQ_LIB_ROUTER_H
#define LQ_LIB_ROUTER_H

#include <lua.h>

#include "http/route.h"

/* A userdata of this type holds an lq_router *. */
#define LQ_ROUTER_TYPE "luaqueduct.core.Router"

/* The router at index i; raises for another value. */
lq_router *lq_check_router(lua_State *L, int i);

#endif

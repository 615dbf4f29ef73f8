/* lib_router.h - the router as a userdata.
 *
 * Owns:    nothing; each userdata owns its router.
 * Thread:  that of the state.
 * Life:    router.new() -> the collector. Who uses the lq_router from C keeps
 *          the userdata alive.
 * Knows:   lua, http/route.
 */
#ifndef LQ_LIB_ROUTER_H
#define LQ_LIB_ROUTER_H

#include <lua.h>

#include "http/route.h"

/* A userdata of this type is one `lq_router *`. */
#define LQ_ROUTER_TYPE "luaqueduct.core.Router"

/* The router at `i`, lent as long as its userdata lives; raises for anything
 * else. */
lq_router *lq_check_router(lua_State *L, int i);

#endif

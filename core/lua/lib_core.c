/* lib_core.c - luaqueduct.core: what of the core needs no worker, in one table.
 *
 * For plain Lua it is a shared object of its own, without libuv and threads;
 * the runtime has it preloaded with all others. Its parts are registered under
 * their own names, so that `require "luaqueduct.core.json"` works afterwards
 * and gives the same table.
 *
 * Owns:    nothing.
 * Thread:  that of the state.
 * Knows:   the modules that it collects.
 */
#include <lauxlib.h>

#include "base/defs.h"
#include "base/version.h"
#include "lua/libs.h"

static const struct {
    const char *field;
    const char *name;
    lua_CFunction open;
} parts[] = {
    {"errors", "luaqueduct.core.errors", luaopen_luaqueduct_core_errors},
    {"fields", "luaqueduct.core.fields", luaopen_luaqueduct_core_fields},
    {"json", "luaqueduct.core.json", luaopen_luaqueduct_core_json},
    {"pack", "luaqueduct.core.pack", luaopen_luaqueduct_core_pack},
    {"router", "luaqueduct.core.router", luaopen_luaqueduct_core_router},
    {"url", "luaqueduct.core.url", luaopen_luaqueduct_core_url},
};

int luaopen_luaqueduct_core(lua_State *L)
{
    size_t i;

    lua_createtable(L, 0, LQ_COUNT_OF(parts) + 1);
    for (i = 0; i < LQ_COUNT_OF(parts); i++) {
        luaL_requiref(L, parts[i].name, parts[i].open, 0);
        lua_setfield(L, -2, parts[i].field);
    }
    lua_pushliteral(L, LQ_VERSION);
    lua_setfield(L, -2, "version");
    return 1;
}

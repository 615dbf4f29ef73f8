/* lib_log.c - luaqueduct.core.log: records of the app.
 *
 * Owns:    nothing.
 * Thread:  that of the state.
 * Knows:   log, vm.
 */
#include <lauxlib.h>

#include "lua/libs.h"
#include "lua/vm.h"

static const char *const levels[] = {"debug", "info", "warn", "error", NULL};

/* log.write(level, message) */
static int log_write(lua_State *L)
{
    lq_log_level level = (lq_log_level)luaL_checkoption(L, 1, NULL, levels);
    size_t len;
    const char *text = luaL_checklstring(L, 2, &len);

    lq_log_write(lq_vm_of(L)->cfg.log, level, text, len);
    return 0;
}

/* log.enabled(level) -> boolean */
static int log_enabled(lua_State *L)
{
    lq_log_level level = (lq_log_level)luaL_checkoption(L, 1, NULL, levels);

    lua_pushboolean(L, lq_log_enabled(lq_vm_of(L)->cfg.log, level));
    return 1;
}

static const luaL_Reg functions[] = {
    {"enabled", log_enabled},
    {"write", log_write},
    {NULL, NULL},
};

int luaopen_luaqueduct_core_log(lua_State *L)
{
    luaL_newlib(L, functions);
    return 1;
}

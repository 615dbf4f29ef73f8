/* libs.c - see libs.h. */
#include "lua/libs.h"

#include <lauxlib.h>

static const luaL_Reg modules[] = {
    {"luaqueduct.core", luaopen_luaqueduct_core},
    {"luaqueduct.core.coroutine", luaopen_luaqueduct_core_coroutine},
    {"luaqueduct.core.db", luaopen_luaqueduct_core_db},
    {"luaqueduct.core.dispatch", luaopen_luaqueduct_core_dispatch},
    {"luaqueduct.core.errors", luaopen_luaqueduct_core_errors},
    {"luaqueduct.core.fields", luaopen_luaqueduct_core_fields},
    {"luaqueduct.core.folder", luaopen_luaqueduct_core_folder},
    {"luaqueduct.core.hub", luaopen_luaqueduct_core_hub},
    {"luaqueduct.core.instance", luaopen_luaqueduct_core_instance},
    {"luaqueduct.core.json", luaopen_luaqueduct_core_json},
    {"luaqueduct.core.listen", luaopen_luaqueduct_core_listen},
    {"luaqueduct.core.log", luaopen_luaqueduct_core_log},
    {"luaqueduct.core.pack", luaopen_luaqueduct_core_pack},
    {"luaqueduct.core.request", luaopen_luaqueduct_core_request},
    {"luaqueduct.core.router", luaopen_luaqueduct_core_router},
    {"luaqueduct.core.service", luaopen_luaqueduct_core_service},
    {"luaqueduct.core.source", luaopen_luaqueduct_core_source},
    {"luaqueduct.core.stream", luaopen_luaqueduct_core_stream},
    {"luaqueduct.core.task", luaopen_luaqueduct_core_task},
    {"luaqueduct.core.tcp", luaopen_luaqueduct_core_tcp},
    {"luaqueduct.core.url", luaopen_luaqueduct_core_url},
    {"luaqueduct.core.websocket", luaopen_luaqueduct_core_websocket},
    {NULL, NULL},
};

void lq_libs_preload(lua_State *L)
{
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
    luaL_setfuncs(L, modules, 0);
    lua_pop(L, 1);
}

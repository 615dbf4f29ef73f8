/* libs.h - the C modules that Lua sees as luaqueduct.core and
 * luaqueduct.core.*.
 *
 * Owns:    nothing.
 * Thread:  that of the state.
 * Knows:   lua.
 */
#ifndef LQ_LIBS_H
#define LQ_LIBS_H

#include <lua.h>

/* Makes every module below available to `require`; raises without memory. */
void lq_libs_preload(lua_State *L);

int luaopen_luaqueduct_core(lua_State *L);
int luaopen_luaqueduct_core_coroutine(lua_State *L);
int luaopen_luaqueduct_core_db(lua_State *L);
int luaopen_luaqueduct_core_dispatch(lua_State *L);
int luaopen_luaqueduct_core_errors(lua_State *L);
int luaopen_luaqueduct_core_fields(lua_State *L);
int luaopen_luaqueduct_core_folder(lua_State *L);
int luaopen_luaqueduct_core_hub(lua_State *L);
int luaopen_luaqueduct_core_instance(lua_State *L);
int luaopen_luaqueduct_core_json(lua_State *L);
int luaopen_luaqueduct_core_listen(lua_State *L);
int luaopen_luaqueduct_core_log(lua_State *L);
int luaopen_luaqueduct_core_pack(lua_State *L);
int luaopen_luaqueduct_core_request(lua_State *L);
int luaopen_luaqueduct_core_router(lua_State *L);
int luaopen_luaqueduct_core_service(lua_State *L);
int luaopen_luaqueduct_core_source(lua_State *L);
int luaopen_luaqueduct_core_stream(lua_State *L);
int luaopen_luaqueduct_core_task(lua_State *L);
int luaopen_luaqueduct_core_tcp(lua_State *L);
int luaopen_luaqueduct_core_url(lua_State *L);
int luaopen_luaqueduct_core_websocket(lua_State *L);

#endif

/* lib_json.c - luaqueduct.core.json.
 *
 * Owns:    a buffer that the calls of encode share.
 * Thread:  that of the state.
 * Knows:   json, error.
 */
#include <lauxlib.h>

#include "lua/bufbox.h"
#include "lua/error.h"
#include "lua/json.h"
#include "lua/libs.h"

/* json.encode(value) -> string
 * Encoding runs no Lua code, so nobody else can be at the buffer. */
static int json_encode(lua_State *L)
{
    lq_buf *out = lua_touserdata(L, lua_upvalueindex(1));

    luaL_checkany(L, 1);
    lq_buf_clear(out);
    lq_json_encode(L, 1, out);
    lq_bufbox_push_bytes(L, out);
    return 1;
}

/* json.decode(text) -> value | nil, err */
static int json_decode(lua_State *L)
{
    lq_err err;
    lq_str in;

    in.ptr = luaL_checklstring(L, 1, &in.len);
    if (lq_json_decode(L, in, &err) < 0)
        return lq_push_failure(L, LQ_EINVALID, err.text);
    return 1;
}

/* json.array(list?) -> list, with the array metatable */
static int json_array(lua_State *L)
{
    bool is_given = !lua_isnoneornil(L, 1);

    if (is_given) luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    if (!is_given) {
        lua_newtable(L);
        lua_replace(L, 1);
    }
    lq_json_push_array_mt(L);
    lua_setmetatable(L, 1);
    return 1;
}

/* json.is_array(value) -> boolean */
static int json_is_array(lua_State *L)
{
    luaL_checkany(L, 1);
    lua_pushboolean(L, lq_json_is_array(L, 1));
    return 1;
}

static const luaL_Reg functions[] = {
    {"array", json_array},
    {"decode", json_decode},
    {"encode", json_encode},
    {"is_array", json_is_array},
    {NULL, NULL},
};

int luaopen_luaqueduct_core_json(lua_State *L)
{
    luaL_newlibtable(L, functions);
    lq_bufbox_push(L);
    luaL_setfuncs(L, functions, 1);
    lq_json_push_array_mt(L);
    lua_setfield(L, -2, "array_mt");
    lua_pushlightuserdata(L, NULL);
    lua_setfield(L, -2, "null");
    return 1;
}

/* error.c - see error.h; also luaqueduct.core.errors. */
#include "lua/error.h"

#include <lauxlib.h>

#include "base/err.h"
#include "lua/bufbox.h"
#include "lua/dump.h"
#include "lua/libs.h"

static int mt_tostring(lua_State *L)
{
    lua_getfield(L, 1, "message");
    luaL_tolstring(L, -1, NULL);
    return 1;
}

static void set_metatable(lua_State *L)
{
    if (luaL_newmetatable(L, LQ_ERROR_TYPE)) {
        lua_pushcfunction(L, mt_tostring);
        lua_setfield(L, -2, "__tostring");
    }
    lua_setmetatable(L, -2);
}

void lq_push_error_named(lua_State *L, const char *code, const char *message)
{
    lua_createtable(L, 0, 2);
    lua_pushstring(L, code);
    lua_setfield(L, -2, "code");
    lua_pushstring(L, message);
    lua_setfield(L, -2, "message");
    set_metatable(L);
}

void lq_push_error(lua_State *L, int err, const char *message)
{
    char text[128];

    if (!message) message = lq_strerror(err, text, sizeof text);
    lq_push_error_named(L, lq_err_name(err), message);
}

int lq_push_failure(lua_State *L, int err, const char *message)
{
    lua_pushnil(L);
    lq_push_error(L, err, message);
    return 2;
}

static void push_field(lua_State *L, int table, const char *name)
{
    lua_pushstring(L, name);
    lua_rawget(L, table);
}

static void push_dump(lua_State *L, int table)
{
    lq_buf *text = lq_bufbox_push(L);

    lq_dump_put(L, table, text);
    lq_bufbox_push_bytes(L, text);
    lua_remove(L, -2);
}

void lq_push_error_text(lua_State *L, int idx)
{
    idx = lua_absindex(L, idx);
    if (lua_type(L, idx) != LUA_TTABLE ||
        luaL_getmetafield(L, idx, "__tostring") != LUA_TNIL) {
        luaL_tolstring(L, idx, NULL);
        return;
    }
    push_field(L, idx, "message");
    push_field(L, idx, "code");
    if (!lua_isstring(L, -2)) {
        lua_pop(L, 2);
        push_dump(L, idx);
    } else if (lua_isstring(L, -1)) {
        lua_pushliteral(L, " (");
        lua_insert(L, -2);
        lua_pushliteral(L, ")");
        lua_concat(L, 4);
    } else {
        lua_pop(L, 1);
    }
}

/* errors.new(code, message) -> err */
static int errors_new(lua_State *L)
{
    luaL_checkstring(L, 1);
    luaL_checkstring(L, 2);
    lua_createtable(L, 0, 2);
    lua_pushvalue(L, 1);
    lua_setfield(L, -2, "code");
    lua_pushvalue(L, 2);
    lua_setfield(L, -2, "message");
    set_metatable(L);
    return 1;
}

static const luaL_Reg functions[] = {
    {"new", errors_new},
    {NULL, NULL},
};

int luaopen_luaqueduct_core_errors(lua_State *L)
{
    luaL_newlib(L, functions);
    return 1;
}

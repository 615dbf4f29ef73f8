/* lib_router.c - see lib_router.h. */
#include "lua/lib_router.h"

#include <errno.h>
#include <lauxlib.h>

#include "http/method.h"
#include "lua/libs.h"

lq_router *lq_check_router(lua_State *L, int i)
{
    lq_router **r = luaL_checkudata(L, i, LQ_ROUTER_TYPE);

    return *r;
}

static lq_str check_str(lua_State *L, int i)
{
    lq_str s;

    s.ptr = luaL_checklstring(L, i, &s.len);
    return s;
}

static int check_method(lua_State *L, int i)
{
    lq_str name = check_str(L, i);

    if (lq_str_equal(name, LQ_STR("ANY"))) return LQ_METHOD_ANY;
    return lq_method_from(name);
}

/* -1 when the field is absent. `scale`: seconds to milliseconds. */
static int64_t limit_field(lua_State *L, int i, const char *name, int scale)
{
    int64_t value = -1;

    if (lua_getfield(L, i, name) != LUA_TNIL)
        value = (int64_t)(luaL_checknumber(L, -1) * scale + 0.5);
    lua_pop(L, 1);
    return value;
}

static lq_limits check_limits(lua_State *L, int i)
{
    lq_limits limits = {-1, -1, -1};

    if (lua_isnoneornil(L, i)) return limits;
    luaL_checktype(L, i, LUA_TTABLE);
    limits.body = limit_field(L, i, "body", 1);
    limits.request_timeout_ms = limit_field(L, i, "request_timeout", 1000);
    limits.body_timeout_ms = limit_field(L, i, "body_timeout", 1000);
    return limits;
}

/* router.check(pattern): raises when it is wrong */
static int router_check(lua_State *L)
{
    lq_err err;

    if (lq_route_check(check_str(L, 1), &err) < 0) {
        lua_pushstring(L, err.text);
        return lua_error(L);
    }
    return 0;
}

/* router.new() -> router */
static int router_new(lua_State *L)
{
    lq_router **r = lua_newuserdatauv(L, sizeof *r, 0);

    *r = NULL;
    luaL_setmetatable(L, LQ_ROUTER_TYPE);
    if (lq_router_new(r) < 0) return luaL_error(L, "not enough memory");
    return 1;
}

/* r:add(method | "ANY", pattern, tag, limits?) -> true | nil, conflict_tag */
static int m_add(lua_State *L)
{
    lq_router *r = lq_check_router(L, 1);
    int method = check_method(L, 2), conflict_tag = 0, code;
    lq_route route = {(int)luaL_checkinteger(L, 4), check_limits(L, 5)};
    lq_err err;

    code =
        lq_router_add(r, method, check_str(L, 3), &route, &conflict_tag, &err);
    if (code == -EEXIST) {
        lua_pushnil(L);
        lua_pushinteger(L, conflict_tag);
        return 2;
    }
    if (code < 0) {
        lua_pushstring(L, code == -ENOMEM ? "not enough memory" : err.text);
        return lua_error(L);
    }
    lua_pushboolean(L, 1);
    return 1;
}

/* r:fallback(tag, limits?) */
static int m_fallback(lua_State *L)
{
    lq_router *r = lq_check_router(L, 1);
    lq_route route = {(int)luaL_checkinteger(L, 2), check_limits(L, 3)};

    lq_router_fallback(r, &route);
    return 0;
}

static void push_allow(lua_State *L, unsigned allow)
{
    lua_Integer n = 0;
    int i;

    lua_newtable(L);
    for (i = 0; i < LQ_OTHER; i++) {
        if (!(allow & 1u << i)) continue;
        lua_pushstring(L, lq_method_name(i));
        lua_rawseti(L, -2, ++n);
    }
}

/* r:match(method, path) -> kind, tag, params | kind, nil, allowed */
static int m_match(lua_State *L)
{
    static const char *const kinds[] = {"found", "none", "method", "options",
                                        "bad_path"};
    lq_match m;
    size_t i;

    lq_router_match(lq_check_router(L, 1), check_method(L, 2), check_str(L, 3),
                    &m);
    lua_pushstring(L, kinds[m.kind]);
    if (m.kind != LQ_MATCH_FOUND) {
        lua_pushnil(L);
        push_allow(L, m.allow);
        return 3;
    }
    lua_pushinteger(L, m.route->tag);
    lua_newtable(L);
    for (i = 0; i < m.param_count; i++) {
        lua_pushlstring(L, m.params[i].name.ptr, m.params[i].name.len);
        lua_pushlstring(L, m.params[i].value.ptr, m.params[i].value.len);
        lua_rawset(L, -3);
    }
    return 3;
}

static int mt_gc(lua_State *L)
{
    lq_router **r = luaL_checkudata(L, 1, LQ_ROUTER_TYPE);

    lq_router_free(*r);
    *r = NULL;
    return 0;
}

static const luaL_Reg functions[] = {
    {"check", router_check},
    {"new", router_new},
    {NULL, NULL},
};

static const luaL_Reg methods[] = {
    {"add", m_add},
    {"fallback", m_fallback},
    {"match", m_match},
    {NULL, NULL},
};

int luaopen_luaqueduct_core_router(lua_State *L)
{
    luaL_newmetatable(L, LQ_ROUTER_TYPE);
    lua_pushcfunction(L, mt_gc);
    lua_setfield(L, -2, "__gc");
    luaL_newlib(L, methods);
    lua_setfield(L, -2, "__index");
    luaL_newlib(L, functions);
    return 1;
}

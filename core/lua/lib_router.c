/* lib_router.c - luaqueduct.core.router.
 *
 * Owns:    the routers inside its userdata.
 * Thread:  that of the state.
 * Knows:   error, http/method, http/route, http/url.
 */
#include "lua/lib_router.h"

#include <errno.h>
#include <lauxlib.h>
#include <limits.h>

#include "http/method.h"
#include "http/url.h"
#include "lua/libs.h"

/* Seconds beyond this are a mistake; some thirty years. */
#define SECONDS_MAX 1e9

lq_router *lq_check_router(lua_State *L, int i)
{
    lq_router **shell = luaL_checkudata(L, i, LQ_ROUTER_TYPE);

    luaL_argcheck(L, *shell, i, "router is closed");
    return *shell;
}

static lq_str check_str(lua_State *L, int i)
{
    lq_str s;

    s.ptr = luaL_checklstring(L, i, &s.len);
    return s;
}

/* A method that a route can have, or "ANY". */
static int check_route_method(lua_State *L, int i)
{
    lq_str name = check_str(L, i);
    int method = lq_method_from(name);

    if (lq_str_equal(name, LQ_STR("ANY"))) return LQ_METHOD_ANY;
    if (method == LQ_OTHER)
        luaL_argerror(L, i, "a method or \"ANY\" is needed");
    return method;
}

/* The number in a field of the table at `i`; -1 when it is absent. */
static lua_Number number_field(lua_State *L, int i, const char *name)
{
    lua_Number value = -1;

    if (lua_getfield(L, i, name) != LUA_TNIL) {
        if (lua_type(L, -1) != LUA_TNUMBER)
            luaL_error(L, "the limit '%s' is no number", name);
        value = lua_tonumber(L, -1);
        if (!(value >= 0)) luaL_error(L, "the limit '%s' is less than 0", name);
    }
    lua_pop(L, 1);
    return value;
}

static int64_t bytes_field(lua_State *L, int i, const char *name)
{
    lua_Number value = number_field(L, i, name);

    if (value >= 0x1p63) luaL_error(L, "the limit '%s' is too large", name);
    return (int64_t)value;
}

/* Seconds as milliseconds; a short time is no reason to have none. */
static int64_t seconds_field(lua_State *L, int i, const char *name)
{
    lua_Number value = number_field(L, i, name);

    if (value > SECONDS_MAX) luaL_error(L, "the limit '%s' is too large", name);
    if (value > 0 && value < 0.001) return 1;
    return value < 0 ? -1 : (int64_t)(value * 1000 + 0.5);
}

/* The tag at `i` and the limits behind it. */
static lq_route check_route(lua_State *L, int i)
{
    lua_Integer tag = luaL_checkinteger(L, i);
    lq_route route = {0, {-1, -1, -1}};

    luaL_argcheck(L, tag >= 0 && tag <= INT_MAX, i, "no tag");
    route.tag = (int)tag;
    if (lua_isnoneornil(L, i + 1)) return route;
    luaL_checktype(L, i + 1, LUA_TTABLE);
    route.limits.body = bytes_field(L, i + 1, "body");
    route.limits.body_timeout_ms = seconds_field(L, i + 1, "body_timeout");
    route.limits.request_timeout_ms =
        seconds_field(L, i + 1, "request_timeout");
    return route;
}

/* ---- module -------------------------------------------------------------- */

/* The pattern's own fault: the message has no place in front, as the caller
 * knows a better one. */
static int raise_err(lua_State *L, const lq_err *err)
{
    lua_pushstring(L, err->text);
    return lua_error(L);
}

/* router.check(pattern) */
static int router_check(lua_State *L)
{
    lq_err err;

    if (lq_route_check(check_str(L, 1), &err) < 0) return raise_err(L, &err);
    return 0;
}

/* router.new() -> router */
static int router_new(lua_State *L)
{
    lq_router **shell = lua_newuserdatauv(L, sizeof *shell, 0);

    *shell = NULL;
    luaL_setmetatable(L, LQ_ROUTER_TYPE);
    if (lq_router_new(shell) < 0) return luaL_error(L, "not enough memory");
    return 1;
}

/* ---- methods ------------------------------------------------------------- */

/* router:add(method, pattern, tag, limits?) -> true | nil, conflict_tag */
static int m_add(lua_State *L)
{
    lq_router *r = lq_check_router(L, 1);
    int method = check_route_method(L, 2), conflict, result;
    lq_str pattern = check_str(L, 3);
    lq_route route = check_route(L, 4);
    lq_err err;

    result = lq_router_add(r, method, pattern, &route, &conflict, &err);
    if (result == LQ_EINVALID) return raise_err(L, &err);
    if (result == -EEXIST) {
        lua_pushnil(L);
        lua_pushinteger(L, conflict);
        return 2;
    }
    if (result < 0) return luaL_error(L, "not enough memory");
    lua_pushboolean(L, true);
    return 1;
}

/* router:fallback(tag, limits?) */
static int m_fallback(lua_State *L)
{
    lq_router *r = lq_check_router(L, 1);
    lq_route route = check_route(L, 2);

    lq_router_fallback(r, &route);
    return 0;
}

/* The value of a param; escapes were found to be good by the match. */
static void push_value(lua_State *L, const lq_param *p)
{
    luaL_Buffer b;
    char *out;
    ssize_t len;

    if (lq_str_equal(p->name, LQ_STR("*"))) {
        lua_pushlstring(L, p->value.ptr, p->value.len);
        return;
    }
    out = luaL_buffinitsize(L, &b, p->value.len);
    len = lq_url_decode(out, p->value, false);
    luaL_pushresultsize(&b, len < 0 ? 0 : (size_t)len);
}

static void push_params(lua_State *L, const lq_match *m)
{
    size_t i;

    lua_createtable(L, 0, (int)m->param_count);
    for (i = 0; i < m->param_count; i++) {
        lua_pushlstring(L, m->params[i].name.ptr, m->params[i].name.len);
        push_value(L, &m->params[i]);
        lua_rawset(L, -3);
    }
}

static void push_methods(lua_State *L, unsigned allow)
{
    lua_Integer count = 0;
    int method;

    lua_newtable(L);
    for (method = 0; method < LQ_OTHER; method++) {
        if (!(allow & 1u << method)) continue;
        lua_pushstring(L, lq_method_name(method));
        lua_rawseti(L, -2, ++count);
    }
}

/* router:match(method, path) -> "found", tag, params
 *                             | "method" or "options", nil, methods
 *                             | "none" or "bad_path" */
static int m_match(lua_State *L)
{
    static const char *const kinds[] = {"found", "none", "method", "bad_path",
                                        "options"};
    const lq_router *r = lq_check_router(L, 1);
    int method = lq_method_from(check_str(L, 2));
    lq_match match;

    lq_router_match(r, method, check_str(L, 3), &match);
    lua_pushstring(L, kinds[match.kind]);
    if (match.kind == LQ_MATCH_FOUND) {
        lua_pushinteger(L, match.route->tag);
        push_params(L, &match);
        return 3;
    }
    if (!match.allow) return 1;
    lua_pushnil(L);
    push_methods(L, match.allow);
    return 3;
}

/* ---- metamethods --------------------------------------------------------- */

static int mt_gc(lua_State *L)
{
    lq_router **shell = luaL_checkudata(L, 1, LQ_ROUTER_TYPE);

    lq_router_free(*shell);
    *shell = NULL;
    return 0;
}

static int mt_tostring(lua_State *L)
{
    lua_pushfstring(L, "luaqueduct.core.Router: %p", lua_topointer(L, 1));
    return 1;
}

/* There is no __close: C may be matching with it as long as it lives. */
static const luaL_Reg metamethods[] = {
    {"__gc", mt_gc},
    {"__tostring", mt_tostring},
    {NULL, NULL},
};

static const luaL_Reg methods[] = {
    {"add", m_add},
    {"fallback", m_fallback},
    {"match", m_match},
    {NULL, NULL},
};

static const luaL_Reg functions[] = {
    {"check", router_check},
    {"new", router_new},
    {NULL, NULL},
};

int luaopen_luaqueduct_core_router(lua_State *L)
{
    if (luaL_newmetatable(L, LQ_ROUTER_TYPE)) {
        luaL_setfuncs(L, metamethods, 0);
        luaL_newlib(L, methods);
        lua_setfield(L, -2, "__index");
    }
    lua_pop(L, 1);
    luaL_newlib(L, functions);
    return 1;
}

/* lib_request.c - see request.h; luaqueduct.core.request: the shell, its
 * fields and methods. What reads header fields stands in headers.c, what reads
 * the body in body.c.
 *
 * Fields are looked up in one table (an upvalue of __index): a function is a
 * method, an integer a field of the enum below. Tables that were made are made
 * once: `params`, which most handlers ask for, is the second user value, the
 * others (query, cookies ...) stand in the table that is the first.
 *
 * Owns:    nothing but the shells.
 * Thread:  that of the state.
 * Knows:   task, exchange, client, headers, body, pairs.
 */
#include "lua/request.h"

#include <lauxlib.h>
#include <stdio.h>

#include "http/method.h"
#include "lua/body.h"
#include "lua/client.h"
#include "lua/error.h"
#include "lua/headers.h"
#include "lua/libs.h"
#include "lua/pairs.h"
#include "lua/stream.h"
#include "lua/task.h"
#include "net/exchange.h"

enum {
    FIELD_CONTEXT = 1,
    FIELD_COOKIES,
    FIELD_HEADERS,
    FIELD_HOST,
    FIELD_ID,
    FIELD_METHOD,
    FIELD_PARAMS,
    FIELD_PATH,
    FIELD_QUERY,
    FIELD_REMOTE_ADDRESS,
    FIELD_REMOTE_PORT,
    FIELD_SCHEME,
    FIELD_TARGET,
    FIELD_VERSION,
};

/* ---- the shell ----------------------------------------------------------- */

enum { MADE = 1, PARAMS, USER_VALUES = PARAMS };

/* The upvalues of __index. */
enum { INDEX_FIELDS = 1, INDEX_METATABLE };

typedef struct shell {
    lq_exchange *x; /* NULL: answered */
    bool has_hooks;
} shell;

void lq_push_request(lua_State *L, lq_exchange *x, int metatable)
{
    shell *s = lua_newuserdatauv(L, sizeof *s, USER_VALUES);

    *s = (shell){.x = x};
    x->shell = s;
    lua_pushvalue(L, metatable);
    lua_setmetatable(L, -2);
}

void lq_shut_request(lq_exchange *x)
{
    shell *s = x->shell;

    if (s) s->x = NULL;
    x->shell = NULL;
}

static lq_exchange *exchange_of(lua_State *L, const shell *s)
{
    if (LQ_UNLIKELY(!s->x))
        luaL_error(L, "this request has been answered: take what is needed "
                      "of it before, a request is not valid any longer");
    return s->x;
}

lq_exchange *lq_check_request(lua_State *L, int i)
{
    return exchange_of(L, luaL_checkudata(L, i, LQ_REQUEST_TYPE));
}

void lq_push_request_made(lua_State *L, int i)
{
    i = lua_absindex(L, i);
    if (lua_getiuservalue(L, i, MADE) == LUA_TTABLE) return;
    lua_pop(L, 1);
    lua_createtable(L, 0, 4);
    lua_pushvalue(L, -1);
    lua_setiuservalue(L, i, MADE);
}

bool lq_push_request_hooks(lua_State *L, lq_exchange *x, int i,
                           const char *name)
{
    const shell *s = x->shell;

    if (LQ_LIKELY(!s || !s->has_hooks)) return false;
    lua_getiuservalue(L, i, MADE);
    lua_getfield(L, -1, name);
    lua_remove(L, -2);
    if (!lua_isnil(L, -1)) return true;
    lua_pop(L, 1);
    return false;
}

static void push_str(lua_State *L, lq_str s)
{
    if (s.ptr)
        lua_pushlstring(L, s.ptr, s.len);
    else
        lua_pushnil(L);
}

/* ---- fields -------------------------------------------------------------- */

static void make_query(lua_State *L, lq_exchange *x)
{
    lq_push_pairs(L, lq_request_query(&x->parser.request), false);
}

static void make_params(lua_State *L, lq_exchange *x)
{
    const lq_match *m = &x->match;
    const lq_param *p;
    size_t i;

    lua_createtable(L, 0, (int)m->param_count);
    for (i = 0; i < m->param_count; i++) {
        p = &m->params[i];
        lua_pushlstring(L, p->name.ptr, p->name.len);
        if (lq_str_equal(p->name, LQ_STR("*")))
            lua_pushlstring(L, p->value.ptr, p->value.len);
        else
            lq_push_decoded(L, p->value, false);
        lua_rawset(L, -3);
    }
}

/* Tables: made once, kept in the user value under the field's number. */
static int push_table(lua_State *L, lq_exchange *x, int field)
{
    lq_push_request_made(L, 1);
    if (lua_rawgeti(L, -1, field) != LUA_TNIL) return 1;
    lua_pop(L, 1);
    switch (field) {
    case FIELD_CONTEXT: lua_newtable(L); break;
    case FIELD_COOKIES: lq_push_cookies(L, &x->parser.request); break;
    case FIELD_HEADERS: lq_push_headers(L, 1); break;
    default: make_query(L, x); break;
    }
    lua_pushvalue(L, -1);
    lua_rawseti(L, -3, field);
    return 1;
}

static int push_params(lua_State *L, lq_exchange *x)
{
    if (lua_getiuservalue(L, 1, PARAMS) != LUA_TNIL) return 1;
    make_params(L, x);
    lua_pushvalue(L, -1);
    lua_setiuservalue(L, 1, PARAMS);
    return 1;
}

static int push_id(lua_State *L, lq_exchange *x)
{
    char text[LQ_EXCHANGE_ID_CAP];

    lua_pushlstring(L, text, lq_exchange_id(x, text));
    return 1;
}

/* One short case for each field. */
static int push_field(lua_State *L, lq_exchange *x, int field)
{
    const lq_request *r = &x->parser.request;

    switch (field) {
    case FIELD_HOST: lq_push_host(L, x); return 1;
    case FIELD_ID: return push_id(L, x);
    case FIELD_METHOD: push_str(L, r->method_text); return 1;
    case FIELD_PARAMS: return push_params(L, x);
    case FIELD_PATH: push_str(L, lq_request_path(r)); return 1;
    case FIELD_REMOTE_ADDRESS: lq_push_remote_address(L, x); return 1;
    case FIELD_REMOTE_PORT: lq_push_remote_port(L, x); return 1;
    case FIELD_SCHEME: lq_push_scheme(L, x); return 1;
    case FIELD_TARGET: push_str(L, lq_request_target(r)); return 1;
    case FIELD_VERSION: lua_pushstring(L, r->minor ? "1.1" : "1.0"); return 1;
    default: return push_table(L, x, field);
    }
}

/* lq_check_request(L, 1) for __index, which knows the metatable. */
static lq_exchange *check_self(lua_State *L)
{
    bool is_request = lua_getmetatable(L, 1) &&
                      lua_rawequal(L, -1, lua_upvalueindex(INDEX_METATABLE));

    if (LQ_UNLIKELY(!is_request)) return lq_check_request(L, 1);
    lua_pop(L, 1);
    return exchange_of(L, lua_touserdata(L, 1));
}

static int mt_index(lua_State *L)
{
    lq_exchange *x = check_self(L);

    lua_pushvalue(L, 2);
    if (lua_rawget(L, lua_upvalueindex(INDEX_FIELDS)) != LUA_TNUMBER) return 1;
    return push_field(L, x, (int)lua_tointeger(L, -1));
}

static int mt_newindex(lua_State *L)
{
    return luaL_error(L,
                      "a request cannot be changed (field '%s'); "
                      "req.context is there to pass things on",
                      luaL_tolstring(L, 2, NULL));
}

static int mt_tostring(lua_State *L)
{
    shell *s = luaL_checkudata(L, 1, LQ_REQUEST_TYPE);

    if (!s->x)
        lua_pushliteral(L, "luaqueduct.Request (answered)");
    else
        lua_pushfstring(L, "luaqueduct.Request (%s)",
                        lq_method_name(s->x->parser.request.method));
    return 1;
}

/* ---- methods ------------------------------------------------------------- */

/* req:query_all(name) -> list */
static int m_query_all(lua_State *L)
{
    lq_exchange *x = lq_check_request(L, 1);

    luaL_checkstring(L, 2);
    lq_push_pairs(L, lq_request_query(&x->parser.request), true);
    lua_pushvalue(L, 2);
    if (lua_rawget(L, -2) == LUA_TNIL) lua_newtable(L);
    return 1;
}

static int add_hook(lua_State *L, const char *name)
{
    lq_check_request(L, 1);
    luaL_checktype(L, 2, LUA_TFUNCTION);
    lq_push_request_made(L, 1);
    ((shell *)lua_touserdata(L, 1))->has_hooks = true;
    if (lua_getfield(L, -1, name) != LUA_TTABLE) {
        lua_pop(L, 1);
        lua_newtable(L);
        lua_pushvalue(L, -1);
        lua_setfield(L, -3, name);
    }
    lua_pushvalue(L, 2);
    lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
    return 0;
}

/* req:on_error(fn) */
static int m_on_error(lua_State *L)
{
    return add_hook(L, "on_error");
}

/* req:on_response(fn) */
static int m_on_response(lua_State *L)
{
    return add_hook(L, "on_response");
}

/* req:detach() -> stream | nil, err */
static int m_detach(lua_State *L)
{
    lq_exchange *x = lq_check_request(L, 1);
    lq_conn *c;
    int err;

    lq_push_stream_shell(L);
    err = lq_exchange_detach(x, &c);
    if (err == LQ_EINVALID)
        return lq_push_failure(L, err,
                               "the connection cannot be detached: "
                               "its body is not complete, or another request "
                               "is under way on it");
    if (err < 0) return lq_push_failure(L, err, NULL);
    lq_set_stream(L, -1, c);
    return 1;
}

/* ---- the module ---------------------------------------------------------- */

static const luaL_Reg methods[] = {
    {"detach", m_detach},       {"header_all", lq_header_all},
    {"on_error", m_on_error},   {"on_response", m_on_response},
    {"query_all", m_query_all}, {NULL, NULL},
};

static const struct {
    const char *name;
    int field;
} fields[] = {
    {"context", FIELD_CONTEXT},
    {"cookies", FIELD_COOKIES},
    {"headers", FIELD_HEADERS},
    {"host", FIELD_HOST},
    {"id", FIELD_ID},
    {"method", FIELD_METHOD},
    {"params", FIELD_PARAMS},
    {"path", FIELD_PATH},
    {"query", FIELD_QUERY},
    {"remote_address", FIELD_REMOTE_ADDRESS},
    {"remote_port", FIELD_REMOTE_PORT},
    {"scheme", FIELD_SCHEME},
    {"target", FIELD_TARGET},
    {"version", FIELD_VERSION},
};

static const luaL_Reg metamethods[] = {
    {"__newindex", mt_newindex},
    {"__tostring", mt_tostring},
    {NULL, NULL},
};

int luaopen_luaqueduct_core_request(lua_State *L)
{
    size_t i;

    lq_headers_register(L);
    luaL_newmetatable(L, LQ_REQUEST_TYPE);
    luaL_setfuncs(L, metamethods, 0);
    luaL_newlib(L, methods);
    lq_body_add_methods(L);
    for (i = 0; i < LQ_COUNT_OF(fields); i++) {
        lua_pushinteger(L, fields[i].field);
        lua_setfield(L, -2, fields[i].name);
    }
    lua_pushvalue(L, -2);
    lua_pushcclosure(L, mt_index, 2);
    lua_setfield(L, -2, "__index");
    lua_newtable(L);
    return 1;
}

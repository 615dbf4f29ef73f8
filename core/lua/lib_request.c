/* lib_request.c - see request.h; luaqueduct.core.request.
 *
 * Fields are looked up in one table (an upvalue of __index): a function is a
 * method, an integer a field of the enum below. Tables that were made are made
 * once: `params`, which most handlers ask for, is the second user value, the
 * others (query, cookies ...) stand in the table that is the first.
 *
 * Owns:    nothing but the shells.
 * Thread:  that of the state.
 * Knows:   task, exchange.
 */
#include <errno.h>
#include <lauxlib.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "http/method.h"
#include "http/url.h"
#include "lua/error.h"
#include "lua/json.h"
#include "lua/libs.h"
#include "lua/request.h"
#include "lua/stream.h"
#include "lua/task.h"
#include "net/conn.h"

#define HEADERS_TYPE "luaqueduct.Headers"

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
    PAIRS_MAX = 1000, /* of a query or a form */
};

/* ---- the shell
 * -------------------------------------------------------------------- */

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

/* Pushes the table of what was made; makes it when it is not there. */
static void push_made(lua_State *L, int i)
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

void lq_request_id(const lq_exchange *x, int worker, char *out, size_t cap)
{
    snprintf(out, cap, "%llx-%x-%llx", (unsigned long long)x->net->started_at,
             (unsigned)worker, (unsigned long long)x->id);
}

static void push_str(lua_State *L, lq_str s)
{
    if (s.ptr)
        lua_pushlstring(L, s.ptr, s.len);
    else
        lua_pushnil(L);
}

/* ---- query, form, cookies, params
 * ------------------------------------------------- */

/* Pushes `raw` decoded; nil when it is broken. */
static bool push_decoded(lua_State *L, lq_str raw, bool plus)
{
    luaL_Buffer b;
    char *out;
    ssize_t len;

    if (!memchr(raw.ptr ? raw.ptr : "", '%', raw.len) &&
        !(plus && raw.len && memchr(raw.ptr, '+', raw.len))) {
        lua_pushlstring(L, raw.ptr ? raw.ptr : "", raw.len);
        return true;
    }
    out = luaL_buffinitsize(L, &b, raw.len);
    len = lq_url_decode(out, raw, plus);
    luaL_pushresultsize(&b, len < 0 ? 0 : (size_t)len);
    if (len >= 0) return true;
    lua_pop(L, 1);
    lua_pushnil(L);
    return false;
}

/* Pushes a table name -> first value, or name -> list when `all`. Returns
 * LQ_EINVALID for a broken escape, LQ_ETOOLARGE for too many pairs; then the
 * table holds what was good. */
static int push_pairs(lua_State *L, lq_str text, bool all)
{
    lq_str name, value;
    int count = 0, err = 0;

    lua_newtable(L);
    while (lq_url_next_pair(&text, &name, &value)) {
        if (++count > PAIRS_MAX) return LQ_ETOOLARGE;
        if (!push_decoded(L, name, true)) {
            lua_pop(L, 1);
            err = LQ_EINVALID;
            continue;
        }
        lua_pushvalue(L, -1); /* table name name */
        if (lua_rawget(L, -3) == LUA_TNIL && all) {
            lua_pop(L, 1);
            lua_newtable(L);
            lua_pushvalue(L, -2);
            lua_pushvalue(L, -2);
            lua_rawset(L, -5); /* table name list */
        }
        if (!push_decoded(L, value, true)) {
            err = LQ_EINVALID;
            lua_pop(L, 3);
        } else if (all) {
            lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
            lua_pop(L, 2);
        } else if (lua_isnil(L, -2)) {
            lua_remove(L, -2);
            lua_rawset(L, -3);
        } else {
            lua_pop(L, 3);
        }
    }
    return err;
}

static void make_query(lua_State *L, lq_exchange *x)
{
    push_pairs(L, lq_request_query(&x->parser.request), false);
}

static lq_str trim(lq_str s)
{
    while (s.len && (*s.ptr == ' ' || *s.ptr == '\t')) s.ptr++, s.len--;
    while (s.len && (s.ptr[s.len - 1] == ' ' || s.ptr[s.len - 1] == '\t'))
        s.len--;
    return s;
}

/* `name=value` of a Cookie header; the first of a name counts. */
static void add_cookie(lua_State *L, lq_str pair)
{
    const char *eq = pair.len ? memchr(pair.ptr, '=', pair.len) : NULL;
    lq_str name, value;

    if (!eq) return;
    name = trim((lq_str){pair.ptr, (size_t)(eq - pair.ptr)});
    value = trim((lq_str){eq + 1, (size_t)(pair.ptr + pair.len - eq - 1)});
    if (value.len >= 2 && *value.ptr == '"' && value.ptr[value.len - 1] == '"')
        value = (lq_str){value.ptr + 1, value.len - 2};
    lua_pushlstring(L, name.ptr, name.len);
    lua_pushvalue(L, -1);
    if (lua_rawget(L, -3) != LUA_TNIL) {
        lua_pop(L, 2);
        return;
    }
    lua_pop(L, 1);
    lua_pushlstring(L, value.ptr, value.len);
    lua_rawset(L, -3);
}

static void add_cookies(lua_State *L, lq_str line)
{
    const char *end;
    size_t len;

    while (line.len) {
        end = memchr(line.ptr, ';', line.len);
        len = end ? (size_t)(end - line.ptr) : line.len;
        add_cookie(L, trim((lq_str){line.ptr, len}));
        if (end) len++;
        line.ptr += len;
        line.len -= len;
    }
}

static void make_cookies(lua_State *L, lq_exchange *x)
{
    const lq_request *r = &x->parser.request;
    uint32_t i;

    lua_newtable(L);
    for (i = 0; i < r->header_count; i++)
        if (lq_str_equal_nocase(lq_request_name(r, i), LQ_STR("cookie")))
            add_cookies(L, lq_request_value(r, i));
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
            push_decoded(L, p->value, false);
        lua_rawset(L, -3);
    }
}

/* ---- headers
 * ------------------------------------------------------------------------ */

/* Pushes the values of the field, joined with ", " ("; " for cookies), or nil.
 */
static void push_header(lua_State *L, const lq_request *r, lq_str name)
{
    const char *glue =
        lq_str_equal_nocase(name, LQ_STR("cookie")) ? "; " : ", ";
    int found = 0;
    uint32_t i;
    luaL_Buffer b;
    lq_str value, first = {NULL, 0};

    for (i = 0; i < r->header_count; i++) {
        if (!lq_str_equal_nocase(lq_request_name(r, i), name)) continue;
        value = lq_request_value(r, i);
        if (++found == 1) {
            first = value;
            continue;
        }
        if (found == 2) {
            luaL_buffinit(L, &b);
            luaL_addlstring(&b, first.ptr ? first.ptr : "", first.len);
        }
        luaL_addstring(&b, glue);
        luaL_addlstring(&b, value.ptr ? value.ptr : "", value.len);
    }
    if (found > 1)
        luaL_pushresult(&b);
    else if (found)
        lua_pushlstring(L, first.ptr ? first.ptr : "", first.len);
    else
        lua_pushnil(L);
}

/* Pushes the name in lower case. */
static void push_lower(lua_State *L, lq_str name)
{
    luaL_Buffer b;
    char *out = luaL_buffinitsize(L, &b, name.len);
    size_t i;

    for (i = 0; i < name.len; i++)
        out[i] = name.ptr[i] >= 'A' && name.ptr[i] <= 'Z'
                     ? (char)(name.ptr[i] + 32)
                     : name.ptr[i];
    luaL_pushresultsize(&b, name.len);
}

/* The exchange of a headers object: its user value is the request. */
static lq_exchange *check_headers(lua_State *L)
{
    lq_exchange *x;

    luaL_checkudata(L, 1, HEADERS_TYPE);
    lua_getiuservalue(L, 1, 1);
    x = lq_check_request(L, -1);
    lua_pop(L, 1);
    return x;
}

static int headers_index(lua_State *L)
{
    lq_exchange *x = check_headers(L);
    lq_str name;

    if (lua_type(L, 2) != LUA_TSTRING) return 0;
    name.ptr = lua_tolstring(L, 2, &name.len);
    push_header(L, &x->parser.request, name);
    return 1;
}

/* pairs(req.headers): over a table made for it. */
static int headers_pairs(lua_State *L)
{
    const lq_request *r = &check_headers(L)->parser.request;
    uint32_t i;

    lua_getglobal(L, "next");
    lua_createtable(L, 0, (int)r->header_count);
    for (i = 0; i < r->header_count; i++) {
        push_lower(L, lq_request_name(r, i));
        push_header(L, r, lq_request_name(r, i));
        lua_rawset(L, -3);
    }
    lua_pushnil(L);
    return 3;
}

static int headers_newindex(lua_State *L)
{
    return luaL_error(L, "the headers of a request cannot be changed; "
                         "req.context is there to pass things on");
}

static void make_headers(lua_State *L, int request)
{
    lua_newuserdatauv(L, 1, 1);
    lua_pushvalue(L, request);
    lua_setiuservalue(L, -2, 1);
    luaL_setmetatable(L, HEADERS_TYPE);
}

/* ---- fields
 * ----------------------------------------------------------------------------
 */

/* Tables: made once, kept in the user value under the field's number. */
static int push_table(lua_State *L, lq_exchange *x, int field)
{
    push_made(L, 1);
    if (lua_rawgeti(L, -1, field) != LUA_TNIL) return 1;
    lua_pop(L, 1);
    switch (field) {
    case FIELD_CONTEXT: lua_newtable(L); break;
    case FIELD_COOKIES: make_cookies(L, x); break;
    case FIELD_HEADERS: make_headers(L, 1); break;
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

static int push_peer(lua_State *L, lq_exchange *x, bool wants_port)
{
    char text[64];
    int port;

    if (!x->conn) {
        lua_pushnil(L);
        return 1;
    }
    lq_conn_peer(x->conn, text, sizeof text, &port);
    if (!wants_port)
        lua_pushstring(L, text);
    else if (port)
        lua_pushinteger(L, port);
    else
        lua_pushnil(L);
    return 1;
}

static int push_id(lua_State *L, lq_exchange *x)
{
    char text[64];

    lq_request_id(x, lq_vm_of(L)->cfg.id, text, sizeof text);
    lua_pushstring(L, text);
    return 1;
}

/* One short case for each field. */
static int push_field(lua_State *L, lq_exchange *x, int field)
{
    const lq_request *r = &x->parser.request;

    switch (field) {
    case FIELD_HOST: push_str(L, lq_request_host(r)); return 1;
    case FIELD_ID: return push_id(L, x);
    case FIELD_METHOD: push_str(L, r->method_text); return 1;
    case FIELD_PARAMS: return push_params(L, x);
    case FIELD_PATH: push_str(L, lq_request_path(r)); return 1;
    case FIELD_REMOTE_ADDRESS: return push_peer(L, x, false);
    case FIELD_REMOTE_PORT: return push_peer(L, x, true);
    case FIELD_SCHEME: lua_pushliteral(L, "http"); return 1;
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

/* ---- methods
 * ----------------------------------------------------------------------------
 */

/* req:header_all(name) -> list */
static int m_header_all(lua_State *L)
{
    const lq_request *r = &lq_check_request(L, 1)->parser.request;
    lua_Integer n = 0;
    uint32_t i;
    lq_str name, value;

    name.ptr = luaL_checklstring(L, 2, &name.len);
    lua_newtable(L);
    for (i = 0; i < r->header_count; i++) {
        if (!lq_str_equal_nocase(lq_request_name(r, i), name)) continue;
        value = lq_request_value(r, i);
        lua_pushlstring(L, value.ptr ? value.ptr : "", value.len);
        lua_rawseti(L, -2, ++n);
    }
    return 1;
}

/* req:query_all(name) -> list */
static int m_query_all(lua_State *L)
{
    lq_exchange *x = lq_check_request(L, 1);

    luaL_checkstring(L, 2);
    push_pairs(L, lq_request_query(&x->parser.request), true);
    lua_pushvalue(L, 2);
    if (lua_rawget(L, -2) == LUA_TNIL) lua_newtable(L);
    return 1;
}

static int add_hook(lua_State *L, const char *name)
{
    lq_check_request(L, 1);
    luaL_checktype(L, 2, LUA_TFUNCTION);
    push_made(L, 1);
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

/* ---- the body
 * -------------------------------------------------------------------------- */

static void on_body_cancel(lq_task *t)
{
    lq_exchange_body_arrived(t->wait);
}

/* Waits for more of the body; the request is at index 1. */
static int wait_body(lua_State *L, lq_exchange *x, bool whole, lua_KFunction k)
{
    lq_task *t = lq_task_check_wait(L);

    if (t->owner != x)
        return luaL_error(L, "the body is read in the request's own task; "
                             "read it before spawning");
    lq_exchange_want_body(x, whole);
    return lq_task_wait(L, t, on_body_cancel, x, k);
}

static int body_failure(lua_State *L, int err)
{
    switch (err) {
    case LQ_EEOF:
        return lq_push_failure(L, err, "the client ended in the body");
    case LQ_EINVALID:
        return lq_push_failure(L, err, "the body's framing is broken");
    case LQ_ETOOLARGE:
        return lq_push_failure(L, err, "the body is larger than the limit");
    case LQ_ETIMEOUT:
        return lq_push_failure(L, err, "the body did not arrive in time");
    default: return lq_push_failure(L, err, NULL);
    }
}

/* Pushes the whole body, from the user value when it was read before. */
static int push_body(lua_State *L, lq_exchange *x)
{
    push_made(L, 1);
    if (lua_getfield(L, -1, "body") == LUA_TSTRING) return 1;
    lua_pop(L, 1);
    lua_pushlstring(L, lq_buf_len(&x->body) ? lq_buf_ptr(&x->body) : "",
                    lq_buf_len(&x->body));
    lua_pushvalue(L, -1);
    lua_setfield(L, -3, "body");
    lq_exchange_body_taken(x, lq_buf_len(&x->body));
    return 1;
}

/* Whether chunks() has begun: then the body is not to be had as a whole. */
static bool is_chunked_away(lua_State *L)
{
    bool is;

    push_made(L, 1);
    lua_getfield(L, -1, "chunks");
    is = lua_toboolean(L, -1);
    lua_pop(L, 2);
    return is;
}

static int body_k(lua_State *L, int status, lua_KContext ctx)
{
    lq_exchange *x = lq_check_request(L, 1);

    (void)status;
    (void)ctx;
    lq_exchange_body_arrived(x);
    if (x->body_error) return body_failure(L, x->body_error);
    if (!x->request_done) return wait_body(L, x, true, body_k);
    return push_body(L, x);
}

/* req:body() -> string | nil, err */
static int m_body(lua_State *L)
{
    lq_exchange *x = lq_check_request(L, 1);

    if (is_chunked_away(L))
        return luaL_error(L, "the body is being read with chunks()");
    if (x->body_error) return body_failure(L, x->body_error);
    if (!x->request_done) return wait_body(L, x, true, body_k);
    return push_body(L, x);
}

static int chunk_k(lua_State *L, int status, lua_KContext ctx)
{
    lq_exchange *x = lq_check_request(L, 1);
    size_t len = lq_buf_len(&x->body);

    (void)status;
    (void)ctx;
    lq_exchange_body_arrived(x);
    if (len > 0) {
        lua_pushlstring(L, lq_buf_ptr(&x->body), len);
        lq_exchange_body_taken(x, len);
        return 1;
    }
    if (x->body_error) return body_failure(L, x->body_error);
    if (!x->request_done) return wait_body(L, x, false, chunk_k);
    lua_pushnil(L);
    return 1;
}

/* The iterator of chunks(): upvalue 1 is the request. */
static int next_chunk(lua_State *L)
{
    lua_settop(L, 0);
    lua_pushvalue(L, lua_upvalueindex(1));
    return chunk_k(L, LUA_OK, 0);
}

/* req:chunks() -> iterator over the body's bytes as they come */
static int m_chunks(lua_State *L)
{
    lq_check_request(L, 1);
    if (is_chunked_away(L)) return luaL_error(L, "chunks() was called before");
    push_made(L, 1);
    if (lua_getfield(L, -1, "body") != LUA_TNIL)
        return luaL_error(L, "the body has been read with body()");
    lua_pushboolean(L, 1);
    lua_setfield(L, -3, "chunks");
    lua_pushvalue(L, 1);
    lua_pushcclosure(L, next_chunk, 1);
    return 1;
}

/* What body() gave is on top: the string, or nil and an error. */
static bool has_body(lua_State *L)
{
    return lua_type(L, -1) == LUA_TSTRING;
}

static int decode_json(lua_State *L)
{
    lq_str text;
    lq_err err;
    int code;

    if (!has_body(L)) return 2;
    text.ptr = lua_tolstring(L, -1, &text.len);
    code = lq_json_decode(L, text, &err);
    if (code < 0) return lq_push_failure(L, LQ_EINVALID, err.text);
    return 1;
}

static int json_k(lua_State *L, int status, lua_KContext ctx)
{
    (void)status;
    (void)ctx;
    return decode_json(L);
}

/* Calls body() and goes on with k; the results are on top. */
static int with_body(lua_State *L, lua_KFunction k)
{
    lua_settop(L, 1);
    lua_pushcfunction(L, m_body);
    lua_pushvalue(L, 1);
    lua_callk(L, 1, LUA_MULTRET, 0, k);
    return k(L, LUA_OK, 0);
}

/* req:json() -> value | nil, err */
static int m_json(lua_State *L)
{
    lq_check_request(L, 1);
    return with_body(L, json_k);
}

static int decode_form(lua_State *L, bool all)
{
    lq_str text;
    int err;

    if (!has_body(L)) return 2;
    text.ptr = lua_tolstring(L, -1, &text.len);
    err = push_pairs(L, text, all);
    if (err < 0)
        return lq_push_failure(L, err,
                               err == LQ_ETOOLARGE
                                   ? "the form has too many fields"
                                   : "the form has a broken escape");
    return 1;
}

static int form_k(lua_State *L, int status, lua_KContext ctx)
{
    (void)status;
    (void)ctx;
    return decode_form(L, false);
}

static int form_all_k(lua_State *L, int status, lua_KContext ctx)
{
    (void)status;
    (void)ctx;
    return decode_form(L, true);
}

/* req:form() -> table | nil, err */
static int m_form(lua_State *L)
{
    lq_check_request(L, 1);
    return with_body(L, form_k);
}

/* req:form_all() -> table of lists | nil, err */
static int m_form_all(lua_State *L)
{
    lq_check_request(L, 1);
    return with_body(L, form_all_k);
}

/* ---- the module
 * ----------------------------------------------------------------------------
 */

static const luaL_Reg methods[] = {
    {"body", m_body},
    {"chunks", m_chunks},
    {"detach", m_detach},
    {"form", m_form},
    {"form_all", m_form_all},
    {"header_all", m_header_all},
    {"json", m_json},
    {"on_error", m_on_error},
    {"on_response", m_on_response},
    {"query_all", m_query_all},
    {NULL, NULL},
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

static const luaL_Reg headers_metamethods[] = {
    {"__index", headers_index},
    {"__newindex", headers_newindex},
    {"__pairs", headers_pairs},
    {NULL, NULL},
};

static const luaL_Reg metamethods[] = {
    {"__newindex", mt_newindex},
    {"__tostring", mt_tostring},
    {NULL, NULL},
};

int luaopen_luaqueduct_core_request(lua_State *L)
{
    size_t i;

    luaL_newmetatable(L, HEADERS_TYPE);
    luaL_setfuncs(L, headers_metamethods, 0);
    luaL_newmetatable(L, LQ_REQUEST_TYPE);
    luaL_setfuncs(L, metamethods, 0);
    luaL_newlib(L, methods);
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

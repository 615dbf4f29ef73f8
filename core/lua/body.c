/* body.c - see body.h.
 *
 * A body that body() has read is kept in the request's table of what was made
 * (`body`), so it can be asked for again; `chunks` stands there once chunks()
 * was called.
 */
#include "lua/body.h"

#include <lauxlib.h>

#include "lua/error.h"
#include "lua/json.h"
#include "lua/pairs.h"
#include "lua/request.h"
#include "lua/task.h"

/* ---- bytes --------------------------------------------------------------- */

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
    lq_push_request_made(L, 1);
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

    lq_push_request_made(L, 1);
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
    if (x->body_error) {
        x->lost_body = true;
        return body_failure(L, x->body_error);
    }
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
    lq_push_request_made(L, 1);
    if (lua_getfield(L, -1, "body") != LUA_TNIL)
        return luaL_error(L, "the body has been read with body()");
    lua_pushboolean(L, 1);
    lua_setfield(L, -3, "chunks");
    lua_pushvalue(L, 1);
    lua_pushcclosure(L, next_chunk, 1);
    return 1;
}

/* ---- JSON and forms ------------------------------------------------------ */

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
    err = lq_push_pairs(L, text, all);
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

static const luaL_Reg methods[] = {
    {"body", m_body},         {"chunks", m_chunks}, {"form", m_form},
    {"form_all", m_form_all}, {"json", m_json},     {NULL, NULL},
};

void lq_body_add_methods(lua_State *L)
{
    luaL_setfuncs(L, methods, 0);
}

/* reply.c - see reply.h. */
#include "lua/reply.h"

#include <errno.h>
#include <lauxlib.h>
#include <string.h>

#include "http/method.h"
#include "lua/error.h"
#include "lua/json.h"
#include "lua/request.h"
#include "lua/task.h"
#include "net/conn.h"

#define TEXT_TYPE "text/plain; charset=utf-8"
#define JSON_TYPE "application/json"

/* ---- encoding a response ------------------------------------------------- */

static void check(lua_State *L, int err)
{
    if (err == -ENOMEM) luaL_error(L, "not enough memory");
}

static lq_buf *begin(lua_State *L, lq_exchange *x)
{
    lq_buf *out = lq_exchange_out(x);

    if (!out) luaL_error(L, "not enough memory");
    x->mark = lq_buf_len(out);
    x->is_writing = true;
    return out;
}

static void answer_bytes(lua_State *L, lq_exchange *x, int status, lq_str type,
                         lq_str body)
{
    lq_buf *out = begin(L, x);
    lq_response_opts opts = lq_exchange_opts(x, status, (int64_t)body.len);

    check(L, lq_response_plain(out, &x->net->date, status, &opts, type, body));
}

static lq_str string_at(lua_State *L, int i)
{
    lq_str s;

    s.ptr = lua_tolstring(L, i, &s.len);
    return s;
}

/* The value at i as JSON, lent until the next call. */
static lq_str encode_json(lua_State *L, int i)
{
    lq_buf *body = &lq_vm_of(L)->scratch;

    lq_buf_clear(body);
    lq_json_encode(L, i, body);
    return (lq_str){lq_buf_ptr(body), lq_buf_len(body)};
}

static const lq_str reserved[] = {
    {"content-length", 14},
    {"transfer-encoding", 17},
    {"connection", 10},
    {"date", 4},
};

static void check_name(lua_State *L, lq_str name)
{
    size_t i;

    for (i = 0; i < LQ_COUNT_OF(reserved); i++)
        if (lq_str_equal_nocase(name, reserved[i]))
            luaL_error(L, "the header %s is the server's: it is set by itself",
                       name.ptr);
}

/* One field; the value is on top of the stack. */
static void put_field(lua_State *L, lq_buf *out, lq_str name)
{
    lq_str value;
    int err;

    if (!lua_isstring(L, -1))
        luaL_error(L,
                   "the value of the header %s is a %s; a string, a number "
                   "or a list of them is needed",
                   name.ptr, luaL_typename(L, -1));
    lua_pushvalue(L, -1); /* a number is made a string: not in the table */
    value = string_at(L, -1);
    err = lq_response_field(out, name, value);
    check(L, err);
    if (err < 0)
        luaL_error(L,
                   "the header %s cannot be sent: a name is a token, a "
                   "value has no CR, LF or other control byte",
                   name.ptr);
    lua_pop(L, 1);
}

static void put_fields(lua_State *L, lq_buf *out, lq_str name)
{
    lua_Integer i;

    check_name(L, name);
    if (!lua_istable(L, -1)) {
        put_field(L, out, name);
        return;
    }
    for (i = 1; lua_rawgeti(L, -1, i) != LUA_TNIL; i++) {
        put_field(L, out, name);
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
}

/* All of the headers table at i; the answer begins at `mark`. Returns whether
 * one is Content-Type. */
static bool put_headers(lua_State *L, lq_buf *out, size_t mark, int i)
{
    bool has_type = false;
    lq_str name;

    if (lua_isnil(L, i)) return false;
    luaL_checkstack(L, 6, "headers");
    if (!lua_istable(L, i)) luaL_error(L, "headers must be a table");
    for (lua_pushnil(L); lua_next(L, i); lua_pop(L, 1)) {
        if (lua_type(L, -2) != LUA_TSTRING)
            luaL_error(L, "a header's name must be a string, not a %s",
                       luaL_typename(L, -2));
        name = string_at(L, -2);
        if (lq_str_equal_nocase(name, LQ_STR("content-type"))) has_type = true;
        if (lq_str_equal_nocase(name, LQ_STR("server")))
            lq_response_drop_server(out, mark);
        put_fields(L, out, name);
    }
    return has_type;
}

static int check_status(lua_State *L, int i)
{
    int is_int;
    lua_Integer status = lua_tointegerx(L, i, &is_int);

    if (!is_int || status < 200 || status > 599)
        luaL_error(L, "the status of a response must be an integer from 200 "
                      "to 599");
    return (int)status;
}

/* Status line and headers of the response table at `res`, with room for
 * `length` bytes (-1: streamed). */
static lq_buf *put_head(lua_State *L, lq_exchange *x, int res, int64_t length,
                        const char *type, lq_response_opts *opts)
{
    lq_buf *out = begin(L, x);
    int top = lua_gettop(L), status;
    bool has_type;

    luaL_checkstack(L, 8, "response");
    lua_getfield(L, res, "status");
    status = check_status(L, -1);
    check(L, lq_response_begin(out, &x->net->date, status));
    lua_getfield(L, res, "headers");
    has_type = put_headers(L, out, x->mark, top + 2);
    if (type && !has_type)
        check(L, lq_response_field(out, LQ_STR("Content-Type"),
                                   (lq_str){type, strlen(type)}));
    *opts = lq_exchange_opts(x, status, length);
    check(L, lq_response_end(out, opts, status));
    lua_settop(L, top);
    return out;
}

/* RFC 9110, 15.3.5, 15.3.6 and 15.4.5; a 205 says that its length is 0. */
static bool has_no_body(lua_State *L, int res)
{
    int status;

    lua_getfield(L, res, "status");
    status = check_status(L, -1);
    lua_pop(L, 1);
    return status == 204 || status == 205 || status == 304;
}

static void put_whole(lua_State *L, lq_exchange *x, int res, const char *type,
                      lq_str body)
{
    lq_response_opts opts;
    lq_buf *out;

    if (has_no_body(L, res)) {
        type = NULL;
        body.len = 0;
    }
    out = put_head(L, x, res, (int64_t)body.len, type, &opts);
    if (!opts.head_only && body.len)
        check(L, lq_buf_append(out, body.ptr, body.len));
}

/* ---- streams ------------------------------------------------------------- */

/* Behind a wait the client may have left, or the answer be over. */
static int write_k(lua_State *L, int status, lua_KContext ctx)
{
    const lq_exchange *x = lq_check_request(L, lua_upvalueindex(1));

    (void)status;
    (void)ctx;
    if (!x->conn) return lq_push_failure(L, LQ_ECLOSED, NULL);
    lua_pushboolean(L, 1);
    return 1;
}

static void put_chunk(lua_State *L, lq_exchange *x, lq_str chunk)
{
    lq_buf *out = lq_exchange_out(x);

    if (!out) luaL_error(L, "not enough memory");
    check(L, x->is_chunked ? lq_response_chunk(out, chunk)
                           : lq_buf_append(out, chunk.ptr, chunk.len));
    x->body_sent += chunk.len;
    lq_conn_flush_later(x->conn);
}

static void put_stream_head(lua_State *L, lq_exchange *x, int res)
{
    lq_response_opts opts;

    put_head(L, x, res, -1, TEXT_TYPE, &opts);
    x->is_writing = false;
    lq_exchange_stream(x, opts.minor > 0);
}

/* Waits until the client has taken what stands in front. Any task may write,
 * so that several may wait; lq_dispatch_drain finds them by this address. */
static int wait_for_drain(lua_State *L, lq_exchange *x, lua_KFunction k)
{
    lq_task *t = lq_task_check_wait(L);

    x->waits_drain = true;
    return lq_task_wait(L, t, NULL, &x->waits_drain, k);
}

static int write_chunk(lua_State *L, lq_exchange *x)
{
    put_chunk(L, x, string_at(L, 1));
    return lq_exchange_is_full(x) ? wait_for_drain(L, x, write_k)
                                  : write_k(L, LUA_OK, 0);
}

static int write_chunk_k(lua_State *L, int status, lua_KContext ctx)
{
    lq_exchange *x = lq_check_request(L, lua_upvalueindex(1));

    (void)status;
    (void)ctx;
    if (!x->conn) return lq_push_failure(L, LQ_ECLOSED, NULL);
    return write_chunk(L, x);
}

/* write(bytes) -> true | nil, err. Upvalues: request, response. A stream whose
 * turn has not come is held back when enough waits in front of it. */
static int stream_write(lua_State *L)
{
    lq_exchange *x = lq_check_request(L, lua_upvalueindex(1));
    size_t len;

    lq_task_check(L);
    luaL_checklstring(L, 1, &len);
    if (!x->conn) return lq_push_failure(L, LQ_ECLOSED, NULL);
    if (len == 0) return write_k(L, LUA_OK, 0);
    if (x->state == LQ_EXCHANGE_RUNNING)
        put_stream_head(L, x, lua_upvalueindex(2));
    if (lq_exchange_is_full(x)) return wait_for_drain(L, x, write_chunk_k);
    return write_chunk(L, x);
}

static int after_stream(lua_State *L, int status, lua_KContext ctx)
{
    lq_exchange *x = lq_vm_of(L)->current->owner;
    lq_buf *out;

    (void)status;
    (void)ctx;
    if (x->state == LQ_EXCHANGE_RUNNING) { /* nothing was written */
        put_whole(L, x, 2, TEXT_TYPE, LQ_STR(""));
        return 0;
    }
    out = lq_exchange_out(x);
    if (!out) return luaL_error(L, "not enough memory");
    if (x->is_chunked) check(L, lq_response_last_chunk(out));
    return 0;
}

/* stack: 1 request, 2 response, ..., function on top */
static int run_stream(lua_State *L, lq_exchange *x)
{
    lq_response_opts opts;

    if (has_no_body(L, 2)) {
        put_whole(L, x, 2, NULL, LQ_STR(""));
        return 0;
    }
    if (x->parser.request.method == LQ_HEAD) {
        put_head(L, x, 2, -1, TEXT_TYPE, &opts);
        return 0;
    }
    lua_pushvalue(L, 1);
    lua_pushvalue(L, 2);
    lua_pushcclosure(L, stream_write, 2);
    lua_callk(L, 1, 0, 0, after_stream);
    return after_stream(L, LUA_OK, 0);
}

/* ---- from a result to an answer ------------------------------------------ */

bool lq_is_response(lua_State *L, int i)
{
    bool is;

    if (!lua_getmetatable(L, i)) return false;
    luaL_getmetatable(L, LQ_RESPONSE_TYPE);
    is = lua_rawequal(L, -1, -2);
    lua_pop(L, 2);
    return is;
}

/* The response table at 2. */
static int answer_response(lua_State *L, lq_exchange *x)
{
    switch (lua_getfield(L, 2, "body")) {
    case LUA_TNIL: put_whole(L, x, 2, NULL, LQ_STR("")); return 0;
    case LUA_TNUMBER:
    case LUA_TSTRING: put_whole(L, x, 2, TEXT_TYPE, string_at(L, -1)); return 0;
    case LUA_TTABLE:
        put_whole(L, x, 2, JSON_TYPE, encode_json(L, lua_gettop(L)));
        return 0;
    case LUA_TFUNCTION: return run_stream(L, x);
    default:
        return luaL_error(L,
                          "the body of a response is a %s; a string, a "
                          "table (JSON) or a function (stream) is needed",
                          luaL_typename(L, -1));
    }
}

int lq_reply(lua_State *L, lq_exchange *x)
{
    if (x->state != LQ_EXCHANGE_RUNNING)
        return luaL_error(L, "the answer has begun already");
    switch (lua_type(L, 2)) {
    case LUA_TSTRING:
        answer_bytes(L, x, 200, LQ_STR(TEXT_TYPE), string_at(L, 2));
        return 0;
    case LUA_TTABLE:
        if (lq_is_response(L, 2)) return answer_response(L, x);
        answer_bytes(L, x, 200, LQ_STR(JSON_TYPE), encode_json(L, 2));
        return 0;
    default:
        return luaL_error(L,
                          "a handler returned a %s; it returns a string, a "
                          "table (JSON) or a response",
                          luaL_typename(L, 2));
    }
}

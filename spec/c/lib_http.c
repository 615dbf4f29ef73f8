/* lib_http.c - the parser and the response writer for the specs.
 *
 * Each piece of input is fed from memory of its own that is gone afterwards,
 * so that a sanitizer sees every byte used too late or beyond the end.
 *
 * Owns:    nothing that outlives a call, but for a parser userdata.
 * Thread:  none.
 * Life:    a Lua module without state.
 * Knows:   base, http, lua.
 */
#include <lauxlib.h>
#include <lua.h>

#include "base/err.h"
#include "base/mem.h"
#include "http/method.h"
#include "http/parse.h"
#include "http/response.h"

int luaopen_spec_http(lua_State *L);

#define PARSER_TYPE "spec.http.parser"
#define BUF_TYPE "spec.http.buf"

/* ---- requests ------------------------------------------------------------ */

/* One parser, used for one message after the other. */
typedef struct parser {
    lq_arena arena;
    lq_parser parser;
    lq_parse_limits limits;
    bool is_over; /* the next feed begins a message */
} parser;

static void push_str(lua_State *L, lq_str s)
{
    if (s.ptr)
        lua_pushlstring(L, s.ptr, s.len);
    else
        lua_pushnil(L);
}

static void set_str(lua_State *L, const char *key, lq_str s)
{
    push_str(L, s);
    lua_setfield(L, -2, key);
}

static void set_bool(lua_State *L, const char *key, bool value)
{
    lua_pushboolean(L, value);
    lua_setfield(L, -2, key);
}

static void set_int(lua_State *L, const char *key, lua_Integer value)
{
    lua_pushinteger(L, value);
    lua_setfield(L, -2, key);
}

static void set_headers(lua_State *L, const lq_request *r)
{
    uint32_t i;

    lua_createtable(L, (int)r->header_count, 0);
    for (i = 0; i < r->header_count; i++) {
        lua_createtable(L, 2, 0);
        push_str(L, lq_request_name(r, i));
        lua_rawseti(L, -2, 1);
        push_str(L, lq_request_value(r, i));
        lua_rawseti(L, -2, 2);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    lua_setfield(L, -2, "headers");
}

/* Fills the table on top of the stack. */
static void set_request(lua_State *L, const lq_request *r)
{
    set_str(L, "method", r->method_text);
    set_str(L, "method_name",
            r->method == LQ_OTHER
                ? LQ_STR("OTHER")
                : (lq_str){lq_method_name(r->method),
                           strlen(lq_method_name(r->method))});
    set_str(L, "target", lq_request_target(r));
    set_str(L, "path", lq_request_path(r));
    if (r->has_query) set_str(L, "query", lq_request_query(r));
    set_str(L, "host", lq_request_host(r));
    set_int(L, "minor", r->minor);
    set_int(L, "content_length", (lua_Integer)r->content_length);
    set_bool(L, "keep_alive", r->keep_alive);
    set_bool(L, "chunked", r->chunked);
    set_bool(L, "has_body", r->has_body);
    set_bool(L, "expect_continue", r->expect_continue);
    set_bool(L, "upgrade", r->upgrade);
    set_headers(L, r);
}

static parser *check_parser(lua_State *L)
{
    return luaL_checkudata(L, 1, PARSER_TYPE);
}

static uint32_t limit(lua_State *L, int options, const char *name,
                      lua_Integer otherwise)
{
    lua_Integer value = otherwise;

    if (!lua_istable(L, options)) return (uint32_t)value;
    if (lua_getfield(L, options, name) != LUA_TNIL)
        value = luaL_checkinteger(L, -1);
    lua_pop(L, 1);
    return (uint32_t)value;
}

static parser *push_parser(lua_State *L, int options)
{
    parser *p = lua_newuserdatauv(L, sizeof *p, 0);

    lq_arena_init(&p->arena);
    p->is_over = true;
    p->limits.head = limit(L, options, "head", 32768);
    p->limits.fields = limit(L, options, "fields", 100);
    p->limits.target = limit(L, options, "target", 8192);
    luaL_setmetatable(L, PARSER_TYPE);
    return p;
}

/* parser{ head=, fields=, target= }? -> parser */
static int http_parser(lua_State *L)
{
    push_parser(L, 1);
    return 1;
}

static void begin_message(lua_State *L, parser *p)
{
    lq_arena_reset(&p->arena);
    if (lq_parser_init(&p->parser, &p->arena, &p->limits) < 0)
        luaL_error(L, "init failed");
    p->is_over = false;
}

/* Pushes an event. */
static void push_event(lua_State *L, parser *p, int event)
{
    static const char *const names[] = {"more", "head", "body", "done"};

    lua_newtable(L);
    lua_pushstring(L, event < 0 ? "error" : names[event]);
    lua_setfield(L, -2, "event");
    if (event < 0) {
        set_int(L, "status", -event);
        lua_pushstring(L, lq_parser_why(&p->parser));
        lua_setfield(L, -2, "why");
    }
    if (event == LQ_PARSE_BODY)
        set_str(L, "data", p->parser.body);
    else if (event != LQ_PARSE_MORE)
        set_request(L, &p->parser.request);
}

/* Feeds `bytes` up to the message's end and adds the events but MORE to the
 * list on top of the stack. Returns the last event; *used counts on. */
static int feed_piece(lua_State *L, parser *p, lq_str bytes, size_t *used)
{
    char *copy = lq_mem_alloc(bytes.len ? bytes.len : 1);
    size_t at = 0, n = 0;
    int event = LQ_PARSE_MORE, err;

    if (!copy) return luaL_error(L, "not enough memory");
    if (bytes.len) memcpy(copy, bytes.ptr, bytes.len);
    do {
        event = lq_parser_feed(&p->parser, copy + at, bytes.len - at, &n);
        at += n;
        if (at > bytes.len) break;
        if (event == LQ_PARSE_MORE) continue;
        push_event(L, p, event);
        lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
    } while (event == LQ_PARSE_HEAD || event == LQ_PARSE_BODY);
    err = lq_parser_keep(&p->parser);
    lq_mem_free(copy);
    if (at > bytes.len || err < 0) return luaL_error(L, "consumed or keep");
    if (event == LQ_PARSE_MORE && at < bytes.len)
        return luaL_error(L, "MORE leaves bytes");
    *used += at;
    p->is_over = event == LQ_PARSE_DONE || event < 0;
    return event;
}

static int feed_pieces(lua_State *L, parser *p, int pieces)
{
    size_t used = 0;
    lua_Integer i;
    lq_str bytes;
    int event = LQ_PARSE_MORE;

    luaL_checktype(L, pieces, LUA_TTABLE);
    begin_message(L, p);
    lua_newtable(L);
    for (i = 1; event >= 0 && event != LQ_PARSE_DONE; i++) {
        if (lua_rawgeti(L, pieces, i) == LUA_TNIL) break;
        bytes.ptr = luaL_checklstring(L, -1, &bytes.len);
        lua_pop(L, 1); /* the list holds it */
        event = feed_piece(L, p, bytes, &used);
    }
    lua_settop(L, lua_gettop(L) - (lua_isnil(L, -1) ? 1 : 0));
    lua_pushinteger(L, (lua_Integer)used);
    return 2;
}

/* parse(pieces, { head=, fields=, target= }?) -> list of events, consumed
 * One message; the list has no events "more". */
static int http_parse(lua_State *L)
{
    parser *p;

    luaL_checkany(L, 1);
    lua_settop(L, 2);
    p = push_parser(L, 2);
    return feed_pieces(L, p, 1);
}

static void push_cut(lua_State *L, lq_str bytes, size_t at, size_t step)
{
    lua_Integer i = 1;
    size_t len;

    lua_newtable(L);
    while (bytes.len > 0) {
        len = at && at < bytes.len ? at : bytes.len;
        push_str(L, (lq_str){bytes.ptr, len});
        lua_rawseti(L, -2, i++);
        bytes = (lq_str){bytes.ptr + len, bytes.len - len};
        at = step;
    }
}

/* cuts(bytes) -> list of pieces lists: whole, in two at every byte, byte by
 * byte */
static int http_cuts(lua_State *L)
{
    lq_str bytes;
    size_t at;

    bytes.ptr = luaL_checklstring(L, 1, &bytes.len);
    lua_newtable(L);
    for (at = 0; at < bytes.len; at++) {
        push_cut(L, bytes, at, 0);
        lua_rawseti(L, 2, (lua_Integer)at + 1);
    }
    push_cut(L, bytes, 1, 1);
    lua_rawseti(L, 2, (lua_Integer)lua_rawlen(L, 2) + 1);
    return 1;
}

/* parser:parse(pieces) -> the same, with the memory of the last message */
static int m_parse(lua_State *L)
{
    return feed_pieces(L, check_parser(L), 2);
}

/* parser:header(lower_name) -> string | nil */
static int m_header(lua_State *L)
{
    parser *p = check_parser(L);
    lq_str name;

    name.ptr = luaL_checklstring(L, 2, &name.len);
    push_str(L, lq_request_header(&p->parser.request, name));
    return 1;
}

/* parser:request() -> what stands in the request now, all input being gone */
static int m_request(lua_State *L)
{
    parser *p = check_parser(L);

    lua_newtable(L);
    set_request(L, &p->parser.request);
    return 1;
}

static int m_parser_gc(lua_State *L)
{
    lq_arena_fini(&check_parser(L)->arena);
    return 0;
}

/* reads_in_place(bytes) -> event, boolean: whether a message that lies whole
 * in one buffer is read without a copy and without memory of the arena */
static int http_reads_in_place(lua_State *L)
{
    static const lq_parse_limits limits = {32768, 100, 8192};
    lq_arena arena;
    lq_parser p;
    size_t len, used;
    const char *bytes = luaL_checklstring(L, 1, &len);
    int event;

    lq_arena_init(&arena);
    if (lq_parser_init(&p, &arena, &limits) < 0) return luaL_error(L, "init");
    event = lq_parser_feed(&p, bytes, len, &used);
    lua_pushinteger(L, event);
    lua_pushboolean(L, !arena.first && p.request.base == bytes);
    lq_arena_fini(&arena);
    return 2;
}

/* ---- responses ----------------------------------------------------------- */

static lq_buf *push_buf(lua_State *L)
{
    lq_buf *buf = lua_newuserdatauv(L, sizeof *buf, 0);

    lq_buf_init(buf);
    luaL_setmetatable(L, BUF_TYPE);
    return buf;
}

static int m_buf_gc(lua_State *L)
{
    lq_buf_fini(luaL_checkudata(L, 1, BUF_TYPE));
    return 0;
}

static lq_str field_str(lua_State *L, const char *name)
{
    lq_str s = {"", 0};

    if (lua_getfield(L, 1, name) != LUA_TNIL)
        s.ptr = luaL_checklstring(L, -1, &s.len);
    lua_pop(L, 1); /* the table holds it */
    return s;
}

static lq_response_opts check_opts(lua_State *L)
{
    lq_response_opts opts = {.minor = 1, .keep_alive = true, .length = -1};

    if (lua_getfield(L, 1, "minor") != LUA_TNIL)
        opts.minor = (int)luaL_checkinteger(L, -1);
    if (lua_getfield(L, 1, "keep_alive") != LUA_TNIL)
        opts.keep_alive = lua_toboolean(L, -1);
    lua_getfield(L, 1, "head_only");
    opts.head_only = lua_toboolean(L, -1);
    lua_getfield(L, 1, "length");
    opts.length = luaL_optinteger(L, -1, -1);
    lua_pop(L, 4);
    return opts;
}

static int check_status(lua_State *L)
{
    int status;

    lua_getfield(L, 1, "status");
    status = (int)luaL_optinteger(L, -1, 200);
    lua_pop(L, 1);
    return status;
}

/* The bytes in `buf`, or nil and the error's name. */
static int push_result(lua_State *L, const lq_buf *buf, int err)
{
    if (err < 0) {
        lua_pushnil(L);
        lua_pushstring(L, lq_err_name(err));
        return 2;
    }
    lua_pushlstring(L, lq_buf_ptr(buf), lq_buf_len(buf));
    return 1;
}

/* The list of { name, value } in the table's `fields`. */
static int write_fields(lua_State *L, lq_buf *buf)
{
    lua_Integer i;
    lq_str name, value;
    int err = 0;

    if (lua_getfield(L, 1, "fields") == LUA_TNIL) return 0;
    for (i = 1; err == 0 && lua_rawgeti(L, -1, i) != LUA_TNIL; i++) {
        lua_rawgeti(L, -1, 1);
        lua_rawgeti(L, -2, 2);
        name.ptr = luaL_checklstring(L, -2, &name.len);
        value.ptr = luaL_checklstring(L, -1, &value.len);
        err = lq_response_field(buf, name, value);
        lua_pop(L, 3);
    }
    return err;
}

/* head{ status=, minor=, keep_alive=, head_only=, length=, fields= }
 * -> string | nil, err */
static int http_head(lua_State *L)
{
    lq_response_opts opts = check_opts(L);
    int status = check_status(L), err;
    lq_date date = {0};
    lq_buf *buf = push_buf(L);

    err = lq_response_begin(buf, &date, status);
    if (err == 0) err = write_fields(L, buf);
    if (err == 0) err = lq_response_end(buf, &opts, status);
    return push_result(L, buf, err);
}

/* plain{ the same, type=, body= } -> string */
static int http_plain(lua_State *L)
{
    lq_response_opts opts = check_opts(L);
    int status = check_status(L);
    lq_date date = {0};
    lq_str type = field_str(L, "type"), body = field_str(L, "body");
    lq_buf *buf = push_buf(L);

    return push_result(
        L, buf, lq_response_plain(buf, &date, status, &opts, type, body));
}

/* chunks(list) -> string, with the last chunk */
static int http_chunks(lua_State *L)
{
    lq_buf *buf;
    lua_Integer i;
    lq_str data;
    int err = 0;

    luaL_checktype(L, 1, LUA_TTABLE);
    buf = push_buf(L);
    for (i = 1; err == 0 && lua_rawgeti(L, 1, i) != LUA_TNIL; i++) {
        data.ptr = luaL_checklstring(L, -1, &data.len);
        err = lq_response_chunk(buf, data);
        lua_pop(L, 1);
    }
    if (err == 0) err = lq_response_last_chunk(buf);
    return push_result(L, buf, err);
}

/* reason(status) -> string */
static int http_reason(lua_State *L)
{
    lua_pushstring(L, lq_status_reason((int)luaL_checkinteger(L, 1)));
    return 1;
}

/* date(seconds) -> string */
static int http_date(lua_State *L)
{
    char text[LQ_DATE_LEN];

    lq_date_write(text, luaL_checkinteger(L, 1));
    lua_pushlstring(L, text, sizeof text);
    return 1;
}

/* is_token(string) -> boolean */
static int http_is_token(lua_State *L)
{
    lq_str s;

    s.ptr = luaL_checklstring(L, 1, &s.len);
    lua_pushboolean(L, lq_request_is_token(s));
    return 1;
}

/* ---- the module ---------------------------------------------------------- */

static const luaL_Reg functions[] = {
    {"chunks", http_chunks},
    {"cuts", http_cuts},
    {"date", http_date},
    {"head", http_head},
    {"is_token", http_is_token},
    {"parse", http_parse},
    {"parser", http_parser},
    {"plain", http_plain},
    {"reads_in_place", http_reads_in_place},
    {"reason", http_reason},
    {NULL, NULL},
};

static const luaL_Reg parser_methods[] = {
    {"header", m_header},
    {"parse", m_parse},
    {"request", m_request},
    {NULL, NULL},
};

int luaopen_spec_http(lua_State *L)
{
    if (luaL_newmetatable(L, PARSER_TYPE)) {
        luaL_newlib(L, parser_methods);
        lua_setfield(L, -2, "__index");
        lua_pushcfunction(L, m_parser_gc);
        lua_setfield(L, -2, "__gc");
    }
    if (luaL_newmetatable(L, BUF_TYPE)) {
        lua_pushcfunction(L, m_buf_gc);
        lua_setfield(L, -2, "__gc");
    }
    luaL_newlib(L, functions);
    return 1;
}

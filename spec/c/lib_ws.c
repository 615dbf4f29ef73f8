/* lib_ws.c - WebSocket and the framings of TCP messages for the specs.
 *
 * Each piece of input is fed from memory of its own that is gone afterwards,
 * so that a sanitizer sees every byte used too late or beyond the end.
 *
 * Owns:    nothing that outlives a call, but for (de|in)flater userdata.
 * Thread:  none.
 * Life:    a Lua module without state.
 * Knows:   base, http, net/framing, lua.
 */
#include <errno.h>
#include <lauxlib.h>
#include <lua.h>

#include "base/mem.h"
#include "http/parse.h"
#include "http/ws_decoder.h"
#include "http/ws_handshake.h"
#include "net/framing.h"

int luaopen_spec_ws(lua_State *L);

#define DEFLATER_TYPE "spec.ws.deflater"
#define INFLATER_TYPE "spec.ws.inflater"

enum { PROTOCOLS_MAX = 16 };

static lq_str check_str(lua_State *L, int i)
{
    lq_str s;

    s.ptr = luaL_checklstring(L, i, &s.len);
    return s;
}

/* Gives a copy that is as large as it must be. */
static char *copy_of(lua_State *L, lq_str s)
{
    char *copy = lq_mem_alloc(s.len);

    if (!copy && s.len) luaL_error(L, "not enough memory");
    if (s.len) memcpy(copy, s.ptr, s.len);
    return copy;
}

/* Pushes the bytes of `out`, which it frees, or nil and the error's number. */
static int push_bytes(lua_State *L, lq_buf *out, int err)
{
    if (err < 0) {
        lua_pushnil(L);
        lua_pushinteger(L, -err);
    } else {
        lua_pushlstring(L, out->data ? lq_buf_ptr(out) : "", lq_buf_len(out));
    }
    lq_buf_fini(out);
    return err < 0 ? 2 : 1;
}

static lua_Integer option(lua_State *L, int options, const char *name,
                          lua_Integer otherwise)
{
    lua_Integer value = otherwise;

    if (!lua_istable(L, options)) return value;
    if (lua_getfield(L, options, name) != LUA_TNIL)
        value = lua_isboolean(L, -1) ? lua_toboolean(L, -1)
                                     : luaL_checkinteger(L, -1);
    lua_pop(L, 1);
    return value;
}

/* ---- frames -------------------------------------------------------------- */

/* head(opcode, is_deflated, len) -> string */
static int ws_head(lua_State *L)
{
    char head[LQ_WS_HEAD_MAX];
    size_t len = lq_ws_frame_head(head, (int)luaL_checkinteger(L, 1),
                                  lua_toboolean(L, 2),
                                  (uint64_t)luaL_checkinteger(L, 3));

    lua_pushlstring(L, head, len);
    return 1;
}

/* read_head(bytes, may_deflate?) -> length of the head, 0, or -code; opcode,
 * length of the payload, is_final, is_deflated, key */
static int ws_read_head(lua_State *L)
{
    lq_str bytes = check_str(L, 1);
    char *copy = copy_of(L, bytes);
    lq_ws_head h;
    int n = lq_ws_head_read(&h, (lq_str){copy, bytes.len}, lua_toboolean(L, 2));

    lq_mem_free(copy);
    lua_pushinteger(L, n);
    if (n <= 0) return 1;
    lua_pushinteger(L, h.opcode);
    lua_pushinteger(L, (lua_Integer)h.len);
    lua_pushboolean(L, h.is_final);
    lua_pushboolean(L, h.is_deflated);
    lua_pushlstring(L, (const char *)h.key, sizeof h.key);
    return 6;
}

/* unmask(bytes, key, offset, shift) -> string; the bytes stand `shift` bytes
 * behind an aligned address */
static int ws_unmask(lua_State *L)
{
    lq_str bytes = check_str(L, 1), key = check_str(L, 2);
    size_t shift = (size_t)luaL_optinteger(L, 4, 0);
    char *copy = lq_mem_alloc(shift + bytes.len + 1);

    luaL_argcheck(L, key.len == LQ_WS_KEY_LEN, 2, "no key");
    if (!copy) return luaL_error(L, "not enough memory");
    memcpy(copy + shift, bytes.ptr, bytes.len + 1);
    lq_ws_unmask(copy + shift, bytes.len, (const unsigned char *)key.ptr,
                 (size_t)luaL_optinteger(L, 3, 0));
    lua_pushlstring(L, copy + shift, bytes.len);
    lq_mem_free(copy);
    return 1;
}

/* is_close_code(code) -> boolean */
static int ws_is_close_code(lua_State *L)
{
    lua_pushboolean(L, lq_ws_close_code_is_valid((int)luaL_checkinteger(L, 1)));
    return 1;
}

/* ---- the decoder --------------------------------------------------------- */

static void set_str(lua_State *L, const char *key, lq_str s)
{
    lua_pushlstring(L, s.ptr, s.len);
    lua_setfield(L, -2, key);
}

/* Adds an event to the list on top of the stack. */
static void add_event(lua_State *L, const lq_ws_decoder *d, int event)
{
    static const char *const names[] = {"more", "message", "ping", "pong",
                                        "close"};

    lua_newtable(L);
    lua_pushstring(L, event < 0 ? "error" : names[event]);
    lua_setfield(L, -2, "event");
    if (event < 0) {
        lua_pushinteger(L, -event);
        lua_setfield(L, -2, "code");
    } else {
        set_str(L, "data", d->payload);
    }
    if (event == LQ_WS_MESSAGE) {
        lua_pushboolean(L, d->is_binary);
        lua_setfield(L, -2, "is_binary");
    }
    if (event == LQ_WS_GOT_CLOSE) {
        lua_pushinteger(L, d->close_code);
        lua_setfield(L, -2, "code");
    }
    lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
}

/* Feeds a piece until more is needed or it fails. */
static int feed_piece(lua_State *L, lq_ws_decoder *d, lq_str bytes)
{
    char *copy = copy_of(L, bytes);
    size_t at = 0, used;
    int event;

    do {
        event = lq_ws_decoder_feed(d, copy + at, bytes.len - at, &used);
        at += used;
        if (at > bytes.len) break;
        if (event != LQ_WS_MORE) add_event(L, d, event);
    } while (event > 0);
    lq_mem_free(copy);
    if (at != bytes.len && event >= 0) return luaL_error(L, "bytes are left");
    return event;
}

static lq_ws_inflater *opt_inflater(lua_State *L, int options)
{
    lq_ws_inflater **box = NULL;

    if (!lua_istable(L, options)) return NULL;
    if (lua_getfield(L, options, "inflater") != LUA_TNIL)
        box = luaL_checkudata(L, -1, INFLATER_TYPE);
    lua_pop(L, 1);
    return box ? *box : NULL;
}

/* decode(pieces, { max=, inflater= }?) -> list of events, whether the decoder
 * has no memory of its own afterwards */
static int ws_decode(lua_State *L)
{
    lq_ws_limits limits;
    lq_ws_decoder d;
    lua_Integer i;
    int event = 0;

    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 2);
    limits.max_message = (size_t)option(L, 2, "max", 1 << 20);
    lq_ws_decoder_init(&d, &limits, opt_inflater(L, 2));
    lua_newtable(L);
    for (i = 1; event >= 0 && lua_rawgeti(L, 1, i) != LUA_TNIL; i++) {
        lq_str piece = check_str(L, -1);

        lua_pop(L, 1); /* the list holds it */
        event = feed_piece(L, &d, piece);
    }
    lua_settop(L, 3);
    lua_pushboolean(L, !d.work && !lq_ws_decoder_is_within(&d));
    lq_ws_decoder_fini(&d);
    return 2;
}

/* feeds(list of bytes) -> list of what each single feed returns, used; with
 * max 1 MiB. Shows what comes behind an error or a close frame. */
static int ws_feeds(lua_State *L)
{
    static const lq_ws_limits limits = {1 << 20};
    lq_ws_decoder d;
    lua_Integer i;
    size_t used;

    luaL_checktype(L, 1, LUA_TTABLE);
    lq_ws_decoder_init(&d, &limits, NULL);
    lua_newtable(L);
    for (i = 1; lua_rawgeti(L, 1, i) != LUA_TNIL; i++) {
        lq_str bytes = check_str(L, -1);
        char *copy = copy_of(L, bytes);
        int event = lq_ws_decoder_feed(&d, copy, bytes.len, &used);

        lq_mem_free(copy);
        lua_pop(L, 1);
        lua_pushinteger(L, event);
        lua_rawseti(L, -2, 2 * i - 1);
        lua_pushinteger(L, (lua_Integer)used);
        lua_rawseti(L, -2, 2 * i);
    }
    lua_pop(L, 1);
    lq_ws_decoder_fini(&d);
    return 1;
}

/* decodes_in_place(bytes) -> event, whether its payload is a part of `bytes`
 * and the decoder has taken no memory */
static int ws_decodes_in_place(lua_State *L)
{
    static const lq_ws_limits limits = {1 << 20};
    lq_str bytes = check_str(L, 1);
    char *copy = copy_of(L, bytes);
    lq_ws_decoder d;
    size_t used;
    int event;

    lq_ws_decoder_init(&d, &limits, NULL);
    event = lq_ws_decoder_feed(&d, copy, bytes.len, &used);
    lua_pushinteger(L, event);
    lua_pushboolean(L, !d.work && d.payload.ptr >= copy &&
                           d.payload.ptr + d.payload.len <= copy + bytes.len);
    lq_ws_decoder_fini(&d);
    lq_mem_free(copy);
    return 2;
}

/* ---- compression --------------------------------------------------------- */

/* deflater(bits, level?) -> deflater */
static int ws_deflater(lua_State *L)
{
    int bits = (int)luaL_checkinteger(L, 1);
    int level = (int)luaL_optinteger(L, 2, -1);
    lq_ws_deflater **box = lua_newuserdatauv(L, sizeof *box, 0);

    *box = lq_ws_deflater_new(bits, level);
    if (!*box) return luaL_error(L, "no deflater");
    luaL_setmetatable(L, DEFLATER_TYPE);
    return 1;
}

/* deflater:deflate(bytes, reset?) -> string */
static int m_deflate(lua_State *L)
{
    lq_ws_deflater **box = luaL_checkudata(L, 1, DEFLATER_TYPE);
    lq_str in = check_str(L, 2);
    lq_buf out;

    lq_buf_init(&out);
    return push_bytes(L, &out,
                      lq_ws_deflate(*box, in, lua_toboolean(L, 3), &out));
}

static int m_deflater_gc(lua_State *L)
{
    lq_ws_deflater **box = luaL_checkudata(L, 1, DEFLATER_TYPE);

    lq_ws_deflater_free(*box);
    return 0;
}

/* inflater(bits, keeps_context) -> inflater */
static int ws_inflater(lua_State *L)
{
    int bits = (int)luaL_checkinteger(L, 1);
    bool keeps_context = lua_toboolean(L, 2);
    lq_ws_inflater **box = lua_newuserdatauv(L, sizeof *box, 0);

    *box = lq_ws_inflater_new(bits, keeps_context);
    if (!*box) return luaL_error(L, "no inflater");
    luaL_setmetatable(L, INFLATER_TYPE);
    return 1;
}

/* inflater:inflate(bytes, max, is_part?) -> string | nil, code */
static int m_inflate(lua_State *L)
{
    lq_ws_inflater **box = luaL_checkudata(L, 1, INFLATER_TYPE);
    lq_str in = check_str(L, 2);
    size_t max = (size_t)luaL_optinteger(L, 3, 1 << 20);
    char *copy = copy_of(L, in);
    lq_buf out;
    int err;

    lq_buf_init(&out);
    err = lq_ws_inflate(*box, (lq_str){copy, in.len}, !lua_toboolean(L, 4), max,
                        &out);
    lq_mem_free(copy);
    if (lq_buf_len(&out) > max) return luaL_error(L, "more than the limit");
    return push_bytes(L, &out, err);
}

static int m_inflater_gc(lua_State *L)
{
    lq_ws_inflater **box = luaL_checkudata(L, 1, INFLATER_TYPE);

    lq_ws_inflater_free(*box);
    return 0;
}

/* ---- the handshake ------------------------------------------------------- */

/* Reads the head at 1 with the real parser; the arena is to be ended. */
static const lq_request *check_request(lua_State *L, lq_parser *p,
                                       lq_arena *arena)
{
    static const lq_parse_limits limits = {32768, 100, 8192};
    lq_str head = check_str(L, 1);
    size_t used;
    int event;

    lq_arena_init(arena);
    if (lq_parser_init(p, arena, &limits) < 0) luaL_error(L, "init");
    event = lq_parser_feed(p, head.ptr, head.len, &used);
    if (event == LQ_PARSE_HEAD || event == LQ_PARSE_DONE) return &p->request;
    lq_arena_fini(arena);
    luaL_error(L, "no request: %d", event);
    return NULL;
}

/* check(head) -> 0 | status, why */
static int ws_check(lua_State *L)
{
    lq_parser p;
    lq_arena arena;
    const char *why = NULL;
    int status = lq_ws_check(check_request(L, &p, &arena), &why);

    lq_arena_fini(&arena);
    lua_pushinteger(L, status);
    lua_pushstring(L, why);
    return 2;
}

/* list_field(head, lower_name) -> string | nil */
static int ws_list_field(lua_State *L)
{
    lq_parser p;
    lq_arena arena;
    lq_str out, name = check_str(L, 2);
    int err =
        lq_ws_list_field(check_request(L, &p, &arena), name, &arena, &out);

    if (err < 0) return luaL_error(L, "not enough memory");
    if (out.ptr)
        lua_pushlstring(L, out.ptr, out.len);
    else
        lua_pushnil(L);
    lq_arena_fini(&arena);
    return 1;
}

/* accept_key(key) -> string | nil, error */
static int ws_accept_key(lua_State *L)
{
    char out[LQ_WS_ACCEPT_LEN];
    int err = lq_ws_accept_key(check_str(L, 1), out);

    if (err == 0) {
        lua_pushlstring(L, out, sizeof out);
        return 1;
    }
    lua_pushnil(L);
    lua_pushstring(L, lq_err_name(err));
    return 2;
}

/* choose_protocol(value, list) -> string | nil */
static int ws_choose_protocol(lua_State *L)
{
    lq_str value = check_str(L, 1), ours[PROTOCOLS_MAX];
    char *copy;
    size_t count = 0;
    int chosen;

    while (count < PROTOCOLS_MAX &&
           lua_rawgeti(L, 2, (lua_Integer)count + 1) != LUA_TNIL) {
        ours[count++] = check_str(L, -1);
        lua_pop(L, 1); /* the list holds it */
    }
    copy = copy_of(L, value);
    chosen = lq_ws_choose_protocol((lq_str){copy, value.len}, ours, count);
    lq_mem_free(copy);
    if (chosen < 0) return 0;
    lua_pushlstring(L, ours[chosen].ptr, ours[chosen].len);
    return 1;
}

/* negotiate(value, { context_takeover=, window_bits= }?) -> line | false (no
 * compression) | nil (malformed); server_bits, client_bits,
 * server_no_context_takeover, client_no_context_takeover */
static int ws_negotiate(lua_State *L)
{
    lq_ws_deflate_cfg cfg = {
        option(L, 2, "context_takeover", true) != 0,
        (int)option(L, 2, "window_bits", 15),
    };
    lq_ws_deflate_params params;
    char line[LQ_WS_EXTENSION_MAX];
    lq_str value = check_str(L, 1);
    char *copy = copy_of(L, value);
    int err = lq_ws_negotiate((lq_str){copy, value.len}, &cfg, &params);

    lq_mem_free(copy);
    if (err < 0) return 0;
    lua_pushboolean(L, false);
    if (!params.on) return 1;
    lua_pushlstring(L, line, lq_ws_extension_line(&params, line, sizeof line));
    lua_pushinteger(L, params.server_bits);
    lua_pushinteger(L, params.client_bits);
    lua_pushboolean(L, params.server_no_context_takeover);
    lua_pushboolean(L, params.client_no_context_takeover);
    return 5;
}

/* ---- framings ------------------------------------------------------------ */

static lq_framing check_framing(lua_State *L, int i)
{
    int kind = lq_framing_of(check_str(L, i));

    luaL_argcheck(L, kind >= 0, i, "no framing");
    return (lq_framing)kind;
}

/* is_framing(name) -> boolean */
static int ws_is_framing(lua_State *L)
{
    lua_pushboolean(L, lq_framing_of(check_str(L, 1)) >= 0);
    return 1;
}

/* find(kind, bytes, max, scanned?) -> used, message, scanned | nil, error;
 * message is nil when used is 0 */
static int ws_find(lua_State *L)
{
    lq_framing kind = check_framing(L, 1);
    lq_str in = check_str(L, 2), message = {NULL, 0};
    size_t scanned = (size_t)luaL_optinteger(L, 4, 0);
    char *copy = copy_of(L, in);
    ssize_t n =
        lq_framing_find(kind, (lq_str){copy, in.len},
                        (size_t)luaL_checkinteger(L, 3), &scanned, &message);

    if (n < 0) {
        lua_pushnil(L);
        lua_pushstring(L, lq_err_name((int)n));
    } else {
        lua_pushinteger(L, n);
        if (n)
            lua_pushlstring(L, message.ptr, message.len);
        else
            lua_pushnil(L);
    }
    lq_mem_free(copy);
    lua_pushinteger(L, (lua_Integer)scanned);
    return 3;
}

/* frame(kind, message) -> string | nil, error */
static int ws_frame(lua_State *L)
{
    lq_framing kind = check_framing(L, 1);
    lq_str message = check_str(L, 2);
    lq_buf out;
    int err;

    lq_buf_init(&out);
    err = lq_framing_append(kind, &out, message);
    if (err == 0) return push_bytes(L, &out, 0);
    lua_pushnil(L);
    lua_pushstring(L, lq_buf_len(&out) ? "left bytes" : lq_err_name(err));
    lq_buf_fini(&out);
    return 2;
}

/* ---- the module ---------------------------------------------------------- */

static const luaL_Reg functions[] = {
    {"accept_key", ws_accept_key},
    {"check", ws_check},
    {"choose_protocol", ws_choose_protocol},
    {"decode", ws_decode},
    {"decodes_in_place", ws_decodes_in_place},
    {"deflater", ws_deflater},
    {"feeds", ws_feeds},
    {"find", ws_find},
    {"frame", ws_frame},
    {"head", ws_head},
    {"inflater", ws_inflater},
    {"is_close_code", ws_is_close_code},
    {"is_framing", ws_is_framing},
    {"list_field", ws_list_field},
    {"negotiate", ws_negotiate},
    {"read_head", ws_read_head},
    {"unmask", ws_unmask},
    {NULL, NULL},
};

static const luaL_Reg deflater_methods[] = {
    {"deflate", m_deflate},
    {NULL, NULL},
};

static const luaL_Reg inflater_methods[] = {
    {"inflate", m_inflate},
    {NULL, NULL},
};

static void new_type(lua_State *L, const char *name, const luaL_Reg *methods,
                     lua_CFunction gc)
{
    if (!luaL_newmetatable(L, name)) return;
    lua_newtable(L);
    luaL_setfuncs(L, methods, 0);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, gc);
    lua_setfield(L, -2, "__gc");
}

int luaopen_spec_ws(lua_State *L)
{
    new_type(L, DEFLATER_TYPE, deflater_methods, m_deflater_gc);
    new_type(L, INFLATER_TYPE, inflater_methods, m_inflater_gc);
    luaL_newlib(L, functions);
    return 1;
}

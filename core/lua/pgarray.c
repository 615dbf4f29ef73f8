/* pgarray.c - see pgarray.h. */
#include "lua/pgarray.h"

#include <lauxlib.h>
#include <math.h>
#include <string.h>
#include <strings.h>

#include "base/number.h"
#include "lua/json.h"

enum { DEPTH_MAX = 32 };

/* ---- lists to text ------------------------------------------------------ */

typedef struct writer {
    lua_State *L;
    lq_buf *out;
    lq_pgtype element;
    char delimiter;
    int depth;
} writer;

static void put(writer *w, const void *bytes, size_t len)
{
    if (lq_buf_append(w->out, bytes, len) < 0)
        luaL_error(w->L, "not enough memory");
}

/* Between double quotes, from `at` on in the buffer: what was appended there is
 * escaped in place. */
static void quote(writer *w, size_t at)
{
    size_t len = lq_buf_len(w->out) - at, escapes = 0, i;
    char *from, *to;

    from = lq_buf_ptr(w->out) + at;
    for (i = 0; i < len; i++) escapes += from[i] == '"' || from[i] == '\\';
    if (lq_buf_reserve(w->out, escapes + 2) < 0)
        luaL_error(w->L, "not enough memory");
    from = lq_buf_ptr(w->out) + at + len;
    w->out->tail += escapes + 2;
    to = lq_buf_ptr(w->out) + at + len + escapes + 2;
    *--to = '"';
    while (len-- > 0) {
        *--to = *--from;
        if (*to == '"' || *to == '\\') *--to = '\\';
    }
    *--to = '"';
}

static void put_hex(writer *w, lq_str s)
{
    static const char digits[] = "0123456789abcdef";
    unsigned char c;
    size_t i;

    put(w, "\"\\\\x", 4);
    for (i = 0; i < s.len; i++) {
        c = (unsigned char)s.ptr[i];
        put(w, (char[2]){digits[c >> 4], digits[c & 15]}, 2);
    }
    put(w, "\"", 1);
}

static void put_string(writer *w, int idx)
{
    size_t at = lq_buf_len(w->out);
    lq_str s;

    s.ptr = lua_tolstring(w->L, idx, &s.len);
    if (w->element.kind == LQ_PGKIND_BYTEA) {
        put_hex(w, s);
        return;
    }
    if (memchr(s.ptr, '\0', s.len))
        luaL_error(w->L, "a string with a NUL cannot be in an array");
    put(w, s.ptr, s.len);
    quote(w, at);
}

static void put_number(writer *w, int idx)
{
    char text[LQ_NUMBER_MAX];
    double v = lua_tonumber(w->L, idx);
    int is_integer;
    lua_Integer n = lua_tointegerx(w->L, idx, &is_integer);

    if (is_integer &&
        (lua_isinteger(w->L, idx) || w->element.kind == LQ_PGKIND_INT))
        put(w, text, lq_number_put_int(text, n));
    else if (isnan(v))
        put(w, "NaN", 3);
    else if (isinf(v))
        put(w, v > 0 ? "Infinity" : "-Infinity", v > 0 ? 8 : 9);
    else
        put(w, text, lq_number_put_float(text, v));
}

static void put_list(writer *w, int idx);

static void put_element(writer *w, int idx)
{
    size_t at = lq_buf_len(w->out);

    switch (lua_type(w->L, idx)) {
    case LUA_TBOOLEAN:
        put(w, lua_toboolean(w->L, idx) ? "true" : "false",
            lua_toboolean(w->L, idx) ? 4 : 5);
        return;
    case LUA_TNUMBER: put_number(w, idx); return;
    case LUA_TSTRING: put_string(w, idx); return;
    case LUA_TTABLE:
        if (w->element.kind != LQ_PGKIND_JSON) {
            put_list(w, idx);
            return;
        }
        lq_json_encode(w->L, idx, w->out);
        quote(w, at);
        return;
    case LUA_TNIL: put(w, "NULL", 4); return;
    case LUA_TLIGHTUSERDATA:
        if (!lua_touserdata(w->L, idx)) {
            put(w, "NULL", 4);
            return;
        }
        /* fall through */
    default:
        luaL_error(w->L, "a %s cannot be in an array",
                   luaL_typename(w->L, idx));
    }
}

static void put_list(writer *w, int idx)
{
    lua_Integer count = (lua_Integer)lua_rawlen(w->L, idx), i;

    luaL_checkstack(w->L, LUA_MINSTACK, "an array");
    if (w->depth++ == DEPTH_MAX)
        luaL_error(w->L, "an array is nested more than %d times deep",
                   DEPTH_MAX);
    if (count == 0 && (lua_pushnil(w->L), lua_next(w->L, idx)))
        luaL_error(w->L, "an array must be a list");
    put(w, "{", 1);
    for (i = 1; i <= count; i++) {
        if (i > 1) put(w, &w->delimiter, 1);
        lua_rawgeti(w->L, idx, i);
        put_element(w, lua_gettop(w->L));
        lua_pop(w->L, 1);
    }
    put(w, "}", 1);
    w->depth--;
}

void lq_pgarray_put(lua_State *L, int idx, const lq_pgtypes *ts,
                    const lq_pgtype *type, lq_buf *out)
{
    writer w = {L, out, lq_pgtypes_find(ts, type->element), type->delimiter, 0};

    put_list(&w, idx);
}

/* ---- text to lists ------------------------------------------------------ */

typedef struct reader {
    lua_State *L;
    const lq_pgreader *in;
    const char *at;
    const char *end;
    lq_pgtype element;
    char delimiter;
} reader;

static _Noreturn void fail(reader *r)
{
    luaL_error(r->L, "an array of the database cannot be read");
    for (;;) {
    }
}

static char peek(reader *r)
{
    if (r->at == r->end) fail(r);
    return *r->at;
}

/* Copies the element at hand to the scratch buffer, without its escapes.
 * Returns whether it stood between quotes. */
static bool read_element(reader *r)
{
    lq_buf *b = r->in->scratch;
    bool is_quoted = peek(r) == '"';

    lq_buf_clear(b);
    r->at += is_quoted;
    for (;; r->at++) {
        if (is_quoted ? peek(r) == '"'
                      : peek(r) == r->delimiter || *r->at == '}')
            break;
        if (*r->at == '\\') {
            r->at++;
            peek(r);
        }
        if (lq_buf_append(b, r->at, 1) < 0)
            luaL_error(r->L, "not enough memory");
    }
    r->at += is_quoted;
    if (lq_buf_append(b, "", 1) < 0) luaL_error(r->L, "not enough memory");
    return is_quoted;
}

static void push_list(reader *r);

static void push_element(reader *r)
{
    const lq_buf *b = r->in->scratch;

    if (peek(r) == '{') {
        push_list(r);
    } else if (!read_element(r) && strcasecmp(lq_buf_ptr(b), "NULL") == 0) {
        lua_pushlightuserdata(r->L, NULL);
    } else {
        lq_pgvalue_push(r->L, r->in, &r->element, lq_buf_ptr(b),
                        lq_buf_len(b) - 1);
    }
}

static void push_list(reader *r)
{
    lua_Integer i = 1;

    luaL_checkstack(r->L, LUA_MINSTACK, "an array");
    lua_newtable(r->L);
    lq_json_push_array_mt(r->L);
    lua_setmetatable(r->L, -2);
    if (peek(r) != '{') fail(r);
    r->at++;
    while (peek(r) != '}') {
        push_element(r);
        lua_rawseti(r->L, -2, i++);
        if (peek(r) == r->delimiter) r->at++;
    }
    r->at++;
}

void lq_pgarray_push(lua_State *L, const lq_pgreader *in, const lq_pgtype *type,
                     const char *s, size_t len)
{
    const char *bounds = memchr(s, '{', len);
    reader r = {L,
                in,
                s,
                s + len,
                lq_pgtypes_find(in->types, type->element),
                type->delimiter};

    if (*s == '[' && bounds) r.at = bounds; /* [0:1]={...} */
    push_list(&r);
}

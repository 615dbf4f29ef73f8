/* fields.c - see fields.h.
 *
 * Unless they are simple, every key and value is first made a string, a number,
 * a boolean or null, on the Lua stack: that may run code of the app, which may
 * log in its turn. Then all of them are written, and nothing can raise.
 */
#include "lua/fields.h"

#include <lauxlib.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/number.h"
#include "log/cut.h"
#include "log/escape.h"
#include "lua/dump.h"
#include "lua/json.h"

enum { FEW = 16 }; /* fields that need no memory of their own */

typedef enum kind {
    STRING,
    JSON, /* a string that is JSON already */
    INTEGER,
    FLOAT,
    BOOLEAN,
    NONE, /* null */
} kind;

/* Strings are lent by the stack, or by the table itself. */
typedef struct field {
    lq_str key;
    kind kind;
    lq_str string;
    lua_Integer integer; /* or the boolean */
    lua_Number number;
} field;

/* ---- values that can be written ------------------------------------------ */

static int to_text(lua_State *L)
{
    luaL_tolstring(L, 1, NULL);
    return 1;
}

/* Replaces the value at `idx` by its text. */
static void make_text(lua_State *L, int idx)
{
    lua_pushcfunction(L, to_text);
    lua_pushvalue(L, idx);
    if (lua_pcall(L, 1, 1, 0) != LUA_OK) {
        lua_pop(L, 1);
        lua_pushstring(L, luaL_typename(L, idx));
    }
    lua_replace(L, idx);
}

static int to_json(lua_State *L)
{
    lq_dump_put(L, 2, lua_touserdata(L, 1));
    return 0;
}

/* Replaces the table at `idx` by its JSON. */
static bool make_json(lua_State *L, int idx, lq_buf *out)
{
    bool ok;

    lq_buf_clear(out);
    lua_pushcfunction(L, to_json);
    lua_pushlightuserdata(L, out);
    lua_pushvalue(L, idx);
    ok = lua_pcall(L, 2, 0, 0) == LUA_OK;
    if (ok) {
        lua_pushlstring(L, lq_buf_ptr(out), lq_buf_len(out));
        lua_replace(L, idx);
    } else {
        lua_pop(L, 1);
    }
    lq_buf_clear(out);
    return ok;
}

static bool is_plain(lua_State *L, int idx)
{
    if (!lua_getmetatable(L, idx)) return true;
    lua_pop(L, 1);
    return lq_json_is_array(L, idx);
}

/* Replaces the value by its text or its JSON; returns which. */
static kind make_string(lua_State *L, int idx, lq_buf *out)
{
    if (lua_type(L, idx) == LUA_TTABLE && is_plain(L, idx) &&
        make_json(L, idx, out))
        return JSON;
    make_text(L, idx);
    return STRING;
}

/* Reads the value at `idx`. Returns false for what is to be made a string. */
static bool read_value(lua_State *L, int idx, field *f)
{
    switch (lua_type(L, idx)) {
    case LUA_TSTRING:
        f->kind = STRING;
        f->string.ptr = lua_tolstring(L, idx, &f->string.len);
        return true;
    case LUA_TNUMBER:
        f->kind = lua_isinteger(L, idx) ? INTEGER : FLOAT;
        if (f->kind == INTEGER)
            f->integer = lua_tointeger(L, idx);
        else
            f->number = lua_tonumber(L, idx);
        return true;
    case LUA_TBOOLEAN:
        f->kind = BOOLEAN;
        f->integer = lua_toboolean(L, idx);
        return true;
    case LUA_TLIGHTUSERDATA: f->kind = NONE; return !lua_touserdata(L, idx);
    default: return false;
    }
}

/* The usual case: a few fields, with strings for names, and values that need
 * no conversion. Nothing is copied, and no code of the app runs. Returns how
 * many, or -1: it is another case. */
static int read_simple(lua_State *L, int table, field fields[FEW])
{
    int top = lua_gettop(L), count = 0;

    for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1)) {
        if (count == FEW || lua_type(L, -2) != LUA_TSTRING ||
            !read_value(L, top + 2, &fields[count])) {
            lua_settop(L, top);
            return -1;
        }
        fields[count].key.ptr =
            lua_tolstring(L, top + 1, &fields[count].key.len);
        count++;
    }
    return count;
}

/* Pushes keys and values of the table, LQ_FIELDS_MOST pairs at most; returns
 * how many. *rest: how many more it has. */
static size_t push_some(lua_State *L, int table, size_t *rest)
{
    size_t count = 0;

    *rest = 0;
    lua_pushnil(L);
    while (lua_next(L, table)) {
        if (count < LQ_FIELDS_MOST && lua_checkstack(L, LUA_MINSTACK)) {
            lua_pushvalue(L, -2);
            count++;
        } else {
            lua_pop(L, 1);
            ++*rest;
        }
    }
    return count;
}

static int compare(const void *a, const void *b)
{
    const lq_str *x = &((const field *)a)->key, *y = &((const field *)b)->key;
    size_t len = x->len < y->len ? x->len : y->len;
    int order = len ? memcmp(x->ptr, y->ptr, len) : 0;

    if (order) return order;
    return x->len < y->len ? -1 : x->len > y->len;
}

static void sort(field *fields, size_t count)
{
    field moved;
    size_t i, k;

    if (count > FEW) {
        qsort(fields, count, sizeof *fields, compare);
        return;
    }
    for (i = 1; i < count; i++) {
        moved = fields[i];
        for (k = i; k > 0 && compare(&moved, &fields[k - 1]) < 0; k--)
            fields[k] = fields[k - 1];
        fields[k] = moved;
    }
}

/* ---- writing ------------------------------------------------------------- */

static int put_integer(lua_Integer v, lq_buf *out)
{
    int err = lq_buf_reserve(out, LQ_NUMBER_MAX);

    if (err == 0) out->tail += lq_number_put_int(out->data + out->tail, v);
    return err;
}

static int put_word(lq_buf *out, lq_str word)
{
    return lq_buf_append(out, word.ptr, word.len);
}

static int put_string(lq_str s, lq_log_format format, lq_buf *out)
{
    int (*escape)(lq_buf *, lq_str) =
        format == LQ_LOG_JSON ? lq_escape_json : lq_escape_value;

    if (LQ_LIKELY(s.len <= LQ_DUMP_LONGEST)) return escape(out, s);
    return lq_cut_escape(out, s, LQ_DUMP_LONGEST, escape);
}

/* JSON has no word for some: they are strings there. */
static int put_float(double v, lq_log_format format, lq_buf *out)
{
    int err;

    if (isnan(v)) return put_string(LQ_STR("nan"), format, out);
    if (isinf(v))
        return put_string(v > 0 ? LQ_STR("inf") : LQ_STR("-inf"), format, out);
    err = lq_buf_reserve(out, LQ_NUMBER_MAX);
    if (err == 0) out->tail += lq_number_put_float(out->data + out->tail, v);
    return err;
}

static int put_value(const field *f, lq_log_format format, lq_buf *out)
{
    switch (f->kind) {
    case STRING: return put_string(f->string, format, out);
    case JSON: return lq_escape_json_text(out, f->string);
    case INTEGER: return put_integer(f->integer, out);
    case FLOAT: return put_float(f->number, format, out);
    case BOOLEAN:
        return put_word(out, f->integer ? LQ_STR("true") : LQ_STR("false"));
    default: return put_word(out, LQ_STR("null"));
    }
}

static int put_field(const field *f, lq_log_format format, lq_buf *out)
{
    bool is_json = format == LQ_LOG_JSON;
    int err = 0;

    if (lq_buf_len(out) > 0)
        err = put_word(out, is_json ? LQ_STR(",") : LQ_STR(" "));
    if (err == 0) err = put_string(f->key, format, out);
    if (err == 0) err = put_word(out, is_json ? LQ_STR(":") : LQ_STR("="));
    return err < 0 ? err : put_value(f, format, out);
}

/* What stands for fields that are not there. */
static int put_rest(size_t rest, lq_log_format format, lq_buf *out)
{
    field f = {.key = LQ_STR("..."), .kind = STRING};
    char text[64];
    int len = snprintf(text, sizeof text, "%zu fields more", rest);

    f.string = (lq_str){text, (size_t)len};
    return rest ? put_field(&f, format, out) : 0;
}

/* Puts those there are room for; there are `rest` more. Returns -ENOMEM. */
static int put_all(field *fields, size_t count, size_t rest,
                   lq_log_format format, lq_buf *out)
{
    size_t i;
    int err = 0;

    sort(fields, count);
    lq_buf_clear(out);
    for (i = 0; i < count && err == 0; i++) {
        if (lq_buf_len(out) >= LQ_FIELDS_LONGEST) break;
        err = put_field(&fields[i], format, out);
    }
    return err < 0 ? err : put_rest(rest + count - i, format, out);
}

/* Fields of every kind, which are made strings on the stack. */
static int put_any(lua_State *L, int table, lq_log_format format, lq_buf *out)
{
    int top = lua_gettop(L), at = top + 1, err;
    size_t rest, count = push_some(L, table, &rest), i;
    field *fields = lua_newuserdatauv(L, count * sizeof *fields, 0);

    for (i = 0; i < count; i++, at += 2) {
        if (lua_type(L, at) != LUA_TSTRING) make_text(L, at);
        fields[i].key.ptr = lua_tolstring(L, at, &fields[i].key.len);
        if (read_value(L, at + 1, &fields[i])) continue;
        fields[i].kind = make_string(L, at + 1, out);
        fields[i].string.ptr = lua_tolstring(L, at + 1, &fields[i].string.len);
    }
    err = put_all(fields, count, rest, format, out);
    lua_settop(L, top);
    return err;
}

void lq_fields_put(lua_State *L, int idx, lq_log_format format, lq_buf *out)
{
    int table = lua_absindex(L, idx), count, err;
    field few[FEW];

    count = read_simple(L, table, few);
    err = count < 0 ? put_any(L, table, format, out)
                    : put_all(few, (size_t)count, 0, format, out);
    if (err < 0) luaL_error(L, "not enough memory");
}

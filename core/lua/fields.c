/* fields.c - see fields.h.
 *
 * First every key and value is made a string, a number, a boolean or null, on
 * the Lua stack: that may run code of the app, which may log in its turn. Then
 * all of them are written, and nothing can raise.
 */
#include "lua/fields.h"

#include <lauxlib.h>
#include <math.h>
#include <stdlib.h>

#include "base/number.h"
#include "log/escape.h"
#include "lua/json.h"

enum { FEW = 16 }; /* fields that need no memory of their own */

typedef struct field {
    lq_str key;
    int value;    /* where it stands on the stack */
    bool is_json; /* a string that is JSON already */
} field;

/* ---- values that can be written ----------------------------------------- */

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
    lq_json_encode(L, 2, lua_touserdata(L, 1));
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

/* Returns whether it is JSON now. */
static bool make_writable(lua_State *L, int idx, lq_buf *out)
{
    switch (lua_type(L, idx)) {
    case LUA_TSTRING:
    case LUA_TNUMBER:
    case LUA_TBOOLEAN: return false;
    case LUA_TLIGHTUSERDATA:
        if (!lua_touserdata(L, idx)) return false; /* null */
        break;
    case LUA_TTABLE:
        if (is_plain(L, idx) && make_json(L, idx, out)) return true;
        break;
    default: break;
    }
    make_text(L, idx);
    return false;
}

/* Pushes every key and every value of the table; returns how many pairs. */
static size_t push_all(lua_State *L, int table)
{
    size_t count = 0;

    luaL_checkstack(L, 4, "too many fields");
    for (lua_pushnil(L); lua_next(L, table); count++) {
        luaL_checkstack(L, 8, "too many fields");
        lua_pushvalue(L, -2);
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

/* ---- writing ------------------------------------------------------------ */

static int put_number(lua_State *L, int idx, lq_buf *out)
{
    double v = lua_tonumber(L, idx);
    int err = lq_buf_reserve(out, LQ_NUMBER_MAX);

    if (err < 0) return err;
    if (lua_isinteger(L, idx))
        out->tail +=
            lq_number_put_int(out->data + out->tail, lua_tointeger(L, idx));
    else
        out->tail += lq_number_put_float(out->data + out->tail, v);
    return 0;
}

static int put_word(lq_buf *out, lq_str word)
{
    return lq_buf_append(out, word.ptr, word.len);
}

/* A number that JSON has no word for. */
static int put_odd_number(double v, lq_log_format format, lq_buf *out)
{
    lq_str text = isnan(v) ? LQ_STR("nan")
                  : v > 0  ? LQ_STR("inf")
                           : LQ_STR("-inf");

    return format == LQ_LOG_JSON ? lq_escape_json(out, text)
                                 : put_word(out, text);
}

static int put_string(lua_State *L, const field *f, lq_log_format format,
                      lq_buf *out)
{
    lq_str s;

    s.ptr = lua_tolstring(L, f->value, &s.len);
    if (f->is_json) return lq_escape_json_text(out, s);
    return format == LQ_LOG_JSON ? lq_escape_json(out, s)
                                 : lq_escape_value(out, s);
}

static int put_value(lua_State *L, const field *f, lq_log_format format,
                     lq_buf *out)
{
    switch (lua_type(L, f->value)) {
    case LUA_TSTRING: return put_string(L, f, format, out);
    case LUA_TNUMBER:
        if (!isfinite(lua_tonumber(L, f->value)))
            return put_odd_number(lua_tonumber(L, f->value), format, out);
        return put_number(L, f->value, out);
    case LUA_TBOOLEAN:
        return put_word(out, lua_toboolean(L, f->value) ? LQ_STR("true")
                                                        : LQ_STR("false"));
    default: return put_word(out, LQ_STR("null"));
    }
}

static int put_field(lua_State *L, const field *f, lq_log_format format,
                     lq_buf *out)
{
    bool is_json = format == LQ_LOG_JSON;
    int err = 0;

    if (lq_buf_len(out) > 0)
        err = put_word(out, is_json ? LQ_STR(",") : LQ_STR(" "));
    if (err == 0)
        err =
            is_json ? lq_escape_json(out, f->key) : lq_escape_text(out, f->key);
    if (err == 0) err = put_word(out, is_json ? LQ_STR(":") : LQ_STR("="));
    return err < 0 ? err : put_value(L, f, format, out);
}

void lq_fields_put(lua_State *L, int idx, lq_log_format format, lq_buf *out)
{
    int table = lua_absindex(L, idx), top = lua_gettop(L), err = 0, at;
    size_t count = push_all(L, table), i;
    field few[FEW], *fields = few;

    if (count > FEW) fields = lua_newuserdatauv(L, count * sizeof *fields, 0);
    for (i = 0; i < count; i++) {
        at = top + 1 + 2 * (int)i;
        if (lua_type(L, at) != LUA_TSTRING) make_text(L, at);
        fields[i].key.ptr = lua_tolstring(L, at, &fields[i].key.len);
        fields[i].value = at + 1;
        fields[i].is_json = make_writable(L, at + 1, out);
    }
    sort(fields, count);
    lq_buf_clear(out);
    for (i = 0; i < count && err == 0; i++)
        err = put_field(L, &fields[i], format, out);
    lua_settop(L, top);
    if (err < 0) luaL_error(L, "not enough memory");
}

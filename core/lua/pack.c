/* pack.c - see pack.h.
 *
 * A value is a tag and what the tag asks for. A table is TABLE, two bytes that
 * say how many elements and members to make room for (255: or more), the
 * elements from index 1 on, NIL, the other keys each with its value, NIL.
 */
#include "lua/pack.h"

#include <math.h>
#include <stdio.h>

#include <lauxlib.h>

#include "lua/keypath.h"

/* 0x40 to 0x7f are strings of 0 to 63 bytes, 0x80 to 0xff the integers from 0
 * to 127. */
typedef enum tag {
    NIL,
    FALSE,
    TRUE,
    NOTHING, /* null */
    FLOAT,
    INT8,
    INT16,
    INT32,
    INT64,
    STRING8,
    STRING32,
    TABLE,
    SHORT_STRING = 0x40,
    SMALL_INT = 0x80,
} tag;

enum {
    SHORT_STRING_MAX = 63,
    SMALL_INT_MAX = 127,
    ROOM_MAX = 255,
};

static const char doing[] = "cannot pack";

/* ---- packing ------------------------------------------------------------- */

typedef struct packer {
    lua_State *L;
    lq_buf *out;
    size_t start;           /* length of `out` before */
    const lq_keypath *path; /* of the value at hand */
    int depth;
} packer;

static _Noreturn void fail(packer *p, const char *what)
{
    lq_keypath_fail(p->L, p->path, doing, what);
}

static void put(packer *p, const void *bytes, size_t len)
{
    size_t used = lq_buf_len(p->out) - p->start;

    if (len > LQ_PACK_MAX - used) fail(p, "more than 16 MiB");
    if (lq_buf_append(p->out, bytes, len) < 0)
        luaL_error(p->L, "not enough memory");
}

static void put_byte(packer *p, size_t byte)
{
    unsigned char c = (unsigned char)byte;

    put(p, &c, 1);
}

/* A tag and the lowest `width` bytes of `v`, the lowest first. */
static void put_tagged(packer *p, tag t, uint64_t v, size_t width)
{
    unsigned char bytes[1 + sizeof v] = {(unsigned char)t};
    size_t i;

    for (i = 1; i <= width; i++, v >>= 8) bytes[i] = (unsigned char)v;
    put(p, bytes, 1 + width);
}

static void put_integer(packer *p, lua_Integer v)
{
    if (v >= 0 && v <= SMALL_INT_MAX)
        put_byte(p, SMALL_INT + (size_t)v);
    else if (v >= INT8_MIN && v <= INT8_MAX)
        put_tagged(p, INT8, (uint64_t)v, 1);
    else if (v >= INT16_MIN && v <= INT16_MAX)
        put_tagged(p, INT16, (uint64_t)v, 2);
    else if (v >= INT32_MIN && v <= INT32_MAX)
        put_tagged(p, INT32, (uint64_t)v, 4);
    else
        put_tagged(p, INT64, (uint64_t)v, 8);
}

static void put_number(packer *p, int idx)
{
    uint64_t bits;
    double v;

    if (lua_isinteger(p->L, idx)) {
        put_integer(p, lua_tointeger(p->L, idx));
        return;
    }
    v = lua_tonumber(p->L, idx);
    memcpy(&bits, &v, sizeof bits);
    put_tagged(p, FLOAT, bits, sizeof bits);
}

static void put_string(packer *p, int idx)
{
    size_t len;
    const char *s = lua_tolstring(p->L, idx, &len);

    if (len > LQ_PACK_MAX) fail(p, "more than 16 MiB");
    if (len <= SHORT_STRING_MAX)
        put_byte(p, SHORT_STRING + len);
    else if (len <= UINT8_MAX)
        put_tagged(p, STRING8, len, 1);
    else
        put_tagged(p, STRING32, len, 4);
    put(p, s, len);
}

static void put_value(packer *p, int idx);

static void check_key(packer *p, int key)
{
    switch (lua_type(p->L, key)) {
    case LUA_TSTRING:
    case LUA_TNUMBER:
    case LUA_TBOOLEAN: return;
    default: break;
    }
    lua_pushfstring(p->L, "a table with a %s as key", luaL_typename(p->L, key));
    p->path = p->path->up;
    fail(p, lua_tostring(p->L, -1));
}

/* Whether the key at hand is the index that follows `count` others. */
static bool is_next_index(packer *p, size_t count)
{
    int key = p->path->key;

    return lua_isinteger(p->L, key) &&
           (size_t)lua_tointeger(p->L, key) == count + 1;
}

/* Writes the entries. The first key and value are on the stack; elements come
 * first and in order in most tables, and what does not is written as other
 * members are. */
static void put_entries(packer *p, int table, size_t *elements, size_t *members)
{
    int key = p->path->key;
    bool is_more = true;

    while (is_more && is_next_index(p, *elements)) {
        put_value(p, key + 1);
        ++*elements;
        lua_settop(p->L, key);
        is_more = lua_next(p->L, table);
    }
    put_byte(p, NIL);
    while (is_more) {
        check_key(p, key);
        put_value(p, key);
        put_value(p, key + 1);
        ++*members;
        lua_settop(p->L, key);
        is_more = lua_next(p->L, table);
    }
    put_byte(p, NIL);
}

static void put_table(packer *p, int table)
{
    lq_keypath here = {p->path, lua_topointer(p->L, table), 0};
    size_t room = lq_buf_len(p->out) + 1, elements = 0, members = 0;
    char *at;

    luaL_checkstack(p->L, LUA_MINSTACK, doing);
    if (p->depth == LQ_PACK_DEPTH)
        lq_keypath_fail_depth(p->L, &here, doing, LQ_PACK_DEPTH);
    put_tagged(p, TABLE, 0, 2);
    lua_pushnil(p->L);
    here.key = lua_gettop(p->L);
    if (!lua_next(p->L, table)) {
        put(p, "\0", 2);
        return;
    }
    p->path = &here;
    p->depth++;
    put_entries(p, table, &elements, &members);
    p->depth--;
    p->path = here.up;
    at = lq_buf_ptr(p->out) + room;
    at[0] = (char)(elements < ROOM_MAX ? elements : ROOM_MAX);
    at[1] = (char)(members < ROOM_MAX ? members : ROOM_MAX);
}

/* Writes the value at `idx`, an absolute index. */
static void put_value(packer *p, int idx)
{
    char what[32];

    switch (lua_type(p->L, idx)) {
    case LUA_TNIL: put_byte(p, NIL); return;
    case LUA_TBOOLEAN:
        put_byte(p, lua_toboolean(p->L, idx) ? TRUE : FALSE);
        return;
    case LUA_TNUMBER: put_number(p, idx); return;
    case LUA_TSTRING: put_string(p, idx); return;
    case LUA_TTABLE: put_table(p, idx); return;
    case LUA_TLIGHTUSERDATA:
        if (lua_touserdata(p->L, idx)) break;
        put_byte(p, NOTHING);
        return;
    default: break;
    }
    snprintf(what, sizeof what, "a %s", luaL_typename(p->L, idx));
    fail(p, what);
}

void lq_pack(lua_State *L, int idx, lq_buf *out)
{
    packer p = {.L = L, .out = out, .start = lq_buf_len(out)};

    if (lua_type(L, idx) == LUA_TSTRING) { /* most messages: no stack needed */
        put_string(&p, idx);
        return;
    }
    idx = lua_absindex(L, idx);
    luaL_checkstack(L, LUA_MINSTACK, doing);
    put_value(&p, idx);
}

/* ---- unpacking ----------------------------------------------------------- */

typedef struct reader {
    lua_State *L;
    lq_str left;
    size_t room; /* table slots that may still be asked for in advance */
    int depth;
} reader;

static bool push_value(reader *r);

static void consume(reader *r, size_t len)
{
    r->left.ptr += len;
    r->left.len -= len;
}

/* Takes a number of `width` bytes off the front. */
static bool take(reader *r, size_t width, uint64_t *out)
{
    uint64_t v = 0;
    size_t i;

    if (r->left.len < width) return false;
    for (i = width; i > 0; i--) v = v << 8 | (unsigned char)r->left.ptr[i - 1];
    consume(r, width);
    *out = v;
    return true;
}

static bool push_bytes(reader *r, uint64_t len)
{
    if (r->left.len < len) return false;
    lua_pushlstring(r->L, r->left.ptr, (size_t)len);
    consume(r, (size_t)len);
    return true;
}

static bool push_string(reader *r, size_t width)
{
    uint64_t len;

    return take(r, width, &len) && push_bytes(r, len);
}

static bool push_integer(reader *r, size_t width)
{
    uint64_t v, sign = UINT64_C(1) << (8 * width - 1);

    if (!take(r, width, &v)) return false;
    lua_pushinteger(r->L, (lua_Integer)((v ^ sign) - sign));
    return true;
}

static bool push_float(reader *r)
{
    uint64_t bits;
    double v;

    if (!take(r, sizeof bits, &bits)) return false;
    memcpy(&v, &bits, sizeof v);
    lua_pushnumber(r->L, v);
    return true;
}

/* How much room a table may have in advance: in all not more than there are
 * bytes, whatever they say. */
static int grant_room(reader *r, uint64_t wanted)
{
    size_t granted = wanted < r->room ? (size_t)wanted : r->room;

    r->room -= granted;
    return (int)granted;
}

static bool is_key(lua_State *L)
{
    switch (lua_type(L, -1)) {
    case LUA_TSTRING:
    case LUA_TBOOLEAN: return true;
    case LUA_TNUMBER:
        return lua_isinteger(L, -1) || !isnan(lua_tonumber(L, -1));
    default: return false;
    }
}

static bool fill_elements(reader *r, int table)
{
    lua_Integer i;

    for (i = 1; push_value(r); i++) {
        if (lua_isnil(r->L, -1)) {
            lua_pop(r->L, 1);
            return true;
        }
        lua_rawseti(r->L, table, i);
    }
    return false;
}

static bool fill_members(reader *r, int table)
{
    while (push_value(r)) {
        if (lua_isnil(r->L, -1)) {
            lua_pop(r->L, 1);
            return true;
        }
        if (!is_key(r->L) || !push_value(r) || lua_isnil(r->L, -1))
            return false;
        lua_rawset(r->L, table);
    }
    return false;
}

static bool push_table(reader *r)
{
    uint64_t elements, members;
    int table;
    bool is_ok;

    if (r->depth == LQ_PACK_DEPTH) return false;
    if (!take(r, 1, &elements) || !take(r, 1, &members)) return false;
    luaL_checkstack(r->L, LUA_MINSTACK, "unpack");
    lua_createtable(r->L, grant_room(r, elements), grant_room(r, members));
    table = lua_gettop(r->L);
    r->depth++;
    is_ok = fill_elements(r, table) && fill_members(r, table);
    r->depth--;
    return is_ok;
}

/* The values that are their tag alone, and strings that have their length in
 * it. */
static bool push_tag(reader *r, uint64_t t)
{
    if (t >= SMALL_INT) {
        lua_pushinteger(r->L, (lua_Integer)(t - SMALL_INT));
        return true;
    }
    if (t >= SHORT_STRING) return push_bytes(r, t - SHORT_STRING);
    switch (t) {
    case NIL: lua_pushnil(r->L); return true;
    case FALSE: lua_pushboolean(r->L, false); return true;
    case TRUE: lua_pushboolean(r->L, true); return true;
    case NOTHING: lua_pushlightuserdata(r->L, NULL); return true;
    default: return false;
    }
}

/* On failure anything may be left on the stack. */
static bool push_value(reader *r)
{
    uint64_t t;

    if (!take(r, 1, &t)) return false;
    switch (t) {
    case FLOAT: return push_float(r);
    case INT8: return push_integer(r, 1);
    case INT16: return push_integer(r, 2);
    case INT32: return push_integer(r, 4);
    case INT64: return push_integer(r, 8);
    case STRING8: return push_string(r, 1);
    case STRING32: return push_string(r, 4);
    case TABLE: return push_table(r);
    default: return push_tag(r, t);
    }
}

int lq_unpack_next(lua_State *L, lq_str *bytes, lq_err *err)
{
    reader r = {.L = L, .left = *bytes, .room = bytes->len};
    int top = lua_gettop(L);

    luaL_checkstack(L, LUA_MINSTACK, "unpack");
    if (push_value(&r)) {
        *bytes = r.left;
        return 0;
    }
    lua_settop(L, top);
    return lq_err_set(err, LQ_EINVALID, "not a packed value: wrong at byte %zu",
                      bytes->len - r.left.len);
}

int lq_unpack(lua_State *L, lq_str bytes, lq_err *err)
{
    lq_str left = bytes;
    int top = lua_gettop(L), code;

    if (bytes.len > LQ_PACK_MAX)
        return lq_err_set(err, LQ_EINVALID, "more than 16 MiB packed");
    code = lq_unpack_next(L, &left, err);
    if (code < 0 || left.len == 0) return code;
    lua_settop(L, top);
    return lq_err_set(err, LQ_EINVALID, "not a packed value: wrong at byte %zu",
                      bytes.len - left.len);
}

bool lq_pack_is_string(lq_str bytes, lq_str *out)
{
    reader r = {.left = bytes};
    uint64_t t, len;

    if (!take(&r, 1, &t)) return false;
    if (t >= SHORT_STRING && t < SMALL_INT)
        len = t - SHORT_STRING;
    else if ((t != STRING8 && t != STRING32) ||
             !take(&r, t == STRING8 ? 1 : 4, &len))
        return false;
    if (len != r.left.len) return false;
    *out = r.left;
    return true;
}

/* json.c - encoding; see json.h. Decoding stands in json_decode.c. */
#include "lua/json.h"

#include <math.h>
#include <stdio.h>

#include <lauxlib.h>

#include "base/number.h"
#include "base/utf8.h"
#include "lua/keypath.h"

static const char doing[] = "cannot encode JSON";

typedef struct encoder {
    lua_State *L;
    lq_buf *out;
    const void *array_mt;
    const lq_keypath *path; /* of the value at hand */
    int depth;
} encoder;

static _Noreturn void fail(encoder *e, const char *what)
{
    lq_keypath_fail(e->L, e->path, doing, what);
}

/* ---- bytes --------------------------------------------------------------- */

static inline void reserve(encoder *e, size_t len)
{
    if (lq_buf_reserve(e->out, len) < 0) luaL_error(e->L, "not enough memory");
}

static inline void put(encoder *e, const void *bytes, size_t len)
{
    reserve(e, len);
    lq_buf_put(e->out, bytes, len);
}

static inline void put_char(encoder *e, char c)
{
    reserve(e, 1);
    e->out->data[e->out->tail++] = c;
}

static const char array_key; /* its address is the key in the registry */

/* Whether the metatable at `idx` is one that lq_json_mark_array_mt has seen. */
static bool is_marked(lua_State *L, int idx)
{
    bool found = lua_rawgetp(L, idx, &array_key) == LUA_TBOOLEAN;

    lua_pop(L, 1);
    return found;
}

/* ---- strings ------------------------------------------------------------- */

#define EACH_BYTE(b) (UINT64_C(0x0101010101010101) * (b))

/* Not zero when a byte of `word` is `byte`, which is ASCII. */
static inline uint64_t has_byte(uint64_t word, uint64_t byte)
{
    uint64_t zero = word ^ EACH_BYTE(byte);

    return (zero - EACH_BYTE(1)) & ~zero & EACH_BYTE(0x80);
}

static inline bool needs_escape(unsigned char c)
{
    return c < 0x20 || c == '"' || c == '\\';
}

/* How many bytes from the front go out as they are. Sets *has_high when it
 * meets one that is not ASCII. */
static size_t plain_run(const char *p, size_t len, bool *has_high)
{
    size_t at = 0;
    uint64_t word, high = 0;

    for (; len - at >= sizeof word; at += sizeof word) {
        memcpy(&word, p + at, sizeof word);
        if (has_byte(word, '"') | has_byte(word, '\\') |
            ((word - EACH_BYTE(0x20)) & ~word & EACH_BYTE(0x80)))
            break;
        high |= word;
    }
    for (; at < len && !needs_escape((unsigned char)p[at]); at++)
        high |= (unsigned char)p[at];
    if (high & EACH_BYTE(0x80)) *has_high = true;
    return at;
}

static void put_escape(encoder *e, unsigned char c)
{
    static const char letters[] = "btn?fr"; /* from 8 on; 11 has none */
    static const char hex[] = "0123456789abcdef";
    char text[6] = {'\\', (char)c, '0', '0', hex[c >> 4], hex[c & 15]};

    if (c >= 0x20) {
        put(e, text, 2);
    } else if (c >= 8 && c <= 13 && c != 11) {
        text[1] = letters[c - 8];
        put(e, text, 2);
    } else {
        text[1] = 'u';
        put(e, text, 6);
    }
}

static void put_string(encoder *e, int idx)
{
    bool has_high = false;
    size_t at = 0, run;
    lq_str s;

    s.ptr = lua_tolstring(e->L, idx, &s.len);
    reserve(e, s.len + 2);
    put_char(e, '"');
    for (;;) {
        run = plain_run(s.ptr + at, s.len - at, &has_high);
        put(e, s.ptr + at, run);
        at += run;
        if (at == s.len) break;
        put_escape(e, (unsigned char)s.ptr[at++]);
    }
    put_char(e, '"');
    if (has_high && !lq_utf8_valid(s)) fail(e, "a string that is not UTF-8");
}

/* ---- numbers ------------------------------------------------------------- */

static void put_number(encoder *e, int idx)
{
    double v;

    reserve(e, LQ_NUMBER_MAX);
    if (lua_isinteger(e->L, idx)) {
        e->out->tail += lq_number_put_int(e->out->data + e->out->tail,
                                          lua_tointeger(e->L, idx));
        return;
    }
    v = lua_tonumber(e->L, idx);
    if (isnan(v)) fail(e, "a NaN");
    if (isinf(v)) fail(e, "an infinite number");
    e->out->tail += lq_number_put_float(e->out->data + e->out->tail, v);
}

/* ---- tables -------------------------------------------------------------- */

static void put_value(encoder *e, int idx);

/* The table itself is wrong, not the value inside it that is at hand. */
static _Noreturn void fail_table(encoder *e, const char *what)
{
    e->path = e->path->up;
    fail(e, what);
}

/* What is wrong with the key of a table that has names for keys. */
static _Noreturn void fail_key(encoder *e, int key)
{
    if (lua_isinteger(e->L, key))
        fail_table(e, "a table with both names and indices");
    switch (lua_type(e->L, key)) {
    case LUA_TNUMBER: fail_table(e, "a table with a float as key");
    case LUA_TBOOLEAN: fail_table(e, "a table with a boolean as key");
    default: fail_table(e, "a table with a key that is no string");
    }
}

/* Writes an object. The first key and value are on the stack. */
static void put_object(encoder *e, int table)
{
    int key = e->path->key;
    char before = '{';

    do {
        put_char(e, before);
        before = ',';
        if (lua_type(e->L, key) != LUA_TSTRING) fail_key(e, key);
        put_string(e, key);
        put_char(e, ':');
        put_value(e, key + 1);
        lua_settop(e->L, key);
    } while (lua_next(e->L, table));
    put_char(e, '}');
}

/* How many entries the table has, all of which must make up a sequence. */
static lua_Integer check_sequence(encoder *e, int table)
{
    lua_Integer count = 0, last = 0, i;

    for (lua_pushnil(e->L); lua_next(e->L, table); count++) {
        lua_pop(e->L, 1);
        if (!lua_isinteger(e->L, -1))
            fail_table(e, "a list with other keys than indices");
        i = lua_tointeger(e->L, -1);
        if (i < 1) fail_table(e, "a list with an index below 1");
        if (i > last) last = i;
    }
    if (last != count) fail_table(e, "a list with holes");
    return count;
}

/* Writes the elements from `i` on of a table that does not hold them in
 * order. */
static void put_scattered(encoder *e, int table, lua_Integer i)
{
    lua_Integer count = check_sequence(e, table);
    int key = e->path->key;

    for (; i <= count; i++) {
        lua_settop(e->L, key - 1);
        lua_pushinteger(e->L, i);
        lua_rawgeti(e->L, table, i);
        put_char(e, i == 1 ? '[' : ',');
        put_value(e, key + 1);
    }
}

/* Writes an array. The first key and value are on the stack; most tables give
 * their elements in order. */
static void put_array(encoder *e, int table)
{
    int key = e->path->key;
    lua_Integer i = 1;

    do {
        if (!lua_isinteger(e->L, key) || lua_tointeger(e->L, key) != i) {
            put_scattered(e, table, i);
            break;
        }
        put_char(e, i++ == 1 ? '[' : ',');
        put_value(e, key + 1);
        lua_settop(e->L, key);
    } while (lua_next(e->L, table));
    put_char(e, ']');
}

static bool has_array_mt(encoder *e, int table)
{
    bool found;

    if (!lua_getmetatable(e->L, table)) return false;
    found = lua_topointer(e->L, -1) == e->array_mt || is_marked(e->L, -1);
    lua_pop(e->L, 1);
    return found;
}

static void put_table(encoder *e, int table)
{
    lq_keypath here = {e->path, lua_topointer(e->L, table), 0};
    bool is_array;

    luaL_checkstack(e->L, LUA_MINSTACK, doing);
    if (e->depth == LQ_JSON_DEPTH)
        lq_keypath_fail_depth(e->L, &here, doing, LQ_JSON_DEPTH);
    is_array = has_array_mt(e, table);
    lua_pushnil(e->L);
    here.key = lua_gettop(e->L);
    if (!lua_next(e->L, table)) {
        put(e, is_array ? "[]" : "{}", 2);
        return;
    }
    e->path = &here;
    e->depth++;
    if (is_array || lua_isinteger(e->L, here.key))
        put_array(e, table);
    else
        put_object(e, table);
    e->depth--;
    e->path = here.up;
    lua_settop(e->L, here.key - 1);
}

static _Noreturn void fail_type(encoder *e, int idx)
{
    char what[32];

    snprintf(what, sizeof what, "a %s", luaL_typename(e->L, idx));
    fail(e, what);
}

/* Writes the value at `idx`, an absolute index. */
static void put_value(encoder *e, int idx)
{
    switch (lua_type(e->L, idx)) {
    case LUA_TNIL: put(e, "null", 4); return;
    case LUA_TBOOLEAN:
        if (lua_toboolean(e->L, idx))
            put(e, "true", 4);
        else
            put(e, "false", 5);
        return;
    case LUA_TNUMBER: put_number(e, idx); return;
    case LUA_TSTRING: put_string(e, idx); return;
    case LUA_TTABLE: put_table(e, idx); return;
    case LUA_TLIGHTUSERDATA:
        if (lua_touserdata(e->L, idx)) fail_type(e, idx);
        put(e, "null", 4);
        return;
    default: fail_type(e, idx);
    }
}

void lq_json_encode(lua_State *L, int idx, lq_buf *out)
{
    encoder e = {.L = L, .out = out};

    idx = lua_absindex(L, idx);
    luaL_checkstack(L, LUA_MINSTACK, doing);
    lq_json_push_array_mt(L);
    e.array_mt = lua_topointer(L, -1);
    lua_pop(L, 1);
    put_value(&e, idx);
}

/* ---- the array metatable ------------------------------------------------- */

void lq_json_mark_array_mt(lua_State *L)
{
    lua_pushliteral(L, "luaqueduct.array");
    lua_setfield(L, -2, "__name");
    lua_pushboolean(L, true);
    lua_rawsetp(L, -2, &array_key);
}

void lq_json_push_array_mt(lua_State *L)
{
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &array_key) == LUA_TTABLE) return;
    lua_pop(L, 1);
    lua_createtable(L, 0, 1);
    lua_pushliteral(L, "luaqueduct.array");
    lua_setfield(L, -2, "__name");
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &array_key);
}

bool lq_json_is_array(lua_State *L, int idx)
{
    bool found;

    if (!lua_istable(L, idx) || !lua_getmetatable(L, idx)) return false;
    lq_json_push_array_mt(L);
    found = lua_rawequal(L, -1, -2) || is_marked(L, -2);
    lua_pop(L, 2);
    return found;
}

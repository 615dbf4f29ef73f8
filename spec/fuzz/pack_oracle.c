/* pack_oracle.c - see pack_oracle.h.
 *
 * 0 nil, 1 false, 2 true, 3 null, 4 float, 5 to 8 integers of 1, 2, 4, 8 bytes,
 * 9 and 10 strings with 1 and 4 bytes of length, 11 tables, from 0x40 on
 * strings of 0 to 63 bytes, from 0x80 on integers of 0 to 127. The lowest byte
 * comes first, as on every machine that this has been run on. A table is two
 * bytes that mean nothing, elements, nil, keys with values, nil.
 */
#include "pack_oracle.h"

#include <lauxlib.h>
#include <math.h>

#include "lua/pack.h"

typedef struct reader {
    lua_State *L;
    const unsigned char *at, *end;
    int depth;
} reader;

static bool push_value(reader *r);

static size_t left(const reader *r)
{
    return (size_t)(r->end - r->at);
}

/* Copies `len` bytes to `out`. */
static bool take(reader *r, void *out, size_t len)
{
    if (left(r) < len) return false;
    memcpy(out, r->at, len);
    r->at += len;
    return true;
}

static bool push_bytes(reader *r, size_t len)
{
    if (left(r) < len) return false;
    lua_pushlstring(r->L, (const char *)r->at, len);
    r->at += len;
    return true;
}

static bool push_integer(reader *r, size_t len)
{
    int8_t v8 = 0;
    int16_t v16 = 0;
    int32_t v32 = 0;
    int64_t v64 = 0;

    switch (len) {
    case 1: len = take(r, &v8, 1); break;
    case 2: len = take(r, &v16, 2); break;
    case 4: len = take(r, &v32, 4); break;
    default: len = take(r, &v64, 8); break;
    }
    lua_pushinteger(r->L, v8 + v16 + v32 + v64); /* one of them */
    return len;
}

static bool push_float(reader *r)
{
    double v;

    if (!take(r, &v, sizeof v)) return false;
    lua_pushnumber(r->L, v);
    return true;
}

static bool push_string(reader *r, unsigned tag)
{
    uint8_t len8;
    uint32_t len32;

    if (tag == 9) return take(r, &len8, sizeof len8) && push_bytes(r, len8);
    return take(r, &len32, sizeof len32) && push_bytes(r, len32);
}

/* Whether the value on top may be a key. */
static bool is_key(lua_State *L)
{
    int type = lua_type(L, -1);

    return type == LUA_TSTRING || type == LUA_TBOOLEAN ||
           (type == LUA_TNUMBER && !isnan(lua_tonumber(L, -1)));
}

/* Pushes the next value, unless it is the nil behind the last one: *is_end. */
static bool push_next(reader *r, bool *is_end)
{
    if (!push_value(r)) return false;
    *is_end = lua_isnil(r->L, -1);
    if (*is_end) lua_pop(r->L, 1);
    return true;
}

static bool fill_elements(reader *r)
{
    bool is_end = false;
    lua_Integer i;

    for (i = 1; push_next(r, &is_end); i++) {
        if (is_end) return true;
        lua_rawseti(r->L, -2, i);
    }
    return false;
}

static bool fill_members(reader *r)
{
    bool is_end = false;

    while (push_next(r, &is_end)) {
        if (is_end) return true;
        if (!is_key(r->L)) return false;
        if (!push_next(r, &is_end) || is_end) return false;
        lua_rawset(r->L, -3);
    }
    return false;
}

static bool push_table(reader *r)
{
    unsigned char hints[2];
    bool is_good;

    if (r->depth == LQ_PACK_DEPTH || !take(r, hints, 2)) return false;
    luaL_checkstack(r->L, LUA_MINSTACK, NULL);
    lua_newtable(r->L);
    r->depth++;
    is_good = fill_elements(r) && fill_members(r);
    r->depth--;
    return is_good;
}

/* On failure anything may be on the stack. */
static bool push_value(reader *r)
{
    unsigned char tag;

    if (!take(r, &tag, 1)) return false;
    switch (tag) {
    case 0: lua_pushnil(r->L); return true;
    case 1:
    case 2: lua_pushboolean(r->L, tag == 2); return true;
    case 3: lua_pushlightuserdata(r->L, NULL); return true;
    case 4: return push_float(r);
    case 11: return push_table(r);
    default: break;
    }
    if (tag >= 0x80) {
        lua_pushinteger(r->L, tag - 0x80);
        return true;
    }
    if (tag >= 0x40) return push_bytes(r, tag - 0x40u);
    if (tag == 9 || tag == 10) return push_string(r, tag);
    return tag <= 8 && push_integer(r, (size_t)1 << (tag - 5));
}

bool pack_oracle_push(lua_State *L, lq_str in)
{
    const unsigned char *bytes = (const unsigned char *)in.ptr;
    reader r = {.L = L, .at = bytes, .end = bytes + in.len};
    int top = lua_gettop(L);

    if (push_value(&r) && r.at == r.end) return true;
    lua_settop(L, top);
    return false;
}

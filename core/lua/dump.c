/* dump.c - see dump.h. */
#include "lua/dump.h"

#include <lauxlib.h>
#include <math.h>

#include "base/number.h"
#include "log/cut.h"
#include "log/escape.h"
#include "lua/json.h"

enum { DEPTH = 32 };

/* A table that is being written. */
typedef struct level {
    const struct level *up;
    const void *table;
    int depth;
} level;

static void put(lua_State *L, lq_buf *out, lq_str s)
{
    if (lq_buf_append(out, s.ptr, s.len) < 0)
        luaL_error(L, "not enough memory");
}

static void put_string(lua_State *L, lq_buf *out, lq_str s)
{
    int err = s.len > LQ_DUMP_LONGEST
                  ? lq_cut_escape(out, s, LQ_DUMP_LONGEST, lq_escape_json)
                  : lq_escape_json(out, s);

    if (err < 0) luaL_error(L, "not enough memory");
}

/* As JSON has it, or in quotes. */
static void put_number(lua_State *L, int idx, lq_buf *out)
{
    char text[LQ_NUMBER_MAX];
    lua_Number v = lua_tonumber(L, idx);
    size_t len;

    if (lua_isinteger(L, idx))
        len = lq_number_put_int(text, lua_tointeger(L, idx));
    else if (isfinite(v))
        len = lq_number_put_float(text, v);
    else {
        put_string(L, out,
                   isnan(v) ? LQ_STR("nan")
                   : v > 0  ? LQ_STR("inf")
                            : LQ_STR("-inf"));
        return;
    }
    put(L, out, (lq_str){text, len});
}

static void put_type(lua_State *L, int idx, lq_buf *out)
{
    const char *name = luaL_typename(L, idx);

    put_string(L, out, (lq_str){name, strlen(name)});
}

/* What is no table. lua_tolstring would change a number, and may collect. */
static void put_plain(lua_State *L, int idx, lq_buf *out)
{
    lq_str s;

    switch (lua_type(L, idx)) {
    case LUA_TNIL: put(L, out, LQ_STR("null")); break;
    case LUA_TBOOLEAN:
        put(L, out, lua_toboolean(L, idx) ? LQ_STR("true") : LQ_STR("false"));
        break;
    case LUA_TNUMBER: put_number(L, idx, out); break;
    case LUA_TSTRING:
        s.ptr = lua_tolstring(L, idx, &s.len);
        put_string(L, out, s);
        break;
    case LUA_TLIGHTUSERDATA:
        if (lua_touserdata(L, idx))
            put_type(L, idx, out);
        else
            put(L, out, LQ_STR("null"));
        break;
    default: put_type(L, idx, out); break;
    }
}

/* A name in quotes, whatever the key is. */
static void put_key(lua_State *L, int idx, lq_buf *out)
{
    int type = lua_type(L, idx);
    bool is_bare = type == LUA_TBOOLEAN ||
                   (type == LUA_TNUMBER && isfinite(lua_tonumber(L, idx)));

    if (is_bare) put(L, out, LQ_STR("\""));
    put_plain(L, idx, out);
    if (is_bare) put(L, out, LQ_STR("\""));
}

static bool is_written(const level *at, const void *table)
{
    while (at && at->table != table) at = at->up;
    return at != NULL;
}

static void put_value(lua_State *L, int idx, const level *in, lq_buf *out);

static bool is_index(lua_State *L, int idx, lua_Integer most)
{
    return lua_isinteger(L, idx) && lua_tointeger(L, idx) >= 1 &&
           lua_tointeger(L, idx) <= most;
}

/* How long it is if its keys are 1 to n, else -1; without any it is what its
 * metatable says. */
static lua_Integer sequence_length(lua_State *L, int table)
{
    int top = lua_gettop(L);
    lua_Integer len = (lua_Integer)lua_rawlen(L, table), count = 0;
    bool is_sequence = true;

    lua_pushnil(L);
    while (is_sequence && lua_next(L, table)) {
        is_sequence = is_index(L, top + 1, len);
        lua_settop(L, top + 1);
        count++;
    }
    lua_settop(L, top);
    if (!is_sequence || count != len) return -1;
    return len > 0 || lq_json_is_array(L, table) ? len : -1;
}

/* Whether there is room for one more; else something stands for the rest. */
static bool begin_member(lua_State *L, size_t count, lq_buf *out, lq_str rest)
{
    if (count > 0) put(L, out, LQ_STR(","));
    if (lq_buf_len(out) < LQ_DUMP_LONGEST) return true;
    put(L, out, rest);
    return false;
}

static void put_array(lua_State *L, int table, lua_Integer len,
                      const level *here, lq_buf *out)
{
    lua_Integer i;

    put(L, out, LQ_STR("["));
    for (i = 1; i <= len; i++) {
        if (!begin_member(L, (size_t)i - 1, out, LQ_STR("\"...\""))) break;
        lua_rawgeti(L, table, i);
        put_value(L, lua_gettop(L), here, out);
        lua_pop(L, 1);
    }
    put(L, out, LQ_STR("]"));
}

static void put_object(lua_State *L, int table, const level *here, lq_buf *out)
{
    int key = lua_gettop(L) + 1;
    size_t count = 0;

    put(L, out, LQ_STR("{"));
    for (lua_pushnil(L); lua_next(L, table); lua_settop(L, key)) {
        if (!begin_member(L, count++, out, LQ_STR("\"...\":\"...\""))) break;
        put_key(L, key, out);
        put(L, out, LQ_STR(":"));
        put_value(L, key + 1, here, out);
    }
    lua_settop(L, key - 1);
    put(L, out, LQ_STR("}"));
}

static void put_table(lua_State *L, int idx, const level *in, lq_buf *out)
{
    level here = {in, lua_topointer(L, idx), in ? in->depth + 1 : 1};
    lua_Integer len;

    if (here.depth > DEPTH || is_written(in, here.table)) {
        put_string(L, out, LQ_STR("..."));
        return;
    }
    luaL_checkstack(L, LUA_MINSTACK, "too deep");
    len = sequence_length(L, idx);
    if (len >= 0)
        put_array(L, idx, len, &here, out);
    else
        put_object(L, idx, &here, out);
}

static void put_value(lua_State *L, int idx, const level *in, lq_buf *out)
{
    if (lua_type(L, idx) == LUA_TTABLE)
        put_table(L, idx, in, out);
    else
        put_plain(L, idx, out);
}

void lq_dump_put(lua_State *L, int idx, lq_buf *out)
{
    put_table(L, lua_absindex(L, idx), NULL, out);
}

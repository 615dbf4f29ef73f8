/* lib_url.c - luaqueduct.core.url.
 *
 * Owns:    nothing.
 * Thread:  that of the state.
 * Knows:   error, http/url.
 */
#include <lauxlib.h>

#include "base/err.h"
#include "http/url.h"
#include "lua/error.h"
#include "lua/libs.h"

enum { PAIRS_MAX = 1000 };

static lq_str check_str(lua_State *L, int i)
{
    lq_str s;

    s.ptr = luaL_checklstring(L, i, &s.len);
    return s;
}

/* Pushes `text` decoded, or nothing and returns LQ_EINVALID. */
static int push_decoded(lua_State *L, lq_str text, bool plus_is_space)
{
    luaL_Buffer b;
    char *out = luaL_buffinitsize(L, &b, text.len);
    ssize_t len = lq_url_decode(out, text, plus_is_space);

    luaL_pushresultsize(&b, len < 0 ? 0 : (size_t)len);
    if (len >= 0) return 0;
    lua_pop(L, 1);
    return LQ_EINVALID;
}

static int push_broken(lua_State *L)
{
    return lq_push_failure(L, LQ_EINVALID, "broken percent-encoding");
}

/* url.decode(text, plus_is_space?) -> string | nil, err */
static int url_decode(lua_State *L)
{
    if (push_decoded(L, check_str(L, 1), lua_toboolean(L, 2)) < 0)
        return push_broken(L);
    return 1;
}

/* url.encode(text) -> string */
static int url_encode(lua_State *L)
{
    lq_str text = check_str(L, 1);
    luaL_Buffer b;
    char *out;

    luaL_argcheck(L, text.len <= SIZE_MAX / 6, 1, "too long");
    out = luaL_buffinitsize(L, &b, 3 * text.len);
    luaL_pushresultsize(&b, lq_url_encode(out, text));
    return 1;
}

/* stack: ..., first, list, name, value -> ..., first, list */
static void add_pair(lua_State *L, int first, lua_Integer n)
{
    lua_pushvalue(L, -2);
    if (lua_rawget(L, first) == LUA_TNIL) {
        lua_pushvalue(L, -3); /* name, value, nil, name */
        lua_pushvalue(L, -3); /* name, value, nil, name, value */
        lua_rawset(L, first);
    }
    lua_pop(L, 1);
    lua_createtable(L, 2, 0);
    lua_insert(L, -3); /* pair, name, value */
    lua_rawseti(L, -3, 2);
    lua_rawseti(L, -2, 1);
    lua_rawseti(L, first + 1, n);
}

/* url.parse_query(text) -> first values by name, list of { name, value }
 *                        | nil, err */
static int url_parse_query(lua_State *L)
{
    lq_str rest = check_str(L, 1), name, value;
    lua_Integer n = 0;

    lua_settop(L, 1);
    lua_newtable(L);
    lua_newtable(L);
    while (lq_url_next_pair(&rest, &name, &value)) {
        if (n == PAIRS_MAX)
            return lq_push_failure(L, LQ_ETOOLARGE, "more than 1000 pairs");
        if (push_decoded(L, name, true) < 0 || push_decoded(L, value, true) < 0)
            return push_broken(L);
        add_pair(L, 2, ++n);
    }
    return 2;
}

static const luaL_Reg functions[] = {
    {"decode", url_decode},
    {"encode", url_encode},
    {"parse_query", url_parse_query},
    {NULL, NULL},
};

int luaopen_luaqueduct_core_url(lua_State *L)
{
    luaL_newlib(L, functions);
    return 1;
}

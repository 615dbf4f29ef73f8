/* pairs.c - see pairs.h. */
#include "lua/pairs.h"

#include <lauxlib.h>
#include <string.h>
#include <sys/types.h>

#include "base/err.h"
#include "http/url.h"

enum { PAIRS_MAX = 1000 }; /* of a query or a form */

bool lq_push_decoded(lua_State *L, lq_str raw, bool plus)
{
    luaL_Buffer b;
    char *out;
    ssize_t len;

    if (!memchr(raw.ptr ? raw.ptr : "", '%', raw.len) &&
        !(plus && raw.len && memchr(raw.ptr, '+', raw.len))) {
        lua_pushlstring(L, raw.ptr ? raw.ptr : "", raw.len);
        return true;
    }
    out = luaL_buffinitsize(L, &b, raw.len);
    len = lq_url_decode(out, raw, plus);
    luaL_pushresultsize(&b, len < 0 ? 0 : (size_t)len);
    if (len >= 0) return true;
    lua_pop(L, 1);
    lua_pushnil(L);
    return false;
}

int lq_push_pairs(lua_State *L, lq_str text, bool all)
{
    lq_str name, value;
    int count = 0, err = 0;

    lua_newtable(L);
    while (lq_url_next_pair(&text, &name, &value)) {
        if (++count > PAIRS_MAX) return LQ_ETOOLARGE;
        if (!lq_push_decoded(L, name, true)) {
            lua_pop(L, 1);
            err = LQ_EINVALID;
            continue;
        }
        lua_pushvalue(L, -1); /* table name name */
        if (lua_rawget(L, -3) == LUA_TNIL && all) {
            lua_pop(L, 1);
            lua_newtable(L);
            lua_pushvalue(L, -2);
            lua_pushvalue(L, -2);
            lua_rawset(L, -5); /* table name list */
        }
        if (!lq_push_decoded(L, value, true)) {
            err = LQ_EINVALID;
            lua_pop(L, 3);
        } else if (all) {
            lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
            lua_pop(L, 2);
        } else if (lua_isnil(L, -2)) {
            lua_remove(L, -2);
            lua_rawset(L, -3);
        } else {
            lua_pop(L, 3);
        }
    }
    return err;
}

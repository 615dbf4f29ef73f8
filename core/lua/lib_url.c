/* lib_url.c - luaqueduct.core.url: percent-encoding for Lua.
 *
 * Owns:    nothing.
 * Thread:  that of the state.
 * Knows:   http/url.
 */
#include <lauxlib.h>

#include "base/err.h"
#include "http/url.h"
#include "lua/error.h"
#include "lua/libs.h"

/* url.decode(s, plus_is_space?) -> string | nil, err */
static int url_decode(lua_State *L)
{
    luaL_Buffer b;
    lq_str in;
    char *out;
    ssize_t len;

    in.ptr = luaL_checklstring(L, 1, &in.len);
    out = luaL_buffinitsize(L, &b, in.len);
    len = lq_url_decode(out, in, lua_toboolean(L, 2));
    if (len < 0)
        return lq_push_failure(L, LQ_EINVALID, "a % without two hex digits");
    luaL_pushresultsize(&b, (size_t)len);
    return 1;
}

static bool is_unreserved(char ch)
{
    return (ch >= '0' && ch <= '9') ||
           ((ch | 0x20) >= 'a' && (ch | 0x20) <= 'z') || ch == '-' ||
           ch == '.' || ch == '_' || ch == '~';
}

/* url.encode(s) -> string */
static int url_encode(lua_State *L)
{
    static const char hex[] = "0123456789ABCDEF";
    luaL_Buffer b;
    size_t i, len;
    const char *s = luaL_checklstring(L, 1, &len);

    luaL_buffinit(L, &b);
    for (i = 0; i < len; i++) {
        if (is_unreserved(s[i])) {
            luaL_addchar(&b, s[i]);
            continue;
        }
        luaL_addchar(&b, '%');
        luaL_addchar(&b, hex[(unsigned char)s[i] >> 4]);
        luaL_addchar(&b, hex[(unsigned char)s[i] & 15]);
    }
    luaL_pushresult(&b);
    return 1;
}

static const luaL_Reg functions[] = {
    {"decode", url_decode},
    {"encode", url_encode},
    {NULL, NULL},
};

int luaopen_luaqueduct_core_url(lua_State *L)
{
    luaL_newlib(L, functions);
    return 1;
}

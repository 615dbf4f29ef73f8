/* lib_forwarded.c - addresses, ranges and what proxies tell, for the specs.
 *
 * Texts and fields stand in memory of their own that is as large as it must
 * be, so that a sanitizer sees every byte read beyond its end.
 *
 * Owns:    nothing that outlives a call.
 * Thread:  none.
 * Life:    a Lua module without state.
 * Knows:   base, http, lua.
 */
#include <lauxlib.h>
#include <lua.h>

#include "base/mem.h"
#include "http/forwarded.h"

int luaopen_spec_forwarded(lua_State *L);

enum { RANGES_MAX = 16, FIELDS_MAX = 2000 };

/* Gives the string at `i` in memory of its own. */
static lq_str copy_of(lua_State *L, int i)
{
    size_t len;
    const char *text = luaL_checklstring(L, i, &len);
    char *copy = lq_mem_alloc(len);

    if (!copy) luaL_error(L, "not enough memory");
    if (len) memcpy(copy, text, len);
    return (lq_str){copy, len};
}

/* address(text) -> the same in its shortest form | nil */
static int forwarded_address(lua_State *L)
{
    char text[LQ_ADDRESS_TEXT];
    lq_str s = copy_of(L, 1);
    lq_address a;
    bool is_good = lq_address_read(&a, s);

    lq_mem_free((void *)s.ptr);
    if (!is_good) return 0;
    lq_address_write(&a, text);
    lua_pushstring(L, text);
    return 1;
}

static bool read_range(lua_State *L, int i, lq_range *out)
{
    lq_str s = copy_of(L, i);
    bool is_good = lq_range_read(out, s);

    lq_mem_free((void *)s.ptr);
    return is_good;
}

/* range(text, address) -> whether it has the address, which may be "unix:" |
 * nil when it is no range */
static int forwarded_range(lua_State *L)
{
    lq_address a = {.kind = LQ_ADDRESS_UNIX};
    lq_range range;
    size_t len;
    const char *text = luaL_checklstring(L, 2, &len);

    if (!read_range(L, 1, &range)) return 0;
    if (strcmp(text, "unix:") != 0 && !lq_address_read(&a, (lq_str){text, len}))
        return luaL_argerror(L, 2, "no address");
    lua_pushboolean(L, lq_range_has(&range, &a));
    return 1;
}

/* ---- a head from a list of { name, value } ------------------------------- */

/* Adds the string at the top of the stack to the head and pops it. */
static uint32_t add_text(lua_State *L, char **at, const char *base,
                         uint32_t *len)
{
    size_t n;
    const char *text = luaL_checklstring(L, -1, &n);
    uint32_t offset = (uint32_t)(*at - base);

    if (n) memcpy(*at, text, n);
    *at += n;
    *len = (uint32_t)n;
    lua_pop(L, 1);
    return offset;
}

static size_t text_len(lua_State *L, int list, lua_Integer count)
{
    size_t total = 0;
    lua_Integer i;
    int k;

    for (i = 1; i <= count; i++) {
        lua_rawgeti(L, list, i);
        for (k = 1; k <= 2; k++) {
            lua_rawgeti(L, -1, k);
            luaL_checkstring(L, -1);
            total += lua_rawlen(L, -1);
            lua_pop(L, 1);
        }
        lua_pop(L, 1);
    }
    return total;
}

static void fill_head(lua_State *L, int list, lq_request *r, char *base)
{
    char *at = base;
    uint32_t i;

    for (i = 0; i < r->header_count; i++) {
        lua_rawgeti(L, list, (lua_Integer)i + 1);
        lua_rawgeti(L, -1, 1);
        r->headers[i].name = add_text(L, &at, base, &r->headers[i].name_len);
        lua_rawgeti(L, -1, 2);
        r->headers[i].value = add_text(L, &at, base, &r->headers[i].value_len);
        lua_pop(L, 1);
    }
}

static void set_result(lua_State *L, const lq_forwarded *f)
{
    lua_newtable(L);
    if (*f->address) {
        lua_pushstring(L, f->address);
        lua_setfield(L, -2, "address");
    }
    if (f->port) {
        lua_pushinteger(L, f->port);
        lua_setfield(L, -2, "port");
    }
    if (f->scheme) {
        lua_pushstring(L, f->scheme);
        lua_setfield(L, -2, "scheme");
    }
    if (*f->host) {
        lua_pushstring(L, f->host);
        lua_setfield(L, -2, "host");
    }
}

static void read_ranges(lua_State *L, int list, lq_range *ranges,
                        lq_trust *trust)
{
    lua_Integer i, n = luaL_len(L, list);

    luaL_argcheck(L, n <= RANGES_MAX, list, "too many");
    for (i = 0; i < n; i++) {
        lua_rawgeti(L, list, i + 1);
        if (!read_range(L, -1, &ranges[i])) luaL_argerror(L, list, "no range");
        lua_pop(L, 1);
    }
    *trust = (lq_trust){ranges, (size_t)n};
}

/* read(list of { name, value }, ranges) -> { address, port, scheme, host } |
 * nil, why */
static int forwarded_read(lua_State *L)
{
    lua_Integer count = luaL_len(L, 1);
    size_t len = text_len(L, 1, count);
    lq_header headers[FIELDS_MAX];
    lq_range ranges[RANGES_MAX];
    lq_request r = {.headers = headers, .header_count = (uint32_t)count};
    lq_trust trust;
    lq_forwarded f;
    lq_err err;
    char *base;
    int code;

    luaL_argcheck(L, count <= FIELDS_MAX, 1, "too many");
    read_ranges(L, 2, ranges, &trust);
    base = lq_mem_alloc(len);
    if (!base) return luaL_error(L, "not enough memory");
    fill_head(L, 1, &r, base);
    r.base = base;
    code = lq_forwarded_read(&f, &r, &trust, &err);
    lq_mem_free(base);
    set_result(L, &f);
    if (code == 0) return 1;
    lua_pushnil(L);
    if (lua_next(L, -2)) return luaL_error(L, "a refused one tells something");
    lua_pushnil(L);
    lua_pushstring(L, err.text);
    return 2;
}

static const luaL_Reg functions[] = {
    {"address", forwarded_address},
    {"range", forwarded_range},
    {"read", forwarded_read},
    {NULL, NULL},
};

int luaopen_spec_forwarded(lua_State *L)
{
    luaL_newlib(L, functions);
    return 1;
}

/* headers.c - see headers.h. */
#include "lua/headers.h"

#include <lauxlib.h>
#include <string.h>

#include "lua/request.h"

#define HEADERS_TYPE "luaqueduct.Headers"

/* ---- one field ----------------------------------------------------------- */

/* Pushes the values of the field, joined with ", " ("; " for cookies), or nil.
 */
static void push_header(lua_State *L, const lq_request *r, lq_str name)
{
    const char *glue =
        lq_str_equal_nocase(name, LQ_STR("cookie")) ? "; " : ", ";
    int found = 0;
    uint32_t i;
    luaL_Buffer b;
    lq_str value, first = {NULL, 0};

    for (i = 0; i < r->header_count; i++) {
        if (!lq_str_equal_nocase(lq_request_name(r, i), name)) continue;
        value = lq_request_value(r, i);
        if (++found == 1) {
            first = value;
            continue;
        }
        if (found == 2) {
            luaL_buffinit(L, &b);
            luaL_addlstring(&b, first.ptr ? first.ptr : "", first.len);
        }
        luaL_addstring(&b, glue);
        luaL_addlstring(&b, value.ptr ? value.ptr : "", value.len);
    }
    if (found > 1)
        luaL_pushresult(&b);
    else if (found)
        lua_pushlstring(L, first.ptr ? first.ptr : "", first.len);
    else
        lua_pushnil(L);
}

/* Pushes the name in lower case. */
static void push_lower(lua_State *L, lq_str name)
{
    luaL_Buffer b;
    char *out = luaL_buffinitsize(L, &b, name.len);
    size_t i;

    for (i = 0; i < name.len; i++)
        out[i] = name.ptr[i] >= 'A' && name.ptr[i] <= 'Z'
                     ? (char)(name.ptr[i] + 32)
                     : name.ptr[i];
    luaL_pushresultsize(&b, name.len);
}

int lq_header_all(lua_State *L)
{
    const lq_request *r = &lq_check_request(L, 1)->parser.request;
    lua_Integer n = 0;
    uint32_t i;
    lq_str name, value;

    name.ptr = luaL_checklstring(L, 2, &name.len);
    lua_newtable(L);
    for (i = 0; i < r->header_count; i++) {
        if (!lq_str_equal_nocase(lq_request_name(r, i), name)) continue;
        value = lq_request_value(r, i);
        lua_pushlstring(L, value.ptr ? value.ptr : "", value.len);
        lua_rawseti(L, -2, ++n);
    }
    return 1;
}

/* ---- req.headers --------------------------------------------------------- */

/* The exchange of a headers object: its user value is the request. */
static lq_exchange *check_headers(lua_State *L)
{
    lq_exchange *x;

    luaL_checkudata(L, 1, HEADERS_TYPE);
    lua_getiuservalue(L, 1, 1);
    x = lq_check_request(L, -1);
    lua_pop(L, 1);
    return x;
}

static int mt_index(lua_State *L)
{
    lq_exchange *x = check_headers(L);
    lq_str name;

    if (lua_type(L, 2) != LUA_TSTRING) return 0;
    name.ptr = lua_tolstring(L, 2, &name.len);
    push_header(L, &x->parser.request, name);
    return 1;
}

/* pairs(req.headers): over a table made for it. */
static int mt_pairs(lua_State *L)
{
    const lq_request *r = &check_headers(L)->parser.request;
    uint32_t i;

    lua_getglobal(L, "next");
    lua_createtable(L, 0, (int)r->header_count);
    for (i = 0; i < r->header_count; i++) {
        push_lower(L, lq_request_name(r, i));
        push_header(L, r, lq_request_name(r, i));
        lua_rawset(L, -3);
    }
    lua_pushnil(L);
    return 3;
}

static int mt_newindex(lua_State *L)
{
    return luaL_error(L, "the headers of a request cannot be changed; "
                         "req.context is there to pass things on");
}

void lq_push_headers(lua_State *L, int request)
{
    lua_newuserdatauv(L, 1, 1);
    lua_pushvalue(L, request);
    lua_setiuservalue(L, -2, 1);
    luaL_setmetatable(L, HEADERS_TYPE);
}

static const luaL_Reg metamethods[] = {
    {"__index", mt_index},
    {"__newindex", mt_newindex},
    {"__pairs", mt_pairs},
    {NULL, NULL},
};

void lq_headers_register(lua_State *L)
{
    luaL_newmetatable(L, HEADERS_TYPE);
    luaL_setfuncs(L, metamethods, 0);
    lua_pop(L, 1);
}

/* ---- req.cookies --------------------------------------------------------- */

static lq_str trim(lq_str s)
{
    while (s.len && (*s.ptr == ' ' || *s.ptr == '\t')) s.ptr++, s.len--;
    while (s.len && (s.ptr[s.len - 1] == ' ' || s.ptr[s.len - 1] == '\t'))
        s.len--;
    return s;
}

/* `name=value` of a Cookie header; the first of a name counts. */
static void add_cookie(lua_State *L, lq_str pair)
{
    const char *eq = pair.len ? memchr(pair.ptr, '=', pair.len) : NULL;
    lq_str name, value;

    if (!eq) return;
    name = trim((lq_str){pair.ptr, (size_t)(eq - pair.ptr)});
    value = trim((lq_str){eq + 1, (size_t)(pair.ptr + pair.len - eq - 1)});
    if (value.len >= 2 && *value.ptr == '"' && value.ptr[value.len - 1] == '"')
        value = (lq_str){value.ptr + 1, value.len - 2};
    lua_pushlstring(L, name.ptr, name.len);
    lua_pushvalue(L, -1);
    if (lua_rawget(L, -3) != LUA_TNIL) {
        lua_pop(L, 2);
        return;
    }
    lua_pop(L, 1);
    lua_pushlstring(L, value.ptr, value.len);
    lua_rawset(L, -3);
}

static void add_cookies(lua_State *L, lq_str line)
{
    const char *end;
    size_t len;

    while (line.len) {
        end = memchr(line.ptr, ';', line.len);
        len = end ? (size_t)(end - line.ptr) : line.len;
        add_cookie(L, trim((lq_str){line.ptr, len}));
        if (end) len++;
        line.ptr += len;
        line.len -= len;
    }
}

void lq_push_cookies(lua_State *L, const lq_request *r)
{
    uint32_t i;

    lua_newtable(L);
    for (i = 0; i < r->header_count; i++)
        if (lq_str_equal_nocase(lq_request_name(r, i), LQ_STR("cookie")))
            add_cookies(L, lq_request_value(r, i));
}

/* keypath.c - see keypath.h. */
#include "lua/keypath.h"

#include <stdio.h>

#include <lauxlib.h>

#include "base/utf8.h"

enum {
    KEY_SHOWN = 40,   /* bytes of one key that are shown */
    PATH_SHOWN = 200, /* bytes of a path that are shown, about */
};

static bool is_name_char(char c)
{
    return c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c >= '0' && c <= '9');
}

static bool is_name(lq_str s)
{
    size_t i;

    if (s.len == 0 || s.len > KEY_SHOWN || (s.ptr[0] >= '0' && s.ptr[0] <= '9'))
        return false;
    for (i = 0; i < s.len; i++)
        if (!is_name_char(s.ptr[i])) return false;
    return true;
}

/* Shows `s` in quotes: cut when long, what no terminal should see as \ddd. */
static void add_quoted(lua_State *L, luaL_Buffer *text, lq_str s)
{
    lq_str shown = {s.ptr, s.len < KEY_SHOWN ? s.len : KEY_SHOWN};
    size_t valid = lq_utf8_prefix(shown), i;

    luaL_addchar(text, '"');
    for (i = 0; i < shown.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];

        if (c >= 0x20 && c != 0x7F && (c < 0x80 || i < valid)) {
            luaL_addchar(text, (char)c);
        } else {
            lua_pushfstring(L, "\\%d", (int)c);
            luaL_addvalue(text);
        }
    }
    luaL_addstring(text, shown.len < s.len ? "...\"" : "\"");
}

static void add_name(lua_State *L, luaL_Buffer *text, lq_str s)
{
    if (is_name(s)) {
        if (luaL_bufflen(text)) luaL_addchar(text, '.');
        luaL_addlstring(text, s.ptr, s.len);
        return;
    }
    luaL_addchar(text, '[');
    add_quoted(L, text, s);
    luaL_addchar(text, ']');
}

static void add_key(lua_State *L, luaL_Buffer *text, int key)
{
    lq_str s;

    switch (lua_type(L, key)) {
    case LUA_TSTRING:
        s.ptr = lua_tolstring(L, key, &s.len);
        add_name(L, text, s);
        return;
    case LUA_TNUMBER:
        lua_pushvalue(L, key); /* lua_tolstring would change the key itself */
        lua_pushfstring(L, "[%s]", lua_tostring(L, -1));
        lua_remove(L, -2);
        break;
    case LUA_TBOOLEAN:
        lua_pushfstring(L, "[%s]", lua_toboolean(L, key) ? "true" : "false");
        break;
    default: lua_pushfstring(L, "[a %s]", luaL_typename(L, key));
    }
    luaL_addvalue(text);
}

/* The outermost key first. */
static void add_path(lua_State *L, luaL_Buffer *text, const lq_keypath *path)
{
    if (path->up) add_path(L, text, path->up);
    if (luaL_bufflen(text) < PATH_SHOWN) add_key(L, text, path->key);
}

/* Pushes the path as text. */
static const char *push_path(lua_State *L, const lq_keypath *path)
{
    luaL_Buffer text;

    luaL_buffinit(L, &text);
    add_path(L, &text, path);
    if (luaL_bufflen(&text) >= PATH_SHOWN) luaL_addstring(&text, "...");
    luaL_pushresult(&text);
    return lua_tostring(L, -1);
}

_Noreturn void lq_keypath_fail(lua_State *L, const lq_keypath *path,
                               const char *doing, const char *what)
{
    luaL_checkstack(L, LUA_MINSTACK, doing);
    if (path)
        luaL_error(L, "%s: %s at %s", doing, what, push_path(L, path));
    else
        luaL_error(L, "%s: %s", doing, what);
    __builtin_unreachable();
}

static bool is_repeated(const lq_keypath *at)
{
    const lq_keypath *outer;

    for (outer = at->up; outer; outer = outer->up)
        if (outer->table == at->table) return true;
    return false;
}

_Noreturn void lq_keypath_fail_depth(lua_State *L, const lq_keypath *deepest,
                                     const char *doing, int max)
{
    const lq_keypath *at, *outermost = NULL;
    char what[48];

    for (at = deepest; at; at = at->up)
        if (is_repeated(at)) outermost = at;
    if (outermost) lq_keypath_fail(L, outermost->up, doing, "a cycle");
    snprintf(what, sizeof what, "more than %d levels", max);
    lq_keypath_fail(L, deepest->up, doing, what);
}

/* lib_source.c - see lib_source.h; and luaqueduct.core.source, by which the
 * app's script comes from there, too.
 *
 * Owns:    nothing.
 * Thread:  that of the state.
 * Knows:   code, vm.
 */
#include "lua/lib_source.h"

#include <errno.h>
#include <lauxlib.h>

#include "base/err.h"
#include "lua/code.h"
#include "lua/libs.h"
#include "lua/vm.h"

static lq_code *code_of(lua_State *L)
{
    return lq_vm_of(L)->cfg.code;
}

/* ---- text -> function ---------------------------------------------------- */

static bool begins_with(lq_str text, const char *what, size_t len)
{
    return text.len >= len && memcmp(text.ptr, what, len) == 0;
}

static lq_str skip(lq_str text, size_t len)
{
    return (lq_str){text.ptr + len, text.len - len};
}

/* As luaL_loadfile: without a byte order mark and a first line with `#`, whose
 * end stays for the sake of line numbers, unless bytecode follows. */
static lq_str strip(lq_str text)
{
    const char *end;

    if (begins_with(text, "\xEF\xBB\xBF", 3)) text = skip(text, 3);
    if (!begins_with(text, "#", 1)) return text;
    end = memchr(text.ptr, '\n', text.len);
    text = end ? skip(text, (size_t)(end - text.ptr)) : skip(text, text.len);
    return begins_with(text, "\n" LUA_SIGNATURE, sizeof LUA_SIGNATURE)
               ? skip(text, 1)
               : text;
}

/* Pushes the function, or the message of the compiler. */
static int load_text(lua_State *L, lq_str text, const char *path,
                     const char *mode)
{
    const char *name = lua_pushfstring(L, "@%s", path);
    int status;

    text = strip(text);
    status = luaL_loadbufferx(L, text.ptr, text.len, name, mode);
    lua_remove(L, -2);
    return status;
}

/* source.load(path) -> function | nil, message */
static int source_load(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1);
    char buf[128];
    lq_str text;
    int err = lq_code_read(code_of(L), path, &text);

    if (err == 0) {
        if (load_text(L, text, path, "t") == LUA_OK) return 1;
    } else {
        lua_pushfstring(L, "cannot open %s: %s", path,
                        lq_strerror(err, buf, sizeof buf));
    }
    luaL_pushfail(L);
    lua_insert(L, -2);
    return 2;
}

/* ---- require ------------------------------------------------------------- */

/* "a.b" in "./?.lua;/x/?.lua" -> "./a/b.lua;/x/a/b.lua", pushed. */
static const char *push_paths(lua_State *L, const char *name)
{
    const char *path;

    lua_getfield(L, lua_upvalueindex(1), "path");
    path = lua_tostring(L, -1);
    if (!path) {
        lua_pushliteral(L, "'package.path' must be a string");
        lua_error(L);
    }
    name = luaL_gsub(L, name, ".", LUA_DIRSEP);
    return luaL_gsub(L, path, LUA_PATH_MARK, name);
}

/* Pushes the first of the paths, and returns where the others begin; NULL: it
 * was the last one. */
static const char *push_first(lua_State *L, const char *paths)
{
    const char *end = strchr(paths, *LUA_PATH_SEP);

    lua_pushlstring(L, paths, end ? (size_t)(end - paths) : strlen(paths));
    return end ? end + 1 : NULL;
}

/* "no file './x.lua'", with the reason where it is another one. */
static void add_missing(lua_State *L, luaL_Buffer *missing, const char *path,
                        int err)
{
    char buf[128];

    if (lq_code_is_passing(err)) {
        lua_pushfstring(L, "cannot read '%s': %s", path,
                        lq_strerror(err, buf, sizeof buf));
        lua_error(L);
    }
    if (luaL_bufflen(missing)) luaL_addstring(missing, "\n\t");
    luaL_addstring(missing, "no file '");
    luaL_addstring(missing, path);
    luaL_addchar(missing, '\'');
    if (err == -ENOENT || err == -ENOTDIR) return;
    luaL_addstring(missing, " that can be read: ");
    luaL_addstring(missing, lq_strerror(err, buf, sizeof buf));
}

/* Stands in for the second of package.searchers; upvalue 1 is `package`. No
 * error has a place in front: it would be that of our `require`.
 * searcher(name) -> function, path | message */
static int search(lua_State *L)
{
    const char *name = luaL_checkstring(L, 1), *path = NULL;
    const char *paths = push_paths(L, name);
    luaL_Buffer missing;
    lq_str text;
    int err, at;

    lua_settop(L, lua_gettop(L) + 1); /* the path has this place */
    at = lua_gettop(L);
    luaL_buffinit(L, &missing);
    while (paths) {
        paths = push_first(L, paths);
        lua_replace(L, at);
        path = lua_tostring(L, at);
        err = lq_code_read(code_of(L), path, &text);
        if (err == 0) break;
        add_missing(L, &missing, path, err);
        path = NULL;
    }
    luaL_pushresult(&missing);
    if (!path) return 1;
    if (load_text(L, text, path, NULL) != LUA_OK) {
        lua_pushfstring(L, "error loading module '%s' from file '%s':\n\t%s",
                        name, path, lua_tostring(L, -1));
        return lua_error(L);
    }
    lua_pushvalue(L, at);
    return 2;
}

/* ---- loadfile, dofile ---------------------------------------------------- */

static int return_all(lua_State *L, int status, lua_KContext context)
{
    (void)status;
    (void)context;
    return lua_gettop(L);
}

/* What the app reads by itself is read anew each time, but it is noted; upvalue
 * 1 is the stock function. */
static int note_first(lua_State *L)
{
    const char *path = luaL_optstring(L, 1, NULL);

    if (path) lq_code_note(code_of(L), path);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_callk(L, lua_gettop(L) - 1, LUA_MULTRET, 0, return_all);
    return return_all(L, LUA_OK, 0);
}

static void wrap_global(lua_State *L, const char *name)
{
    lua_getglobal(L, name);
    lua_pushcclosure(L, note_first, 1);
    lua_setglobal(L, name);
}

void lq_source_install(lua_State *L)
{
    wrap_global(L, "loadfile");
    wrap_global(L, "dofile");
    lua_getglobal(L, "package");
    lua_getfield(L, -1, "searchers");
    lua_pushvalue(L, -2);
    lua_pushcclosure(L, search, 1);
    lua_rawseti(L, -2, 2);
    lua_pop(L, 2);
}

static const luaL_Reg functions[] = {
    {"load", source_load},
    {NULL, NULL},
};

int luaopen_luaqueduct_core_source(lua_State *L)
{
    luaL_newlib(L, functions);
    return 1;
}

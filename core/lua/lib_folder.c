/* lib_folder.c - luaqueduct.core.folder: what Lua's io library does not do.
 *
 * It waits for the disk, so no worker uses it: the command line does.
 *
 * Owns:    nothing.
 * Thread:  that of the state.
 * Knows:   error.
 */
#include <dirent.h>
#include <errno.h>
#include <lauxlib.h>
#include <string.h>
#include <sys/stat.h>

#include "lua/error.h"
#include "lua/libs.h"

#define READER_TYPE "luaqueduct.core.folder.reader"

/* An open folder in a userdata: filling the list may raise. */
static int close_reader(lua_State *L)
{
    DIR **dir = luaL_checkudata(L, 1, READER_TYPE);

    if (*dir) closedir(*dir);
    *dir = NULL;
    return 0;
}

static DIR **push_reader(lua_State *L)
{
    DIR **dir = lua_newuserdatauv(L, sizeof *dir, 0);

    *dir = NULL;
    if (luaL_newmetatable(L, READER_TYPE)) {
        lua_pushcfunction(L, close_reader);
        lua_setfield(L, -2, "__gc");
    }
    lua_setmetatable(L, -2);
    return dir;
}

/* folder.list(path) -> names in no order, without . and .. | nil, err */
static int folder_list(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1);
    DIR **dir = push_reader(L);
    const struct dirent *entry;
    lua_Integer n = 0;

    *dir = opendir(path);
    if (!*dir) return lq_push_failure(L, -errno, strerror(errno));
    lua_newtable(L);
    while ((entry = readdir(*dir))) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        lua_pushstring(L, entry->d_name);
        lua_rawseti(L, -2, ++n);
    }
    closedir(*dir);
    *dir = NULL;
    return 1;
}

/* folder.make(path) -> true, also when it is there | nil, err
 * Folders above it must be there. */
static int folder_make(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1);

    if (mkdir(path, 0777) < 0 && errno != EEXIST)
        return lq_push_failure(L, -errno, strerror(errno));
    lua_pushboolean(L, 1);
    return 1;
}

static const luaL_Reg functions[] = {
    {"list", folder_list},
    {"make", folder_make},
    {NULL, NULL},
};

int luaopen_luaqueduct_core_folder(lua_State *L)
{
    luaL_newlib(L, functions);
    return 1;
}

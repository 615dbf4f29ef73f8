/* paths.c - see paths.h. */
#include "run/paths.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* From the folder of the program: as installed, as LuaRocks keeps it beside
 * the copy in the tree's bin (lib/luarocks/rocks-5.4/luaqueduct/VERSION/bin),
 * and where it is built (build/, build/VARIANT/). */
static const struct {
    const char *root;
    const char *lua;
    const char *lib; /* NULL: no tree of rocks */
} layouts[] = {
    {"..", "share/lua/5.4", "lib/lua/5.4"},
    {"../../../../../..", "share/lua/5.4", "lib/lua/5.4"},
    {"..", "lua", NULL},
    {"../..", "lua", NULL},
};

/* folder/name into `out`; false when it is too long. */
static bool join(char out[PATH_MAX], const char *folder, const char *name)
{
    return snprintf(out, PATH_MAX, "%s/%s", folder, name) < PATH_MAX;
}

/* Whether the layout is the one found at `folder`; then fills `out`. */
static bool try_layout(lq_paths *out, const char *folder, size_t i)
{
    char path[PATH_MAX], root[PATH_MAX];

    if (!join(path, folder, layouts[i].root) || !realpath(path, root) ||
        !join(out->lua, root, layouts[i].lua) ||
        !join(path, out->lua, "luaqueduct/app.lua") || access(path, R_OK) < 0)
        return false;
    *out->lib = '\0';
    return !layouts[i].lib || join(out->lib, root, layouts[i].lib);
}

static int own_path(char out[PATH_MAX], lq_err *err)
{
    ssize_t len = readlink("/proc/self/exe", out, PATH_MAX - 1);

    if (len < 0)
        return lq_err_set(err, -errno, "/proc/self/exe: %s", strerror(errno));
    out[len] = '\0';
    return 0;
}

int lq_paths_find(lq_paths *out, const char *exe, lq_err *err)
{
    char folder[PATH_MAX] = "";
    char *slash;
    size_t i;
    int code = exe ? 0 : own_path(folder, err);

    if (code < 0) return code;
    if (exe) snprintf(folder, sizeof folder, "%s", exe);
    slash = strrchr(folder, '/');
    if (slash) *slash = '\0';
    for (i = 0; i < LQ_COUNT_OF(layouts); i++)
        if (try_layout(out, folder, i)) return 0;
    return lq_err_set(err, LQ_EINVALID,
                      "its Lua files are missing: luaqueduct/app.lua is "
                      "expected in ../share/lua/5.4 beside the folder of the "
                      "program");
}

/* main.c - the command line's entry.
 *
 * Owns:    the options, for the length of the process.
 * Thread:  main thread.
 * Knows:   options, supervisor.
 */
#include <lua.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "base/defs.h"
#include "http/parse.h"
#include "run/options.h"
#include "run/supervisor.h"
#include "run/version.h"

/* Where the runtime's Lua files may stand, from the folder of the program: as
 * installed, and in the tree (build/, build/VARIANT/). */
static const char *const lua_folders[] = {"../share/lua/5.4", "../lua",
                                          "../../lua"};

static bool is_lua_path(const char *path)
{
    char file[8192];
    int len = snprintf(file, sizeof file, "%s/luaqueduct/app.lua", path);

    return len > 0 && (size_t)len < sizeof file && access(file, R_OK) == 0;
}

/* Finds the folder into `out`. Returns false when there is none. */
static bool find_lua_path(char *out, size_t cap)
{
    char exe[4096];
    ssize_t len = readlink("/proc/self/exe", exe, sizeof exe - 1);
    char *slash;
    size_t i;

    if (len < 0) return false;
    exe[len] = '\0';
    slash = strrchr(exe, '/');
    if (!slash) return false;
    *slash = '\0';
    for (i = 0; i < LQ_COUNT_OF(lua_folders); i++) {
        if ((size_t)snprintf(out, cap, "%s/%s", exe, lua_folders[i]) < cap &&
            is_lua_path(out))
            return true;
    }
    return false;
}

static int print_version(void)
{
    printf("luaqueduct %s\nLua %s.%s\nlibuv %s\nllhttp %s\n", LQ_VERSION,
           LUA_VERSION_MAJOR "." LUA_VERSION_MINOR, LUA_VERSION_RELEASE,
           uv_version_string(), lq_parser_version());
    return 0;
}

/* The ready line is all that standard output ever gets: whatever the app
 * writes there goes to standard error. */
static int serve(const lq_options *options, const char *lua_path)
{
    int ready_fd = dup(STDOUT_FILENO);

    if (ready_fd < 0 || dup2(STDERR_FILENO, STDOUT_FILENO) < 0) {
        perror("luaqueduct: standard output");
        return 1;
    }
    setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
    return lq_supervisor_run(options, lua_path, ready_fd);
}

int main(int argc, char **argv)
{
    lq_options options;
    lq_err err;
    char lua_path[4200];
    int status;

    if (lq_options_parse(&options, argc, argv, &err) < 0) {
        fprintf(stderr, "luaqueduct: %s\n", err.text);
        return 2;
    }
    if (options.command == LQ_COMMAND_HELP) {
        lq_options_print_help(stdout, options.help_for);
        return 0;
    }
    if (options.command == LQ_COMMAND_VERSION) return print_version();
    if (!find_lua_path(lua_path, sizeof lua_path)) {
        fprintf(stderr, "luaqueduct: its Lua files are missing: "
                        "luaqueduct/app.lua is expected in ../share/lua/5.4 "
                        "beside the folder of the program\n");
        return 1;
    }
    status = options.command == LQ_COMMAND_ROUTES
                 ? lq_supervisor_routes(&options, lua_path)
                 : serve(&options, lua_path);
    lq_options_fini(&options);
    return status;
}

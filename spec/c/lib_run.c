/* lib_run.c - command line, CPUs, paths and listening sockets for the specs.
 *
 * An argv stands in memory of its own that is as large as it must be, so that
 * a sanitizer sees every byte read beyond its end.
 *
 * Owns:    nothing that outlives a call, but for a sockets userdata.
 * Thread:  none.
 * Life:    a Lua module without state.
 * Knows:   base, run, lua.
 */
#include <lauxlib.h>
#include <lua.h>

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "log/render.h"
#include "run/cpus.h"
#include "run/listen_url.h"
#include "run/options.h"
#include "run/paths.h"
#include "run/sockets.h"

int luaopen_spec_run(lua_State *L);

#define SOCKETS_TYPE "spec.run.sockets"

static const char *const command_names[] = {"serve",   "routes", "migrate",
                                            "version", "help",   NULL};

/* ---- lists of strings ---------------------------------------------------- */

/* The list at `index` as C strings of their own, NULL behind the last. They
 * stand in a userdata that is pushed, except for their bytes: free_list. */
static char **push_list(lua_State *L, int index, size_t *count)
{
    size_t n = (size_t)luaL_len(L, index), i;
    char **list = lua_newuserdatauv(L, (n + 1) * sizeof *list, 0);
    const char *text;

    for (i = 0; i <= n; i++) list[i] = NULL;
    for (i = 0; i < n; i++) {
        lua_geti(L, index, (lua_Integer)i + 1);
        text = lua_tostring(L, -1);
        list[i] = strdup(text ? text : "");
        lua_pop(L, 1);
    }
    *count = n;
    return list;
}

static void free_list(char **list)
{
    for (; *list; list++) free(*list);
}

/* ---- options ------------------------------------------------------------- */

static void set_number(lua_State *L, const char *key, double value)
{
    lua_pushnumber(L, value);
    lua_setfield(L, -2, key);
}

static void set_integer(lua_State *L, const char *key, uint64_t value)
{
    lua_pushinteger(L, (lua_Integer)value);
    lua_setfield(L, -2, key);
}

static void set_string(lua_State *L, const char *key, const char *value)
{
    lua_pushstring(L, value);
    lua_setfield(L, -2, key);
}

static void push_lists(lua_State *L, const lq_options *o)
{
    size_t i;

    lua_newtable(L);
    for (i = 0; i < o->listen_count; i++) {
        lua_pushstring(L, o->listen[i]);
        lua_seti(L, -2, (lua_Integer)i + 1);
    }
    lua_setfield(L, -2, "listen");
    lua_newtable(L);
    for (i = 0; i < o->pair_count; i++) {
        lua_pushlstring(L, o->pairs[i].key.ptr, o->pairs[i].key.len);
        lua_pushfstring(L, "%s=%s", lua_tostring(L, -1), o->pairs[i].value);
        lua_remove(L, -2);
        lua_seti(L, -2, (lua_Integer)i + 1);
    }
    lua_setfield(L, -2, "pairs");
}

static void push_log(lua_State *L, const lq_options *o)
{
    set_integer(L, "log_level", (uint64_t)o->log_level);
    set_string(L, "log_format", o->log_format == LQ_LOG_JSON ? "json" : "text");
    set_string(L, "log_file", o->log_file);
    lua_pushboolean(L, o->access_log);
    lua_setfield(L, -2, "access_log");
    lua_newtable(L);
    set_integer(L, "size", o->log_rotation.size);
    set_integer(L, "keep", o->log_rotation.keep);
    lua_setfield(L, -2, "log_rotation");
}

static void push_options(lua_State *L, const lq_options *o)
{
    lua_newtable(L);
    set_string(L, "command", command_names[o->command]);
    set_string(L, "help_for", command_names[o->help_for]);
    set_string(L, "app", o->app);
    set_integer(L, "workers", (uint64_t)o->workers);
    lua_pushboolean(L, o->share_port);
    lua_setfield(L, -2, "share_port");
    set_integer(L, "trusted", o->trusted_count);
    set_number(L, "drain_timeout", o->drain_timeout);
    set_number(L, "header_timeout", o->header_timeout);
    set_number(L, "idle_timeout", o->idle_timeout);
    set_number(L, "body_timeout", o->body_timeout);
    set_number(L, "write_timeout", o->write_timeout);
    set_number(L, "request_timeout", o->request_timeout);
    set_number(L, "start_timeout", o->start_timeout);
    set_integer(L, "header_limit", o->header_limit);
    set_integer(L, "body_limit", o->body_limit);
    set_integer(L, "max_connections", o->max_connections);
    push_log(L, o);
    push_lists(L, o);
}

static bool same_list(char *const *a, char *const *b, size_t n)
{
    size_t i;

    for (i = 0; i < n; i++)
        if (a[i] != b[i]) return false;
    return true;
}

/* run.parse(list of arguments) -> options | nil, message
 * The program's name is put before them. Raises when argv was changed. */
static int run_parse(lua_State *L)
{
    size_t n, i;
    char **list = (luaL_checktype(L, 1, LUA_TTABLE), push_list(L, 1, &n));
    char **argv = malloc((n + 2) * sizeof *argv);
    char **before = malloc((n + 2) * sizeof *argv);
    static const lq_err none = {0, ""};
    char program[] = "luaqueduct";
    lq_options o;
    lq_err err = none;
    int code;
    bool is_same;

    argv[0] = program;
    for (i = 0; i <= n; i++) argv[i + 1] = list[i];
    memcpy(before, argv, (n + 2) * sizeof *argv);
    code = lq_options_parse(&o, (int)n + 1, argv, &err);
    is_same = same_list(argv, before, n + 2);
    if (code == 0) {
        push_options(L, &o);
        lq_options_fini(&o);
    }
    free(before);
    free(argv);
    free_list(list);
    if (!is_same) return luaL_error(L, "argv was changed");
    if (code == 0) return 1;
    lua_pushnil(L);
    lua_pushstring(L, err.text);
    lua_pushinteger(L, code);
    return 3;
}

/* run.help(command) -> text */
static int run_help(lua_State *L)
{
    int command = luaL_checkoption(L, 1, NULL, command_names);
    char *text = NULL;
    size_t len = 0;
    FILE *to = open_memstream(&text, &len);

    if (!to) return luaL_error(L, "not enough memory");
    lq_options_print_help(to, (lq_command)command);
    fclose(to);
    lua_pushlstring(L, text, len);
    free(text);
    return 1;
}

/* ---- CPUs ---------------------------------------------------------------- */

/* run.cpus() -> count */
static int run_cpus(lua_State *L)
{
    lua_pushinteger(L, lq_cpus());
    return 1;
}

/* run.quota(list, root) -> count, 0 for no limit */
static int run_quota(lua_State *L)
{
    lua_pushinteger(
        L, lq_cpus_quota(luaL_checkstring(L, 1), luaL_checkstring(L, 2)));
    return 1;
}

/* ---- sockets ------------------------------------------------------------- */

static lq_sockets *check_sockets(lua_State *L)
{
    lq_sockets **box = luaL_checkudata(L, 1, SOCKETS_TYPE);

    luaL_argcheck(L, *box, 1, "the sockets are closed");
    return *box;
}

static int push_failure(lua_State *L, int code, const lq_err *err)
{
    lua_pushnil(L);
    lua_pushstring(L, err->text);
    lua_pushstring(L, lq_err_name(code));
    return 3;
}

/* run.check(url) -> true | nil, message, name */
static int run_check(lua_State *L)
{
    lq_err err;
    int code = lq_listen_url_check(luaL_checkstring(L, 1), &err);

    if (code < 0) return push_failure(L, code, &err);
    lua_pushboolean(L, true);
    return 1;
}

/* run.open(urls, workers?, share_port?) -> sockets | nil, message, name */
static int run_open(lua_State *L)
{
    lq_sockets_cfg cfg = {.workers = (int)luaL_optinteger(L, 2, 1),
                          .share_port = lua_toboolean(L, 3)};
    int code;
    lq_sockets **box;
    lq_err err;
    char **urls;

    luaL_checktype(L, 1, LUA_TTABLE);
    box = lua_newuserdatauv(L, sizeof *box, 0);
    *box = NULL;
    luaL_setmetatable(L, SOCKETS_TYPE);
    urls = push_list(L, 1, &cfg.url_count);
    cfg.urls = (const char *const *)urls;
    code = lq_sockets_open(box, &cfg, &err);
    free_list(urls);
    if (code < 0) return push_failure(L, code, &err);
    lua_pop(L, 1);
    return 1;
}

/* sockets:listen() -> true | nil, message, name */
static int m_listen(lua_State *L)
{
    lq_err err;
    int code = lq_sockets_listen(check_sockets(L), &err);

    if (code < 0) return push_failure(L, code, &err);
    lua_pushboolean(L, true);
    return 1;
}

/* sockets:count() -> listeners */
static int m_count(lua_State *L)
{
    lua_pushinteger(L, (lua_Integer)lq_sockets_count(check_sockets(L)));
    return 1;
}

/* sockets:fd(listener, worker) -> descriptor; both count from 1 */
static int m_fd(lua_State *L)
{
    lq_sockets *s = check_sockets(L);
    size_t listener = (size_t)luaL_checkinteger(L, 2) - 1;

    lua_pushinteger(
        L, lq_sockets_fd(s, listener, (int)luaL_checkinteger(L, 3) - 1));
    return 1;
}

/* sockets:is_shared(listener) -> boolean */
static int m_is_shared(lua_State *L)
{
    lua_pushboolean(L,
                    lq_sockets_is_shared(check_sockets(L),
                                         (size_t)luaL_checkinteger(L, 2) - 1));
    return 1;
}

/* sockets:url(listener) -> text */
static int m_url(lua_State *L)
{
    lua_pushstring(L, lq_sockets_url(check_sockets(L),
                                     (size_t)luaL_checkinteger(L, 2) - 1));
    return 1;
}

/* sockets:shut() */
static int m_shut(lua_State *L)
{
    lq_sockets_shut(check_sockets(L));
    return 0;
}

/* sockets:close() */
static int m_close(lua_State *L)
{
    lq_sockets **box = luaL_checkudata(L, 1, SOCKETS_TYPE);

    lq_sockets_close(*box);
    *box = NULL;
    return 0;
}

/* ---- descriptors --------------------------------------------------------- */

static void set_option(lua_State *L, const char *key, int fd, int level,
                       int name)
{
    int value = 0;
    socklen_t len = sizeof value;

    if (getsockopt(fd, level, name, &value, &len) < 0) return;
    lua_pushboolean(L, value != 0);
    lua_setfield(L, -2, key);
}

/* run.flags(fd) -> table of booleans, absent where there is no such option */
static int run_flags(lua_State *L)
{
    int fd = (int)luaL_checkinteger(L, 1);

    lua_newtable(L);
    lua_pushboolean(L, fcntl(fd, F_GETFL) & O_NONBLOCK);
    lua_setfield(L, -2, "nonblocking");
    lua_pushboolean(L, fcntl(fd, F_GETFD) & FD_CLOEXEC);
    lua_setfield(L, -2, "cloexec");
    set_option(L, "listening", fd, SOL_SOCKET, SO_ACCEPTCONN);
    set_option(L, "reuseaddr", fd, SOL_SOCKET, SO_REUSEADDR);
    set_option(L, "reuseport", fd, SOL_SOCKET, SO_REUSEPORT);
    set_option(L, "nodelay", fd, IPPROTO_TCP, TCP_NODELAY);
    set_option(L, "v6only", fd, IPPROTO_IPV6, IPV6_V6ONLY);
    return 1;
}

/* run.accept(fd) -> whether a connection waited, and whether it has nodelay */
static int run_accept(lua_State *L)
{
    int fd = accept4((int)luaL_checkinteger(L, 1), NULL, NULL, SOCK_CLOEXEC);
    int on = 0;
    socklen_t len = sizeof on;

    lua_pushboolean(L, fd >= 0);
    if (fd < 0) return 1;
    getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, &len);
    close(fd);
    lua_pushboolean(L, on);
    return 2;
}

/* ---- paths --------------------------------------------------------------- */

/* paths(program) -> folder of Lua files, folder of C modules or "" | nil, err
 */
static int run_paths(lua_State *L)
{
    lq_paths paths;
    lq_err err;

    if (lq_paths_find(&paths, luaL_checkstring(L, 1), &err) < 0) {
        lua_pushnil(L);
        lua_pushstring(L, err.text);
        return 2;
    }
    lua_pushstring(L, paths.lua);
    lua_pushstring(L, paths.lib);
    return 2;
}

/* ---- the module ---------------------------------------------------------- */

static const luaL_Reg functions[] = {
    {"accept", run_accept}, {"check", run_check}, {"cpus", run_cpus},
    {"flags", run_flags},   {"help", run_help},   {"open", run_open},
    {"parse", run_parse},   {"paths", run_paths}, {"quota", run_quota},
    {NULL, NULL},
};

static const luaL_Reg methods[] = {
    {"close", m_close},   {"count", m_count},
    {"fd", m_fd},         {"is_shared", m_is_shared},
    {"listen", m_listen}, {"shut", m_shut},
    {"url", m_url},       {NULL, NULL},
};

int luaopen_spec_run(lua_State *L)
{
    if (luaL_newmetatable(L, SOCKETS_TYPE)) {
        luaL_newlib(L, methods);
        lua_setfield(L, -2, "__index");
        lua_pushcfunction(L, m_close);
        lua_setfield(L, -2, "__gc");
        lua_pushcfunction(L, m_close);
        lua_setfield(L, -2, "__close");
    }
    luaL_newlib(L, functions);
    return 1;
}

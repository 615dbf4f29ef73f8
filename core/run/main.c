/* main.c - the command line's entry.
 *
 * Owns:    the options, for the length of the process.
 * Thread:  main thread.
 * Knows:   options, paths, guard, migrate, routes, versions.
 */
#include <errno.h>
#include <fcntl.h>
#include <lua.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "base/mem.h"
#include "http/parse.h"
#include "log/say.h"
#include "pg/version.h"
#include "run/descriptors.h"
#include "run/options.h"
#include "run/paths.h"
#include "run/guard.h"
#include "run/migrate.h"
#include "run/routes.h"
#include "base/version.h"

static int print_version(void)
{
    int major, minor;

    lq_pg_version(&major, &minor);
    printf("luaqueduct %s\nLua %s.%s\nlibuv %s\nllhttp %s\nlibpq %d.%d\n",
           LQ_VERSION, LUA_VERSION_MAJOR "." LUA_VERSION_MINOR,
           LUA_VERSION_RELEASE, uv_version_string(), lq_parser_version(), major,
           minor);
    return 0;
}

/* What comes in, out or is said goes nowhere when whoever started us has closed
 * the descriptor: a file or socket of ours with its number would get it. */
static void fill_standard(void)
{
    int fd;

    do fd = open("/dev/null", O_RDWR);
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0) close(fd);
}

/* The ready line is all that standard output ever gets: whatever the app
 * writes there goes to standard error. */
static int serve(const lq_options *options, const lq_paths *paths)
{
    int ready_fd = dup(STDOUT_FILENO);

    lq_descriptors_raise();
    if (ready_fd < 0 || dup2(STDERR_FILENO, STDOUT_FILENO) < 0) {
        lq_say("standard output: %s", strerror(errno));
        return 1;
    }
    setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
    return lq_guard_run(options, paths, ready_fd);
}

static int run(const lq_options *options, const lq_paths *paths)
{
    switch (options->command) {
    case LQ_COMMAND_ROUTES: return lq_routes_run(options, paths);
    case LQ_COMMAND_MIGRATE: return lq_migrate_run(options, paths);
    default: return serve(options, paths);
    }
}

int main(int argc, char **argv)
{
    lq_options options;
    lq_paths paths;
    lq_err err;
    int status;

    fill_standard();
    lq_mem_init();
    if (lq_options_parse(&options, argc, argv, &err) < 0) {
        lq_say("%s", err.text);
        return 2;
    }
    if (options.command == LQ_COMMAND_HELP) {
        lq_options_print_help(stdout, options.help_for);
        return 0;
    }
    if (options.command == LQ_COMMAND_VERSION) return print_version();
    if (lq_paths_find(&paths, NULL, &err) < 0) {
        lq_say("%s", err.text);
        return 1;
    }
    status = run(&options, &paths);
    lq_options_fini(&options);
    return status;
}

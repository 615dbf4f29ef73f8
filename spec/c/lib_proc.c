/* lib_proc.c - processes for the specs: start, read, signal, wait, measure.
 *
 * Every wait has a deadline. A process that is started here dies with the
 * thread that started it, so that a failing spec leaves none behind.
 *
 * Owns:    nothing: descriptors and process ids belong to the caller.
 * Thread:  none.
 * Life:    a Lua module without state.
 * Knows:   lua, Linux.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <lauxlib.h>
#include <lua.h>

int luaopen_spec_proc(lua_State *L);

enum { PASSED_MAX = 8 };

/* What the child needs; filled before the fork, as nothing may be allocated
 * behind it. */
typedef struct child {
    char **argv;
    char **env; /* NULL: the parent's */
    const char *cwd;
    int fds[3 + PASSED_MAX]; /* what its first descriptors are */
    int count;
    int report; /* takes errno when the program cannot be started */
} child;

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int fail(lua_State *L, int err)
{
    lua_pushnil(L);
    lua_pushstring(L, strerror(err));
    return 2;
}

static int timed_out(lua_State *L)
{
    lua_pushnil(L);
    lua_pushliteral(L, "timeout");
    return 2;
}

/* Milliseconds until `deadline`, rounded up; 0 when it has passed. */
static int ms_until(double deadline)
{
    double left = (deadline - now()) * 1000;

    return left <= 0 ? 0 : left > 1e9 ? 1000000000 : (int)left + 1;
}

/* Waits for `fd`; 1 ready, 0 the time is up. */
static int wait_readable(int fd, double deadline)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    int n;

    do n = poll(&p, 1, ms_until(deadline));
    while (n < 0 && errno == EINTR);
    return n;
}

/* The list at `index` as a NULL-ended vector in a userdata, left on the
 * stack; its strings live as long as the list. */
static char **check_strings(lua_State *L, int index)
{
    size_t count, i;
    char **list;

    luaL_checktype(L, index, LUA_TTABLE);
    count = (size_t)lua_rawlen(L, index);
    list = lua_newuserdatauv(L, (count + 1) * sizeof *list, 0);
    for (i = 0; i < count; i++) {
        lua_rawgeti(L, index, (lua_Integer)i + 1);
        luaL_argcheck(L, lua_type(L, -1) == LUA_TSTRING, index,
                      "list of strings expected");
        list[i] = (char *)(uintptr_t)lua_tostring(L, -1);
        lua_pop(L, 1);
    }
    list[count] = NULL;
    return list;
}

static const char *option(lua_State *L, const char *name)
{
    const char *value = NULL;

    if (lua_istable(L, 2)) {
        lua_getfield(L, 2, name);
        value = lua_tostring(L, -1);
        lua_pop(L, 1);
    }
    return value;
}

/* `fd` moved above those that the child replaces. */
static int lift(int fd)
{
    int high = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 3 + PASSED_MAX);

    if (fd >= 0) close(fd);
    return high;
}

/* Opens the file of option `name`, or a pipe of which *ours is read. */
static int open_output(lua_State *L, const char *name, int *ours)
{
    const int flags = O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC;
    const char *path = option(L, name);
    int ends[2];

    *ours = -1;
    if (path) return lift(open(path, flags, 0600));
    if (pipe2(ends, O_CLOEXEC) < 0) return -1;
    *ours = lift(ends[0]);
    return lift(ends[1]);
}

static _Noreturn void run_child(const child *c, pid_t parent)
{
    sigset_t none;
    int i, err;

    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(127);
    for (i = 0; i < c->count; i++) dup2(c->fds[i], i);
    syscall(SYS_close_range, (unsigned)c->count, ~0U,
            1U << 2 /* CLOSE_RANGE_CLOEXEC */);
    if (!c->cwd || chdir(c->cwd) == 0) {
        if (c->env)
            execvpe(c->argv[0], c->argv, c->env);
        else
            execvp(c->argv[0], c->argv);
    }
    err = errno;
    if (write(c->report, &err, sizeof err) < 0) _exit(126);
    _exit(127);
}

/* Forks; returns the pid, or -errno also when the program does not start. */
static pid_t start(child *c)
{
    int ends[2], err = 0;
    pid_t parent = getpid(), pid;

    if (pipe2(ends, O_CLOEXEC) < 0) return -errno;
    c->report = lift(ends[1]);
    pid = fork();
    if (pid == 0) run_child(c, parent);
    if (pid < 0) err = errno;
    close(c->report);
    if (pid > 0 && read(ends[0], &err, sizeof err) == sizeof err) {
        waitpid(pid, NULL, 0);
    }
    close(ends[0]);
    return err ? -err : pid;
}

static void close_all(const int *fds, size_t count)
{
    size_t i;

    for (i = 0; i < count; i++) {
        if (fds[i] >= 0) close(fds[i]);
    }
}

static void push_fd(lua_State *L, int fd)
{
    if (fd < 0)
        lua_pushnil(L);
    else
        lua_pushinteger(L, fd);
}

/* Copies of the descriptors in the list of option `pass`, behind the three. */
static void open_passed(lua_State *L, child *c)
{
    lua_Integer i;

    if (!lua_istable(L, 2)) return;
    if (lua_getfield(L, 2, "pass") == LUA_TTABLE) {
        for (i = 1; i <= PASSED_MAX; i++) {
            if (lua_rawgeti(L, -1, i) == LUA_TNUMBER)
                c->fds[c->count++] = fcntl((int)lua_tointeger(L, -1),
                                           F_DUPFD_CLOEXEC, 3 + PASSED_MAX);
            lua_pop(L, 1);
        }
    }
    lua_pop(L, 1);
}

static bool are_open(const child *c)
{
    int i = 0;

    while (i < c->count && c->fds[i] >= 0) i++;
    return i == c->count;
}

/* proc.spawn(argv, options?) -> pid, stdout, stderr | nil, err
 * options: env (list of "K=V"), cwd, stdin (a path, /dev/null unless given),
 * stdout and stderr (a path that is appended to; else a descriptor to read),
 * pass (list of descriptors that become 3, 4, ... of the child) */
static int proc_spawn(lua_State *L)
{
    child c = {.cwd = option(L, "cwd"), .count = 3};
    const char *in = option(L, "stdin");
    int ours[2];
    pid_t pid = -EMFILE;

    c.argv = check_strings(L, 1);
    luaL_argcheck(L, c.argv[0] != NULL, 1, "empty");
    if (lua_istable(L, 2) && lua_getfield(L, 2, "env") == LUA_TTABLE) {
        c.env = check_strings(L, lua_gettop(L));
    }
    c.fds[0] = lift(open(in ? in : "/dev/null", O_RDONLY | O_CLOEXEC));
    c.fds[1] = open_output(L, "stdout", &ours[0]);
    c.fds[2] = open_output(L, "stderr", &ours[1]);
    open_passed(L, &c);
    if (are_open(&c)) pid = start(&c);
    close_all(c.fds, (size_t)c.count);
    if (pid < 0) {
        close_all(ours, 2);
        return fail(L, (int)-pid);
    }
    lua_pushinteger(L, pid);
    push_fd(L, ours[0]);
    push_fd(L, ours[1]);
    return 3;
}

/* proc.inbox(address) -> descriptor of a unix datagram socket | nil, err
 * The address is a path, or '@' and a name; proc.read takes one datagram. */
static int proc_inbox(lua_State *L)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    const char *where = luaL_checkstring(L, 1);
    size_t len = strlen(where);
    int fd;

    luaL_argcheck(L, len < sizeof at.sun_path, 1, "too long");
    memcpy(at.sun_path, where, len);
    if (*where == '@') at.sun_path[0] = '\0';
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return fail(L, errno);
    len += offsetof(struct sockaddr_un, sun_path);
    if (bind(fd, (const void *)&at, (socklen_t)len) < 0) {
        close(fd);
        return fail(L, errno);
    }
    lua_pushinteger(L, fd);
    return 1;
}

/* proc.read(fd, seconds) -> string | nil, "timeout" | "eof" | err */
static int proc_read(lua_State *L)
{
    int fd = (int)luaL_checkinteger(L, 1);
    double deadline = now() + luaL_checknumber(L, 2);
    char bytes[4096];
    ssize_t n;

    if (wait_readable(fd, deadline) == 0) return timed_out(L);
    n = read(fd, bytes, sizeof bytes);
    if (n < 0) return fail(L, errno);
    if (n > 0) {
        lua_pushlstring(L, bytes, (size_t)n);
        return 1;
    }
    lua_pushnil(L);
    lua_pushliteral(L, "eof");
    return 2;
}

/* proc.close(fd) */
static int proc_close(lua_State *L)
{
    close((int)luaL_checkinteger(L, 1));
    return 0;
}

/* proc.kill(pid, signal) -> true | nil, err */
static int proc_kill(lua_State *L)
{
    pid_t pid = (pid_t)luaL_checkinteger(L, 1);

    luaL_argcheck(L, pid > 1 || pid < -1, 1, "not a process of ours");
    if (kill(pid, (int)luaL_checkinteger(L, 2)) < 0) return fail(L, errno);
    lua_pushboolean(L, true);
    return 1;
}

/* proc.wait(pid, seconds) -> status | nil, "timeout" | err
 * A process that a signal ended has the status 128 + signal. */
static int proc_wait(lua_State *L)
{
    pid_t pid = (pid_t)luaL_checkinteger(L, 1), done;
    double deadline = now() + luaL_checknumber(L, 2);
    int watched = (int)syscall(SYS_pidfd_open, pid, 0);
    int status, ready = watched >= 0 ? wait_readable(watched, deadline) : 1;

    if (watched >= 0) close(watched);
    if (ready == 0) return timed_out(L);
    do done = waitpid(pid, &status, watched >= 0 ? 0 : WNOHANG);
    while (done == 0 && ms_until(deadline) > 0 && poll(NULL, 0, 2) == 0);
    if (done < 0) return fail(L, errno);
    if (done == 0) return timed_out(L);
    lua_pushinteger(L, WIFSIGNALED(status) ? 128 + WTERMSIG(status)
                                           : WEXITSTATUS(status));
    return 1;
}

/* proc.now() -> seconds of the monotonic clock */
static int proc_now(lua_State *L)
{
    lua_pushnumber(L, now());
    return 1;
}

/* The number behind `field` in /proc/<pid>/status, -1 when there is none. */
static long status_field(pid_t pid, const char *field)
{
    char line[256];
    long value = -1;
    FILE *f;

    snprintf(line, sizeof line, "/proc/%d/status", (int)pid);
    f = fopen(line, "re");
    if (!f) return -1;
    while (value < 0 && fgets(line, sizeof line, f)) {
        size_t len = strlen(field);

        if (strncmp(line, field, len) == 0 && line[len] == ':') {
            value = strtol(line + len + 1, NULL, 10);
        }
    }
    fclose(f);
    return value;
}

static int push_count(lua_State *L, long value)
{
    if (value < 0) return fail(L, ESRCH);
    lua_pushinteger(L, value);
    return 1;
}

/* proc.rss(pid) -> KiB of resident memory | nil, err */
static int proc_rss(lua_State *L)
{
    return push_count(L, status_field((pid_t)luaL_checkinteger(L, 1), "VmRSS"));
}

/* proc.threads(pid) -> count | nil, err */
static int proc_threads(lua_State *L)
{
    pid_t pid = (pid_t)luaL_checkinteger(L, 1);

    return push_count(L, status_field(pid, "Threads"));
}

/* proc.fds(pid) -> how many descriptors are open | nil, err */
static int proc_fds(lua_State *L)
{
    char path[64];
    long count = -2; /* . and .. */
    DIR *dir;

    snprintf(path, sizeof path, "/proc/%d/fd", (int)luaL_checkinteger(L, 1));
    dir = opendir(path);
    if (!dir) return fail(L, errno);
    while (readdir(dir)) count++;
    closedir(dir);
    return push_count(L, count);
}

/* proc.mkdtemp() -> path of a new folder | nil, err */
static int proc_mkdtemp(lua_State *L)
{
    char path[] = "/tmp/luaqueduct-spec-XXXXXX";

    if (!mkdtemp(path)) return fail(L, errno);
    lua_pushstring(L, path);
    return 1;
}

/* proc.environ() -> list of "K=V" */
static int proc_environ(lua_State *L)
{
    lua_Integer i;

    lua_newtable(L);
    for (i = 0; environ[i]; i++) {
        lua_pushstring(L, environ[i]);
        lua_rawseti(L, -2, i + 1);
    }
    return 1;
}

static const luaL_Reg functions[] = {
    {"close", proc_close}, {"environ", proc_environ}, {"fds", proc_fds},
    {"inbox", proc_inbox}, {"kill", proc_kill},       {"mkdtemp", proc_mkdtemp},
    {"now", proc_now},     {"read", proc_read},       {"rss", proc_rss},
    {"spawn", proc_spawn}, {"threads", proc_threads}, {"wait", proc_wait},
    {NULL, NULL},
};

int luaopen_spec_proc(lua_State *L)
{
    luaL_newlib(L, functions);
    return 1;
}

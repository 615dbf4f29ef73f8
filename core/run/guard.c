/* guard.c - see guard.h. */
#include "run/guard.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "log/writer.h"
#include "run/crew.h"
#include "run/sockets.h"
#include "run/supervisor.h"

enum { SLACK_MS = 4000 }; /* for a runtime that keeps its times by itself */

typedef struct guard {
    const lq_options *options;
    const lq_paths *paths;
    lq_log log;
    lq_sockets *sockets;
    int line_fd;   /* for the ready line; -1: it is out */
    int signal_fd; /* every signal of interest comes here */
    sigset_t before;
    pid_t runtime;
    int alive_fd; /* its other end tells the runtime that we live */
    int ready_fd; /* from the runtime: the ready line; -1: seen */
    uint64_t ready_ms;
    uint64_t deaths[LQ_GUARD_DEATHS]; /* when, the newest last */
    int death_count;
    bool is_again; /* this runtime is not the first */
    int stop_signals;
    uint64_t deadline_ms; /* of the start or the stop; 0: none */
    bool is_late;         /* the deadline is over: the runtime was killed */
} guard;

static uint64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void close_fd(int *fd)
{
    if (*fd >= 0) close(*fd);
    *fd = -1;
}

/* The runtime keeps these times itself, unless its main thread hangs. */
static void set_deadline(guard *g, double seconds)
{
    g->deadline_ms =
        seconds > 0 ? now_ms() + (uint64_t)(seconds * 1000) + SLACK_MS : 0;
}

/* ---- the runtime -------------------------------------------------------- */

/* In the new process. */
static _Noreturn void be_runtime(guard *g, int guard_fd, int line_fd)
{
    lq_supervisor_cfg cfg = {
        .options = g->options,
        .paths = g->paths,
        .sockets = g->sockets,
        .line_fd = line_fd,
        .guard_fd = guard_fd,
        .is_again = g->is_again,
    };
    int status;

    setpgid(0, 0);
    close_fd(&g->signal_fd);
    close_fd(&g->alive_fd);
    close_fd(&g->ready_fd);
    close_fd(&g->line_fd);
    sigprocmask(SIG_SETMASK, &g->before, NULL);
    status = lq_supervisor_run(&cfg);
    lq_sockets_close(g->sockets);
    exit(status);
}

static int start_runtime(guard *g)
{
    int alive[2], ready[2];

    if (pipe2(alive, O_CLOEXEC) < 0) return -errno;
    if (pipe2(ready, O_CLOEXEC) < 0) {
        close(alive[0]);
        close(alive[1]);
        return -errno;
    }
    g->alive_fd = alive[1];
    g->ready_fd = ready[0];
    g->runtime = fork();
    if (g->runtime == 0) be_runtime(g, alive[0], ready[1]);
    close(alive[0]);
    close(ready[1]);
    /* `initialize` has that time, then all workers have it. */
    set_deadline(g, 2 * g->options->start_timeout);
    return g->runtime < 0 ? -errno : 0;
}

/* The runtime has told that it accepts, or has ended before that. The line goes
 * out once, through here: the runtime may die behind any byte of it. */
static void on_ready(guard *g)
{
    char line[PIPE_BUF];
    ssize_t len = read(g->ready_fd, line, sizeof line);

    close_fd(&g->ready_fd);
    if (len <= 0) return;
    if (g->stop_signals == 0) g->deadline_ms = 0;
    g->ready_ms = now_ms();
    if (g->line_fd >= 0) (void)!write(g->line_fd, line, (size_t)len);
    close_fd(&g->line_fd);
}

/* ---- its death ---------------------------------------------------------- */

/* Whether it dies again and again. */
static bool is_crash_loop(guard *g)
{
    uint64_t now = now_ms();
    int i;

    if (g->ready_ms && now - g->ready_ms >= LQ_GUARD_WITHIN_MS)
        g->death_count = 0;
    if (g->death_count == LQ_GUARD_DEATHS) {
        g->death_count--;
        for (i = 0; i < g->death_count; i++) g->deaths[i] = g->deaths[i + 1];
    }
    g->deaths[g->death_count++] = now;
    return g->death_count == LQ_GUARD_DEATHS &&
           now - g->deaths[0] <= LQ_GUARD_WITHIN_MS;
}

static void describe(int status, char *out, size_t cap)
{
    if (WIFSIGNALED(status))
        snprintf(out, cap, "the runtime was ended by signal %d (%s)",
                 WTERMSIG(status), strsignal(WTERMSIG(status)));
    else
        snprintf(out, cap, "the runtime has ended by itself with status %d",
                 WEXITSTATUS(status));
}

/* A stop that was asked for, or a start that failed with a message. */
static bool is_orderly(const guard *g, int status)
{
    if (g->stop_signals > 0 || g->is_late) return true;
    if (!WIFEXITED(status)) return false;
    return WEXITSTATUS(status) == 0 || !g->ready_ms;
}

/* It holds what it cannot give back, and has drained for that: no death. */
static bool wants_successor(const guard *g, int status)
{
    return WIFEXITED(status) && WEXITSTATUS(status) == LQ_SUPERVISOR_AGAIN &&
           g->stop_signals == 0;
}

static int start_again(guard *g)
{
    g->ready_ms = 0;
    g->is_again = true;
    return start_runtime(g) < 0 ? 1 : -1;
}

/* Returns -1 when there is a new runtime, else the exit status. */
static int on_death(guard *g, int status)
{
    char what[128];
    uint64_t delay_ms;
    struct pollfd none;

    close_fd(&g->alive_fd);
    if (g->ready_fd >= 0) on_ready(g);
    if (g->is_late) return g->stop_signals == 1 ? 0 : 1;
    if (wants_successor(g, status)) return start_again(g);
    if (is_orderly(g, status))
        return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
    describe(status, what, sizeof what);
    if (is_crash_loop(g)) {
        lq_log_printf(&g->log, LQ_LOG_ERROR,
                      "%s: the fifth death within %d s, it is given up", what,
                      LQ_GUARD_WITHIN_MS / 1000);
        return 1;
    }
    delay_ms = lq_crew_delay(g->death_count);
    lq_log_printf(&g->log, LQ_LOG_ERROR, "%s: it is started again in %d ms",
                  what, (int)delay_ms);
    if (delay_ms) poll(&none, 0, (int)delay_ms);
    return start_again(g);
}

/* ---- signals ------------------------------------------------------------ */

/* Returns -1 to go on, else the exit status. */
static int on_child(guard *g)
{
    int status;

    if (waitpid(g->runtime, &status, WNOHANG) != g->runtime) return -1;
    return on_death(g, status);
}

static void set_stop_deadline(guard *g)
{
    double drain = g->options->drain_timeout;

    if (++g->stop_signals > 1 || !g->ready_ms)
        set_deadline(g, 0.001);
    else /* behind the drain the log may still be written */
        set_deadline(g, drain > 0 ? drain + LQ_WRITER_GRACE_MS / 1000 : 0);
}

static void on_deadline(guard *g)
{
    g->deadline_ms = 0;
    g->is_late = true;
    if (g->stop_signals == 0)
        fprintf(stderr,
                "luaqueduct: the app could not start: it has not loaded "
                "within --start-timeout\n");
    kill(g->runtime, SIGKILL);
}

static int on_signal(guard *g)
{
    struct signalfd_siginfo info;

    if (read(g->signal_fd, &info, sizeof info) != sizeof info) return -1;
    if (info.ssi_signo == SIGCHLD) return on_child(g);
    if (info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT)
        set_stop_deadline(g);
    kill(g->runtime, (int)info.ssi_signo);
    return -1;
}

static int open_signals(guard *g)
{
    static const int numbers[] = {SIGTERM, SIGINT,  SIGHUP,
                                  SIGUSR1, SIGCHLD, SIGPIPE};
    sigset_t set;
    size_t i;

    sigemptyset(&set);
    for (i = 0; i < LQ_COUNT_OF(numbers); i++) sigaddset(&set, numbers[i]);
    sigprocmask(SIG_BLOCK, &set, &g->before);
    sigdelset(&set, SIGPIPE);
    g->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return g->signal_fd < 0 ? -errno : 0;
}

/* For poll: ms, -1 without a deadline. */
static int time_left(const guard *g)
{
    uint64_t now = now_ms();

    if (!g->deadline_ms) return -1;
    if (now >= g->deadline_ms) return 0;
    return g->deadline_ms - now > INT_MAX ? INT_MAX
                                          : (int)(g->deadline_ms - now);
}

static int watch(guard *g)
{
    struct pollfd fds[2] = {{.events = POLLIN}, {.events = POLLIN}};
    int status = -1;

    while (status < 0) {
        fds[0].fd = g->signal_fd;
        fds[1].fd = g->ready_fd; /* -1 is passed over */
        if (poll(fds, 2, time_left(g)) < 0) continue;
        if (g->deadline_ms && now_ms() >= g->deadline_ms) on_deadline(g);
        if (fds[1].revents) on_ready(g);
        if (fds[0].revents) status = on_signal(g);
    }
    return status;
}

/* ---- the whole ---------------------------------------------------------- */

static int run_unguarded(guard *g)
{
    lq_supervisor_cfg cfg = {
        .options = g->options,
        .paths = g->paths,
        .sockets = g->sockets,
        .line_fd = g->line_fd,
        .guard_fd = -1,
    };

    return lq_supervisor_run(&cfg);
}

static int run_guarded(guard *g)
{
    int err = open_signals(g);

    if (err == 0) err = start_runtime(g);
    if (err == 0) return watch(g);
    fprintf(stderr, "luaqueduct: the runtime could not be started: %s\n",
            strerror(-err));
    return 1;
}

int lq_guard_run(const lq_options *options, const lq_paths *paths, int ready_fd)
{
    guard g = {
        .options = options,
        .paths = paths,
        .log =
            {
                .who = "guard",
                .level = (lq_log_level)options->log_level,
                .format = (lq_log_format)options->log_format,
                .path = options->log_file,
            },
        .line_fd = ready_fd,
        .signal_fd = -1,
        .alive_fd = -1,
        .ready_fd = -1,
    };
    lq_err err;
    int status;

    if (lq_sockets_open(&g.sockets, options->listen, options->listen_count,
                        options->workers, options->share_port, &err) < 0) {
        fprintf(stderr, "luaqueduct: %s\n", err.text);
        return 1;
    }
    status = options->no_respawn ? run_unguarded(&g) : run_guarded(&g);
    lq_sockets_close(g.sockets);
    close_fd(&g.signal_fd);
    close_fd(&g.ready_fd);
    close_fd(&g.line_fd);
    return status;
}

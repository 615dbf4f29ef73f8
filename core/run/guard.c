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

#include "base/mem.h"
#include "log/say.h"
#include "log/writer.h"
#include "run/activation.h"
#include "run/ask.h"
#include "run/crew.h"
#include "run/descriptors.h"
#include "run/news.h"
#include "run/notify.h"
#include "run/sockets.h"
#include "run/supervisor.h"

enum {
    SLACK_MS = 4000, /* for a runtime that keeps its times by itself */
    QUICK_MS = 2000, /* deaths within that have a delay */
};

typedef struct guard {
    const lq_options *options;
    const lq_paths *paths;
    lq_log log;
    lq_sockets *sockets;
    lq_keep keep; /* what apps listen on */
    lq_notify systemd;
    int line_fd;   /* for the ready line; -1: it is out */
    int signal_fd; /* every signal of interest comes here; -1: no guard */
    sigset_t before;
    pid_t runtime; /* 0: none now */
    int news_fd;   /* from the runtime; its end tells that we live; -1: over */
    int ask_fd;    /* the runtime asks for sockets; -1: over */
    uint64_t ready_ms;
    uint64_t deaths[LQ_GUARD_DEATHS]; /* when, the newest last */
    int death_count;
    bool is_again; /* this runtime is not the first */
    int stop_signals;
    pid_t leaving;        /* a runtime that drains for the next one; 0: none */
    int leaving_fd;       /* tells it that we live */
    uint64_t start_ms;    /* when the next runtime is due; 0: there is one */
    uint64_t deadline_ms; /* of the start or the stop; 0: none */
    uint64_t feed_ms;     /* of systemd's watchdog; 0: there is none */
    bool is_late;         /* the deadline is over: the runtime was killed */
    char ready_text[LQ_NEWS_BYTES];
    char text[LQ_NEWS_BYTES]; /* of the news that is being read */
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

/* There is to be a new runtime. */
static void start_again(guard *g, uint64_t delay_ms)
{
    g->is_again = true;
    g->ready_ms = g->deadline_ms = 0;
    g->start_ms = now_ms() + delay_ms;
}

/* ---- news of the runtime ------------------------------------------------- */

static void feed_watchdog(guard *g)
{
    if (!g->systemd.watchdog_ms) return;
    g->feed_ms = now_ms() + g->systemd.watchdog_ms;
    lq_notify_alive(&g->systemd);
}

/* The line goes out once, through here: the runtime may die behind any byte of
 * it. */
static void on_ready(guard *g, const char *text)
{
    if (g->stop_signals == 0) g->deadline_ms = 0;
    g->ready_ms = now_ms();
    lq_keep_settle(&g->keep);
    if (g->line_fd >= 0) dprintf(g->line_fd, "luaqueduct: %s\n", text);
    close_fd(&g->line_fd);
    snprintf(g->ready_text, sizeof g->ready_text, "%s", text);
    lq_notify_ready(&g->systemd, text);
    feed_watchdog(g);
}

/* One that has failed stands in the status until the next one. */
static void on_reloaded(guard *g, const char *failure)
{
    char status[256];

    snprintf(status, sizeof status, "the reload has failed: %s",
             failure ? failure : "");
    lq_notify_ready(&g->systemd, failure && *failure ? status : g->ready_text);
}

/* Its successor need not wait for its end. One that still drains when the next
 * one wants to has had its time. */
static void on_leaving(guard *g)
{
    if (g->stop_signals) return;
    if (g->leaving && kill(g->leaving, SIGKILL) == 0)
        waitpid(g->leaving, NULL, 0);
    close_fd(&g->leaving_fd);
    g->leaving = g->runtime;
    g->leaving_fd = g->news_fd;
    g->news_fd = -1;
    close_fd(&g->ask_fd);
    g->runtime = 0;
    start_again(g, 0);
}

/* In the guard, or, where there is none, in the runtime itself. */
static void on_news(void *data, lq_news what, const char *text)
{
    guard *g = data;

    switch (what) {
    case LQ_NEWS_READY: on_ready(g, text); break;
    case LQ_NEWS_RELOADING:
        if (!g->systemd.is_reloading) lq_notify_reloading(&g->systemd);
        break;
    case LQ_NEWS_RELOADED: on_reloaded(g, text); break;
    case LQ_NEWS_STOPPING: lq_notify_stopping(&g->systemd); break;
    case LQ_NEWS_ALIVE: feed_watchdog(g); break;
    case LQ_NEWS_LEAVING: on_leaving(g); break;
    }
}

static void read_news(guard *g)
{
    int what = 0;

    while (g->news_fd >= 0 &&
           (what = lq_news_receive(g->news_fd, g->text)) != 0) {
        if (what < 0)
            close_fd(&g->news_fd);
        else
            on_news(g, (lq_news)what, g->text);
    }
}

static void answer(guard *g)
{
    if (g->ask_fd >= 0 && lq_ask_answer(g->ask_fd, &g->keep) < 0)
        close_fd(&g->ask_fd);
}

/* ---- the runtime --------------------------------------------------------- */

static void pass_on(void *data, lq_news what, const char *text)
{
    const lq_supervisor_cfg *cfg = data;

    lq_news_send(cfg->guard_fd, what, text);
}

/* In the new process. */
static _Noreturn void be_runtime(guard *g, int guard_fd, int ask_fd)
{
    lq_supervisor_cfg cfg = {
        .options = g->options,
        .paths = g->paths,
        .sockets = g->sockets,
        .guard_fd = guard_fd,
        .ask_fd = ask_fd,
        .is_again = g->is_again,
        .alive_ms = g->systemd.watchdog_ms,
        .tell = pass_on,
        .data = &cfg,
    };
    int status;

    /* Until it has handlers of its own. */
    signal(SIGHUP, SIG_IGN);
    signal(SIGUSR1, SIG_IGN);
    setpgid(0, 0);
    close_fd(&g->signal_fd);
    close_fd(&g->news_fd);
    close_fd(&g->ask_fd);
    close_fd(&g->leaving_fd);
    close_fd(&g->line_fd);
    lq_keep_fini(&g->keep);
    lq_notify_close(&g->systemd);
    sigprocmask(SIG_SETMASK, &g->before, NULL);
    status = lq_supervisor_run(&cfg);
    lq_sockets_close(g->sockets);
    exit(status);
}

static int start_runtime(guard *g)
{
    int ends[2], asks[2], err = lq_news_pair(ends);

    if (err < 0) return err;
    g->news_fd = ends[0];
    if ((err = lq_ask_pair(asks)) < 0) {
        close(ends[1]);
        return err;
    }
    g->ask_fd = asks[0];
    lq_keep_begin(&g->keep);
    g->ready_ms = g->start_ms = 0;
    g->runtime = fork();
    if (g->runtime == 0) be_runtime(g, ends[1], asks[1]);
    if (g->runtime < 0) err = -errno;
    close(ends[1]);
    close(asks[1]);
    /* `initialize` has that time, then all workers have it. */
    set_deadline(g, 2 * g->options->start_timeout);
    return err;
}

/* ---- its death ----------------------------------------------------------- */

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

/* With the last one. What dies now and then is back at once. */
static int quick_deaths(const guard *g)
{
    uint64_t now = now_ms();
    int i, count = 0;

    for (i = 0; i < g->death_count; i++)
        if (now - g->deaths[i] < QUICK_MS) count++;
    return count;
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

/* The first signal that we have handed on may have met a runtime that does not
 * listen yet. */
static int exit_status(const guard *g, int status)
{
    if (WIFEXITED(status)) return WEXITSTATUS(status);
    return g->stop_signals == 1 &&
                   (WTERMSIG(status) == SIGTERM || WTERMSIG(status) == SIGINT)
               ? 0
               : 1;
}

/* Returns -1 when there is to be a new runtime, else the exit status. */
static int on_death(guard *g, int status)
{
    char what[128], text[192];
    uint64_t delay_ms;

    read_news(g);
    close_fd(&g->news_fd);
    close_fd(&g->ask_fd);
    if (!g->runtime) { /* it has just said that it leaves */
        close_fd(&g->leaving_fd);
        g->leaving = 0;
        return -1;
    }
    g->runtime = 0;
    if (g->is_late) return g->stop_signals == 1 ? 0 : 1;
    if (is_orderly(g, status)) return exit_status(g, status);
    describe(status, what, sizeof what);
    if (is_crash_loop(g)) {
        lq_log_printf(&g->log, LQ_LOG_ERROR,
                      "%s: the fifth death within %d s, it is given up", what,
                      LQ_GUARD_WITHIN_MS / 1000);
        return 1;
    }
    delay_ms = lq_crew_delay(quick_deaths(g));
    snprintf(text, sizeof text, "%s: it is started again in %d ms", what,
             (int)delay_ms);
    lq_log_printf(&g->log, LQ_LOG_ERROR, "%s", text);
    lq_notify_died(&g->systemd, text);
    start_again(g, delay_ms);
    return -1;
}

/* ---- signals ------------------------------------------------------------- */

static int on_child(guard *g)
{
    int status;

    if (g->leaving && waitpid(g->leaving, &status, WNOHANG) == g->leaving) {
        close_fd(&g->leaving_fd);
        g->leaving = 0;
    }
    if (!g->runtime || waitpid(g->runtime, &status, WNOHANG) != g->runtime)
        return -1;
    return on_death(g, status);
}

static void set_stop_deadline(guard *g)
{
    double drain = g->options->drain_timeout;

    if (++g->stop_signals > 1 || (!g->ready_ms && !g->leaving))
        set_deadline(g, 0.001);
    else /* behind the drain the log may still be written */
        set_deadline(g, drain > 0 ? drain + LQ_WRITER_GRACE_MS / 1000 : 0);
}

static void on_deadline(guard *g)
{
    g->deadline_ms = 0;
    g->is_late = true;
    /* Before a word that somebody must read. */
    if (g->leaving) kill(g->leaving, SIGKILL);
    if (g->runtime) kill(g->runtime, SIGKILL);
    if (g->stop_signals == 0)
        lq_say("the app could not start: it has not loaded within "
               "--start-timeout");
}

/* Returns -1 to go on, else the exit status. */
static int on_signal(guard *g)
{
    struct signalfd_siginfo info;
    bool is_stop;

    if (read(g->signal_fd, &info, sizeof info) != sizeof info) return -1;
    is_stop = info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT;
    if (info.ssi_signo == SIGCHLD) return on_child(g);
    if (is_stop) {
        lq_notify_stopping(&g->systemd);
        set_stop_deadline(g);
    } else if (info.ssi_signo == SIGHUP && g->ready_ms) {
        lq_notify_reloading(&g->systemd);
    }
    if (g->leaving) kill(g->leaving, (int)info.ssi_signo);
    if (g->runtime) kill(g->runtime, (int)info.ssi_signo);
    return is_stop && !g->runtime ? 0 : -1;
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

/* While there is no runtime that could tell that all is well, we do. */
static uint64_t feeding_ms(const guard *g)
{
    return g->ready_ms ? 0 : g->feed_ms;
}

/* For poll: ms until the first of what is due, -1 when nothing is. */
static int time_left(const guard *g)
{
    const uint64_t due[] = {g->deadline_ms, g->start_ms, feeding_ms(g)};
    uint64_t now = now_ms(), left = UINT64_MAX;
    size_t i;

    for (i = 0; i < LQ_COUNT_OF(due); i++) {
        if (!due[i]) continue;
        if (due[i] <= now) return 0;
        if (due[i] - now < left) left = due[i] - now;
    }
    if (left == UINT64_MAX) return -1;
    return left > INT_MAX ? INT_MAX : (int)left;
}

static bool is_due(uint64_t at_ms)
{
    return at_ms && now_ms() >= at_ms;
}

/* Returns -1 to go on, else the exit status. */
static int do_due(guard *g)
{
    if (is_due(g->deadline_ms)) on_deadline(g);
    if (is_due(feeding_ms(g))) feed_watchdog(g);
    if (is_due(g->start_ms) && start_runtime(g) < 0) return 1;
    return -1;
}

/* Until there is an exit status, and nobody that drains. */
static int watch(guard *g)
{
    struct pollfd fds[3] = {
        {.events = POLLIN}, {.events = POLLIN}, {.events = POLLIN}};
    int status = -1, next;

    while (status < 0 || g->leaving) {
        fds[0].fd = g->signal_fd;
        fds[1].fd = g->news_fd; /* -1 is passed over */
        fds[2].fd = g->ask_fd;
        if (poll(fds, LQ_COUNT_OF(fds), time_left(g)) < 0) continue;
        if (fds[2].revents) answer(g);
        if (fds[1].revents) read_news(g);
        next = fds[0].revents ? on_signal(g) : -1;
        if (next < 0) next = do_due(g);
        if (next < 0 || status >= 0) continue;
        status = next;
        g->start_ms = 0;
    }
    return status;
}

/* ---- the whole ----------------------------------------------------------- */

static int run_unguarded(guard *g)
{
    lq_supervisor_cfg cfg = {
        .options = g->options,
        .paths = g->paths,
        .sockets = g->sockets,
        .guard_fd = -1,
        .ask_fd = -1,
        .alive_ms = g->systemd.watchdog_ms,
        .tell = on_news,
        .data = g,
    };

    return lq_supervisor_run(&cfg);
}

static int run_guarded(guard *g)
{
    int err = open_signals(g);

    if (err == 0) err = start_runtime(g);
    if (err == 0) return watch(g);
    lq_say("the runtime could not be started: %s", strerror(-err));
    return 1;
}

/* Those of systemd, those of --listen, or both; the preset address only where
 * there is none. */
static int open_sockets(guard *g, lq_err *err)
{
    const lq_options *o = g->options;
    lq_activation from_systemd;
    lq_sockets_cfg cfg = {
        .given = from_systemd.fds,
        .urls = o->listen,
        .workers = o->workers,
        .share_port = o->share_port,
    };
    int code = lq_activation_take(&from_systemd, err);

    if (code < 0) return code;
    cfg.given_count = from_systemd.count;
    if (cfg.given_count == 0 || !o->is_listen_preset)
        cfg.url_count = o->listen_count;
    code =
        lq_descriptors_check(o->workers, cfg.given_count + cfg.url_count, err);
    return code < 0 ? code : lq_sockets_open(&g->sockets, &cfg, err);
}

/* Returns the exit status. */
static int run(guard *g)
{
    lq_err err;

    if (open_sockets(g, &err) < 0) {
        lq_say("%s", err.text);
        return 1;
    }
    return g->options->no_respawn ? run_unguarded(g) : run_guarded(g);
}

int lq_guard_run(const lq_options *options, const lq_paths *paths, int ready_fd)
{
    guard *g = lq_mem_zalloc(sizeof *g);
    int status;

    if (!g) {
        lq_say("not enough memory");
        return 1;
    }
    g->options = options;
    g->paths = paths;
    g->log = (lq_log){
        .who = "guard",
        .level = (lq_log_level)options->log_level,
        .format = (lq_log_format)options->log_format,
        .path = options->log_file,
    };
    g->line_fd = ready_fd;
    g->signal_fd = g->news_fd = g->ask_fd = g->leaving_fd = -1;
    lq_keep_init(&g->keep, options->share_port);
    lq_notify_open(&g->systemd, &g->log);
    status = run(g);
    lq_sockets_close(g->sockets);
    lq_keep_fini(&g->keep);
    lq_notify_close(&g->systemd);
    close_fd(&g->signal_fd);
    close_fd(&g->news_fd);
    close_fd(&g->ask_fd);
    close_fd(&g->line_fd);
    lq_mem_free(g);
    return status;
}

/* supervisor.c - see supervisor.h.
 *
 * Start: sockets bound -> initialize -> workers prepare side by side -> all
 * prepared: listen -> all accept -> ready line. Reload: the same beside the
 * generation that serves -> all accept -> the old one retires. Stop: workers
 * drain and end -> joined -> sockets closed.
 */
#include "run/supervisor.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/broken.h"
#include "base/mem.h"
#include "log/say.h"
#include "log/writer.h"
#include "run/relief.h"
#include "run/sockets.h"
#include "run/spread.h"
#include "run/succession.h"
#include "run/watchdog.h"

enum {
    SIGNALS = 5,
    READY_MS = 100,    /* for the log, when nothing may wait for long */
    FLUSH_MS = 1000,   /* for the log, before a message of ours */
    GIVE_UP_MS = 1000, /* for workers that have nothing to wait for */
    MOST_LOST = 3,     /* threads: then the next runtime takes over */
};

typedef enum state {
    STARTING,
    SERVING,
    STOPPING,
} state;

typedef struct supervisor {
    const lq_supervisor_cfg *cfg;
    const lq_options *options;
    lq_writer *writer;
    lq_log log;
    uint64_t log_grace_ms; /* in the end */
    lq_loop loop;
    lq_mailbox mailbox;
    uv_signal_t signals[SIGNALS];
    uv_poll_t guard;
    uv_poll_t broken; /* threads that have broken */
    int broken_fd;
    size_t open_handles; /* of the four: what closes at the end */
    lq_timer give_up;
    lq_timer pulse;       /* relief looks round */
    uint64_t alive_at_ms; /* when the guard is to hear of us next */
    lq_spread *spread;
    lq_hub *hub;
    lq_roster *roster;
    lq_ports *ports;
    lq_pools *pools;
    lq_relief *relief;
    lq_succession succession;
    state state;
    bool is_leaving; /* the next runtime has the sockets */
    int stop_signals;
    int status;
} supervisor;

static const int signal_numbers[SIGNALS] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1,
                                            SIGPIPE};

static void tell(const supervisor *s, lq_news what, const char *text)
{
    s->cfg->tell(s->cfg->data, what, text);
}

/* ---- stop ---------------------------------------------------------------- */

static void on_part_closed(supervisor *s)
{
    if (--s->open_handles == 0) lq_loop_stop(&s->loop);
}

static void on_signal_closed(uv_handle_t *handle)
{
    on_part_closed(handle->data);
}

static void on_guard_closed(uv_handle_t *handle)
{
    on_part_closed(handle->data);
}

static void on_mailbox_closed(lq_mailbox *mb)
{
    on_part_closed(mb->data);
}

static void on_relief_closed(void *data)
{
    on_part_closed(data);
}

static void stop_timers(supervisor *s)
{
    lq_timer_stop(lq_loop_timers(&s->loop), &s->give_up);
    lq_timer_stop(lq_loop_timers(&s->loop), &s->pulse);
}

/* With libuv's handlers gone a signal would end the process its own way, when
 * the exit status is settled already. */
static void block_signals(void)
{
    sigset_t set;
    int i;

    sigemptyset(&set);
    for (i = 0; i < SIGNALS; i++) sigaddset(&set, signal_numbers[i]);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
}

/* The workers are gone: what the main loop has closes, as far as it has been
 * opened. */
static void close_all(supervisor *s)
{
    int i;

    block_signals();
    stop_timers(s);
    for (i = 0; i < SIGNALS; i++)
        if (s->signals[i].data)
            uv_close((uv_handle_t *)&s->signals[i], on_signal_closed);
    if (s->guard.data) uv_close((uv_handle_t *)&s->guard, on_guard_closed);
    if (s->broken.data) uv_close((uv_handle_t *)&s->broken, on_guard_closed);
    if (s->mailbox.data) lq_mailbox_close(&s->mailbox, on_mailbox_closed);
    if (s->relief) lq_relief_close(s->relief, on_relief_closed, s);
}

static int count_lost(const supervisor *s)
{
    return lq_succession_lost(&s->succession, true) +
           lq_succession_lost(&s->succession, false);
}

static void on_pools_ended(void *data)
{
    close_all(data);
}

/* Threads that are lost may still use them; nobody waits for either. */
static void end_pools(supervisor *s)
{
    if (s->pools && count_lost(s) == 0)
        lq_pools_end(s->pools, on_pools_ended, s);
    else
        close_all(s);
}

/* Without the loop, when signals are blocked. Returns false when a second one
 * has asked for the end. */
static bool goes_on(void *data)
{
    const struct timespec at_once = {0, 0};
    supervisor *s = data;
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    while (sigtimedwait(&set, NULL, &at_once) > 0)
        if (++s->stop_signals > 1) return false;
    return true;
}

/* Does not wait for anybody. */
static _Noreturn void leave_at_once(supervisor *s)
{
    lq_sockets_unlink(s->cfg->sockets);
    _exit(s->stop_signals < 2 ? s->status : 1);
}

/* Nearly so: what was logged is written, if that is soon done. */
static void exit_now(supervisor *s)
{
    lq_sockets_unlink(s->cfg->sockets);
    lq_log_flush(&s->log, READY_MS);
    _exit(1);
}

/* The last to end is the log. Threads that are not awaited may still use what
 * would be freed. */
static _Noreturn void leave(supervisor *s)
{
    block_signals();
    if (!s->is_leaving) lq_sockets_shut(s->cfg->sockets);
    lq_sockets_unlink(s->cfg->sockets);
    (void)!lq_writer_finish(s->writer, s->log_grace_ms, goes_on, s);
    leave_at_once(s);
}

/* Some thread does not end: it is not awaited. */
static void on_give_up(lq_timer *timer)
{
    supervisor *s = LQ_CONTAINER_OF(timer, supervisor, give_up);

    lq_log_printf(&s->log, LQ_LOG_WARN, "a thread is stuck: not awaited");
    leave(s);
}

/* What a stop takes at most: the drain, App:close(), and a little. 0: for
 * ever. */
static uint64_t stop_limit_ms(const supervisor *s, int order)
{
    double drain = s->options->drain_timeout;

    if (order == LQ_WORKER_STOP) return GIVE_UP_MS;
    return drain > 0 ? (uint64_t)(drain * 1000) + 2 * GIVE_UP_MS : 0;
}

/* Ends everything; `status` counts when nothing worse has been said. */
static void stop(supervisor *s, int status, int order)
{
    uint64_t limit_ms = stop_limit_ms(s, order);

    if (status > s->status) s->status = status;
    if (s->state == STOPPING) return;
    s->state = STOPPING;
    if (order == LQ_WORKER_DRAIN && !s->is_leaving) {
        lq_sockets_gate(s->cfg->sockets);
        lq_ports_end(s->ports);
    }
    if (limit_ms && lq_timer_start(lq_loop_timers(&s->loop), &s->give_up,
                                   lq_loop_update(&s->loop) + limit_ms) < 0)
        exit_now(s);
    lq_succession_end(&s->succession, order);
}

/* The app could not start: one message, and nobody serves. A log that is stuck
 * now will not have got over it in five seconds. */
static void fail(supervisor *s, const char *text)
{
    bool is_out = lq_log_flush(&s->log, FLUSH_MS);

    if (s->state != STOPPING) {
        lq_say("the app could not start: %s", text);
        s->log_grace_ms = is_out ? FLUSH_MS : READY_MS;
    }
    stop(s, 1, LQ_WORKER_STOP);
}

/* ---- signals ------------------------------------------------------------- */

static void on_stop_signal(supervisor *s)
{
    if (++s->stop_signals > 1) exit_now(s);
    tell(s, LQ_NEWS_STOPPING, NULL);
    stop(s, 0, s->state == SERVING ? LQ_WORKER_DRAIN : LQ_WORKER_STOP);
}

static void on_signal(uv_signal_t *handle, int number)
{
    supervisor *s = handle->data;

    if (number == SIGTERM || number == SIGINT)
        on_stop_signal(s);
    else if (number == SIGHUP)
        lq_succession_reload(&s->succession);
    else if (number == SIGUSR1)
        lq_writer_reopen(s->writer);
}

/* Its end of the pipe has gone: there is nobody to start us again. */
static void on_guard_gone(uv_poll_t *handle, int status, int events)
{
    supervisor *s = handle->data;

    (void)status;
    (void)events;
    uv_poll_stop(handle);
    lq_log_printf(&s->log, LQ_LOG_ERROR, "the guard has died: this is the end");
    stop(s, 1, s->state == SERVING ? LQ_WORKER_DRAIN : LQ_WORKER_STOP);
}

static int watch_guard(supervisor *s)
{
    int err;

    if (s->cfg->guard_fd < 0) return 0;
    err = uv_poll_init(lq_loop_uv(&s->loop), &s->guard, s->cfg->guard_fd);
    if (err < 0) return err;
    s->guard.data = s;
    s->open_handles++;
    return uv_poll_start(&s->guard, UV_READABLE | UV_DISCONNECT, on_guard_gone);
}

static void on_broken(uv_poll_t *handle, int status, int events)
{
    supervisor *s = handle->data;
    lq_broken broken;

    (void)status;
    (void)events;
    while (lq_broken_read(s->broken_fd, &broken))
        lq_succession_bury(&s->succession, &broken);
}

static int watch_broken(supervisor *s)
{
    int err = s->broken_fd = lq_broken_open();

    if (err < 0) return err;
    err = uv_poll_init(lq_loop_uv(&s->loop), &s->broken, s->broken_fd);
    if (err < 0) return err;
    s->broken.data = s;
    s->open_handles++;
    return uv_poll_start(&s->broken, UV_READABLE, on_broken);
}

static int open_signals(supervisor *s)
{
    int i, err;

    for (i = 0; i < SIGNALS; i++) {
        err = uv_signal_init(lq_loop_uv(&s->loop), &s->signals[i]);
        if (err < 0) return err;
        s->signals[i].data = s;
        s->open_handles++;
        err = uv_signal_start(&s->signals[i], on_signal, signal_numbers[i]);
        if (err < 0) return err;
    }
    return 0;
}

/* ---- start --------------------------------------------------------------- */

static int put(lq_buf *line, const char *text)
{
    return lq_buf_append(line, text, strlen(text));
}

/* "http://127.0.0.1:8888, unix:/path" into `line`. */
static int put_urls(const supervisor *s, lq_buf *line)
{
    size_t i, n = lq_sockets_count(s->cfg->sockets);
    int err = 0;

    for (i = 0; i < n && err == 0; i++) {
        if (i > 0) err = put(line, ", ");
        if (err == 0) err = put(line, lq_sockets_url(s->cfg->sockets, i));
    }
    return err;
}

/* The line of a later runtime is not printed: a record stands for it. */
static void tell_ready(supervisor *s)
{
    static const char begin[] = "listening on ";
    lq_buf line;
    char end[32];

    lq_buf_init(&line);
    snprintf(end, sizeof end, " (%d workers)", s->options->workers);
    if (put(&line, begin) < 0 || put_urls(s, &line) < 0 ||
        put(&line, end) < 0 || lq_buf_append(&line, "", 1) < 0) {
        fail(s, "not enough memory");
    } else {
        if (s->cfg->is_again)
            lq_log_printf(&s->log, LQ_LOG_INFO, "listening again on %s",
                          lq_buf_ptr(&line) + sizeof begin - 1);
        tell(s, LQ_NEWS_READY, lq_buf_ptr(&line));
    }
    lq_buf_fini(&line);
}

/* Whoever feeds a watchdog does it for as long as this goes on. */
static void tell_alive(supervisor *s)
{
    uint64_t now = lq_loop_now(&s->loop);

    if (!s->cfg->alive_ms || now < s->alive_at_ms) return;
    s->alive_at_ms = now + s->cfg->alive_ms;
    tell(s, LQ_NEWS_ALIVE, NULL);
}

/* What lost threads hold, memory and maybe a processor, comes back only with
 * their process. Those of code that never served do not count, and after a
 * reload that has failed nobody takes over: it would start with that code. */
static void check_lost(supervisor *s)
{
    int lost = lq_succession_lost(&s->succession, true);

    if (lost < MOST_LOST || s->state != SERVING || s->options->no_respawn)
        return;
    if (lq_succession_has_failed(&s->succession)) return;
    lq_log_printf(&s->log, LQ_LOG_ERROR,
                  "%d workers are lost: the runtime drains and is started "
                  "again",
                  lost);
    s->is_leaving = true;
    lq_sockets_leave_files(s->cfg->sockets);
    lq_ports_hand_over(s->ports);
    tell(s, LQ_NEWS_LEAVING, NULL);
    stop(s, 0, LQ_WORKER_DRAIN);
}

static void on_pulse(lq_timer *timer)
{
    supervisor *s = LQ_CONTAINER_OF(timer, supervisor, pulse);
    uint64_t at_ms = lq_loop_now(&s->loop) + LQ_SPREAD_BUSY_MS;

    (void)!lq_timer_start(lq_loop_timers(&s->loop), &s->pulse, at_ms);
    if (s->state == SERVING && s->options->workers > 1)
        lq_relief_check(s->relief);
    lq_succession_watch(&s->succession);
    check_lost(s);
    tell_alive(s);
}

/* ---- the app's code ------------------------------------------------------ */

/* The first generation is prepared: the gate opens. */
static bool on_prepared(void *data, const lq_crew *crew)
{
    supervisor *s = data;
    lq_err err;

    if (lq_sockets_listen(s->cfg->sockets, &err) == 0 &&
        lq_ports_listen(s->ports, crew, &err) == 0)
        return true;
    fail(s, err.text);
    return false;
}

static void on_serving(void *data)
{
    supervisor *s = data;

    s->state = SERVING;
    lq_log_flush(&s->log, READY_MS);
    tell_ready(s);
    on_pulse(&s->pulse);
}

static void on_failed(void *data, const char *text)
{
    fail(data, text);
}

static void on_news(void *data, lq_news what, const char *text)
{
    tell(data, what, text);
}

/* From now on the port refuses, unless another runtime is to go on with it. */
static void on_quiet(void *data)
{
    supervisor *s = data;

    if (!s->is_leaving) lq_sockets_shut(s->cfg->sockets);
    lq_succession_end(&s->succession, LQ_WORKER_LEAVE);
}

/* Asked for, or, without respawning, by itself: the other generations, if there
 * are any, end, too. */
static void on_ended(void *data)
{
    supervisor *s = data;

    if (s->state == STOPPING)
        end_pools(s);
    else
        stop(s, 1, LQ_WORKER_STOP);
}

static void on_message(lq_mailbox *mb, lq_msg *msg)
{
    lq_report *r = LQ_CONTAINER_OF(msg, lq_report, msg);

    (void)mb;
    lq_generation_report(r);
    lq_mem_free(r->text);
    lq_mem_free(r);
}

/* ---- the whole ----------------------------------------------------------- */

static _Noreturn void leave_lost(supervisor *s)
{
    lq_log_printf(&s->log, LQ_LOG_WARN, "%d threads are lost: not awaited",
                  count_lost(s));
    leave(s);
}

static void init_succession(supervisor *s)
{
    lq_succession_cfg cfg = {
        .loop = &s->loop,
        .worker =
            {
                .options = s->options,
                .paths = s->cfg->paths,
                .sockets = s->cfg->sockets,
                .ports = s->ports,
                .pools = s->pools,
                .spread = s->spread,
                .hub = s->hub,
                .roster = s->roster,
                .to_main = &s->mailbox,
                .log = &s->log,
            },
        .on_prepared = on_prepared,
        .on_serving = on_serving,
        .on_failed = on_failed,
        .tell = on_news,
        .on_quiet = on_quiet,
        .on_ended = on_ended,
        .data = s,
    };

    lq_succession_init(&s->succession, &cfg);
}

static int open_relief(supervisor *s)
{
    int err = lq_relief_open(&s->relief, &s->loop, s->cfg->sockets, s->spread,
                             s->roster, s->options->workers);

    if (s->relief) s->open_handles++;
    return err;
}

static int open_ports(supervisor *s)
{
    const lq_ports_cfg cfg = {
        .sockets = s->cfg->sockets,
        .guard_fd = s->cfg->ask_fd,
        .workers = s->options->workers,
        .share_port = s->options->share_port,
    };

    return lq_ports_new(&s->ports, &cfg);
}

/* What must exist before the first worker. */
static int open_parts(supervisor *s)
{
    const lq_options *o = s->options;
    int err = lq_spread_new(&s->spread, o->workers, (int)o->max_connections);

    if (err == 0) err = lq_roster_new(&s->roster, o->workers);
    if (err == 0) err = open_ports(s);
    if (err == 0) err = lq_pools_new(&s->pools, &s->loop, &s->log);
    if (err == 0) {
        s->hub = lq_hub_new(o->hub_queue.messages, o->hub_queue.bytes);
        err = s->hub ? 0 : -ENOMEM;
    }
    init_succession(s); /* also one of nobody comes to its end */
    if (err == 0)
        err = lq_mailbox_open(&s->mailbox, lq_loop_uv(&s->loop), on_message, s);
    if (err == 0) s->open_handles++;
    if (err == 0) err = open_signals(s);
    if (err == 0) err = watch_guard(s);
    if (err == 0) err = watch_broken(s);
    if (err == 0) err = open_relief(s);
    if (err == 0) err = lq_watchdog_install();
    return err;
}

static void free_parts(supervisor *s)
{
    lq_succession_fini(&s->succession);
    if (s->mailbox.data) lq_mailbox_fini(&s->mailbox);
    lq_broken_close(s->broken_fd);
    lq_ports_free(s->ports);
    lq_pools_free(s->pools);
    lq_roster_free(s->roster);
    lq_spread_free(s->spread);
    lq_hub_free(s->hub);
    if (lq_loop_close(&s->loop) < 0) {
        lq_log_printf(&s->log, LQ_LOG_ERROR, "something was left open");
#ifdef LQ_DEBUG
        lq_log_flush(&s->log, FLUSH_MS);
        _exit(3);
#endif
    }
}

static void init(supervisor *s, const lq_supervisor_cfg *cfg)
{
    *s = (supervisor){
        .cfg = cfg,
        .options = cfg->options,
        .broken_fd = -1,
        .log_grace_ms = LQ_WRITER_GRACE_MS,
    };
    lq_timer_init(&s->give_up, on_give_up);
    lq_timer_init(&s->pulse, on_pulse);
}

static int start_log(supervisor *s, lq_err *err)
{
    const lq_options *o = s->options;
    const lq_writer_cfg cfg = {
        .format = (lq_log_format)o->log_format,
        .path = o->log_file,
        .rotate_size = o->log_rotation.size,
        .rotate_keep = (int)o->log_rotation.keep,
    };
    lq_log like = {
        .level = (lq_log_level)o->log_level,
        .format = cfg.format,
        .path = cfg.path,
    };
    int code = lq_writer_start(&s->writer, &cfg, err);

    if (code < 0) return code;
    like.queue = lq_writer_queue(s->writer);
    return lq_log_init(&s->log, &like, "main", 0);
}

/* The last thread. */
static void stop_log(supervisor *s)
{
    lq_log_fini(&s->log);
    if (!s->writer) return;
    if (!lq_writer_finish(s->writer, s->log_grace_ms, goes_on, s))
        leave_at_once(s);
    lq_writer_free(s->writer);
}

/* Before there is a loop that could end. */
static int give_up(supervisor *s, const char *text)
{
    lq_say("%s", text);
    s->status = 1;
    stop_log(s);
    return 1;
}

int lq_supervisor_run(const lq_supervisor_cfg *cfg)
{
    supervisor s;
    lq_err why;
    int err;

    init(&s, cfg);
    err = start_log(&s, &why);
    if (err < 0)
        return give_up(&s, err == -ENOMEM ? uv_strerror(err) : why.text);
    err = lq_loop_open(&s.loop);
    if (err < 0) return give_up(&s, uv_strerror(err));
    err = open_parts(&s);
    if (err == 0) err = lq_succession_start(&s.succession);
    if (err < 0) fail(&s, uv_strerror(err));
    lq_loop_run(&s.loop);
    if (count_lost(&s) > 0) leave_lost(&s);
    free_parts(&s);
    stop_log(&s);
    return s.status;
}

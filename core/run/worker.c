/* worker.c - see worker.h.
 *
 * The end runs through these steps, each beginning when the one before is
 * over: connections drained -> App:close() -> tasks cancelled -> listeners,
 * net and mailbox closed -> loop empty -> Lua state closed -> ENDED.
 */
#include "run/worker.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/broken.h"
#include "base/mem.h"
#include "lua/answers.h"
#include "lua/app.h"
#include "lua/calls.h"
#include "lua/connection.h"
#include "lua/db.h"
#include "lua/dispatch.h"
#include "lua/pack.h"
#include "lua/subscription.h"
#include "lua/task.h"
#include "lua/trace.h"
#include "net/wire.h"
#include "run/front.h"
#include "run/watchdog.h"

enum {
    CLOSE_MS = 1000,      /* for App:close() behind the drain's deadline */
    LEAVE_MS = 10 * 1000, /* for connections that stay, without a deadline */
};

typedef enum worker_state {
    WORKER_LOADING,  /* load, prepare, entry_point */
    WORKER_PREPARED, /* waits for its orders; or has failed */
    WORKER_ACCEPTING,
    WORKER_DRAINING, /* connections finish */
    WORKER_LEAVING,  /* App:close() runs */
    WORKER_CLOSING,  /* everything closes */
} worker_state;

/* An order: type is one of the enum; a connection has its socket, and memory of
 * its own. */
typedef struct order {
    lq_msg msg;
    _Atomic bool is_told; /* in the mailbox; not of a connection */
    lq_arrival arrival;
} order;

struct lq_worker {
    /* Constant once the thread runs. */
    lq_worker_cfg cfg;
    lq_log log;
    char who[64];
    lq_thread thread;

    /* Any thread. */
    _Atomic(lq_hub_member *) member; /* vm.hub, once it is there */
    lq_mailbox mailbox;
    lq_watch watch;

    /* Owner loop. */
    lq_front front;
    lq_loop loop;
    lq_vm vm;
    lq_dispatch *dispatch;
    lq_app app;
    size_t closing;    /* front, hub and mailbox that still close */
    lq_timer deadline; /* of the drain */
    lq_timer over;     /* the last call of a service has been answered */
    lq_timer again;    /* the drain looks once more at idle connections */
    worker_state state;
    bool has_started; /* App:close() is due */
    bool is_stopping; /* everybody is: what comes now is served here */
    bool is_alone;    /* nobody hands over any more */
    bool is_full;     /* for good: it has been told to retire */

    /* What may not fail for want of memory is there from the start. */
    lq_pg_notice *notice;         /* for the shared pools; NULL: sent */
    order orders[LQ_WORKER_CONN]; /* by type */
    lq_report *reports[LQ_REPORT_ENDED + 1]; /* NULL: made */
};

/* ---- reports ------------------------------------------------------------- */

/* Each type once in a worker's life: who waits for it waits in vain else. */
static bool alloc_reports(lq_worker *w)
{
    size_t i;

    for (i = 0; i < LQ_COUNT_OF(w->reports); i++)
        if (!(w->reports[i] = lq_mem_zalloc(sizeof *w->reports[i])))
            return false;
    return (w->notice = lq_mem_zalloc(sizeof *w->notice)) != NULL;
}

static void free_reports(lq_worker *w)
{
    size_t i;

    lq_mem_free(w->notice);
    for (i = 0; i < LQ_COUNT_OF(w->reports); i++) lq_mem_free(w->reports[i]);
}

static void report(lq_worker *w, int type, const char *text)
{
    lq_report *r = w->reports[type];

    if (!r) return;
    w->reports[type] = NULL;
    r->msg.type = type;
    r->id = w->cfg.id;
    r->worker = w;
    r->crew = w->cfg.crew;
    if (text) r->text = lq_mem_strndup(text, strlen(text));
    if (lq_mailbox_push(w->cfg.to_main, &r->msg) == 0) return;
    lq_mem_free(r->text);
    lq_mem_free(r);
}

/* ---- the front ----------------------------------------------------------- */

static void leave(lq_worker *w);

/* While it drains: nothing is under way, and nothing can come. */
static void leave_if_done(lq_worker *w)
{
    if (w->state == WORKER_DRAINING && lq_front_is_idle(&w->front) &&
        lq_connections_are_over(w->vm.connections) &&
        (!w->is_stopping || w->is_alone))
        leave(w);
}

static void on_gone(void *data)
{
    leave_if_done(data);
}

static uint64_t ms_of(double seconds)
{
    return (uint64_t)(seconds * 1000 + 0.5);
}

/* ---- accepting ----------------------------------------------------------- */

static void on_ready(lq_app *app, bool ok)
{
    lq_worker *w = app->data;

    if (!ok) report(w, LQ_REPORT_FAILED, lq_app_error(app));
}

/* Its own connections have got it when it was published. */
static bool tell_connections(lq_worker *w, const lq_sender *from,
                             const lq_note *note)
{
    lq_str message;

    if (note->to || !lq_connections_have(w->vm.connections, note->topic) ||
        from->serial == lq_hub_address_of(w->vm.hub).serial)
        return false;
    if (lq_pack_is_string(note->bytes, &message))
        lq_connections_deliver(w->vm.connections, note->topic, message,
                               note->is_binary);
    return true;
}

/* Topic 0: of calls. */
static bool on_note(void *data, const lq_sender *from, const lq_note *note)
{
    lq_worker *w = data;
    bool is_heard;

    if (note->topic) {
        is_heard = tell_connections(w, from, note);
        return lq_subscriptions_deliver(w->vm.subscriptions, from, note) ||
               is_heard;
    }
    if (lq_calls_are_meant(note))
        lq_calls_take(w->vm.calls, note);
    else if (w->vm.answers)
        lq_answers_take(w->vm.answers, note);
    return false;
}

static void on_notes(void *data)
{
    lq_worker *w = data;

    lq_subscriptions_run(w->vm.subscriptions);
}

static void run_tasks(void *data)
{
    lq_worker *w = data;

    w->vm.turn.run(&w->vm.turn);
}

static int join_hub(lq_worker *w)
{
    const lq_service_spec *service = w->cfg.service;
    lq_hub_member_cfg cfg = {
        .loop = &w->loop,
        .id = service ? 0 : w->cfg.id,
        .name = service ? service->name : "",
        .on_message = on_note,
        .on_messages = on_notes,
        .spin_us = w->cfg.options->spin_us,
        .run = run_tasks,
        .data = w,
    };
    int err;

    w->vm.subscriptions = lq_subscriptions_new(&w->vm);
    w->vm.calls = lq_calls_new(&w->vm);
    if (service) w->vm.answers = lq_answers_new(&w->vm);
    if (!w->vm.subscriptions || !w->vm.calls || (service && !w->vm.answers))
        return -ENOMEM;
    err = lq_hub_join(&w->vm.hub, w->cfg.hub, &cfg);
    if (err == 0) atomic_store(&w->member, w->vm.hub);
    return err;
}

static void start_accepting(lq_worker *w)
{
    if (w->state != WORKER_PREPARED) return;
    w->state = WORKER_ACCEPTING;
    if (!w->cfg.service) lq_front_start(&w->front, w->app.router);
    lq_hub_open(w->vm.hub);
    report(w, LQ_REPORT_ACCEPTING, NULL);
    if (!w->cfg.service)
        lq_app_run(&w->app, "ready", LQ_STR(""), LQ_STR(""), on_ready);
}

/* ---- the end ------------------------------------------------------------- */

static void closed_one(lq_worker *w)
{
    if (--w->closing == 0) lq_loop_stop(&w->loop);
}

static void on_front_closed(void *data)
{
    closed_one(data);
}

static void on_mailbox_closed(lq_mailbox *mb)
{
    closed_one(mb->data);
}

static void on_hub_closed(void *data)
{
    closed_one(data);
}

static void close_all(lq_worker *w)
{
    if (w->state == WORKER_CLOSING) return;
    w->state = WORKER_CLOSING;
    lq_front_refuse(&w->front);
    lq_timer_stop(lq_loop_timers(&w->loop), &w->deadline);
    lq_timer_stop(lq_loop_timers(&w->loop), &w->over);
    lq_timer_stop(lq_loop_timers(&w->loop), &w->again);
    if (w->vm.subscriptions) lq_subscriptions_close(w->vm.subscriptions);
    lq_connections_close(w->vm.connections);
    if (w->vm.L) lq_tasks_cancel(&w->vm);
    w->closing = 2 + (w->vm.hub != NULL);
    lq_mailbox_close(&w->mailbox, on_mailbox_closed);
    lq_front_close(&w->front, on_front_closed);
    if (w->vm.hub) lq_hub_close(w->vm.hub, on_hub_closed, w);
}

static void on_app_closed(lq_app *app, bool ok)
{
    lq_worker *w = app->data;

    if (!ok)
        lq_log_printf(&w->log, LQ_LOG_ERROR, "error in close: %s",
                      lq_app_error(app));
    if (w->state != WORKER_LEAVING) return; /* cut at the deadline */
    /* Not inside the task that has just ended: it is still to be recycled. */
    if (lq_timer_start(lq_loop_timers(&w->loop), &w->deadline,
                       lq_loop_now(&w->loop)) < 0)
        close_all(w);
}

/* Nothing is under way any more: App:close() has its turn. */
static void leave(lq_worker *w)
{
    if (w->state >= WORKER_LEAVING) return;
    w->state = WORKER_LEAVING;
    lq_front_refuse(&w->front);
    lq_app_cancel(&w->app); /* App:ready() may still be at it */
    if (w->has_started)
        lq_app_run(&w->app, "close", LQ_STR(""), LQ_STR(""), on_app_closed);
    else
        close_all(w);
}

/* The drain has taken too long: what is left is cut. */
static void on_deadline(lq_timer *timer)
{
    lq_worker *w = LQ_CONTAINER_OF(timer, lq_worker, deadline);

    uint64_t at_ms = lq_loop_now(&w->loop) + CLOSE_MS;

    if (w->state == WORKER_LEAVING) {
        close_all(w);
        return;
    }
    /* Nothing is left unread. */
    (void)lq_front_end_idle(&w->front);
    lq_connections_cut(w->vm.connections);
    leave(w); /* App:close() has a deadline of its own */
    if (w->state == WORKER_LEAVING &&
        lq_timer_start(lq_loop_timers(&w->loop), &w->deadline, at_ms) < 0)
        close_all(w);
}

static void stop_listening(lq_worker *w)
{
    if (!w->cfg.service) lq_front_stop(&w->front);
    if (w->cfg.service && w->vm.hub) lq_hub_hide(w->vm.hub);
    w->state = WORKER_DRAINING;
    report(w, LQ_REPORT_DRAINING, NULL);
}

static void on_over(lq_timer *timer)
{
    lq_worker *w = LQ_CONTAINER_OF(timer, lq_worker, over);

    if (w->state != WORKER_DRAINING) return;
    if (w->cfg.service)
        leave(w);
    else
        leave_if_done(w);
}

/* Not inside what has just ended. */
static void on_connections_over(void *data)
{
    lq_worker *w = data;

    if (w->state == WORKER_DRAINING)
        (void)!lq_timer_start(lq_loop_timers(&w->loop), &w->over,
                              lq_loop_now(&w->loop));
}

/* A service has answered its last call. Not inside the task of it. */
static void on_calls_over(void *data)
{
    lq_worker *w = data;

    if (w->state == WORKER_DRAINING &&
        lq_timer_start(lq_loop_timers(&w->loop), &w->over,
                       lq_loop_now(&w->loop)) < 0)
        leave(w);
}

/* Connections that stay leave one after another, so that their clients do not
 * all come at once to whoever serves next; unless nobody does. */
static void end_connections(lq_worker *w)
{
    uint64_t wait_ms = ms_of(w->cfg.options->drain_timeout);

    if (wait_ms == 0) wait_ms = LEAVE_MS;
    lq_connections_leave(w->vm.connections,
                         w->is_stopping ? 0 : wait_ms / 5 * 4);
}

/* App:close() has a deadline too where no connection is left to wait for. */
static void retire(lq_worker *w)
{
    uint64_t wait_ms = ms_of(w->cfg.options->drain_timeout);

    if (w->state >= WORKER_DRAINING) return;
    stop_listening(w);
    if (wait_ms && lq_timer_start(lq_loop_timers(&w->loop), &w->deadline,
                                  lq_loop_update(&w->loop) + wait_ms) < 0) {
        close_all(w);
        return;
    }
    if (w->front.is_net_open) {
        end_connections(w);
        leave_if_done(w);
    } else if (w->vm.answers) {
        lq_answers_drain(w->vm.answers, on_calls_over, w);
    } else {
        leave(w);
    }
}

static void end_idle(lq_worker *w)
{
    uint64_t at_ms = lq_loop_now(&w->loop) + LQ_NET_NEW_MS;

    if (w->state == WORKER_DRAINING && lq_front_end_idle(&w->front))
        (void)!lq_timer_start(lq_loop_timers(&w->loop), &w->again, at_ms);
}

static void on_again(lq_timer *timer)
{
    end_idle(LQ_CONTAINER_OF(timer, lq_worker, again));
}

static void drain(lq_worker *w)
{
    w->is_stopping = true;
    lq_front_be_last(&w->front);
    retire(w);
    end_connections(w);
    end_idle(w);
}

static void be_alone(lq_worker *w)
{
    w->is_alone = true;
    leave_if_done(w);
}

static int on_listen(lq_vm *vm, const lq_listen_spec *spec, int *number,
                     uint16_t *port, lq_err *err)
{
    lq_worker *w = vm->cfg.data;

    return lq_front_listen(&w->front, spec, number, port, err);
}

static void on_unlisten(lq_vm *vm, int number)
{
    lq_worker *w = vm->cfg.data;

    lq_front_unlisten(&w->front, number);
}

static int on_pool(lq_vm *vm, const lq_pg_pool_cfg *cfg, lq_pg_pool **out,
                   lq_err *err)
{
    lq_worker *w = vm->cfg.data;

    return lq_pools_open(w->cfg.pools, cfg, w, out, err);
}

/* os.exit, aq.instance:stop(): only this worker ends. Called inside Lua, so
 * it is an order to itself. */
static void on_stop(lq_vm *vm)
{
    lq_worker_tell(vm->cfg.data, LQ_WORKER_RETIRE);
}

static void on_message(lq_mailbox *mb, lq_msg *msg)
{
    lq_worker *w = mb->data;
    order *o = LQ_CONTAINER_OF(msg, order, msg);
    int type = msg->type;

    /* Before it is done: from here on it may be given again. */
    atomic_store(&o->is_told, false);
    switch (type) {
    case LQ_WORKER_ACCEPT: start_accepting(w); break;
    case LQ_WORKER_RETIRE: retire(w); break;
    case LQ_WORKER_DRAIN: drain(w); break;
    case LQ_WORKER_LEAVE: be_alone(w); break;
    case LQ_WORKER_STOP: close_all(w); break;
    case LQ_WORKER_CONN: lq_front_take(&w->front, &o->arrival); break;
    default: break;
    }
    if (type == LQ_WORKER_CONN) lq_mem_free(o);
}

/* ---- the thread ---------------------------------------------------------- */

static void on_started(lq_app *app, bool ok)
{
    lq_worker *w = app->data;

    if (w->state != WORKER_LOADING) return;
    w->state = WORKER_PREPARED;
    w->has_started = ok;
    if (!ok) {
        report(w, LQ_REPORT_FAILED, lq_app_error(app));
        return;
    }
    lq_vm_settle(&w->vm);
    report(w, LQ_REPORT_PREPARED, NULL);
}

/* What the app holds leaves no room for requests: a fresh state may. */
static void on_full(lq_vm *vm)
{
    lq_worker *w = vm->cfg.data;

    if (w->is_full) return;
    lq_log_printf(&w->log, LQ_LOG_ERROR,
                  "the Lua heap stays at %zu of %zu bytes (--memory-limit) "
                  "after a full collection: this worker drains and is replaced",
                  vm->alloc.used, vm->cfg.memory_limit);
    w->is_full = lq_worker_tell(w, LQ_WORKER_RETIRE) == 0;
}

/* The state has unwound and can still drain; it is not to be trusted longer. */
static void on_broken(lq_vm *vm)
{
    lq_worker *w = vm->cfg.data;

    lq_log_printf(&w->log, LQ_LOG_ERROR,
                  "an error in error handling: this worker drains and is "
                  "replaced");
    lq_worker_tell(w, LQ_WORKER_RETIRE);
}

static double busy_limit(const lq_worker *w)
{
    return w->cfg.service ? w->cfg.service->busy_timeout
                          : w->cfg.options->busy_timeout;
}

/* The state and the front; then the app's first step. */
static int open_all(lq_worker *w)
{
    const char *script = w->cfg.options->app;
    lq_vm_cfg cfg = {
        .loop = &w->loop,
        .log = &w->log,
        .id = w->cfg.id,
        .restarts = w->cfg.restarts,
        .generation = w->cfg.generation,
        .workers = w->cfg.options->workers,
        .lua_path = w->cfg.paths->lua,
        .lib_path = w->cfg.paths->lib,
        .code = w->cfg.code,
        .memory_limit =
            w->cfg.service ? 0 : (size_t)w->cfg.options->memory_limit,
        .service = w->cfg.service,
        .on_listen = w->cfg.service ? NULL : on_listen,
        .on_unlisten = on_unlisten,
        .on_pool = on_pool,
        .on_stop = on_stop,
        .on_full = on_full,
        .on_broken = on_broken,
        .data = w,
    };
    int err = lq_vm_open(&w->vm, &cfg);

    if (err < 0) return err;
    w->vm.running.limit_s = busy_limit(w);
    if ((err = join_hub(w)) < 0) return err;
    if ((err = lq_dispatch_init(&w->dispatch, &w->vm)) < 0) return err;
    if ((err = lq_app_init(&w->app, &w->vm)) < 0) return err;
    w->app.data = w;
    if (w->cfg.service) {
        lq_app_run(&w->app, "service", (lq_str){script, strlen(script)},
                   w->cfg.service->arg, on_started);
        return 0;
    }
    if ((err = lq_front_open(&w->front, w->dispatch)) < 0) return err;
    w->vm.connections = lq_connections_new(&w->vm, &w->front.net);
    if (!w->vm.connections) return -ENOMEM;
    lq_connections_on_over(w->vm.connections, on_connections_over, w);
    lq_app_run(&w->app, "start", (lq_str){script, strlen(script)},
               w->cfg.context, on_started);
    return 0;
}

static void close_state(lq_worker *w)
{
    if (!w->vm.L) return;
    lq_app_fini(&w->app);
    lq_vm_close(&w->vm);
    lq_dispatch_fini(w->dispatch);
    lq_subscriptions_free(w->vm.subscriptions);
    lq_calls_free(w->vm.calls);
    lq_answers_free(w->vm.answers);
    lq_connections_free(w->vm.connections);
    if (w->vm.hub) lq_hub_leave(w->vm.hub);
}

static void run(void *arg)
{
    lq_worker *w = arg;
    char text[128];
    int err = open_all(w);

    lq_watch_allow(true);
    if (err < 0) {
        w->state = WORKER_PREPARED;
        report(w, LQ_REPORT_FAILED,
               w->app.error ? w->app.error
                            : lq_strerror(err, text, sizeof text));
    }
    lq_loop_run(&w->loop);
    lq_watch_allow(false);
    close_state(w);
    if (lq_loop_close(&w->loop) < 0) {
        lq_log_printf(&w->log, LQ_LOG_ERROR, "something was left open");
#ifdef LQ_DEBUG
        lq_log_flush(&w->log, 1000);
        _exit(3);
#endif
    }
    report(w, LQ_REPORT_ENDED, NULL);
}

/* ---- from other threads -------------------------------------------------- */

int lq_worker_tell(lq_worker *w, int type)
{
    order *o = &w->orders[type];
    int err;

    if (atomic_exchange(&o->is_told, true)) return 0;
    o->msg.type = type;
    err = lq_mailbox_push(&w->mailbox, &o->msg);
    if (err < 0) atomic_store(&o->is_told, false);
    return err;
}

int lq_worker_hand(lq_worker *w, const lq_arrival *a)
{
    order *o;
    int err;

    if (!lq_front_has(&w->front, a->number)) return LQ_ECLOSED;
    o = lq_mem_zalloc(sizeof *o);
    if (!o) return -ENOMEM;
    o->msg.type = LQ_WORKER_CONN;
    o->arrival = *a;
    err = lq_mailbox_push(&w->mailbox, &o->msg);
    if (err < 0) lq_mem_free(o);
    return err;
}

static int init_front(lq_worker *w)
{
    const lq_front_cfg cfg = {
        .id = w->cfg.id,
        .restarts = w->cfg.restarts,
        .crew = w->cfg.crew,
        .options = w->cfg.options,
        .loop = &w->loop,
        .vm = &w->vm,
        .sockets = w->cfg.sockets,
        .ports = w->cfg.ports,
        .spread = w->cfg.spread,
        .roster = w->cfg.roster,
        .pulse = w->cfg.pulse,
        .log = &w->log,
        .on_gone = on_gone,
        .data = w,
    };

    return lq_front_init(&w->front, &cfg);
}

static lq_worker *alloc_worker(const lq_worker_cfg *cfg)
{
    lq_worker *w = lq_mem_zalloc(sizeof *w);

    if (!w) return NULL;
    w->cfg = *cfg;
    if (cfg->service)
        snprintf(w->who, sizeof w->who, "%s", cfg->service->name);
    else
        snprintf(w->who, sizeof w->who, "w%d", cfg->id);
    if (!alloc_reports(w)) goto fail;
    if (lq_log_init(&w->log, cfg->log, w->who, cfg->service ? 0 : cfg->id) < 0)
        goto fail;
    if (init_front(w) < 0) {
        lq_log_fini(&w->log);
        goto fail;
    }
    lq_timer_init(&w->deadline, on_deadline);
    lq_timer_init(&w->over, on_over);
    lq_timer_init(&w->again, on_again);
    lq_watch_init(&w->watch, &w->vm.running, cfg->pulse);
    return w;

fail:
    free_reports(w);
    lq_mem_free(w);
    return NULL;
}

static void free_worker(lq_worker *w)
{
    lq_front_fini(&w->front);
    lq_log_fini(&w->log);
    free_reports(w);
    lq_mem_free(w);
}

/* The thread could not be started: what is open closes in this one. */
static void abandon(lq_worker *w)
{
    if (w->mailbox.data) {
        lq_mailbox_close(&w->mailbox, NULL);
        if (lq_loop_close(&w->loop) == 0) lq_mailbox_fini(&w->mailbox);
    }
    free_worker(w);
}

int lq_worker_start(lq_worker **out, const lq_worker_cfg *cfg)
{
    lq_worker *w = alloc_worker(cfg);
    char name[LQ_THREAD_NAME_CAP];
    int err;

    if (!w) return -ENOMEM;
    if (cfg->service)
        snprintf(name, sizeof name, LQ_BROKEN_WORKER ":%s", cfg->service->name);
    else
        snprintf(name, sizeof name, LQ_BROKEN_WORKER "%d", cfg->id);
    if ((err = lq_loop_open(&w->loop)) < 0) goto fail;
    lq_loop_keep_pulse(&w->loop, cfg->pulse);
    err = lq_mailbox_open(&w->mailbox, lq_loop_uv(&w->loop), on_message, w);
    if (err < 0) goto fail;
    *out = w; /* before the thread runs, which may look it up */
    if ((err = lq_thread_start(&w->thread, name, run, w)) < 0) goto fail;
    return 0;

fail:
    *out = NULL;
    abandon(w);
    return err;
}

bool lq_worker_watch(lq_worker *w, uint64_t now_ms)
{
    uint64_t limit_ms = ms_of(busy_limit(w));

    return limit_ms && lq_watch_look(&w->watch, w->thread.id, now_ms, limit_ms);
}

/* Connections that were handed over and not yet seen are for others. */
static void drop_orders(lq_worker *w)
{
    lq_msg *msg = lq_mailbox_steal(&w->mailbox), *next;
    order *o;

    for (; msg; msg = next) {
        next = msg->next;
        o = LQ_CONTAINER_OF(msg, order, msg);
        if (msg->type == LQ_WORKER_CONN) {
            lq_spread_leave(w->cfg.spread, w->cfg.id - 1);
            if (lq_roster_give(w->cfg.roster, w->cfg.spread, &o->arrival) < 0)
                close(o->arrival.fd);
            lq_mem_free(o);
        } else {
            atomic_store(&o->is_told, false);
        }
    }
}

/* What it has of shared pools goes back to them. */
static void evict(lq_worker *w)
{
    lq_pg_notice *notice = w->notice;

    w->notice = NULL;
    if (!notice) return;
    notice->owner = w;
    lq_pools_evict(w->cfg.pools, notice);
}

void lq_worker_give_up(lq_worker *w)
{
    lq_hub_member *member = atomic_load(&w->member);

    lq_front_abandon(&w->front);
    evict(w);
    if (member) lq_hub_part(member);
    drop_orders(w);
    (void)!lq_worker_tell(w, LQ_WORKER_STOP);
}

bool lq_worker_is(const lq_worker *w, pthread_t thread)
{
    return pthread_equal(w->thread.id, thread);
}

void lq_worker_bury(lq_worker *w, const char *why)
{
    char trace[2048];

    lq_thread_join(&w->thread);
    lq_front_bury(&w->front);
    lq_wires_shut(w->vm.wires);
    lq_db_shut(&w->vm);
    evict(w);
    lq_trace_running(&w->vm.running, trace, sizeof trace);
    lq_log_printf(&w->log, LQ_LOG_ERROR,
                  "the worker is broken, and its clients are cut: %s\n%s", why,
                  trace);
}

void lq_worker_join(lq_worker *w)
{
    lq_thread_join(&w->thread);
}

void lq_worker_free(lq_worker *w)
{
    if (!w) return;
    lq_mailbox_fini(&w->mailbox);
    free_worker(w);
}

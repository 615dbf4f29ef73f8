/* worker.c - see worker.h. */
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
#include "run/ending.h"
#include "run/workerstate.h"

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

void lq_worker_report(lq_worker *w, int type, const char *text)
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

static void on_gone(void *data)
{
    lq_ending_look(data);
}

/* ---- accepting ----------------------------------------------------------- */

static void on_ready(lq_app *app, bool ok)
{
    lq_worker *w = app->data;

    if (!ok) lq_worker_report(w, LQ_REPORT_FAILED, lq_app_error(app));
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
    if (w->state != LQ_WORKER_PREPARED) return;
    w->state = LQ_WORKER_ACCEPTING;
    if (!w->cfg.service) lq_front_start(&w->front, w->app.router);
    lq_hub_open(w->vm.hub);
    lq_worker_report(w, LQ_REPORT_ACCEPTING, NULL);
    if (!w->cfg.service)
        lq_app_run(&w->app, "ready", LQ_STR(""), LQ_STR(""), on_ready);
}

/* ---- for Lua, and orders ------------------------------------------------- */

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
    lq_worker_order *o = LQ_CONTAINER_OF(msg, lq_worker_order, msg);
    int type = msg->type;

    /* Before it is done: from here on it may be given again. */
    atomic_store(&o->is_told, false);
    switch (type) {
    case LQ_WORKER_ACCEPT: start_accepting(w); break;
    case LQ_WORKER_RETIRE: lq_ending_retire(w); break;
    case LQ_WORKER_DRAIN: lq_ending_drain(w); break;
    case LQ_WORKER_LEAVE: lq_ending_be_alone(w); break;
    case LQ_WORKER_STOP: lq_ending_cut(w); break;
    case LQ_WORKER_CONN: lq_front_take(&w->front, &o->arrival); break;
    default: break;
    }
    if (type == LQ_WORKER_CONN) lq_mem_free(o);
}

/* ---- the thread ---------------------------------------------------------- */

static void on_started(lq_app *app, bool ok)
{
    lq_worker *w = app->data;

    if (w->state != LQ_WORKER_LOADING) return;
    w->state = LQ_WORKER_PREPARED;
    w->has_started = ok;
    if (!ok) {
        lq_worker_report(w, LQ_REPORT_FAILED, lq_app_error(app));
        return;
    }
    lq_vm_settle(&w->vm);
    lq_worker_report(w, LQ_REPORT_PREPARED, NULL);
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
    lq_connections_on_over(w->vm.connections, lq_ending_on_connections_over, w);
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
        w->state = LQ_WORKER_PREPARED;
        lq_worker_report(w, LQ_REPORT_FAILED,
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
    lq_worker_report(w, LQ_REPORT_ENDED, NULL);
}

/* ---- from other threads -------------------------------------------------- */

int lq_worker_tell(lq_worker *w, int type)
{
    lq_worker_order *o = &w->orders[type];
    int err;

    if (atomic_exchange(&o->is_told, true)) return 0;
    o->msg.type = type;
    err = lq_mailbox_push(&w->mailbox, &o->msg);
    if (err < 0) atomic_store(&o->is_told, false);
    return err;
}

int lq_worker_hand(lq_worker *w, const lq_arrival *a)
{
    lq_worker_order *o;
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
    lq_ending_init(w);
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
    uint64_t limit_ms = lq_ms_of(busy_limit(w));

    return limit_ms && lq_watch_look(&w->watch, w->thread.id, now_ms, limit_ms);
}

/* Connections that were handed over and not yet seen are for others. */
static void drop_orders(lq_worker *w)
{
    lq_msg *msg = lq_mailbox_steal(&w->mailbox), *next;
    lq_worker_order *o;

    for (; msg; msg = next) {
        next = msg->next;
        o = LQ_CONTAINER_OF(msg, lq_worker_order, msg);
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

/* generation.c - see generation.h. */
#include "run/generation.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "run/initialize.h"

static const lq_options *options_of(const lq_generation *g)
{
    return g->cfg.worker.options;
}

static void stop_deadline(lq_generation *g)
{
    lq_timer_stop(lq_loop_timers(g->cfg.loop), &g->deadline);
}

/* Once. */
static void fail(lq_generation *g, const char *text)
{
    stop_deadline(g);
    if (g->has_failed || g->is_ending) return;
    g->has_failed = true;
    g->cfg.on_failed(g, text);
}

static void fail_with(lq_generation *g, int err)
{
    char text[128];

    fail(g, lq_strerror(err, text, sizeof text));
}

/* What each of its two parts may take. */
static int start_deadline(lq_generation *g)
{
    double limit_s = options_of(g)->start_timeout;

    if (limit_s <= 0) return 0;
    return lq_timer_start(lq_loop_timers(g->cfg.loop), &g->deadline,
                          lq_loop_update(g->cfg.loop) +
                              (uint64_t)(limit_s * 1000));
}

static void on_deadline(lq_timer *timer)
{
    lq_generation *g = LQ_CONTAINER_OF(timer, lq_generation, deadline);
    int count = options_of(g)->workers;
    char text[128];

    if (g->initialize)
        snprintf(text, sizeof text, "it has not loaded within --start-timeout");
    else if (!g->crew)
        snprintf(text, sizeof text,
                 "its services have not prepared within --start-timeout %g s",
                 options_of(g)->start_timeout);
    else
        snprintf(text, sizeof text,
                 "%d of %d workers have not prepared within --start-timeout "
                 "%g s",
                 count - lq_crew_prepared(g->crew), count,
                 options_of(g)->start_timeout);
    fail(g, text);
}

static void check_ended(lq_generation *g, bool is_over)
{
    if (!is_over || g->has_ended) return;
    g->has_ended = true;
    g->cfg.on_ended(g);
}

/* ---- the crew ------------------------------------------------------------ */

static void on_prepared(void *data)
{
    lq_generation *g = data;

    stop_deadline(g);
    if (!g->is_ending) g->cfg.on_prepared(g);
}

static void on_accepting(void *data)
{
    lq_generation *g = data;

    if (!g->is_ending) g->cfg.on_accepting(g);
}

static void on_failed(void *data, const char *text)
{
    fail(data, text);
}

static void on_quiet(void *data)
{
    lq_generation *g = data;

    if (g->is_quiet) return;
    g->is_quiet = true;
    g->cfg.on_quiet(g);
}

static void on_ended(void *data)
{
    lq_generation *g = data;

    on_quiet(g);
    check_ended(g, true);
}

static int start_crew(lq_generation *g)
{
    lq_crew_cfg cfg = {
        .loop = g->cfg.loop,
        .log = g->cfg.worker.log,
        .worker = g->cfg.worker,
        .count = options_of(g)->workers,
        .is_first = g->cfg.is_first,
        .on_prepared = on_prepared,
        .on_accepting = on_accepting,
        .on_failed = on_failed,
        .on_quiet = on_quiet,
        .on_ended = on_ended,
        .data = g,
    };
    int err;

    cfg.worker.code = g->code;
    cfg.worker.context =
        (lq_str){lq_buf_ptr(&g->context), lq_buf_len(&g->context)};
    if ((err = lq_crew_new(&g->crew, &cfg)) < 0) return err;
    if ((err = start_deadline(g)) < 0) return err;
    return lq_crew_start(g->crew);
}

/* ---- initialize ---------------------------------------------------------- */

/* In the thread. */
static void run_initialize(void *arg)
{
    lq_generation *g = arg;

    lq_initialize_run(g->initialize);
    /* The main thread's mailbox is open for as long as it has generations. */
    (void)!lq_mailbox_push(g->cfg.worker.to_main, &g->initialized->msg);
}

/* Takes over what it has made. Returns -ENOMEM. */
static int take_context(lq_generation *g)
{
    lq_str text = lq_initialize_text(g->initialize);

    lq_declarations_move(lq_initialize_declared(g->initialize), &g->declared);
    return lq_buf_append(&g->context, text.ptr, text.len);
}

static void on_services_ready(void *data)
{
    lq_generation *g = data;
    int err;

    stop_deadline(g);
    err = g->is_ending ? 0 : start_crew(g);
    if (err < 0) fail_with(g, err);
}

/* They are there before any worker. */
static void start_services(lq_generation *g)
{
    int err = start_deadline(g);

    if (err < 0) {
        fail_with(g, err);
        return;
    }
    lq_services_prepare(g->cfg.services, &g->declared, g->cfg.worker.generation,
                        on_services_ready, on_failed, g);
}

static void on_initialized(lq_generation *g)
{
    lq_initialize *i = g->initialize;
    const char *error = lq_initialize_error(i);
    int err;

    lq_thread_join(&g->thread);
    stop_deadline(g);
    g->is_thread_lost = false;
    g->initialized = NULL; /* whoever reads it frees it */
    if (error) fail(g, error);
    err = error ? 0 : take_context(g);
    g->initialize = NULL;
    lq_initialize_free(i);
    if (g->is_ending)
        check_ended(g, true);
    else if (err < 0)
        fail_with(g, err);
    else if (!error)
        start_services(g);
}

static int start_thread(lq_generation *g)
{
    lq_initialize_cfg cfg = {
        .options = options_of(g),
        .paths = g->cfg.worker.paths,
        .log = g->cfg.worker.log,
        .code = g->code,
        .generation = g->cfg.worker.generation,
        .step = "initialize",
    };
    int err = lq_initialize_new(&g->initialize, &cfg);

    if (err < 0) return err;
    err = lq_thread_start(&g->thread, LQ_BROKEN_WORKER "0", run_initialize, g);
    if (err == 0) return 0;
    lq_initialize_free(g->initialize);
    g->initialize = NULL;
    return err;
}

int lq_generation_start(lq_generation *g)
{
    int err;

    g->initialized = lq_mem_zalloc(sizeof *g->initialized);
    if (!g->initialized) return -ENOMEM;
    g->initialized->msg.type = LQ_REPORT_INITIALIZED;
    g->initialized->generation = g;
    if ((err = start_deadline(g)) < 0) return err;
    if ((err = start_thread(g)) < 0) stop_deadline(g);
    return err;
}

/* ---- the whole ----------------------------------------------------------- */

void lq_generation_open(lq_generation *g)
{
    g->is_quiet = false;
    g->has_served = true;
    lq_crew_open(g->crew);
}

void lq_generation_end(lq_generation *g, int order)
{
    bool is_new = !g->is_ending;

    stop_deadline(g);
    g->is_ending = true;
    lq_services_forget(g->cfg.services, g);
    if (g->crew)
        lq_crew_end(g->crew, order);
    else if (!g->initialize)
        check_ended(g, true);
    else if (g->is_thread_lost)
        check_ended(g, true);
    else if (is_new)
        lq_initialize_stop(g->initialize);
}

void lq_generation_report(const lq_report *report)
{
    if (report->crew)
        lq_crew_report(report->crew, report);
    else
        on_initialized(report->generation);
}

/* Told to stop, and it does not hear: others go on as if it had ended. */
static void watch_initialize(lq_generation *g)
{
    if (!lq_initialize_watch(g->initialize, g->thread.id,
                             lq_loop_now(g->cfg.loop)))
        return;
    lq_log_printf(g->cfg.worker.log, LQ_LOG_ERROR,
                  "initialize is stuck (in a C function, a finalizer or a "
                  "hook): its thread is given up");
    g->is_thread_lost = true;
    check_ended(g, true);
}

void lq_generation_watch(lq_generation *g)
{
    if (g->crew) lq_crew_watch(g->crew);
    if (g->initialize && g->is_ending && !g->is_thread_lost)
        watch_initialize(g);
}

/* The thread of initialize has broken, and left everything behind. */
static void bury_initialize(lq_generation *g, const char *why)
{
    char text[2560];
    int len = snprintf(text, sizeof text, "%s\n", why);

    lq_thread_join(&g->thread);
    lq_initialize_trace(g->initialize, text + len, sizeof text - (size_t)len);
    g->is_thread_lost = g->is_thread_buried = true;
    fail(g, text);
    if (g->is_ending) check_ended(g, true);
}

void lq_generation_bury(lq_generation *g, const lq_broken *broken)
{
    if (g->crew)
        lq_crew_bury(g->crew, broken);
    else if (g->initialize && !g->is_thread_buried &&
             pthread_equal(g->thread.id, broken->thread))
        bury_initialize(g, broken->text);
}

int lq_generation_lost(const lq_generation *g)
{
    return (g->crew ? lq_crew_lost(g->crew) : 0) + g->is_thread_lost;
}

int lq_generation_new(lq_generation **out, const lq_generation_cfg *cfg)
{
    lq_generation *g = lq_mem_zalloc(sizeof *g);

    if (!g) return -ENOMEM;
    g->code = lq_code_new();
    if (!g->code) {
        lq_mem_free(g);
        return -ENOMEM;
    }
    g->cfg = *cfg;
    g->is_quiet = true;
    lq_list_init(&g->link);
    lq_timer_init(&g->deadline, on_deadline);
    lq_buf_init(&g->context);
    lq_declarations_init(&g->declared);
    *out = g;
    return 0;
}

void lq_generation_free(lq_generation *g)
{
    if (!g) return;
    LQ_ASSERT(!g->initialize);
    lq_crew_free(g->crew);
    lq_mem_free(g->initialized);
    lq_code_unref(g->code);
    lq_buf_fini(&g->context);
    lq_declarations_fini(&g->declared);
    lq_mem_free(g);
}

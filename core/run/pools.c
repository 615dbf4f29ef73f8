/* pools.c - see pools.h. */
#include "run/pools.h"

#include <errno.h>
#include <unistd.h>

#include "base/mem.h"
#include "loop/mailbox.h"
#include "loop/thread.h"
#include "pg/remote.h"

struct lq_pools {
    /* Set by new, then constant. */
    const lq_log *like;

    /* Guarded by lock. */
    uv_mutex_t lock;
    bool is_running; /* what comes next is there */

    /* Set when the thread starts, then constant. */
    lq_pg_keeper *keeper;
    lq_thread thread;
    lq_log log;

    /* The pool thread's, once it runs. */
    lq_loop loop;

    /* The main thread's. */
    lq_mailbox from; /* what the pool thread has to say: that it ends */
    lq_msg over;
    void (*on_ended)(void *data);
    void *data;
};

/* ---- the thread --------------------------------------------------------- */

static void run(void *arg)
{
    lq_pools *ps = arg;

    lq_loop_run(&ps->loop);
    if (lq_loop_close(&ps->loop) < 0) {
        lq_log_printf(&ps->log, LQ_LOG_ERROR, "something was left open");
#ifdef LQ_DEBUG
        lq_log_flush(&ps->log, 1000);
        _exit(3);
#endif
    }
    /* The mailbox is open until this has come. */
    (void)!lq_mailbox_push(&ps->from, &ps->over);
}

static int start(lq_pools *ps)
{
    int err = lq_loop_open(&ps->loop);

    if (err < 0) return err;
    err = lq_log_init(&ps->log, ps->like, "pool", 0);
    if (err < 0) goto fail;
    err = lq_pg_keeper_open(&ps->keeper, &ps->loop, &ps->log);
    if (err < 0) goto fail_log;
    err = lq_thread_start(&ps->thread, "lq:pool", run, ps);
    if (err == 0) return 0;
    /* It closes in this thread. */
    lq_pg_keeper_stop(ps->keeper);
    lq_loop_run(&ps->loop);
    lq_pg_keeper_free(ps->keeper);

fail_log:
    lq_log_fini(&ps->log);
fail:
    (void)!lq_loop_close(&ps->loop);
    return err;
}

/* ---- from any thread ---------------------------------------------------- */

LQ_ANY_THREAD int lq_pools_open(lq_pools *ps, const lq_pg_pool_cfg *cfg,
                                const void *owner, lq_pg_pool **out,
                                lq_err *why)
{
    int err = 0;

    uv_mutex_lock(&ps->lock);
    if (!ps->is_running) err = start(ps);
    if (err == 0) ps->is_running = true;
    uv_mutex_unlock(&ps->lock);
    return err < 0 ? err : lq_pg_remote_open(out, ps->keeper, cfg, owner, why);
}

LQ_ANY_THREAD void lq_pools_evict(lq_pools *ps, lq_pg_notice *notice)
{
    bool is_running;

    uv_mutex_lock(&ps->lock);
    is_running = ps->is_running;
    uv_mutex_unlock(&ps->lock);
    if (is_running)
        lq_pg_keeper_evict(ps->keeper, notice);
    else
        lq_mem_free(notice);
}

/* ---- life --------------------------------------------------------------- */

static void on_closed(lq_mailbox *mb)
{
    lq_pools *ps = mb->data;

    ps->on_ended(ps->data);
}

/* The thread has nothing more to do. */
static void on_message(lq_mailbox *mb, lq_msg *msg)
{
    lq_pools *ps = mb->data;

    (void)msg;
    lq_thread_join(&ps->thread);
    lq_pg_keeper_free(ps->keeper);
    lq_log_fini(&ps->log);
    ps->is_running = false;
    lq_mailbox_close(mb, on_closed);
}

int lq_pools_new(lq_pools **out, lq_loop *loop, const lq_log *log)
{
    lq_pools *ps = lq_mem_zalloc(sizeof *ps);
    int err;

    if (!ps) return -ENOMEM;
    ps->like = log;
    if ((err = uv_mutex_init(&ps->lock)) < 0) goto fail;
    err = lq_mailbox_open(&ps->from, lq_loop_uv(loop), on_message, ps);
    if (err == 0) {
        *out = ps;
        return 0;
    }
    uv_mutex_destroy(&ps->lock);

fail:
    lq_mem_free(ps);
    return err;
}

void lq_pools_end(lq_pools *ps, void (*on_ended)(void *data), void *data)
{
    bool is_running;

    uv_mutex_lock(&ps->lock);
    is_running = ps->is_running;
    uv_mutex_unlock(&ps->lock);
    ps->on_ended = on_ended;
    ps->data = data;
    if (is_running)
        lq_pg_keeper_stop(ps->keeper);
    else
        lq_mailbox_close(&ps->from, on_closed);
}

void lq_pools_free(lq_pools *ps)
{
    if (!ps) return;
    lq_mailbox_fini(&ps->from);
    uv_mutex_destroy(&ps->lock);
    lq_mem_free(ps);
}

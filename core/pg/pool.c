/* pool.c - see pool.h. */
#include "pg/pool.h"

#include <errno.h>
#include <libpq-fe.h>
#include <string.h>
#include <sys/socket.h>

#include "base/mem.h"
#include "pg/line.h"
#include "pg/tidy.h"

/* ---- what connections tell ----------------------------------------------- */

static void on_open(lq_pg_conn *c)
{
    lq_pg_pool *p = c->cfg->data;

    p->connecting--;
    p->retry_ms = p->retry_at_ms = 0;
    if (p->was_lost) {
        p->was_lost = false;
        p->reconnects++;
        lq_log_printf(p->cfg.log, LQ_LOG_INFO,
                      "postgresql: the server is there again");
    }
    lq_pg_line_serve(p);
}

/* What it would have sent, others may send. */
static void take_back(lq_pg_pool *p, lq_pg_conn *c)
{
    lq_list *link;
    lq_pg_query *q;

    while ((link = c->unsent.prev) != &c->unsent) {
        q = lq_pg_query_of(link);
        if (q->kind == LQ_PG_SYNC) break;
        lq_list_remove(link);
        c->load--;
        if (q->is_abandoned) {
            lq_pg_query_free(q);
            continue;
        }
        q->conn = NULL;
        q->state = LQ_PG_WAITING;
        lq_list_push_front(&p->line, link);
        p->waiting++;
    }
}

static void on_change(lq_pg_conn *c)
{
    lq_pg_pool *p = c->cfg->data;

    if (c->is_stalled && !c->holder) take_back(p, c);
    if (c->holder == p) lq_pg_tidy_go_on(p, c);
    if (p->waiting > 0) lq_pg_line_serve_and_arm(p);
}

/* Who holds it; NULL: nobody, or the pool itself, which cleans it up. */
static lq_pg_lease *lease_on(const lq_pg_conn *c)
{
    return c->holder == c->cfg->data ? NULL : c->holder;
}

static bool has_open(const lq_pg_pool *p)
{
    return p->count > p->connecting;
}

static void tell_lost(lq_pg_pool *p, const lq_pg_conn *c,
                      const lq_pg_failure *f)
{
    bool was_open = c->state == LQ_PG_OPEN;

    if (!was_open && p->retry_ms) return; /* said already */
    p->was_lost = true;
    lq_log_printf(p->cfg.log, LQ_LOG_WARN, "postgresql: %s: %s",
                  was_open ? "a connection is lost" : "cannot connect",
                  f->text);
}

static void on_lost(lq_pg_conn *c, const lq_pg_failure *f)
{
    lq_pg_pool *p = c->cfg->data;
    lq_pg_lease *l = lease_on(c);
    bool was_open = c->state == LQ_PG_OPEN;

    if (p->is_closed) return;
    tell_lost(p, c, f);
    p->count--;
    if (!was_open) p->connecting--;
    lq_list_remove(&c->link);
    if (l)
        lq_pg_lease_fail(l, f);
    else if (was_open && !c->holder)
        take_back(p, c);
    if (!was_open) {
        lq_pg_pause_opening(p, f);
        if (!has_open(p)) lq_pg_line_fail(p, f);
    } else if (p->count == 0 && lq_pg_may_open(p)) {
        lq_pg_open_one(p);
    }
    lq_pg_line_serve_and_arm(p);
}

static void free_pool(lq_pg_pool *p)
{
    if (!p->is_closed || p->handles > 0) return;
    lq_pg_url_free(p->url);
    lq_mem_free(p);
}

static void on_freed(lq_pg_conn *c)
{
    lq_pg_pool *p = c->cfg->data;

    lq_mem_free(c);
    p->handles--;
    free_pool(p);
}

static void on_notify(lq_pg_conn *c, const char *channel, const char *payload)
{
    const lq_pg_pool *p = c->cfg->data;

    if (p->cfg.on_notify) p->cfg.on_notify(p->cfg.data, channel, payload);
}

static void on_due(lq_timer *timer)
{
    lq_pg_pool *p = LQ_CONTAINER_OF(timer, lq_pg_pool, timer);
    uint64_t now_ms = lq_loop_now(p->cfg.loop);

    if (p->retry_at_ms && p->retry_at_ms <= now_ms) {
        p->retry_at_ms = 0;
        if (p->count == 0 && p->was_lost) lq_pg_open_one(p);
    }
    lq_pg_line_fail_late(p, now_ms);
    lq_pg_line_serve_and_arm(p);
}

static void flush_dirty(lq_turn *turn)
{
    lq_pg_pool *p = LQ_CONTAINER_OF(turn, lq_pg_pool, turn);
    lq_list *link;

    while ((link = lq_list_pop_front(&p->dirty)))
        lq_pg_conn_flush(LQ_CONTAINER_OF(link, lq_pg_conn, dirty));
}

/* ---- queries ------------------------------------------------------------- */

static int submit(lq_pg_pool *p, lq_pg_lease *lease, lq_pg_query *q)
{
    lq_pg_failure f = {.err = LQ_ECLOSED};
    lq_pg_conn *c;

    p->queries++;
    q->pool = p;
    q->since_ms = lq_loop_now(p->cfg.loop); /* it may have to wait later on */
    if (!q->timeout_ms) q->timeout_ms = p->cfg.query_ms;
    if (lease && !lease->conn) return lq_pg_refuse(p, q, &lease->failure);
    if (p->is_closed) return lq_pg_refuse(p, q, &f);
    c = lease ? lease->conn : lq_pg_line_place(p, p->waiting);
    if (!c) return lq_pg_line_put(p, q);
    lq_pg_line_give(p, c, q);
    return 0;
}

static void drop(lq_pg_query *q)
{
    lq_pg_conn *c;

    switch (q->state) {
    case LQ_PG_WAITING:
        q->pool->waiting--;
        lq_pg_query_free(q);
        break;
    case LQ_PG_UNSENT:
        c = q->conn;
        c->load--;
        lq_pg_query_free(q);
        c->cfg->on_change(c);
        break;
    case LQ_PG_SENT: lq_pg_conn_abandon(q->conn, q); break;
    default: lq_pg_query_free(q);
    }
}

static void go_on(lq_pg_query *q)
{
    if (q->state == LQ_PG_SENT) lq_pg_conn_go_on(q->conn, q);
}

/* ---- leases -------------------------------------------------------------- */

static lq_pg_lease *acquire(lq_pg_pool *p, void (*on_ready)(void *), void *data)
{
    lq_pg_lease *l = lq_mem_zalloc(sizeof *l);

    if (!l) return NULL;
    lq_list_init(&l->link);
    l->head.ops = &lq_pg_pool_ops;
    l->pool = p;
    l->data = data;
    l->order = p->orders++;
    l->since_ms = lq_loop_update(p->cfg.loop);
    if (p->is_closed) {
        l->failure.err = LQ_ECLOSED;
    } else if (lq_pg_is_away(p)) {
        l->failure = p->failure;
    } else if (p->waiting >= p->cfg.max_waiting) {
        l->failure.err = LQ_EOVERLOADED;
    } else {
        lq_list_push_back(&p->leases, &l->link);
        p->waiting++;
        lq_pg_line_serve(p);
        if (!l->conn && lq_pg_is_away(p))
            lq_pg_lease_fail(l, &p->failure); /* not even a try was possible */
        else if (!l->conn && lq_pg_line_arm(p) < 0)
            lq_pg_lease_fail(l, &(lq_pg_failure){.err = -ENOMEM});
    }
    l->on_ready = on_ready;
    return l;
}

static int lease_state(const lq_pg_lease *l, const lq_pg_failure **failure)
{
    if (failure) *failure = &l->failure;
    return l->conn ? 1 : l->failure.err;
}

static bool is_in_transaction(const lq_pg_lease *l)
{
    return l->conn && lq_pg_conn_is_in_transaction(l->conn);
}

static void release(lq_pg_lease *l, bool has_changed)
{
    l->on_ready = NULL;
    if (!lq_list_is_empty(&l->link)) {
        l->pool->waiting--;
        lq_list_remove(&l->link);
        lq_pg_line_serve(l->pool);
    }
    if (l->conn) lq_pg_tidy_take_back(l, has_changed);
    lq_mem_free(l);
}

/* ---- life ---------------------------------------------------------------- */

static void close_pool(lq_pg_pool *p)
{
    const lq_pg_failure closed = {.err = LQ_ECLOSED};
    lq_pg_conn *c;
    lq_pg_lease *l;

    if (p->is_closed) return;
    p->is_closed = true;
    lq_timer_stop(lq_pg_timers_of(p), &p->timer);
    lq_list_remove(&p->turn.link);
    lq_pg_line_fail(p, &closed);
    p->handles++; /* until the end of this function */
    while (!lq_list_is_empty(&p->conns)) {
        c = lq_pg_conn_of(p->conns.next);
        l = lease_on(c);
        lq_pg_conn_close(c, LQ_ECLOSED);
        if (l) lq_pg_lease_fail(l, &closed);
    }
    p->count = p->connecting = 0;
    p->handles--;
    free_pool(p);
}

static void shut_pool(const lq_pg_pool *p)
{
    const lq_list *link;
    const lq_pg_conn *c;

    for (link = p->conns.next; link != &p->conns; link = link->next) {
        c = LQ_CONTAINER_OF(link, lq_pg_conn, link);
        if (c->pg) shutdown(PQsocket(c->pg), SHUT_RDWR);
    }
}

static void read_stats(const lq_pg_pool *p, lq_pg_stats *out)
{
    lq_list *link;
    const lq_pg_conn *c;

    *out = (lq_pg_stats){.size = p->cfg.size,
                         .waiting = p->waiting,
                         .queries = p->queries,
                         .errors = p->errors,
                         .reconnects = p->reconnects};
    for (link = p->conns.next; link != &p->conns; link = link->next) {
        c = lq_pg_conn_of(link);
        if (c->state != LQ_PG_OPEN) continue;
        out->open++;
        if (c->load > 0 || c->holder || c->is_stalled)
            out->busy++;
        else
            out->idle++;
    }
}

const lq_pg_ops lq_pg_pool_ops = {
    .submit = submit,
    .drop = drop,
    .go_on = go_on,
    .acquire = acquire,
    .lease_state = lease_state,
    .is_in_transaction = is_in_transaction,
    .release = release,
    .read_stats = read_stats,
    .shut = shut_pool,
    .close = close_pool,
};

int lq_pg_pool_open(lq_pg_pool **out, const lq_pg_pool_cfg *cfg, lq_err *err)
{
    lq_pg_pool *p = lq_mem_zalloc(sizeof *p);
    int failure;

    if (!p) return -ENOMEM;
    if ((failure = lq_pg_url_new(&p->url, cfg->url, err)) < 0) {
        lq_mem_free(p);
        return failure;
    }
    p->head.ops = &lq_pg_pool_ops;
    p->cfg = *cfg;
    p->cfg.url = (lq_str){NULL, 0};
    p->random = uv_hrtime() ^ (uintptr_t)p;
    p->conn_cfg = (lq_pg_conn_cfg){
        .loop = cfg->loop,
        .log = cfg->log,
        .url = p->url,
        .pending = cfg->pending,
        .dirty = &p->dirty,
        .errors = &p->errors,
        .connect_ms = cfg->connect_ms,
        .prepare = cfg->prepare,
        .cache = cfg->cache,
        .on_open = on_open,
        .on_change = on_change,
        .on_lost = on_lost,
        .on_freed = on_freed,
        .on_notify = on_notify,
        .data = p,
    };
    lq_list_init(&p->conns);
    lq_list_init(&p->line);
    lq_list_init(&p->leases);
    lq_list_init(&p->dirty);
    lq_timer_init(&p->timer, on_due);
    p->turn.run = flush_dirty;
    lq_loop_on_turn(cfg->loop, &p->turn);
    *out = p;
    return 0;
}

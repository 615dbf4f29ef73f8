/* giveup.c - see giveup.h. */
#include "pg/giveup.h"

#include <libpq-fe.h>

enum {
    CANCEL_MS = 5000, /* for the server to give something up */
    AGAIN_MS = 200,   /* from one cancel to the next one */
    GRACE_MS = 4000,  /* for what is beside others to end by itself */
};

bool lq_pg_conn_is_alone(const lq_pg_conn *c)
{
    const lq_list *link;
    const lq_pg_query *q;

    if (lq_list_is_empty(&c->sent)) return false;
    for (link = c->sent.next->next; link != &c->sent; link = link->next) {
        q = LQ_CONTAINER_OF(link, lq_pg_query, link);
        if (q->is_final || !(q->is_abandoned || q->is_told)) return false;
    }
    return true;
}

bool lq_pg_giveup_is_near(const lq_pg_conn *c)
{
    const lq_pg_query *q = lq_pg_first(&c->sent);

    return q && q->is_abandoned && !q->is_final && lq_pg_conn_is_alone(c);
}

static void add_sync(lq_pg_conn *c)
{
    lq_pg_query *q = lq_pg_query_new(LQ_PG_SYNC, 0, 0, 0);

    if (!q) return; /* cancel_by_ms ends it */
    q->is_abandoned = true;
    q->is_final = true;
    c->syncing++;
    q->conn = c;
    q->state = LQ_PG_UNSENT;
    lq_list_push_front(&c->unsent, &q->link);
    c->load++;
    lq_pg_conn_flush(c);
}

static void on_cancelled(void *data)
{
    lq_pg_conn *c = data;

    c->cancel = NULL;
    if (c->cancel_by_ms) c->again_ms = lq_loop_now(c->cfg->loop) + AGAIN_MS;
    add_sync(c);
}

static bool is_given_up(const lq_pg_query *q)
{
    return q && !q->is_final && (q->is_abandoned || q->is_told);
}

static void stall(lq_pg_conn *c, uint64_t now_ms, bool can_cancel)
{
    c->is_stalled = true;
    c->again_ms = can_cancel ? 0 : now_ms + GRACE_MS;
    c->cancel_by_ms = now_ms + CANCEL_MS;
    c->cfg->on_change(c);
}

/* Without a key nothing can be asked for: it has until cancel_by_ms. */
static void cancel(lq_pg_conn *c)
{
    lq_pg_cancel *made;

    if (c->state != LQ_PG_OPEN || !c->key[0] || c->cancel) return;
    if (lq_pg_cancel_start(&made, c->cfg->loop, PQsocket(c->pg), c->key,
                           on_cancelled, c) == 0)
        c->cancel = made;
    else
        c->again_ms = lq_loop_now(c->cfg->loop) + AGAIN_MS;
}

/* A server that has not read the query when the cancel comes knows of nothing
 * to cancel. What is beside others has had its time: without this they are
 * lost with the connection. */
void lq_pg_giveup_again(lq_pg_conn *c)
{
    c->again_ms = 0;
    if (is_given_up(lq_pg_first(&c->sent))) cancel(c);
}

void lq_pg_giveup_goes_on(lq_pg_conn *c, uint64_t now_ms)
{
    const lq_pg_query *q = lq_pg_first(&c->sent);

    if (!c->is_stalled) return;
    c->cancel_by_ms = now_ms + CANCEL_MS;
    if (q && !q->is_abandoned && !q->is_told) c->cancel_by_ms = c->again_ms = 0;
}

bool lq_pg_giveup_ends(lq_pg_conn *c)
{
    if (!c->is_stalled || c->cancel || c->syncing) return false;
    c->is_stalled = false;
    c->cancel_by_ms = c->again_ms = 0;
    return true;
}

void lq_pg_giveup_head(lq_pg_conn *c, uint64_t now_ms)
{
    lq_pg_query *q = lq_pg_first(&c->sent);
    bool can_cancel = lq_pg_conn_is_alone(c) && !q->is_final;

    if (!q->is_abandoned) {
        lq_pg_query_fail(q, LQ_EQUERYTIMEOUT, NULL);
        q->is_told = true;
        q->on_done(q);
    }
    if (c->state != LQ_PG_OPEN) return;
    stall(c, now_ms, can_cancel);
    if (can_cancel) cancel(c);
}

/* What the server is at has nobody left who wants it: without a word it would
 * come to the end of it first. A COMMIT may. */
void lq_pg_giveup_last(const lq_pg_conn *c)
{
    const lq_pg_query *q = lq_pg_first(&c->sent);

    if (c->state != LQ_PG_OPEN || c->is_lost || !c->key[0]) return;
    if (!q || q->kind == LQ_PG_SYNC || q->is_final) return;
    lq_pg_cancel_leave(c->cfg->loop, PQsocket(c->pg), c->key, c->cfg->pending);
}

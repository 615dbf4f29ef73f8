/* tidy.c - see tidy.h. */
#include "pg/tidy.h"

#include "pg/line.h"

/* What a connection still needs before everybody may use it again. */
enum {
    CLEAN_ROLLBACK = 1, /* if a transaction is open */
    CLEAN_SESSION = 2,
    CLEAN_DATES = 4,
    CLEAN_FAILED = 8,
};

static void on_cleaned(lq_pg_query *q)
{
    lq_pg_conn *c = q->data;

    if (q->err) c->cleaning |= CLEAN_FAILED;
    lq_pg_query_free(q);
}

static void drop_conn(lq_pg_pool *p, lq_pg_conn *c)
{
    p->count--;
    lq_pg_conn_close(c, LQ_ELOST);
}

/* Asks for something of the pool's own (NULL: there was no memory for it),
 * behind which the connection is good again, or is not. */
static void tidy(lq_pg_pool *p, lq_pg_conn *c, lq_pg_query *q,
                 void (*on_done)(lq_pg_query *))
{
    if (!q) {
        drop_conn(p, c);
        return;
    }
    q->pool = p;
    q->timeout_ms = p->cfg.query_ms;
    q->is_final = true;
    q->on_done = on_done;
    q->data = c;
    lq_pg_conn_add(c, q);
}

static void clean(lq_pg_pool *p, lq_pg_conn *c, lq_str sql)
{
    tidy(p, c, lq_pg_query_text(LQ_PG_RUN, sql), on_cleaned);
}

static void on_copy_ended(lq_pg_query *q)
{
    lq_pg_query_free(q);
}

static void end_copy(lq_pg_pool *p, lq_pg_conn *c)
{
    tidy(p, c, lq_pg_query_chunk(LQ_PG_COPY_END, LQ_STR("it was given up")),
         on_copy_ended);
}

/* A cancel needs it to be alone. */
void lq_pg_tidy_go_on(lq_pg_pool *p, lq_pg_conn *c)
{
    unsigned left = c->cleaning;

    if (c->load > 0 || c->is_stalled) return;
    if (c->is_copying) {
        end_copy(p, c);
    } else if (left & CLEAN_FAILED) {
        drop_conn(p, c);
    } else if (lq_pg_conn_is_in_transaction(c)) {
        if (left & CLEAN_ROLLBACK)
            clean(p, c, LQ_STR("rollback"));
        else
            drop_conn(p, c);
        c->cleaning &= (uint8_t)~CLEAN_ROLLBACK;
    } else if (left & CLEAN_SESSION) {
        c->cleaning &= (uint8_t)~CLEAN_SESSION;
        clean(p, c, LQ_STR("discard all"));
    } else if (left & CLEAN_DATES) {
        c->cleaning &= (uint8_t)~CLEAN_DATES;
        clean(p, c, LQ_STR("set datestyle = 'ISO'"));
    } else {
        c->cleaning = 0;
        c->holder = NULL;
    }
}

/* Whoever still waits for something there is told; the server is made to give
 * it up. */
static void abandon_all(lq_pg_conn *c)
{
    const char *text = "its session or transaction has ended";
    lq_list *link, *next;
    lq_pg_query *q;

    for (link = c->unsent.next; link != &c->unsent; link = next) {
        next = link->next;
        q = lq_pg_query_of(link);
        if (!q->pool) continue; /* the connection's own */
        lq_list_remove(link);
        c->load--;
        lq_pg_query_fail(q, LQ_ECLOSED, text);
        lq_pg_line_finish(q->pool, q);
    }
    for (link = c->sent.next; link != &c->sent; link = next) {
        next = link->next;
        q = lq_pg_query_of(link);
        if (q->is_abandoned || q->is_told) continue;
        lq_pg_query_fail(q, LQ_ECLOSED, text);
        q->is_told = true;
        q->on_done(q);
    }
}

void lq_pg_tidy_take_back(lq_pg_lease *l, bool has_changed)
{
    lq_pg_pool *p = l->pool;
    lq_pg_conn *c = l->conn;

    c->holder = p; /* not everybody's yet */
    c->cleaning = CLEAN_ROLLBACK;
    if (has_changed) c->cleaning |= CLEAN_SESSION;
    if (has_changed && c->must_set_dates) c->cleaning |= CLEAN_DATES;
    abandon_all(c);
    if (c->state == LQ_PG_OPEN) lq_pg_tidy_go_on(p, c);
    lq_pg_line_serve(p);
}

/* line.c - see line.h. */
#include "pg/line.h"

#include <errno.h>
#include <string.h>

#include "pg/giveup.h"

enum {
    RETRY_MIN_MS = 50,
    RETRY_MAX_MS = 2000,
};

static uint64_t sooner(uint64_t a, uint64_t b)
{
    return a == 0 || (b != 0 && b < a) ? b : a;
}

static uint64_t due_of(const lq_pg_pool *p)
{
    uint64_t due = p->retry_at_ms;

    if (!lq_list_is_empty(&p->line))
        due = sooner(due, lq_pg_query_of(p->line.next)->since_ms +
                              p->cfg.acquire_ms);
    if (!lq_list_is_empty(&p->leases))
        due = sooner(due, lq_pg_lease_of(p->leases.next)->since_ms +
                              p->cfg.acquire_ms);
    return due;
}

int lq_pg_line_arm(lq_pg_pool *p)
{
    uint64_t due = due_of(p);

    if (due == 0 || (lq_timer_is_set(&p->timer) && p->timer.at_ms <= due))
        return 0;
    return lq_timer_start(lq_pg_timers_of(p), &p->timer, due);
}

/* ---- who waits ---------------------------------------------------------- */

void lq_pg_line_finish(lq_pg_pool *p, lq_pg_query *q)
{
    p->errors++;
    q->state = LQ_PG_OVER;
    if (q->is_abandoned)
        lq_pg_query_free(q);
    else
        q->on_done(q);
}

static void fail_query(lq_pg_pool *p, lq_pg_query *q, const lq_pg_failure *f)
{
    lq_list_remove(&q->link);
    p->waiting--;
    lq_pg_query_fail(q, f->err, f->text[0] ? f->text : NULL);
    memcpy(q->sqlstate, f->sqlstate, sizeof q->sqlstate);
    lq_pg_line_finish(p, q);
}

void lq_pg_lease_fail(lq_pg_lease *l, const lq_pg_failure *f)
{
    if (!lq_list_is_empty(&l->link)) l->pool->waiting--;
    lq_list_remove(&l->link);
    l->conn = NULL;
    l->failure = *f;
    if (l->on_ready) l->on_ready(l->data);
}

void lq_pg_line_fail(lq_pg_pool *p, const lq_pg_failure *f)
{
    while (!lq_list_is_empty(&p->line))
        fail_query(p, lq_pg_query_of(p->line.next), f);
    while (!lq_list_is_empty(&p->leases))
        lq_pg_lease_fail(lq_pg_lease_of(p->leases.next), f);
}

void lq_pg_line_fail_late(lq_pg_pool *p, uint64_t now_ms)
{
    const lq_pg_failure late = {.err = LQ_EPOOLTIMEOUT};
    uint64_t ms = p->cfg.acquire_ms;

    while (!lq_list_is_empty(&p->line) &&
           lq_pg_query_of(p->line.next)->since_ms + ms <= now_ms)
        fail_query(p, lq_pg_query_of(p->line.next), &late);
    while (!lq_list_is_empty(&p->leases) &&
           lq_pg_lease_of(p->leases.next)->since_ms + ms <= now_ms)
        lq_pg_lease_fail(lq_pg_lease_of(p->leases.next), &late);
}

/* ---- opening ------------------------------------------------------------ */

static uint64_t next_random(lq_pg_pool *p)
{
    p->random = p->random * 6364136223846793005u + 1442695040888963407u;
    return p->random >> 33;
}

void lq_pg_pause_opening(lq_pg_pool *p, const lq_pg_failure *f)
{
    uint64_t ms = p->retry_ms ? p->retry_ms * 2 : RETRY_MIN_MS;

    if (ms > RETRY_MAX_MS) ms = RETRY_MAX_MS;
    p->retry_ms = ms;
    p->retry_at_ms =
        lq_loop_now(p->cfg.loop) + ms / 2 + next_random(p) % (ms / 2 + 1);
    p->failure = *f;
    /* Without memory for a timer the next query tries. */
    if (lq_pg_line_arm(p) < 0) p->retry_at_ms = 0;
}

bool lq_pg_may_open(const lq_pg_pool *p)
{
    return p->count < p->cfg.size && p->retry_at_ms == 0 && !p->is_closed;
}

bool lq_pg_open_one(lq_pg_pool *p)
{
    const lq_pg_failure f = {.err = -ENOMEM};
    lq_pg_conn *c;

    if (lq_pg_conn_open(&c, &p->conn_cfg) < 0) {
        lq_pg_pause_opening(p, &f);
        return false;
    }
    lq_list_push_back(&p->conns, &c->link);
    p->count++;
    p->connecting++;
    p->handles++;
    return true;
}

/* ---- who gets what ------------------------------------------------------ */

/* The connection with the least to do of those that everybody may use. */
static lq_pg_conn *least_loaded(const lq_pg_pool *p)
{
    lq_pg_conn *best = NULL, *c;
    lq_list *link;

    for (link = p->conns.next; link != &p->conns; link = link->next) {
        c = lq_pg_conn_of(link);
        if (!lq_pg_conn_is_free(c) || (best && c->load >= best->load)) continue;
        if (c->load > 0 && lq_pg_giveup_is_near(c)) continue;
        best = c;
        if (c->load == 0) break;
    }
    return best;
}

void lq_pg_line_give(lq_pg_pool *p, lq_pg_conn *c, lq_pg_query *q)
{
    if (q->state == LQ_PG_WAITING) {
        lq_list_remove(&q->link);
        p->waiting--;
    }
    lq_pg_conn_add(c, q);
}

static void give_conn(lq_pg_lease *l, lq_pg_conn *c)
{
    lq_list_remove(&l->link);
    l->pool->waiting--;
    c->is_reserved = false;
    c->holder = l;
    l->conn = c;
    if (l->on_ready) l->on_ready(l->data);
}

/* How many connections are wanted by those who are to have one for themselves;
 * more are never served at once: the line may be long. */
static size_t wanted_by_leases(const lq_pg_pool *p)
{
    size_t wanted = 0;
    const lq_list *link = p->leases.next;

    for (; link != &p->leases && wanted < (size_t)p->cfg.size;
         link = link->next)
        wanted++;
    return wanted;
}

/* Who waited for them may have got another one, or wait no longer. */
static void unreserve(lq_pg_pool *p)
{
    lq_list *link;

    for (link = p->conns.next; link != &p->conns; link = link->next)
        lq_pg_conn_of(link)->is_reserved = false;
}

/* Gives idle connections to those who want one for themselves, and keeps so
 * many from taking new queries as would be needed. */
static void serve_leases(lq_pg_pool *p)
{
    lq_pg_conn *c;
    size_t wanted = wanted_by_leases(p), coming = (size_t)p->connecting;

    unreserve(p);
    for (; wanted > 0; wanted--) {
        c = least_loaded(p);
        if (!c || c->load > 0) break;
        give_conn(lq_pg_lease_of(p->leases.next), c);
    }
    for (; wanted > coming; coming++) {
        if (lq_pg_may_open(p) && lq_pg_open_one(p)) continue;
        c = least_loaded(p);
        if (!c) break;
        c->is_reserved = true;
    }
}

/* Whether a lease has waited longer than the first query. */
static bool is_lease_first(const lq_pg_pool *p)
{
    return !lq_list_is_empty(&p->leases) &&
           (lq_list_is_empty(&p->line) ||
            lq_pg_lease_of(p->leases.next)->order <
                lq_pg_query_of(p->line.next)->order);
}

lq_pg_conn *lq_pg_line_place(lq_pg_pool *p, size_t ahead)
{
    lq_pg_conn *c = least_loaded(p);

    if (c && c->load == 0) return c;
    if ((size_t)p->connecting > ahead) return NULL;
    if (lq_pg_may_open(p) && lq_pg_open_one(p)) return NULL;
    return c;
}

static void serve_line(lq_pg_pool *p)
{
    size_t ahead = 0;
    lq_list *link, *next;
    lq_pg_conn *c;

    for (link = p->line.next; link != &p->line; link = next) {
        next = link->next;
        c = lq_pg_line_place(p, ahead);
        if (c)
            lq_pg_line_give(p, c, lq_pg_query_of(link));
        else if (++ahead > (size_t)p->cfg.size)
            break;
    }
}

void lq_pg_line_serve(lq_pg_pool *p)
{
    if (p->is_closed) return;
    if (!is_lease_first(p)) serve_line(p);
    serve_leases(p);
    serve_line(p);
}

void lq_pg_line_serve_and_arm(lq_pg_pool *p)
{
    lq_pg_line_serve(p);
    if (lq_pg_is_away(p)) /* not even a try was possible */
        lq_pg_line_fail(p, &p->failure);
    if (lq_pg_line_arm(p) == 0) return;
    p->retry_at_ms = 0; /* the next query tries */
    lq_pg_line_fail(p, &(lq_pg_failure){.err = -ENOMEM});
}

int lq_pg_refuse(lq_pg_pool *p, lq_pg_query *q, const lq_pg_failure *f)
{
    p->errors++;
    lq_pg_query_fail(q, f->err, f->text[0] ? f->text : NULL);
    memcpy(q->sqlstate, f->sqlstate, sizeof q->sqlstate);
    q->state = LQ_PG_OVER;
    return f->err;
}

bool lq_pg_is_away(const lq_pg_pool *p)
{
    return p->retry_at_ms != 0 && p->count == 0;
}

int lq_pg_line_put(lq_pg_pool *p, lq_pg_query *q)
{
    lq_pg_failure f = {.err = LQ_EOVERLOADED};

    if (lq_pg_is_away(p)) return lq_pg_refuse(p, q, &p->failure);
    if (p->waiting >= p->cfg.max_waiting) return lq_pg_refuse(p, q, &f);
    q->state = LQ_PG_WAITING;
    q->since_ms = lq_loop_update(p->cfg.loop);
    q->order = p->orders++;
    lq_list_push_back(&p->line, &q->link);
    p->waiting++;
    if (lq_pg_line_arm(p) == 0) return 0;
    lq_list_remove(&q->link);
    p->waiting--;
    f.err = -ENOMEM;
    return lq_pg_refuse(p, q, &f);
}

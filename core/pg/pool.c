/* pool.c - see pool.h. */
#include "pg/pool.h"

#include <errno.h>
#include <stdio.h>
#include <libpq-fe.h>
#include <string.h>
#include <sys/socket.h>

#include "base/mem.h"
#include "pg/ops.h"

/* What a connection still needs before everybody may use it again. */
enum {
    CLEAN_ROLLBACK = 1, /* if a transaction is open */
    CLEAN_SESSION = 2,
    CLEAN_DATES = 4,
    CLEAN_FAILED = 8,
};

enum {
    RETRY_MIN_MS = 50,
    RETRY_MAX_MS = 2000,
};

struct lq_pg_pool {
    lq_pg_head head;
    lq_pg_pool_cfg cfg;
    lq_pg_conn_cfg conn_cfg;
    lq_pg_url *url;
    lq_list conns;
    int count;      /* of conns */
    int connecting; /* of them */
    int handles;    /* connections whose memory is there, closing ones too */
    bool is_closed;

    lq_list line;   /* queries that wait */
    lq_list leases; /* ... and who waits for a connection of his own */
    size_t waiting; /* both */
    uint64_t orders;
    lq_list dirty;
    lq_turn turn;
    lq_timer timer; /* of who waits longest, and of the next try */

    uint64_t retry_ms;    /* how long the next pause is; 0: all is well */
    uint64_t retry_at_ms; /* 0: no pause */
    uint64_t random;
    lq_pg_failure failure; /* of the last try */

    uint64_t queries;
    uint64_t errors;
    uint64_t reconnects;
    bool was_lost;
};

struct lq_pg_lease {
    lq_pg_head head;
    lq_list link; /* of pool->leases, while it waits */
    lq_pg_pool *pool;
    lq_pg_conn *conn;
    uint64_t since_ms;
    uint64_t order;
    lq_pg_failure failure;
    void (*on_ready)(void *);
    void *data;
};

static lq_pg_query *query_of(lq_list *link)
{
    return LQ_CONTAINER_OF(link, lq_pg_query, link);
}

static lq_pg_lease *lease_of(lq_list *link)
{
    return LQ_CONTAINER_OF(link, lq_pg_lease, link);
}

static lq_pg_conn *conn_of(lq_list *link)
{
    return LQ_CONTAINER_OF(link, lq_pg_conn, link);
}

static lq_timers *timers_of(const lq_pg_pool *p)
{
    return lq_loop_timers(p->cfg.loop);
}

/* ---- time --------------------------------------------------------------- */

static uint64_t sooner(uint64_t a, uint64_t b)
{
    return a == 0 || (b != 0 && b < a) ? b : a;
}

static uint64_t due_of(const lq_pg_pool *p)
{
    uint64_t due = p->retry_at_ms;

    if (!lq_list_is_empty(&p->line))
        due = sooner(due, query_of(p->line.next)->since_ms + p->cfg.acquire_ms);
    if (!lq_list_is_empty(&p->leases))
        due =
            sooner(due, lease_of(p->leases.next)->since_ms + p->cfg.acquire_ms);
    return due;
}

static int arm(lq_pg_pool *p)
{
    uint64_t due = due_of(p);

    if (due == 0 || (lq_timer_is_set(&p->timer) && p->timer.at_ms <= due))
        return 0;
    return lq_timer_start(timers_of(p), &p->timer, due);
}

/* ---- who waits ---------------------------------------------------------- */

static void finish(lq_pg_pool *p, lq_pg_query *q)
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
    finish(p, q);
}

static void fail_lease(lq_pg_lease *l, const lq_pg_failure *f)
{
    if (!lq_list_is_empty(&l->link)) l->pool->waiting--;
    lq_list_remove(&l->link);
    l->conn = NULL;
    l->failure = *f;
    if (l->on_ready) l->on_ready(l->data);
}

static void fail_waiting(lq_pg_pool *p, const lq_pg_failure *f)
{
    while (!lq_list_is_empty(&p->line))
        fail_query(p, query_of(p->line.next), f);
    while (!lq_list_is_empty(&p->leases))
        fail_lease(lease_of(p->leases.next), f);
}

static void fail_late(lq_pg_pool *p, uint64_t now_ms)
{
    const lq_pg_failure late = {.err = LQ_EPOOLTIMEOUT};
    uint64_t ms = p->cfg.acquire_ms;

    while (!lq_list_is_empty(&p->line) &&
           query_of(p->line.next)->since_ms + ms <= now_ms)
        fail_query(p, query_of(p->line.next), &late);
    while (!lq_list_is_empty(&p->leases) &&
           lease_of(p->leases.next)->since_ms + ms <= now_ms)
        fail_lease(lease_of(p->leases.next), &late);
}

/* ---- opening ------------------------------------------------------------ */

static uint64_t next_random(lq_pg_pool *p)
{
    p->random = p->random * 6364136223846793005u + 1442695040888963407u;
    return p->random >> 33;
}

/* The server is away: a pause, from half to all of what it may be. */
static void pause_opening(lq_pg_pool *p, const lq_pg_failure *f)
{
    uint64_t ms = p->retry_ms ? p->retry_ms * 2 : RETRY_MIN_MS;

    if (ms > RETRY_MAX_MS) ms = RETRY_MAX_MS;
    p->retry_ms = ms;
    p->retry_at_ms =
        lq_loop_now(p->cfg.loop) + ms / 2 + next_random(p) % (ms / 2 + 1);
    p->failure = *f;
    /* Without memory for a timer the next query tries. */
    if (arm(p) < 0) p->retry_at_ms = 0;
}

static bool may_open(const lq_pg_pool *p)
{
    return p->count < p->cfg.size && p->retry_at_ms == 0 && !p->is_closed;
}

static bool open_one(lq_pg_pool *p)
{
    const lq_pg_failure f = {.err = -ENOMEM};
    lq_pg_conn *c;

    if (lq_pg_conn_open(&c, &p->conn_cfg) < 0) {
        pause_opening(p, &f);
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
        c = conn_of(link);
        if (!lq_pg_conn_is_free(c) || (best && c->load >= best->load)) continue;
        best = c;
        if (c->load == 0) break;
    }
    return best;
}

static void give_query(lq_pg_pool *p, lq_pg_conn *c, lq_pg_query *q)
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

/* Gives idle connections to those who want one for themselves, and keeps so
 * many from taking new queries as would be needed. */
static void serve_leases(lq_pg_pool *p)
{
    lq_pg_conn *c;
    lq_list *link;
    size_t wanted = 0, coming = (size_t)p->connecting;

    for (link = p->conns.next; link != &p->conns; link = link->next) {
        c = conn_of(link);
        if (!c->is_reserved) continue;
        if (lq_list_is_empty(&p->leases)) {
            c->is_reserved = false;
        } else if (c->load == 0 && !c->is_stalled) {
            give_conn(lease_of(p->leases.next), c);
        } else {
            coming++;
        }
    }
    for (link = p->leases.next;
         link != &p->leases && wanted < (size_t)p->cfg.size; link = link->next)
        wanted++; /* more are never served at once: the line may be long */
    while (wanted > coming) {
        c = least_loaded(p);
        if (c && c->load == 0) {
            give_conn(lease_of(p->leases.next), c);
            wanted--;
        } else if (may_open(p)) {
            if (open_one(p)) coming++;
        } else if (c) {
            c->is_reserved = true;
            coming++;
        } else {
            break;
        }
    }
}

/* Whether a lease has waited longer than the first query. */
static bool is_lease_first(const lq_pg_pool *p)
{
    return !lq_list_is_empty(&p->leases) &&
           (lq_list_is_empty(&p->line) ||
            lease_of(p->leases.next)->order < query_of(p->line.next)->order);
}

/* Where a query may go now; NULL: it waits. `ahead` are in line before it. */
static lq_pg_conn *place_for(lq_pg_pool *p, size_t ahead)
{
    lq_pg_conn *c = least_loaded(p);

    if (c && c->load == 0) return c;
    if ((size_t)p->connecting > ahead) return NULL;
    if (may_open(p) && open_one(p)) return NULL;
    return c;
}

static void serve_line(lq_pg_pool *p)
{
    size_t ahead = 0;
    lq_list *link, *next;
    lq_pg_conn *c;

    for (link = p->line.next; link != &p->line; link = next) {
        next = link->next;
        c = place_for(p, ahead);
        if (c)
            give_query(p, c, query_of(link));
        else if (++ahead > (size_t)p->cfg.size)
            break;
    }
}

static void serve(lq_pg_pool *p)
{
    if (p->is_closed || p->waiting == 0) return;
    if (is_lease_first(p)) {
        serve_leases(p);
        serve_line(p);
    } else {
        serve_line(p);
        serve_leases(p);
    }
}

static void serve_and_arm(lq_pg_pool *p)
{
    serve(p);
    if (arm(p) < 0) fail_waiting(p, &(lq_pg_failure){.err = -ENOMEM});
}

/* ---- making a connection as new ----------------------------------------- */

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

/* The next step, once what is under way has come to its end: a cancel needs it
 * to be alone. */
static void go_on_cleaning(lq_pg_pool *p, lq_pg_conn *c)
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

/* ---- what connections tell ---------------------------------------------- */

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
    serve(p);
}

/* What it would have sent, others may send. */
static void take_back(lq_pg_pool *p, lq_pg_conn *c)
{
    lq_list *link;
    lq_pg_query *q;

    while ((link = c->unsent.prev) != &c->unsent) {
        q = query_of(link);
        if (q->kind == LQ_PG_SYNC) break;
        lq_list_remove(link);
        c->load--;
        if (q->is_abandoned) {
            lq_pg_query_free(q);
            continue;
        }
        q->conn = NULL;
        q->state = LQ_PG_WAITING;
        link->next = p->line.next; /* in front */
        link->prev = &p->line;
        p->line.next->prev = link;
        p->line.next = link;
        p->waiting++;
    }
}

static void on_change(lq_pg_conn *c)
{
    lq_pg_pool *p = c->cfg->data;

    if (c->is_stalled && !c->holder) take_back(p, c);
    if (c->holder == p) go_on_cleaning(p, c);
    if (p->waiting > 0) serve_and_arm(p);
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
        fail_lease(l, f);
    else if (was_open && !c->holder)
        take_back(p, c);
    if (!was_open) {
        pause_opening(p, f);
        if (!has_open(p)) fail_waiting(p, f);
    } else if (p->count == 0 && may_open(p)) {
        open_one(p);
    }
    serve_and_arm(p);
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
        if (p->count == 0 && p->was_lost) open_one(p);
    }
    fail_late(p, now_ms);
    serve_and_arm(p);
}

static void flush_dirty(lq_turn *turn)
{
    lq_pg_pool *p = LQ_CONTAINER_OF(turn, lq_pg_pool, turn);
    lq_list *link;

    while ((link = lq_list_pop_front(&p->dirty)))
        lq_pg_conn_flush(LQ_CONTAINER_OF(link, lq_pg_conn, dirty));
}

/* ---- queries ------------------------------------------------------------ */

static int refuse(lq_pg_pool *p, lq_pg_query *q, const lq_pg_failure *f)
{
    p->errors++;
    lq_pg_query_fail(q, f->err, f->text[0] ? f->text : NULL);
    memcpy(q->sqlstate, f->sqlstate, sizeof q->sqlstate);
    q->state = LQ_PG_OVER;
    return f->err;
}

/* Whether there is neither a connection nor the hope of one soon. */
static bool is_away(const lq_pg_pool *p)
{
    return p->retry_at_ms != 0 && p->count == 0;
}

static int put_in_line(lq_pg_pool *p, lq_pg_query *q)
{
    lq_pg_failure f = {.err = LQ_EOVERLOADED};

    if (is_away(p)) return refuse(p, q, &p->failure);
    if (p->waiting >= p->cfg.max_waiting) return refuse(p, q, &f);
    q->state = LQ_PG_WAITING;
    q->since_ms = lq_loop_update(p->cfg.loop);
    q->order = p->orders++;
    lq_list_push_back(&p->line, &q->link);
    p->waiting++;
    if (arm(p) == 0) return 0;
    lq_list_remove(&q->link);
    p->waiting--;
    f.err = -ENOMEM;
    return refuse(p, q, &f);
}

static int submit(lq_pg_pool *p, lq_pg_lease *lease, lq_pg_query *q)
{
    lq_pg_failure f = {.err = LQ_ECLOSED};
    lq_pg_conn *c;

    p->queries++;
    q->pool = p;
    q->since_ms = lq_loop_now(p->cfg.loop); /* it may have to wait later on */
    if (!q->timeout_ms) q->timeout_ms = p->cfg.query_ms;
    if (lease && !lease->conn) return refuse(p, q, &lease->failure);
    if (p->is_closed) return refuse(p, q, &f);
    c = lease ? lease->conn : place_for(p, p->waiting);
    if (!c) return put_in_line(p, q);
    give_query(p, c, q);
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

/* ---- leases ------------------------------------------------------------- */

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
    } else if (is_away(p)) {
        l->failure = p->failure;
    } else if (p->waiting >= p->cfg.max_waiting) {
        l->failure.err = LQ_EOVERLOADED;
    } else {
        lq_list_push_back(&p->leases, &l->link);
        p->waiting++;
        serve(p);
        if (!l->conn && arm(p) < 0)
            fail_lease(l, &(lq_pg_failure){.err = -ENOMEM});
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

/* Whoever still waits for something there is told; the server is made to give
 * it up. */
static void abandon_all(lq_pg_conn *c)
{
    const char *text = "its session or transaction has ended";
    lq_list *link, *next;
    lq_pg_query *q;

    for (link = c->unsent.next; link != &c->unsent; link = next) {
        next = link->next;
        q = query_of(link);
        if (q->kind == LQ_PG_SYNC) continue;
        lq_list_remove(link);
        c->load--;
        lq_pg_query_fail(q, LQ_ECLOSED, text);
        finish(q->pool ? q->pool : c->cfg->data, q);
    }
    for (link = c->sent.next; link != &c->sent; link = next) {
        next = link->next;
        q = query_of(link);
        if (q->is_abandoned || q->is_told) continue;
        lq_pg_query_fail(q, LQ_ECLOSED, text);
        q->is_told = true;
        q->on_done(q);
    }
}

static void take_conn_back(lq_pg_lease *l, bool has_changed)
{
    lq_pg_pool *p = l->pool;
    lq_pg_conn *c = l->conn;

    c->holder = p; /* not everybody's yet */
    c->cleaning = CLEAN_ROLLBACK;
    if (has_changed) c->cleaning |= CLEAN_SESSION;
    if (has_changed && c->must_set_dates) c->cleaning |= CLEAN_DATES;
    abandon_all(c);
    if (c->state == LQ_PG_OPEN) go_on_cleaning(p, c);
    serve(p);
}

static void release(lq_pg_lease *l, bool has_changed)
{
    l->on_ready = NULL;
    if (!lq_list_is_empty(&l->link)) {
        l->pool->waiting--;
        lq_list_remove(&l->link);
        serve(l->pool);
    }
    if (l->conn) take_conn_back(l, has_changed);
    lq_mem_free(l);
}

/* ---- life --------------------------------------------------------------- */

static void close_pool(lq_pg_pool *p)
{
    const lq_pg_failure closed = {.err = LQ_ECLOSED};
    lq_pg_conn *c;
    lq_pg_lease *l;

    if (p->is_closed) return;
    p->is_closed = true;
    lq_timer_stop(timers_of(p), &p->timer);
    lq_list_remove(&p->turn.link);
    fail_waiting(p, &closed);
    p->handles++; /* until the end of this function */
    while (!lq_list_is_empty(&p->conns)) {
        c = conn_of(p->conns.next);
        l = lease_on(c);
        lq_pg_conn_close(c, LQ_ECLOSED);
        if (l) fail_lease(l, &closed);
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
        c = conn_of(link);
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

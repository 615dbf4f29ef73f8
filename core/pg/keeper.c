/* keeper.c - see keeper.h and far.h. */
#include "pg/keeper.h"

#include <errno.h>
#include <string.h>

#include "base/mem.h"
#include "pg/far.h"

struct lq_pg_keeper {
    /* Set by open, then constant. */
    lq_loop *loop;
    const lq_log *log;

    /* Any thread. */
    lq_mailbox mailbox;
    lq_msg stop;

    /* Guarded by lock. */
    uv_mutex_t lock;
    lq_list pools; /* added to by any thread, taken from by this one */

    /* Owner loop. */
    lq_turn turn;
    lq_list remotes;
    lq_list dirty;   /* of them: with something to tell */
    lq_list flowing; /* parcels with pieces that are not sent */
    size_t pending;
};

static lq_pg_remote *remote_of(lq_list *link)
{
    return LQ_CONTAINER_OF(link, lq_pg_remote, link);
}

static lq_pg_shared *shared_of(lq_list *link)
{
    return LQ_CONTAINER_OF(link, lq_pg_shared, link);
}

/* ---- news --------------------------------------------------------------- */

static void tell(lq_pg_remote *r, lq_msg *msg, int type)
{
    lq_pg_outgoing_add(&r->news, msg, type);
    if (lq_list_is_empty(&r->dirty))
        lq_list_push_back(&r->keeper->dirty, &r->dirty);
}

/* Behind PARTED the remote may be gone before the push returns. */
static void send_news(lq_pg_remote *r)
{
    lq_msg *first = r->news.first;

    lq_pg_outgoing_init(&r->news);
    if (r->has_parted) lq_list_remove(&r->link);
    /* It is open until PARTED has come. */
    if (first) (void)!lq_mailbox_push_all(&r->mailbox, first);
}

static void publish(lq_pg_keeper *k)
{
    lq_list *link;
    lq_pg_shared *s;

    uv_mutex_lock(&k->lock);
    for (link = k->pools.next; link != &k->pools; link = link->next) {
        s = shared_of(link);
        if (s->pool) lq_pg_pool_stats(s->pool, &s->stats);
    }
    uv_mutex_unlock(&k->lock);
}

/* ---- streams ------------------------------------------------------------ */

/* Sends what has come, when there are empty pieces to go on with. */
static void flow(lq_pg_parcel *p)
{
    if (!p->spare || p->is_left || p->twin.state == LQ_PG_OVER ||
        lq_pg_pieces_are_empty(p->twin.pieces))
        return;
    p->carried = p->twin.pieces;
    p->twin.pieces = p->spare;
    p->spare = NULL;
    tell(p->remote, &p->has_pieces, LQ_PG_TELL_PIECES);
    lq_pg_go_on(&p->twin);
}

static void flow_later(lq_pg_parcel *p)
{
    if (lq_list_is_empty(&p->flowing))
        lq_list_push_back(&p->remote->keeper->flowing, &p->flowing);
}

/* Behind the pools' own hooks. */
static void on_turn(lq_turn *turn)
{
    lq_pg_keeper *k = LQ_CONTAINER_OF(turn, lq_pg_keeper, turn);
    lq_list *link;

    while ((link = lq_list_pop_front(&k->flowing)))
        flow(LQ_CONTAINER_OF(link, lq_pg_parcel, flowing));
    publish(k);
    while ((link = lq_list_pop_front(&k->dirty)))
        send_news(LQ_CONTAINER_OF(link, lq_pg_remote, dirty));
}

/* ---- queries ------------------------------------------------------------ */

static lq_pg_parcel *parcel_of(lq_pg_query *twin)
{
    return LQ_CONTAINER_OF(twin, lq_pg_parcel, twin);
}

/* The asker's, if it has taken over what it left. */
static void on_free(lq_pg_query *twin)
{
    lq_pg_parcel *p = parcel_of(twin);

    p->is_freed = true;
    lq_list_remove(&p->asked);
    lq_list_remove(&p->flowing);
    lq_pg_parcel_rele(p);
}

static void on_over(lq_pg_parcel *p)
{
    lq_list_remove(&p->asked);
    lq_list_remove(&p->flowing);
    if (p->is_left) {
        lq_pg_query_free(&p->twin);
        return;
    }
    p->is_in_transaction = p->lease && p->lease->lease &&
                           lq_pg_lease_is_in_transaction(p->lease->lease);
    tell(p->remote, &p->done, LQ_PG_TELL_DONE);
}

/* It is over, or its asker need not wait for that, or pieces have come. */
static void on_done(lq_pg_query *twin)
{
    lq_pg_parcel *p = parcel_of(twin);

    if (twin->state == LQ_PG_OVER) {
        on_over(p);
    } else if (p->is_left) {
        return;
    } else if (twin->is_told) {
        p->err = twin->err;
        p->text = twin->text;
        twin->text = NULL;
        tell(p->remote, &p->failed, LQ_PG_TELL_FAILED);
    } else {
        flow_later(p);
    }
}

/* The pool of a remote; NULL: *err says why there is none. */
static lq_pg_pool *pool_of(lq_pg_remote *r, int *err)
{
    lq_pg_keeper *k = r->keeper;
    lq_pg_shared *s = r->pool;
    lq_err why;

    *err = LQ_ECLOSED;
    if (!s || s->pool) return s ? s->pool : NULL;
    *err = lq_pg_pool_open(&s->pool, &s->cfg, &why);
    if (*err < 0) return NULL;
    lq_list_remove(&k->turn.link); /* to be the last again */
    lq_loop_on_turn(k->loop, &k->turn);
    return s->pool;
}

static void fail(lq_pg_parcel *p, int err)
{
    lq_pg_query_fail(&p->twin, err, NULL);
    p->twin.state = LQ_PG_OVER;
    on_over(p);
}

static void ask(lq_pg_parcel *p)
{
    lq_pg_lease *lease = p->lease ? p->lease->lease : NULL;
    lq_pg_pool *pool;
    int err;

    p->twin.on_done = on_done;
    p->twin.on_free = on_free;
    lq_list_push_back(&p->remote->asked, &p->asked);
    pool = pool_of(p->remote, &err);
    if (p->lease && !lease) err = LQ_ECLOSED;
    if (!pool || (p->lease && !lease))
        fail(p, err);
    else if (lq_pg_submit(pool, lease, &p->twin) < 0)
        on_over(p);
}

/* Its asker has dropped it, or is gone. */
static void leave(lq_pg_parcel *p)
{
    p->is_left = true;
    lq_list_remove(&p->asked);
    lq_list_remove(&p->flowing);
    lq_pg_drop(&p->twin);
}

static void withdraw(lq_pg_parcel *p)
{
    lq_pg_remote *r = p->remote;

    if (!p->is_left) leave(p);
    tell(r, &p->left, LQ_PG_TELL_LEFT);
}

static void more(lq_pg_parcel *p)
{
    p->spare = p->returned;
    p->returned = NULL;
    if (!p->is_left && p->twin.state != LQ_PG_OVER) flow_later(p);
}

/* ---- leases ------------------------------------------------------------- */

static void tell_lease(lq_pg_far_lease *l)
{
    const lq_pg_failure *failure;
    int state = lq_pg_lease_state(l->lease, &failure);

    if (state == 0) return;
    if (state == 1) {
        tell(l->remote, &l->ready, LQ_PG_TELL_READY);
        return;
    }
    l->failure = *failure;
    tell(l->remote, &l->lost, LQ_PG_TELL_LOST);
}

static void on_ready(void *data)
{
    tell_lease(data);
}

static void acquire(lq_pg_far_lease *l)
{
    lq_pg_pool *pool = pool_of(l->remote, &l->failure.err);

    if (pool) {
        l->lease = lq_pg_acquire(pool, on_ready, l);
        if (!l->lease) l->failure.err = -ENOMEM;
    }
    if (l->lease) {
        lq_list_push_back(&l->remote->lent, &l->lent);
        tell_lease(l);
    } else {
        tell(l->remote, &l->lost, LQ_PG_TELL_LOST);
    }
}

static void give_back(lq_pg_far_lease *l, bool has_changed)
{
    lq_pg_lease *lease = l->lease;

    l->lease = NULL;
    lq_list_remove(&l->lent);
    lq_pg_release(lease, has_changed);
}

static void release(lq_pg_far_lease *l)
{
    give_back(l, l->has_changed);
    tell(l->remote, &l->released, LQ_PG_TELL_RELEASED);
}

/* ---- who takes part ----------------------------------------------------- */

static void close_shared(lq_pg_shared *s)
{
    lq_pg_pool_close(s->pool);
    explicit_bzero((char *)(uintptr_t)s->cfg.url.ptr, s->cfg.url.len);
    lq_mem_free((void *)(uintptr_t)s->cfg.url.ptr);
    lq_mem_free(s);
}

/* The last one closes the pool. */
static void leave_pool(lq_pg_remote *r)
{
    lq_pg_keeper *k = r->keeper;
    lq_pg_shared *s = r->pool;
    bool is_last;

    if (!s) return;
    uv_mutex_lock(&k->lock);
    r->pool = NULL;
    is_last = --s->users == 0;
    if (is_last) lq_list_remove(&s->link);
    uv_mutex_unlock(&k->lock);
    if (is_last) close_shared(s);
}

/* What sessions have done to their connections is not known: they are made as
 * new. */
static void give_up(lq_pg_remote *r)
{
    lq_list *link;

    while ((link = lq_list_pop_front(&r->asked)))
        leave(LQ_CONTAINER_OF(link, lq_pg_parcel, asked));
    while ((link = lq_list_pop_front(&r->lent)))
        give_back(LQ_CONTAINER_OF(link, lq_pg_far_lease, lent), true);
    leave_pool(r);
}

static void part(lq_pg_remote *r)
{
    give_up(r);
    r->has_parted = true;
    tell(r, &r->parted, LQ_PG_TELL_PARTED);
}

static void evict(lq_pg_keeper *k, lq_pg_notice *notice)
{
    lq_list *link;

    for (link = k->remotes.next; link != &k->remotes; link = link->next)
        if (remote_of(link)->owner == notice->owner) give_up(remote_of(link));
    lq_mem_free(notice);
}

static void stop(lq_pg_keeper *k)
{
    lq_list *link;

    for (link = k->remotes.next; link != &k->remotes; link = link->next)
        give_up(remote_of(link));
    lq_mailbox_close(&k->mailbox, NULL);
}

#define PARCEL(field) LQ_CONTAINER_OF(msg, lq_pg_parcel, field)
#define LEASE(field) LQ_CONTAINER_OF(msg, lq_pg_far_lease, field)
#define REMOTE(field) LQ_CONTAINER_OF(msg, lq_pg_remote, field)

static void on_message(lq_mailbox *mb, lq_msg *msg)
{
    lq_pg_keeper *k = mb->data;

    switch (msg->type) {
    case LQ_PG_ORDER_JOIN:
        lq_list_push_back(&k->remotes, &REMOTE(join)->link);
        break;
    case LQ_PG_ORDER_PART: part(REMOTE(part)); break;
    case LQ_PG_ORDER_ASK: ask(PARCEL(ask)); break;
    case LQ_PG_ORDER_WITHDRAW: withdraw(PARCEL(withdraw)); break;
    case LQ_PG_ORDER_MORE: more(PARCEL(more)); break;
    case LQ_PG_ORDER_ACQUIRE: acquire(LEASE(acquire)); break;
    case LQ_PG_ORDER_RELEASE: release(LEASE(release)); break;
    case LQ_PG_ORDER_EVICT:
        evict(k, LQ_CONTAINER_OF(msg, lq_pg_notice, msg));
        break;
    default: stop(k);
    }
}

/* ---- from other threads ------------------------------------------------- */

static bool has_same_options(const lq_pg_pool_cfg *a, const lq_pg_pool_cfg *b)
{
    return a->url.len == b->url.len &&
           memcmp(a->url.ptr, b->url.ptr, a->url.len) == 0 &&
           a->size == b->size && a->query_ms == b->query_ms &&
           a->acquire_ms == b->acquire_ms && a->connect_ms == b->connect_ms &&
           a->max_waiting == b->max_waiting && a->prepare == b->prepare &&
           a->cache == b->cache;
}

static lq_pg_shared *new_shared(lq_pg_keeper *k, const lq_pg_pool_cfg *cfg)
{
    lq_pg_shared *s = lq_mem_zalloc(sizeof *s);

    if (!s) return NULL;
    s->cfg = *cfg;
    s->cfg.url.ptr = lq_mem_strndup(cfg->url.ptr, cfg->url.len);
    if (!s->cfg.url.ptr) {
        lq_mem_free(s);
        return NULL;
    }
    s->cfg.loop = k->loop;
    s->cfg.log = k->log;
    s->cfg.pending = &k->pending;
    s->cfg.on_notify =
        NULL; /* whoever listens has a pool of his own for that */
    s->cfg.data = NULL;
    s->stats.size = cfg->size;
    return s;
}

LQ_ANY_THREAD lq_pg_shared *lq_pg_keeper_find(lq_pg_keeper *k,
                                              const lq_pg_pool_cfg *cfg)
{
    lq_pg_shared *made = new_shared(k, cfg), *s = NULL;
    lq_list *link;

    if (!made) return NULL;
    uv_mutex_lock(&k->lock);
    for (link = k->pools.next; link != &k->pools && !s; link = link->next)
        if (has_same_options(&shared_of(link)->cfg, cfg)) s = shared_of(link);
    if (!s) {
        s = made;
        lq_list_push_back(&k->pools, &s->link);
    }
    s->users++;
    uv_mutex_unlock(&k->lock);
    if (s != made) close_shared(made);
    return s;
}

LQ_ANY_THREAD void lq_pg_keeper_stats(lq_pg_keeper *k, const lq_pg_remote *r,
                                      lq_pg_stats *out)
{
    *out = (lq_pg_stats){0};
    uv_mutex_lock(&k->lock);
    if (r->pool) *out = r->pool->stats;
    uv_mutex_unlock(&k->lock);
}

/* Nobody waits for a keeper that has stopped but threads that are not awaited
 * themselves. */
LQ_ANY_THREAD void lq_pg_keeper_tell(lq_pg_keeper *k, lq_msg *orders)
{
    (void)!lq_mailbox_push_all(&k->mailbox, orders);
}

LQ_ANY_THREAD void lq_pg_keeper_evict(lq_pg_keeper *k, lq_pg_notice *notice)
{
    notice->msg.type = LQ_PG_ORDER_EVICT;
    if (lq_mailbox_push(&k->mailbox, &notice->msg) < 0) lq_mem_free(notice);
}

LQ_ANY_THREAD void lq_pg_keeper_stop(lq_pg_keeper *k)
{
    k->stop.type = LQ_PG_ORDER_STOP;
    lq_pg_keeper_tell(k, &k->stop);
}

/* ---- life --------------------------------------------------------------- */

int lq_pg_keeper_open(lq_pg_keeper **out, lq_loop *loop, const lq_log *log)
{
    lq_pg_keeper *k = lq_mem_zalloc(sizeof *k);
    int err;

    if (!k) return -ENOMEM;
    k->loop = loop;
    k->log = log;
    k->turn.run = on_turn;
    lq_list_init(&k->pools);
    lq_list_init(&k->remotes);
    lq_list_init(&k->dirty);
    lq_list_init(&k->flowing);
    if ((err = uv_mutex_init(&k->lock)) < 0) goto fail;
    err = lq_mailbox_open(&k->mailbox, lq_loop_uv(loop), on_message, k);
    if (err < 0) {
        uv_mutex_destroy(&k->lock);
        goto fail;
    }
    lq_loop_on_turn(loop, &k->turn);
    *out = k;
    return 0;

fail:
    lq_mem_free(k);
    return err;
}

void lq_pg_keeper_free(lq_pg_keeper *k)
{
    lq_mailbox_fini(&k->mailbox);
    uv_mutex_destroy(&k->lock);
    lq_mem_free(k);
}

/* remote.c - see remote.h and far.h. */
#include "pg/remote.h"

#include <errno.h>
#include <string.h>

#include "base/mem.h"
#include "pg/far.h"

static lq_pg_remote *remote_of(const lq_pg_pool *p)
{
    return (lq_pg_remote *)(uintptr_t)p;
}

static lq_pg_far_lease *lease_of(const lq_pg_lease *l)
{
    return (lq_pg_far_lease *)(uintptr_t)l;
}

/* ---- orders ------------------------------------------------------------- */

static void send_orders(lq_pg_remote *r)
{
    lq_msg *first = r->orders.first;

    if (!first) return;
    lq_pg_outgoing_init(&r->orders);
    lq_pg_keeper_tell(r->keeper, first);
}

static void on_turn(lq_turn *turn)
{
    send_orders(LQ_CONTAINER_OF(turn, lq_pg_remote, turn));
}

/* One that a later hook gives must not wait for the next event. */
static void order(lq_pg_remote *r, lq_msg *msg, int type)
{
    if (!r->orders.first) lq_loop_again(r->loop);
    lq_pg_outgoing_add(&r->orders, msg, type);
}

/* ---- queries ------------------------------------------------------------ */

LQ_ANY_THREAD void lq_pg_parcel_rele(lq_pg_parcel *p)
{
    if (atomic_fetch_sub(&p->refs, 1) > 1) return;
    lq_pg_pieces_free(p->spare);
    lq_pg_pieces_free(p->next);
    lq_pg_pieces_free(p->carried);
    lq_pg_pieces_free(p->returned);
    lq_mem_free(p->text);
    lq_mem_free(p->q);
    lq_mem_free(p);
}

/* Its lease does not count it any more. */
static void uncount(lq_pg_parcel *p)
{
    if (p->counted) p->counted->away--;
    p->counted = NULL;
}

static void init_twin(lq_pg_parcel *p, const lq_pg_query *q)
{
    p->twin = *q;
    lq_list_init(&p->twin.link);
    p->twin.behind = NULL;
    p->twin.far = NULL;
    p->twin.data = NULL;
    p->twin.on_done = NULL;
}

static lq_pg_parcel *pack(lq_pg_remote *r, lq_pg_lease *lease, lq_pg_query *q)
{
    bool is_stream = q->pieces != NULL;
    lq_pg_parcel *p = lq_mem_zalloc(sizeof *p);

    if (!p) return NULL;
    if (is_stream) {
        p->spare = lq_pg_pieces_new(q->kind == LQ_PG_STREAM);
        p->next = lq_pg_pieces_new(q->kind == LQ_PG_STREAM);
        if (!p->spare || !p->next) {
            atomic_store(&p->refs, 1);
            lq_pg_parcel_rele(p);
            return NULL;
        }
    }
    init_twin(p, q);
    if (is_stream) q->pieces = p->next; /* the twin has what was there */
    p->next = NULL;
    p->head = r->head;
    p->remote = r;
    p->q = q;
    p->lease = lease ? lease_of(lease) : NULL;
    lq_list_init(&p->away);
    lq_list_init(&p->asked);
    lq_list_init(&p->flowing);
    return p;
}

static int refuse(lq_pg_query *q, int err)
{
    lq_pg_query_fail(q, err, NULL);
    q->state = LQ_PG_OVER;
    return err;
}

static int submit(lq_pg_pool *pool, lq_pg_lease *lease, lq_pg_query *q)
{
    lq_pg_remote *r = remote_of(pool);
    lq_pg_far_lease *l = lease ? lease_of(lease) : NULL;
    lq_pg_parcel *p;

    if (r->is_closed) return refuse(q, LQ_ECLOSED);
    if (!(p = pack(r, lease, q))) return refuse(q, -ENOMEM);
    q->far = p;
    q->state = LQ_PG_SENT;
    if (q->is_abandoned) {
        atomic_store(&p->refs, 1);
        p->is_left = true;
    } else {
        atomic_store(&p->refs, 2);
        lq_list_push_back(&r->away, &p->away);
        p->counted = l;
        if (l) l->away++;
    }
    order(r, &p->ask, LQ_PG_ORDER_ASK);
    return 0;
}

/* What of a query is not the keeper's, nor the block's. */
static void free_own(lq_pg_parcel *p)
{
    lq_pg_query *q = p->q;

    lq_pg_pieces_free(q->pieces);
    lq_pg_query_free(q->behind);
    lq_mem_free(q->text);
}

static void drop(lq_pg_query *q)
{
    lq_pg_parcel *p = q->far;

    free_own(p);
    uncount(p);
    p->is_dropped = true;
    if (p->has_parted)
        lq_pg_parcel_rele(p);
    else if (!p->remote->is_closed)
        order(p->remote, &p->withdraw, LQ_PG_ORDER_WITHDRAW);
}

/* The answer is moved from the twin, which has nothing then. */
static void take_answer(lq_pg_parcel *p)
{
    lq_pg_query *q = p->q, *twin = &p->twin;

    if (!q->err) {
        q->err = twin->err;
        q->text = twin->text;
        q->failure = twin->failure;
        memcpy(q->sqlstate, twin->sqlstate, sizeof q->sqlstate);
        twin->text = NULL;
        twin->failure = NULL;
    }
    q->far = NULL;
    q->state = LQ_PG_OVER;
    twin->count = 0; /* the results are in the block */
    p->q = NULL;
}

/* The keeper may still have an order that is about it. */
static void finish_stream(lq_pg_parcel *p)
{
    take_answer(p);
    p->is_dropped = true;
    order(p->remote, &p->withdraw, LQ_PG_ORDER_WITHDRAW);
}

static void on_done(lq_pg_parcel *p)
{
    lq_pg_query *q = p->q;
    bool is_told = p->is_dropped || q->is_told;

    p->is_over = true;
    if (p->counted) p->counted->is_in_transaction = p->is_in_transaction;
    uncount(p);
    if (p->is_dropped) return;
    if (!q->pieces) {
        take_answer(p);
        lq_pg_query_reset(&p->twin);
        lq_list_remove(&p->away);
        lq_mem_free(p->text);
        lq_mem_free(p);
    } else if (!p->remote->is_closed) {
        if (!p->next && lq_pg_pieces_are_empty(p->twin.pieces))
            finish_stream(p);
    }
    if (!is_told) q->on_done(q);
}

static void on_failed(lq_pg_parcel *p)
{
    lq_pg_query *q = p->q;

    uncount(p);
    if (p->is_dropped || q->is_told) return;
    q->err = p->err;
    q->text = p->text;
    p->text = NULL;
    q->is_told = true;
    q->on_done(q);
}

/* ---- streams ------------------------------------------------------------ */

/* Gives the pieces that have been taken back for others. */
static void put_pieces(lq_pg_parcel *p, lq_pg_pieces *full)
{
    p->returned = p->q->pieces;
    p->q->pieces = full;
    order(p->remote, &p->more, LQ_PG_ORDER_MORE);
}

static void on_pieces(lq_pg_parcel *p)
{
    lq_pg_pieces *full = p->carried;

    if (p->is_dropped || p->remote->is_closed) return;
    p->carried = NULL;
    if (!lq_pg_pieces_are_empty(p->q->pieces)) {
        p->next = full;
        return;
    }
    put_pieces(p, full);
    if (!p->q->is_told) p->q->on_done(p->q);
}

static void go_on(lq_pg_query *q)
{
    lq_pg_parcel *p = q->far;
    lq_pg_pieces *taken = q->pieces;

    if (p->remote->is_closed || !lq_pg_pieces_are_empty(taken)) return;
    if (p->next && !p->is_over) {
        put_pieces(p, p->next);
        p->next = NULL;
    } else if (p->next) {
        q->pieces = p->next;
        p->next = NULL;
        lq_pg_pieces_free(taken);
    } else if (p->is_over) {
        q->pieces = p->twin.pieces;
        p->twin.pieces = taken;
        finish_stream(p);
    }
}

/* ---- leases ------------------------------------------------------------- */

static const lq_pg_failure closed = {.err = LQ_ECLOSED};

static lq_pg_lease *acquire(lq_pg_pool *pool, void (*on_ready)(void *),
                            void *data)
{
    lq_pg_remote *r = remote_of(pool);
    lq_pg_far_lease *l = lq_mem_zalloc(sizeof *l);

    if (!l) return NULL;
    l->head = r->head;
    l->remote = r;
    l->on_ready = on_ready;
    l->data = data;
    lq_list_init(&l->link);
    lq_list_init(&l->lent);
    if (r->is_closed) {
        l->state = LQ_ECLOSED;
        l->remote = NULL;
    } else {
        lq_list_push_back(&r->leases, &l->link);
        order(r, &l->acquire, LQ_PG_ORDER_ACQUIRE);
    }
    return (lq_pg_lease *)l;
}

static int lease_state(const lq_pg_lease *lease, const lq_pg_failure **failure)
{
    const lq_pg_far_lease *l = lease_of(lease);

    if (failure) *failure = l->state == LQ_ECLOSED ? &closed : &l->failure;
    return l->state;
}

static bool is_in_transaction(const lq_pg_lease *lease)
{
    const lq_pg_far_lease *l = lease_of(lease);

    return l->state == 1 && (l->away > 0 || l->is_in_transaction);
}

static void release(lq_pg_lease *lease, bool has_changed)
{
    lq_pg_far_lease *l = lease_of(lease);

    l->is_released = true;
    l->on_ready = NULL;
    if (!l->remote) {
        lq_mem_free(l);
    } else if (!l->remote->is_closed) {
        l->has_changed = has_changed;
        order(l->remote, &l->release, LQ_PG_ORDER_RELEASE);
    }
}

static void tell_lease(lq_pg_far_lease *l, int state)
{
    if (l->is_released || l->state < 0) return;
    l->state = state;
    l->on_ready(l->data);
}

static void free_lease(lq_pg_far_lease *l)
{
    lq_list_remove(&l->link);
    lq_mem_free(l);
}

/* ---- the end ------------------------------------------------------------ */

static void fail_query(lq_pg_parcel *p)
{
    lq_pg_query *q = p->q;

    if (p->is_dropped || q->is_told) return;
    lq_pg_query_fail(q, LQ_ECLOSED, NULL);
    q->is_told = true;
    uncount(p);
    if (p->is_over) finish_stream(p);
    q->on_done(q);
}

/* What it calls may drop any of them, which stay in the list all the same. */
static void close_remote(lq_pg_pool *pool)
{
    lq_pg_remote *r = remote_of(pool);
    lq_list *link;

    for (link = r->away.next; link != &r->away; link = link->next)
        fail_query(LQ_CONTAINER_OF(link, lq_pg_parcel, away));
    for (link = r->leases.next; link != &r->leases; link = link->next)
        tell_lease(LQ_CONTAINER_OF(link, lq_pg_far_lease, link), LQ_ECLOSED);
    order(r, &r->part, LQ_PG_ORDER_PART);
    send_orders(r);
    lq_list_remove(&r->turn.link);
    r->is_closed = true;
}

static void on_mailbox_closed(lq_mailbox *mb)
{
    lq_pg_remote *r = mb->data;

    lq_mailbox_fini(mb);
    --*r->count;
    lq_mem_free(r);
}

/* Nothing comes any more, and nothing of it is under way. */
static void on_parted(lq_pg_remote *r)
{
    lq_pg_far_lease *l;
    lq_pg_parcel *p;
    lq_list *link;

    while ((link = lq_list_pop_front(&r->away))) {
        p = LQ_CONTAINER_OF(link, lq_pg_parcel, away);
        if (p->is_over) lq_pg_query_free(&p->twin);
        p->has_parted = true;
        if (p->is_dropped) lq_pg_parcel_rele(p);
    }
    while ((link = lq_list_pop_front(&r->leases))) {
        l = LQ_CONTAINER_OF(link, lq_pg_far_lease, link);
        l->remote = NULL;
        if (l->is_released) lq_mem_free(l);
    }
    lq_mailbox_close(&r->mailbox, on_mailbox_closed);
}

static void on_left(lq_pg_parcel *p)
{
    lq_list_remove(&p->away);
    lq_pg_parcel_rele(p);
}

#define PARCEL(field) LQ_CONTAINER_OF(msg, lq_pg_parcel, field)
#define LEASE(field) LQ_CONTAINER_OF(msg, lq_pg_far_lease, field)

static void on_message(lq_mailbox *mb, lq_msg *msg)
{
    lq_pg_far_lease *l;

    switch (msg->type) {
    case LQ_PG_TELL_DONE: on_done(PARCEL(done)); break;
    case LQ_PG_TELL_FAILED: on_failed(PARCEL(failed)); break;
    case LQ_PG_TELL_PIECES: on_pieces(PARCEL(has_pieces)); break;
    case LQ_PG_TELL_LEFT: on_left(PARCEL(left)); break;
    case LQ_PG_TELL_READY: tell_lease(LEASE(ready), 1); break;
    case LQ_PG_TELL_LOST:
        l = LEASE(lost);
        tell_lease(l, l->failure.err);
        break;
    case LQ_PG_TELL_RELEASED: free_lease(LEASE(released)); break;
    default: on_parted(mb->data);
    }
}

/* ---- the rest ----------------------------------------------------------- */

static void read_stats(const lq_pg_pool *pool, lq_pg_stats *out)
{
    const lq_pg_remote *r = remote_of(pool);

    lq_pg_keeper_stats(r->keeper, r, out);
}

/* The keeper is told another way: lq_pg_keeper_evict. */
static void shut(const lq_pg_pool *pool)
{
    (void)pool;
}

static const lq_pg_ops ops = {
    .submit = submit,
    .drop = drop,
    .go_on = go_on,
    .acquire = acquire,
    .lease_state = lease_state,
    .is_in_transaction = is_in_transaction,
    .release = release,
    .read_stats = read_stats,
    .shut = shut,
    .close = close_remote,
};

static int check_url(lq_str text, lq_err *why)
{
    lq_pg_url *url;
    int err = lq_pg_url_new(&url, text, why);

    if (err == 0) lq_pg_url_free(url);
    return err;
}

static lq_pg_remote *new_remote(const lq_pg_pool_cfg *cfg, const void *owner)
{
    lq_pg_remote *r = lq_mem_zalloc(sizeof *r);

    if (!r) return NULL;
    r->head.ops = &ops;
    r->owner = owner;
    r->loop = cfg->loop;
    r->count = cfg->pending;
    r->turn.run = on_turn;
    lq_pg_outgoing_init(&r->orders);
    lq_pg_outgoing_init(&r->news);
    lq_list_init(&r->away);
    lq_list_init(&r->leases);
    lq_list_init(&r->link);
    lq_list_init(&r->dirty);
    lq_list_init(&r->asked);
    lq_list_init(&r->lent);
    return r;
}

/* At once: in this very turn its thread may be lost, and with it what would go
 * out at its end. The keeper could not take the user away from the pool. */
static void join(lq_pg_remote *r)
{
    r->join.type = LQ_PG_ORDER_JOIN;
    lq_pg_keeper_tell(r->keeper, &r->join);
}

int lq_pg_remote_open(lq_pg_pool **out, lq_pg_keeper *keeper,
                      const lq_pg_pool_cfg *cfg, const void *owner, lq_err *why)
{
    lq_pg_remote *r;
    int err = check_url(cfg->url, why);

    if (err < 0) return err;
    if (!(r = new_remote(cfg, owner))) return -ENOMEM;
    r->keeper = keeper;
    err = lq_mailbox_open(&r->mailbox, lq_loop_uv(cfg->loop), on_message, r);
    if (err < 0) {
        lq_mem_free(r);
        return err;
    }
    ++*r->count;
    if (!(r->pool = lq_pg_keeper_find(keeper, cfg))) {
        lq_mailbox_close(&r->mailbox, on_mailbox_closed);
        return -ENOMEM;
    }
    lq_loop_on_turn(cfg->loop, &r->turn);
    join(r);
    *out = (lq_pg_pool *)r;
    return 0;
}

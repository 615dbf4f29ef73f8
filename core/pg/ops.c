/* ops.c - the functions of pool.h that every kind of pool has. */
#include "pg/ops.h"

static const lq_pg_ops *ops_of(const void *has_head)
{
    return ((const lq_pg_head *)has_head)->ops;
}

int lq_pg_submit(lq_pg_pool *p, lq_pg_lease *lease, lq_pg_query *q)
{
    return ops_of(p)->submit(p, lease, q);
}

void lq_pg_drop(lq_pg_query *q)
{
    if (!q) return;
    (q->far ? ops_of(q->far) : &lq_pg_pool_ops)->drop(q);
}

void lq_pg_go_on(lq_pg_query *q)
{
    (q->far ? ops_of(q->far) : &lq_pg_pool_ops)->go_on(q);
}

lq_pg_lease *lq_pg_acquire(lq_pg_pool *p, void (*on_ready)(void *), void *data)
{
    return ops_of(p)->acquire(p, on_ready, data);
}

int lq_pg_lease_state(const lq_pg_lease *l, const lq_pg_failure **failure)
{
    return ops_of(l)->lease_state(l, failure);
}

bool lq_pg_lease_is_in_transaction(const lq_pg_lease *l)
{
    return ops_of(l)->is_in_transaction(l);
}

void lq_pg_release(lq_pg_lease *l, bool has_changed)
{
    if (l) ops_of(l)->release(l, has_changed);
}

void lq_pg_pool_stats(const lq_pg_pool *p, lq_pg_stats *out)
{
    ops_of(p)->read_stats(p, out);
}

void lq_pg_pool_shut(const lq_pg_pool *p)
{
    ops_of(p)->shut(p);
}

void lq_pg_pool_close(lq_pg_pool *p)
{
    if (p) ops_of(p)->close(p);
}

/* poolstate.h - what the files of the pool have in common: pool.c (its life,
 * and what it is asked), line.c (who waits, who gets what), tidy.c (connections
 * that come back). Nobody else includes it.
 *
 * Owns:    nothing of its own.
 * Thread:  as pool.h.
 * Knows:   pool, ops.
 */
#ifndef LQ_PG_POOLSTATE_H
#define LQ_PG_POOLSTATE_H

#include "pg/ops.h"

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

static inline lq_pg_query *lq_pg_query_of(lq_list *link)
{
    return LQ_CONTAINER_OF(link, lq_pg_query, link);
}

static inline lq_pg_lease *lq_pg_lease_of(lq_list *link)
{
    return LQ_CONTAINER_OF(link, lq_pg_lease, link);
}

static inline lq_pg_conn *lq_pg_conn_of(lq_list *link)
{
    return LQ_CONTAINER_OF(link, lq_pg_conn, link);
}

static inline lq_timers *lq_pg_timers_of(const lq_pg_pool *p)
{
    return lq_loop_timers(p->cfg.loop);
}

#endif

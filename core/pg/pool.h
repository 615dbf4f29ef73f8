/* pool.h - the connections to one database, and who waits for them.
 *
 * A query goes to an idle connection; while there is none and room for one more
 * it waits for whichever comes first, the new one or one that becomes idle;
 * then it stands behind others, where the fewest are. It waits in line only
 * while every connection is held: a lease takes a connection out of the common
 * use, for a transaction, a session, a stream or a copy.
 *
 * While the server is away, queries fail at once and one connection is tried
 * again and again, ever more seldom.
 *
 * Owns:    the connections; queries from submit to on_done.
 * Thread:  owner loop.
 * Life:    open -> (submit | acquire ... release)* -> close; it frees itself
 *          when the last handle has closed.
 * Knows:   pgconn, url, loop, log.
 */
#ifndef LQ_PG_POOL_H
#define LQ_PG_POOL_H

#include "pg/pgconn.h"
#include "pg/query.h"

typedef struct lq_pg_pool lq_pg_pool;
typedef struct lq_pg_lease lq_pg_lease;

typedef struct lq_pg_pool_cfg {
    lq_loop *loop;
    const lq_log *log;
    lq_str url;      /* copied */
    size_t *pending; /* counts names that are being looked up, and last cancels:
                        the loop runs on until it is 0 */
    int size;
    uint64_t query_ms; /* 0: no limit */
    uint64_t acquire_ms;
    uint64_t connect_ms;
    size_t max_waiting;
    bool prepare;
    size_t cache; /* statements of each connection */
    /* A notification has come on one of its connections; may be NULL. */
    void (*on_notify)(void *data, const char *channel, const char *payload);
    void *data;
} lq_pg_pool_cfg;

typedef struct lq_pg_stats {
    int size;
    int open;
    int idle;
    int busy;
    size_t waiting;
    uint64_t queries;
    uint64_t errors;
    uint64_t reconnects;
} lq_pg_stats;

/* Connects to nothing yet. LQ_EINVALID: the URL, `err` says why; -ENOMEM. */
int lq_pg_pool_open(lq_pg_pool **out, const lq_pg_pool_cfg *cfg,
                    lq_err *err) LQ_MUST_CHECK;

/* Queries under way and leases fail with LQ_ECLOSED, before it returns. */
void lq_pg_pool_close(lq_pg_pool *p);

/* The thread has ended without closing anything: the servers are told. Any
 * thread that has joined it. */
void lq_pg_pool_shut(const lq_pg_pool *p);

/* Takes `q` until on_done. Its timeout is the pool's unless it has one. With
 * an error, which stands in q too, nothing follows. `lease` NULL: on any
 * connection. */
int lq_pg_submit(lq_pg_pool *p, lq_pg_lease *lease,
                 lq_pg_query *q) LQ_MUST_CHECK;

/* Whoever asked gives it up, in any state; frees it when it can. */
void lq_pg_drop(lq_pg_query *q);

/* Whoever asked has taken pieces: the next ones may come, before this
 * returns. */
void lq_pg_go_on(lq_pg_query *q);

/* Asks for a connection of one's own. on_ready comes out of the loop, unless
 * the lease is ready or has failed before acquire returns: lq_pg_lease_state
 * says so. NULL: no memory. */
lq_pg_lease *lq_pg_acquire(lq_pg_pool *p, void (*on_ready)(void *),
                           void *data) LQ_MUST_CHECK;

/* 0: it waits; 1: it has a connection; below: why it never had one or has it no
 * longer, with words in *failure (lent). */
int lq_pg_lease_state(const lq_pg_lease *l, const lq_pg_failure **failure);

/* Whether the server has a transaction open there. */
bool lq_pg_lease_is_in_transaction(const lq_pg_lease *l);

/* Gives the connection back, at any time, and frees the lease: what is under
 * way there is given up, a transaction rolled back. `has_changed`: the session
 * is made as new. */
void lq_pg_release(lq_pg_lease *l, bool has_changed);

void lq_pg_pool_stats(const lq_pg_pool *p, lq_pg_stats *out);

#endif

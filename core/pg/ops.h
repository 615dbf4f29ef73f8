/* ops.h - what a pool does, for those that are one: pool.c has its connections
 * on the asker's own thread, remote.c on another.
 *
 * Every pool, every lease, and what stands for a query that is away, begins
 * with a head, through which the functions of pool.h find these.
 *
 * Owns:    nothing.
 * Thread:  that of the pool's asker.
 * Knows:   pool.
 */
#ifndef LQ_PG_OPS_H
#define LQ_PG_OPS_H

#include "pg/pool.h"

/* As pool.h says of the functions of these names. */
typedef struct lq_pg_ops {
    int (*submit)(lq_pg_pool *p, lq_pg_lease *lease, lq_pg_query *q);
    void (*drop)(lq_pg_query *q);
    void (*go_on)(lq_pg_query *q);
    lq_pg_lease *(*acquire)(lq_pg_pool *p, void (*on_ready)(void *),
                            void *data);
    int (*lease_state)(const lq_pg_lease *l, const lq_pg_failure **failure);
    bool (*is_in_transaction)(const lq_pg_lease *l);
    void (*release)(lq_pg_lease *l, bool has_changed);
    void (*read_stats)(const lq_pg_pool *p, lq_pg_stats *out);
    void (*shut)(const lq_pg_pool *p);
    void (*close)(lq_pg_pool *p);
} lq_pg_ops;

typedef struct lq_pg_head {
    const lq_pg_ops *ops;
} lq_pg_head;

/* Those of pool.c. */
extern const lq_pg_ops lq_pg_pool_ops;

#endif

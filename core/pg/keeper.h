/* keeper.h - the thread that has the connections of shared pools: its end.
 *
 * Pools are found by their options. A pool opens with the first query for it,
 * and closes with the last database that was opened for it.
 *
 * Owns:    the pools; of what is asked the twins (far.h).
 * Thread:  find, evict and stop - any thread. Everything else - owner loop;
 * open and free also before and after the loop's thread runs. Life:    open ->
 * ... -> stop -> the loop has nothing more to do -> free. Knows:   pool, far.
 */
#ifndef LQ_PG_KEEPER_H
#define LQ_PG_KEEPER_H

#include "loop/mailbox.h"
#include "pg/pool.h"

typedef struct lq_pg_keeper lq_pg_keeper;

/* Somebody's thread is lost: there is one for each who might be. */
typedef struct lq_pg_notice {
    lq_msg msg;
    const void *owner;
} lq_pg_notice;

/* -ENOMEM, or libuv's codes. */
int lq_pg_keeper_open(lq_pg_keeper **out, lq_loop *loop,
                      const lq_log *log) LQ_MUST_CHECK;
void lq_pg_keeper_free(lq_pg_keeper *k);

/* What its owner has asked for is given up, transactions are rolled back, and
 * what it asks from now on fails. Takes `notice`, which lq_mem_free frees, even
 * if the keeper has stopped. */
LQ_ANY_THREAD void lq_pg_keeper_evict(lq_pg_keeper *k, lq_pg_notice *notice);

/* Closes all there is; once. */
LQ_ANY_THREAD void lq_pg_keeper_stop(lq_pg_keeper *k);

#endif

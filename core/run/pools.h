/* pools.h - the thread that has the connections of shared database pools, for
 * all workers, services and generations.
 *
 * It starts with the first pool that is opened, runs no Lua, and ends behind
 * the workers and services.
 *
 * Owns:    the thread, its loop, the keeper of the pools.
 * Thread:  open and evict - any thread. Everything else - main thread.
 * Life:    new -> (open | evict)* -> end -> on_ended -> free.
 * Knows:   pg, loop, log.
 */
#ifndef LQ_POOLS_H
#define LQ_POOLS_H

#include "pg/keeper.h"

typedef struct lq_pools lq_pools;

/* `loop` is the main thread's, in which on_ended comes; `log` is borrowed.
 * -ENOMEM, or libuv's codes. */
int lq_pools_new(lq_pools **out, lq_loop *loop,
                 const lq_log *log) LQ_MUST_CHECK;

/* As lq_pg_remote_open. May start the thread. */
LQ_ANY_THREAD int lq_pools_open(lq_pools *ps, const lq_pg_pool_cfg *cfg,
                                const void *owner, lq_pg_pool **out,
                                lq_err *err) LQ_MUST_CHECK;

/* The thread of that owner is lost: as lq_pg_keeper_evict. Takes `notice`. */
LQ_ANY_THREAD void lq_pools_evict(lq_pools *ps, lq_pg_notice *notice);

/* Everybody has closed what he has opened, or is lost. on_ended follows, out of
 * the loop or before this returns. */
void lq_pools_end(lq_pools *ps, void (*on_ended)(void *data), void *data);

/* After on_ended, or when nobody has opened anything. NULL is allowed. */
void lq_pools_free(lq_pools *ps);

#endif

/* spread.h - who serves the next connection.
 *
 * The kernel spreads connections over the workers' sockets by a hash, which is
 * uneven for few, long-lived ones. So each worker's connections are counted
 * here, and an accepted socket goes to a less loaded worker when the one that
 * accepted it has clearly more than the least loaded.
 *
 * Owns:    a count and a state for each worker, and the pulses of their loops.
 * Thread:  any thread; every field is atomic. Pulses are given and taken back
 *          by the main thread.
 * Life:    new -> ... -> free, when all workers have been joined.
 * Knows:   base, loop.
 */
#ifndef LQ_SPREAD_H
#define LQ_SPREAD_H

#include "base/defs.h"
#include "loop/loop.h"

typedef struct lq_spread lq_spread;

/* A worker that has had no look at its events for so long is busy. */
enum { LQ_SPREAD_BUSY_MS = 50 };

/* `max`: connections of a worker, 0: no limit. -ENOMEM. */
int lq_spread_new(lq_spread **out, int workers, int max) LQ_MUST_CHECK;
void lq_spread_free(lq_spread *s);

/* A pulse for the loop of a new worker; readable until free, also when it has
 * been taken back, which is when the worker has been joined. NULL: no memory.
 */
lq_pulse *lq_spread_lend_pulse(lq_spread *s) LQ_MUST_CHECK;
void lq_spread_take_pulse(lq_spread *s, lq_pulse *pulse);

/* Worker `i` (from 0) takes connections, with the pulse of its loop, a
 * lent one; or takes none any more, unless another one with
 * another pulse has its place by now. */
LQ_ANY_THREAD void lq_spread_join(lq_spread *s, int i, const lq_pulse *pulse);
LQ_ANY_THREAD void lq_spread_part(lq_spread *s, int i, const lq_pulse *pulse);

/* Whether it takes connections and had a look at its events lately. */
LQ_ANY_THREAD bool lq_spread_is_fresh(const lq_spread *s, int i);

/* The worker for a connection that `self` has accepted (-1: nobody of them),
 * counted there already. Returns -1 when all others are busy, full or gone,
 * and `self` is -1, full or gone. */
LQ_ANY_THREAD int lq_spread_choose(lq_spread *s, int self);

/* The same when it must go to somebody: also to one that is busy. -1: all are
 * full or gone. */
LQ_ANY_THREAD int lq_spread_choose_any(lq_spread *s);

/* Worker i has one that nobody has chosen it for. */
LQ_ANY_THREAD void lq_spread_count_in(lq_spread *s, int i);

/* A connection of worker i is over, or never came to be. */
LQ_ANY_THREAD void lq_spread_leave(lq_spread *s, int i);

/* Whether worker i has as many as it may have. */
LQ_ANY_THREAD bool lq_spread_is_full(const lq_spread *s, int i);

/* That nobody can accept is told once a second by one of all: whether it is
 * this caller's turn. `now_ms` of its loop. */
LQ_ANY_THREAD bool lq_spread_may_tell(lq_spread *s, uint64_t now_ms);

LQ_ANY_THREAD int lq_spread_count(const lq_spread *s, int i);

#endif

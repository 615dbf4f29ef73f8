/* roster.h - who serves as worker 1 to N just now.
 *
 * A worker that ends is replaced while others may want to hand it a
 * connection, so they reach each other through here, by number.
 *
 * Owns:    a place for each number. The workers are borrowed from set to the
 *          next set.
 * Thread:  set, clear - main thread. hand, give - any thread.
 * Life:    new -> (set | clear | hand | give)* -> free, when all workers have
 *          been joined.
 * Knows:   worker, spread.
 */
#ifndef LQ_ROSTER_H
#define LQ_ROSTER_H

#include "base/defs.h"
#include "run/arrival.h"

typedef struct lq_roster lq_roster;
struct lq_spread;
struct lq_worker;

/* Nobody is in it. -ENOMEM, or libuv's codes. */
int lq_roster_new(lq_roster **out, int workers) LQ_MUST_CHECK;
void lq_roster_free(lq_roster *r);

/* `w` has place i (from 0) from now on; NULL: nobody. Behind this call no other
 * thread uses the one before. */
void lq_roster_set(lq_roster *r, int i, struct lq_worker *w);

/* Place i is empty from now on, if `w` still has it. The same holds. */
void lq_roster_clear(lq_roster *r, int i, const struct lq_worker *w);

/* Hands an accepted socket to whoever has place i. Returns LQ_ECLOSED when
 * nobody takes it, as whoever has the place does not listen on that, or
 * -ENOMEM: the socket is still the caller's. */
LQ_ANY_THREAD int lq_roster_hand(lq_roster *r, int i, const lq_arrival *a);

/* Hands an accepted socket to any of those that spread has, counted there: to
 * one that looks at its events if there is one. Returns LQ_ECLOSED when nobody
 * takes it, or -ENOMEM: the socket is still the caller's. */
LQ_ANY_THREAD int lq_roster_give(lq_roster *r, struct lq_spread *spread,
                                 const lq_arrival *a);

#endif

/* timers.h - exact waits: a heap of timers with a resolution of 1 ms.
 *
 * Timers are embedded by value in what they serve, and so is the heap. Many
 * thousand are cheap; those due at the same time come in the order in which
 * they were started. Time is whatever the caller counts in.
 *
 * Owns:    its array; the timers are borrowed while they are set.
 * Thread:  none; whoever holds it.
 * Life:    init -> (start | stop | run)* -> fini.
 * Knows:   base.
 */
#ifndef LQ_TIMERS_H
#define LQ_TIMERS_H

#include "base/defs.h"

typedef struct lq_timer {
    uint64_t at_ms;
    size_t index; /* in the heap's array; SIZE_MAX: not set */
    void (*on_due)(struct lq_timer *);
} lq_timer;

typedef struct lq_timer_slot {
    uint64_t at_ms;
    uint64_t order; /* of the start: the lower one comes first */
    lq_timer *timer;
} lq_timer_slot;

typedef struct lq_timers {
    lq_timer_slot *slots; /* `count` as a heap, then `late` in any order */
    size_t count;
    size_t late; /* started while it runs: not looked at in that run */
    size_t cap;
    uint64_t order;
    bool is_running;
} lq_timers;

void lq_timers_init(lq_timers *ts);
/* Makes room: up to `count` timers at a time start without memory. Returns
 * -ENOMEM. */
int lq_timers_reserve(lq_timers *ts, size_t count) LQ_MUST_CHECK;
/* Forgets the timers that are still set, without touching them. */
void lq_timers_fini(lq_timers *ts);

void lq_timer_init(lq_timer *t, void (*on_due)(lq_timer *));

static inline bool lq_timer_is_set(const lq_timer *t)
{
    return t->index != SIZE_MAX;
}

/* Borrows `t` until it is due or stopped; one that is set gets the new time.
 * Returns -ENOMEM, never for one that is set. */
int lq_timer_start(lq_timers *ts, lq_timer *t, uint64_t at_ms) LQ_MUST_CHECK;

/* Nothing happens when `t` is not set. Any timer may be stopped or started
 * from inside on_due. */
void lq_timer_stop(lq_timers *ts, lq_timer *t);

/* When the next one is due; UINT64_MAX: none is set. Not inside on_due. */
uint64_t lq_timers_next(const lq_timers *ts);

static inline bool lq_timers_is_empty(const lq_timers *ts)
{
    return ts->count + ts->late == 0;
}

/* Calls on_due of every timer due by `now_ms`, which is not set any more by
 * then: it may start it again or free it. What is started during the run
 * waits for the next one, even if its time has come. */
void lq_timers_run(lq_timers *ts, uint64_t now_ms);

#endif

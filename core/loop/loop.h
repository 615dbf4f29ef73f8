/* loop.h - one thread's loop: libuv's, with timers, deadlines and turns.
 *
 * A turn of the loop: what is due, hooks, sleep until something happens, the
 * callbacks of that, hooks, closing callbacks. The hooks are for work that is
 * gathered while callbacks run (answers to be sent, tasks to be resumed).
 *
 * A timer that is set, and lq_loop_again, keep the loop alive, as handles do;
 * deadlines and hooks do not: they serve a handle.
 *
 * Owns:    the uv_loop_t and its own handles.
 * Thread:  owner loop: the thread that is in lq_loop_run; before and after it
 *          whoever holds it. busy_since - any thread.
 * Life:    open -> run* -> close. The struct stays where it is until then.
 * Knows:   base, uv, loop.
 */
#ifndef LQ_LOOP_H
#define LQ_LOOP_H

#include <stdatomic.h>
#include <uv.h>

#include "base/defs.h"
#include "base/list.h"
#include "loop/thread.h"
#include "loop/timers.h"
#include "loop/wheel.h"

/* Called twice a turn: before the loop sleeps and after the callbacks.
 * lq_list_remove(&turn->link) takes it off, also out of a hook. */
typedef struct lq_turn {
    lq_list link;
    void (*run)(struct lq_turn *turn);
} lq_turn;

/* What other threads see of a loop. Written by its owner alone. */
typedef struct lq_pulse {
    _Atomic uint64_t busy_since_ms; /* 0: it sleeps or does not run */
    _Atomic uint64_t beats; /* one more with each turn and each lq_loop_beat */
} lq_pulse;

typedef struct lq_loop {
    uv_loop_t uv;
    lq_timers timers;
    lq_wheel wheel;
    lq_list turns;

    uv_timer_t due;      /* runs `timers` */
    uint64_t due_at_ms;  /* what `due` is set to; UINT64_MAX: stopped */
    uv_timer_t tick;     /* ticks `wheel` */
    uv_prepare_t before; /* the hooks before sleeping */
    uv_check_t after;    /* ... and behind the callbacks */
    uv_idle_t again;     /* while it is active, the loop does not sleep */
    bool wants_again;    /* ... in the poll that comes next, too */
    bool is_stopped;
    bool is_closing;
    lq_owner owner;

    lq_pulse *pulse; /* own_pulse, unless told otherwise */
    lq_pulse own_pulse;
} lq_loop;

/* Returns libuv's error codes. */
int lq_loop_open(lq_loop *loop) LQ_MUST_CHECK;

/* Runs until stopped or nothing is alive. Returns 0, or 1 when it was stopped
 * and something is alive. */
int lq_loop_run(lq_loop *loop);

/* Ends lq_loop_run after this turn; before a run: ends it at once. */
void lq_loop_stop(lq_loop *loop);

/* Closes its own handles and runs the closing callbacks that are on their way.
 * Returns UV_EBUSY when foreign handles or requests, timers or deadlines are
 * left, a bug of the caller that debug builds report; it may be called again
 * once they are gone. */
int lq_loop_close(lq_loop *loop) LQ_MUST_CHECK;

/* Borrows `turn` until it is taken off. Hooks run in the order added. */
void lq_loop_on_turn(lq_loop *loop, lq_turn *turn);

/* What is called for a deadline of the loop's wheel; all its entries are of
 * one kind. To be set before the first entry. */
void lq_loop_on_deadline(lq_loop *loop, void (*on_due)(lq_wheel_entry *entry));

/* The loop does not sleep in the poll that comes next. */
void lq_loop_again(lq_loop *loop);

/* Whether somebody has said so. */
static inline bool lq_loop_is_wanted(const lq_loop *loop)
{
    return loop->wants_again;
}

/* Gets a fresh time, also for lq_loop_now; rounded down to 1 ms. */
uint64_t lq_loop_update(lq_loop *loop);

/* The time when this turn's callbacks began, in ms; the clock is that of
 * uv_hrtime. */
static inline uint64_t lq_loop_now(const lq_loop *loop)
{
    return uv_now(&loop->uv);
}

/* Since when the thread has been at work without looking for events, in ms;
 * 0: it sleeps or does not run. */
LQ_ANY_THREAD uint64_t lq_loop_busy_since(const lq_loop *loop);

/* After open: the pulse is kept at `where`, for readers who may outlive the
 * loop. */
void lq_loop_keep_pulse(lq_loop *loop, lq_pulse *where);

/* Something new begins. libuv calls back out of its poll before the loop gets
 * a word; whatever may take long there (Lua above all) calls this first. */
static inline void lq_loop_beat(lq_loop *loop)
{
    lq_pulse *p = loop->pulse;
    uint64_t beats = atomic_load_explicit(&p->beats, memory_order_relaxed);

    atomic_store_explicit(&p->beats, beats + 1, memory_order_relaxed);
    if (atomic_load_explicit(&p->busy_since_ms, memory_order_relaxed) == 0)
        atomic_store_explicit(&p->busy_since_ms, uv_now(&loop->uv),
                              memory_order_relaxed);
}

/* Lent as long as the loop is open. */
static inline uv_loop_t *lq_loop_uv(lq_loop *loop)
{
    return &loop->uv;
}

static inline lq_timers *lq_loop_timers(lq_loop *loop)
{
    return &loop->timers;
}

static inline lq_wheel *lq_loop_wheel(lq_loop *loop)
{
    return &loop->wheel;
}

#endif

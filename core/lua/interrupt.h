/* interrupt.h - an end for Lua code that does not wait.
 *
 * The watchdog's signal handler, on the state's own thread, puts a hook on
 * every coroutine that runs just now. The hook raises an error at the next
 * instruction, and again within a thousand more, whatever the code does with
 * it, until the task has unwound.
 *
 * Owns:    the list of coroutines that run, innermost last.
 * Thread:  the state's. lq_interrupt also inside a signal handler of that
 *          thread.
 * Life:    with the vm.
 * Knows:   Lua.
 */
#ifndef LQ_INTERRUPT_H
#define LQ_INTERRUPT_H

#include <lua.h>
#include <stdatomic.h>

#include "base/defs.h"

/* More than Lua's own limit of coroutines within each other. */
enum { LQ_RUNNING_MAX = 256 };

typedef struct lq_running {
    lua_State *states[LQ_RUNNING_MAX];
    _Atomic int count;
    _Atomic bool is_interrupted;
    unsigned errors; /* raised by the hook so far */
    double limit_s;  /* for the message */
} lq_running;

/* co begins to run inside what runs already; and returns from it. */
static inline void lq_running_push(lq_running *r, lua_State *co)
{
    int n = atomic_load_explicit(&r->count, memory_order_relaxed);

    if (n < LQ_RUNNING_MAX) r->states[n] = co;
    atomic_signal_fence(memory_order_release);
    atomic_store_explicit(&r->count, n + 1, memory_order_relaxed);
}

static inline void lq_running_pop(lq_running *r)
{
    int n = atomic_load_explicit(&r->count, memory_order_relaxed);

    atomic_store_explicit(&r->count, n - 1, memory_order_relaxed);
}

static inline bool lq_running_is_empty(const lq_running *r)
{
    return atomic_load_explicit(&r->count, memory_order_relaxed) == 0;
}

static inline bool lq_running_is_interrupted(const lq_running *r)
{
    return atomic_load_explicit(&r->is_interrupted, memory_order_relaxed);
}

/* Nothing happens when no coroutine runs. */
void lq_interrupt(lq_running *r);

/* A coroutine that is resumed while its task is interrupted has the hook, too.
 */
void lq_interrupt_join(lua_State *co);

/* The task has unwound. `main`: the state's main coroutine. */
void lq_interrupt_end(lq_running *r, lua_State *main);

#endif

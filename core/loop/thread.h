/* thread.h - threads with a name and without signals; who owns what.
 *
 * Owns:    lq_thread: the thread from start to join.
 * Thread:  start and join - the thread that starts it. lq_owner - none.
 * Life:    start -> join. The struct stays where it is until then.
 * Knows:   base, uv.
 */
#ifndef LQ_THREAD_H
#define LQ_THREAD_H

#include <uv.h>

#include "base/defs.h"

enum { LQ_THREAD_NAME_CAP = 16 };

typedef struct lq_thread {
    uv_thread_t id;
    void (*fn)(void *arg);
    void *arg;
    char name[LQ_THREAD_NAME_CAP];
} lq_thread;

/* Runs fn(arg) in a new thread named `name` ("lq:w3"; copied, cut after 15
 * bytes), in which every signal is blocked but for those that report a fault
 * of the thread itself. Returns what uv_thread_create does. */
int lq_thread_start(lq_thread *t, const char *name, void (*fn)(void *arg),
                    void *arg) LQ_MUST_CHECK;

/* Waits until fn has returned. */
void lq_thread_join(lq_thread *t);

/* A member `owner` of what only one thread may touch. All zero: nobody owns
 * it yet, whoever holds it may. */
typedef struct lq_owner {
    uv_thread_t id;
    bool is_set;
} lq_owner;

/* The calling thread is the owner from now on. */
static inline void lq_owner_set(lq_owner *owner)
{
    *owner = (lq_owner){uv_thread_self(), true};
}

static inline void lq_owner_clear(lq_owner *owner)
{
    owner->is_set = false;
}

static inline bool lq_owner_is_self(const lq_owner *owner)
{
    uv_thread_t self = uv_thread_self();

    return !owner->is_set || uv_thread_equal(&owner->id, &self) != 0;
}

/* The calling thread owns `x`, a pointer to a struct with `lq_owner owner`.
 * Debug builds only. */
#define LQ_ASSERT_OWNER(x) LQ_DEBUG_ASSERT(lq_owner_is_self(&(x)->owner))

#endif

/* inbox.h - what one member of the hub has not taken yet.
 *
 * Bounded by messages and bytes, those that its owner has taken and still holds
 * included. A full one refuses the newest.
 *
 * Owns:    a reference to each batch inside.
 * Thread:  push, close - any. The others - owner loop.
 * Life:    open -> push* -> close (once, by whoever) -> on_closed -> fini.
 * Knows:   batch, uv.
 */
#ifndef LQ_INBOX_H
#define LQ_INBOX_H

#include <stdatomic.h>
#include <uv.h>

#include "hub/batch.h"

/* A batch, and how many of the records that are for the owner it may have. */
typedef struct lq_inbox_entry {
    lq_batch *batch;
    size_t take;     /* SIZE_MAX: all */
    size_t messages; /* that count: none when it was forced in */
    size_t bytes;
} lq_inbox_entry;

typedef struct lq_inbox {
    /* Set by open, then constant. */
    size_t max_messages;
    size_t max_bytes;
    void (*on_filled)(struct lq_inbox *in);
    void *data;

    /* Guarded by lock. */
    uv_mutex_t lock;
    lq_inbox_entry *entries;
    size_t first; /* not taken */
    size_t count; /* of those, and of the ones taken before them */
    size_t cap;
    size_t messages; /* not taken */
    size_t bytes;
    size_t held; /* messages that the owner has taken and not yet used */
    size_t held_bytes;
    uint64_t dropped;
    bool is_closed;
    bool is_watched; /* the owner looks by itself: no signal is needed */
    uv_async_t wake;

    _Atomic bool is_filled; /* as of the last push or take */

    /* Owner. */
    void (*on_closed)(struct lq_inbox *in);
} lq_inbox;

/* on_filled comes out of the loop when something is inside that was empty.
 * libuv's codes. */
int lq_inbox_open(lq_inbox *in, uv_loop_t *loop,
                  void (*on_filled)(lq_inbox *in), void *data) LQ_MUST_CHECK;

/* `messages` records of the batch, with `bytes` in all, are for its owner.
 * Takes a reference for as many of the first ones as there is room for; returns
 * how many. */
LQ_ANY_THREAD size_t lq_inbox_push(lq_inbox *in, lq_batch *batch,
                                   size_t messages, size_t bytes);

/* One record, whether there is room or not. LQ_ECLOSED, -ENOMEM. */
LQ_ANY_THREAD int lq_inbox_force(lq_inbox *in, lq_batch *batch) LQ_MUST_CHECK;

/* Whether one more message of that size has room just now. */
LQ_ANY_THREAD bool lq_inbox_has_room(lq_inbox *in, size_t bytes);

/* Takes the oldest one and gives its reference; its messages count as held
 * until lq_inbox_hold says better. false: there is none, and on_filled comes
 * with the next one. */
bool lq_inbox_take(lq_inbox *in, lq_inbox_entry *out);

/* Between begin and end the owner looks by itself whether something is inside,
 * and others spare themselves the signal. Each returns whether there is. */
bool lq_inbox_begin_watch(lq_inbox *in);
bool lq_inbox_end_watch(lq_inbox *in);

static inline bool lq_inbox_is_filled(const lq_inbox *in)
{
    return atomic_load_explicit(&in->is_filled, memory_order_acquire);
}

/* What the owner has of what it took, which counts as inside. */
void lq_inbox_hold(lq_inbox *in, size_t messages, size_t bytes);

/* What is in it and held, and what it has refused. */
LQ_ANY_THREAD void lq_inbox_stats(lq_inbox *in, size_t *queued,
                                  uint64_t *dropped);

/* Nothing is pushed from now on; on_closed comes later, out of the loop. */
void lq_inbox_close(lq_inbox *in, void (*on_closed)(lq_inbox *in));
void lq_inbox_fini(lq_inbox *in);

#endif

/* wheel.h - coarse deadlines: a wheel whose ticks are 1 s apart.
 *
 * For the limits of connections, which are moved with every byte and hardly
 * ever reached: setting a later one is a store. Such an entry stays in its old
 * slot and gets a new one when that slot comes up.
 *
 * Owns:    nothing; entries are borrowed while they are in the wheel.
 * Thread:  none; whoever holds it.
 * Life:    init -> (set | remove | tick)*.
 * Knows:   base.
 */
#ifndef LQ_WHEEL_H
#define LQ_WHEEL_H

#include "base/defs.h"
#include "base/list.h"

enum { LQ_WHEEL_TICK_MS = 1000, LQ_WHEEL_SLOTS = 128 };

typedef struct lq_wheel_entry {
    lq_list link; /* points to itself: not in the wheel */
    uint64_t deadline_ms;
} lq_wheel_entry;

typedef struct lq_wheel {
    void (*on_due)(lq_wheel_entry *entry);
    uint64_t tick; /* the last one that was handled */
    size_t count;
    lq_list slots[LQ_WHEEL_SLOTS];
} lq_wheel;

/* on_due is called for an entry that has just left the wheel: it may set it
 * again or free it, and set or remove any other. */
void lq_wheel_init(lq_wheel *wheel, void (*on_due)(lq_wheel_entry *entry));

static inline void lq_wheel_entry_init(lq_wheel_entry *entry)
{
    lq_list_init(&entry->link);
    entry->deadline_ms = 0;
}

/* Borrows `entry` until it is due or removed. It becomes due with the first
 * tick at or after `deadline_ms`: never early; less than 1 s late when the
 * wheel is ticked at every multiple of LQ_WHEEL_TICK_MS. A deadline that is
 * over is due with the next tick. */
void lq_wheel_set(lq_wheel *wheel, lq_wheel_entry *entry, uint64_t deadline_ms);

/* Nothing happens when `entry` is not in the wheel. */
void lq_wheel_remove(lq_wheel *wheel, lq_wheel_entry *entry);

static inline bool lq_wheel_is_empty(const lq_wheel *wheel)
{
    return wheel->count == 0;
}

/* Handles every tick up to `now_ms`; they may have been missed for any time.
 * Not inside on_due. */
void lq_wheel_tick(lq_wheel *wheel, uint64_t now_ms);

#endif

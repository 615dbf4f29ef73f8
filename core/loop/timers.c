/* timers.c - see timers.h. */
#include "loop/timers.h"

#include <errno.h>

#include "base/mem.h"

enum { SMALLEST = 32 };

void lq_timers_init(lq_timers *ts)
{
    *ts = (lq_timers){0};
}

void lq_timers_fini(lq_timers *ts)
{
    lq_mem_free(ts->slots);
    *ts = (lq_timers){0};
}

void lq_timer_init(lq_timer *t, void (*on_due)(lq_timer *))
{
    *t = (lq_timer){.index = SIZE_MAX, .on_due = on_due};
}

static bool comes_before(const lq_timer_slot *a, const lq_timer_slot *b)
{
    if (a->at_ms != b->at_ms) return a->at_ms < b->at_ms;
    return a->order < b->order;
}

static void place(lq_timers *ts, size_t i, lq_timer_slot slot)
{
    ts->slots[i] = slot;
    slot.timer->index = i;
}

static void sift_up(lq_timers *ts, size_t i)
{
    lq_timer_slot slot = ts->slots[i];
    size_t parent;

    while (i > 0) {
        parent = (i - 1) / 2;
        if (!comes_before(&slot, &ts->slots[parent])) break;
        place(ts, i, ts->slots[parent]);
        i = parent;
    }
    place(ts, i, slot);
}

static void sift_down(lq_timers *ts, size_t i)
{
    lq_timer_slot slot = ts->slots[i];
    size_t child;

    while ((child = 2 * i + 1) < ts->count) {
        if (child + 1 < ts->count &&
            comes_before(&ts->slots[child + 1], &ts->slots[child]))
            child++;
        if (!comes_before(&ts->slots[child], &slot)) break;
        place(ts, i, ts->slots[child]);
        i = child;
    }
    place(ts, i, slot);
}

int lq_timers_reserve(lq_timers *ts, size_t count)
{
    size_t cap = ts->cap ? ts->cap : SMALLEST;
    lq_timer_slot *slots;

    if (count <= ts->cap) return 0;
    while (cap < count) cap *= 2;
    if (cap > SIZE_MAX / sizeof *slots) return -ENOMEM;
    slots = lq_mem_realloc(ts->slots, cap * sizeof *slots);
    if (!slots) return -ENOMEM;
    ts->slots = slots;
    ts->cap = cap;
    return 0;
}

int lq_timer_start(lq_timers *ts, lq_timer *t, uint64_t at_ms)
{
    lq_timer_slot slot = {.at_ms = at_ms, .timer = t};
    int err;

    lq_timer_stop(ts, t);
    err = lq_timers_reserve(ts, ts->count + ts->late + 1);
    if (err < 0) return err;
    slot.order = ts->order++;
    t->at_ms = at_ms;
    place(ts, ts->count + ts->late, slot);
    if (ts->is_running)
        ts->late++;
    else
        sift_up(ts, ts->count++);
    return 0;
}

/* Takes the last of the heap into the hole at `i`; the hole is then behind
 * the heap. */
static void fill_from_heap(lq_timers *ts, size_t i)
{
    size_t last = --ts->count;

    if (i == last) return;
    place(ts, i, ts->slots[last]);
    sift_up(ts, i);
    sift_down(ts, i);
}

void lq_timer_stop(lq_timers *ts, lq_timer *t)
{
    size_t hole = t->index, end;

    if (hole == SIZE_MAX) return;
    LQ_ASSERT(hole < ts->count + ts->late && ts->slots[hole].timer == t);
    t->index = SIZE_MAX;
    if (hole < ts->count) {
        fill_from_heap(ts, hole);
        hole = ts->count;
    } else {
        ts->late--;
    }
    end = ts->count + ts->late;
    if (hole != end) place(ts, hole, ts->slots[end]);
}

uint64_t lq_timers_next(const lq_timers *ts)
{
    return ts->count ? ts->slots[0].at_ms : UINT64_MAX;
}

void lq_timers_run(lq_timers *ts, uint64_t now_ms)
{
    lq_timer *t;

    LQ_ASSERT(!ts->is_running);
    ts->is_running = true;
    while (ts->count && ts->slots[0].at_ms <= now_ms) {
        t = ts->slots[0].timer;
        lq_timer_stop(ts, t);
        t->on_due(t);
    }
    ts->is_running = false;
    for (; ts->late; ts->late--) sift_up(ts, ts->count++);
}

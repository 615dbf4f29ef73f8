/* spread.c - see spread.h. */
#include "run/spread.h"

#include <errno.h>
#include <limits.h>
#include <stdatomic.h>

#include "base/list.h"
#include "base/mem.h"

enum { TELL_MS = 1000 };

/* A cache line each: workers write theirs all the time. */
typedef struct slot {
    _Alignas(64) _Atomic int count;
    _Atomic(const lq_pulse *) pulse; /* NULL: takes none */
} slot;

/* Of a loop that runs, or has run: somebody may still look at it. */
typedef struct lent {
    lq_list link;
    lq_pulse pulse;
} lent;

struct lq_spread {
    int workers;
    int max;
    char *memory; /* as it was allocated */
    slot *slots;  /* aligned */
    lq_list free; /* pulses that nobody has */
    _Atomic uint64_t told_ms;
};

int lq_spread_new(lq_spread **out, int workers, int max)
{
    lq_spread *s = lq_mem_zalloc(sizeof *s);
    uintptr_t at;

    if (!s) return -ENOMEM;
    s->memory = lq_mem_zalloc(((size_t)workers + 1) * sizeof(slot));
    if (!s->memory) {
        lq_mem_free(s);
        return -ENOMEM;
    }
    at = ((uintptr_t)s->memory + 63) & ~(uintptr_t)63;
    s->slots = (slot *)at;
    lq_list_init(&s->free);
    s->workers = workers;
    s->max = max;
    *out = s;
    return 0;
}

void lq_spread_free(lq_spread *s)
{
    lq_list *link;

    if (!s) return;
    while ((link = lq_list_pop_front(&s->free)))
        lq_mem_free(LQ_CONTAINER_OF(link, lent, link));
    lq_mem_free(s->memory);
    lq_mem_free(s);
}

lq_pulse *lq_spread_lend_pulse(lq_spread *s)
{
    lq_list *link = lq_list_pop_front(&s->free);
    lent *l =
        link ? LQ_CONTAINER_OF(link, lent, link) : lq_mem_zalloc(sizeof *l);

    if (!l) return NULL;
    lq_list_init(&l->link);
    return &l->pulse;
}

void lq_spread_take_pulse(lq_spread *s, lq_pulse *pulse)
{
    lq_list_push_back(&s->free, &LQ_CONTAINER_OF(pulse, lent, pulse)->link);
}

void lq_spread_join(lq_spread *s, int i, const lq_pulse *pulse)
{
    atomic_store(&s->slots[i].pulse, pulse);
}

void lq_spread_part(lq_spread *s, int i, const lq_pulse *pulse)
{
    atomic_compare_exchange_strong(&s->slots[i].pulse, &pulse, NULL);
}

bool lq_spread_is_fresh(const lq_spread *s, int i)
{
    const lq_pulse *pulse = atomic_load(&s->slots[i].pulse);
    uint64_t since_ms;

    if (!pulse) return false;
    since_ms =
        atomic_load_explicit(&pulse->busy_since_ms, memory_order_relaxed);
    return since_ms == 0 ||
           uv_hrtime() / 1000000 < since_ms + LQ_SPREAD_BUSY_MS;
}

int lq_spread_count(const lq_spread *s, int i)
{
    return atomic_load_explicit(&s->slots[i].count, memory_order_relaxed);
}

bool lq_spread_is_full(const lq_spread *s, int i)
{
    return s->max > 0 && lq_spread_count(s, i) >= s->max;
}

/* The least loaded that can take one, and is fresh; -1: none. */
static int least_loaded(const lq_spread *s, bool may_be_busy)
{
    int i, count, best = -1, least = INT_MAX;

    for (i = 0; i < s->workers; i++) {
        count = lq_spread_count(s, i);
        if (count >= least || lq_spread_is_full(s, i)) continue;
        if (!atomic_load(&s->slots[i].pulse)) continue;
        if (!may_be_busy && !lq_spread_is_fresh(s, i)) continue;
        best = i;
        least = count;
    }
    return best;
}

static bool can_take(const lq_spread *s, int i)
{
    return i >= 0 && atomic_load(&s->slots[i].pulse) &&
           !lq_spread_is_full(s, i);
}

/* One more than the least, and a sixteenth for large numbers, is even enough:
 * handing over costs a wake-up. */
static bool is_even(int mine, int least)
{
    return mine <= least + 1 + least / 16;
}

int lq_spread_choose(lq_spread *s, int self)
{
    int best = least_loaded(s, false);

    if (can_take(s, self) && (best < 0 || is_even(lq_spread_count(s, self),
                                                  lq_spread_count(s, best))))
        best = self;
    if (best >= 0) atomic_fetch_add(&s->slots[best].count, 1);
    return best;
}

int lq_spread_choose_any(lq_spread *s)
{
    int best = least_loaded(s, true);

    if (best >= 0) atomic_fetch_add(&s->slots[best].count, 1);
    return best;
}

void lq_spread_count_in(lq_spread *s, int i)
{
    atomic_fetch_add(&s->slots[i].count, 1);
}

void lq_spread_leave(lq_spread *s, int i)
{
    atomic_fetch_sub(&s->slots[i].count, 1);
}

bool lq_spread_may_tell(lq_spread *s, uint64_t now_ms)
{
    uint64_t told = atomic_load(&s->told_ms);

    if (told != 0 && now_ms < told + TELL_MS) return false;
    return atomic_compare_exchange_strong(&s->told_ms, &told, now_ms);
}

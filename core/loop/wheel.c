/* wheel.c - see wheel.h. */
#include "loop/wheel.h"

void lq_wheel_init(lq_wheel *wheel, void (*on_due)(lq_wheel_entry *entry))
{
    size_t i;

    wheel->on_due = on_due;
    wheel->tick = 0;
    wheel->count = 0;
    for (i = 0; i < LQ_WHEEL_SLOTS; i++) lq_list_init(&wheel->slots[i]);
}

/* The first tick that is not before `ms`. */
static uint64_t tick_at(uint64_t ms)
{
    return ms / LQ_WHEEL_TICK_MS + (ms % LQ_WHEEL_TICK_MS != 0);
}

/* Into the slot of its tick, or the next one when that is over. A tick that is
 * further away than the wheel is long shares the slot of earlier ones, which
 * come up without making it due. */
static void put(lq_wheel *wheel, lq_wheel_entry *entry)
{
    uint64_t tick = tick_at(entry->deadline_ms);

    if (tick <= wheel->tick) tick = wheel->tick + 1;
    lq_list_push_back(&wheel->slots[tick % LQ_WHEEL_SLOTS], &entry->link);
    wheel->count++;
}

void lq_wheel_set(lq_wheel *wheel, lq_wheel_entry *entry, uint64_t deadline_ms)
{
    bool is_in = !lq_list_is_empty(&entry->link);
    bool is_later = deadline_ms >= entry->deadline_ms;

    LQ_ASSERT(wheel->on_due);
    entry->deadline_ms = deadline_ms;
    if (is_in && is_later) return;
    lq_wheel_remove(wheel, entry);
    put(wheel, entry);
}

void lq_wheel_remove(lq_wheel *wheel, lq_wheel_entry *entry)
{
    if (lq_list_is_empty(&entry->link)) return;
    lq_list_remove(&entry->link);
    wheel->count--;
}

/* Moves the slots of all ticks up to `tick` to `out`, each slot once. */
static void take_slots(lq_wheel *wheel, uint64_t tick, lq_list *out)
{
    uint64_t missed = tick - wheel->tick;
    uint64_t i, count = missed < LQ_WHEEL_SLOTS ? missed : LQ_WHEEL_SLOTS;

    for (i = 1; i <= count; i++)
        lq_list_move(&wheel->slots[(wheel->tick + i) % LQ_WHEEL_SLOTS], out);
    wheel->tick = tick;
}

void lq_wheel_tick(lq_wheel *wheel, uint64_t now_ms)
{
    uint64_t tick = now_ms / LQ_WHEEL_TICK_MS;
    lq_wheel_entry *entry;
    lq_list taken, *link;

    if (tick <= wheel->tick) return;
    lq_list_init(&taken);
    take_slots(wheel, tick, &taken);
    while ((link = lq_list_pop_front(&taken))) {
        entry = LQ_CONTAINER_OF(link, lq_wheel_entry, link);
        wheel->count--;
        if (entry->deadline_ms <= now_ms)
            wheel->on_due(entry);
        else
            put(wheel, entry);
    }
}

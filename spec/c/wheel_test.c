/* wheel_test.c - coarse deadlines. */
#include "base/mem.h"
#include "loop/wheel.h"
#include "test.h"

enum { MANY = 300 };

typedef struct fixture fixture;

typedef struct probe {
    lq_wheel_entry entry;
    fixture *f;
    struct probe *removes; /* its callback removes that one */
    uint64_t again_in_ms;  /* its callback sets it again */
    uint64_t expected_ms;  /* 0: not in the wheel */
    size_t fired;
} probe;

struct fixture {
    lq_wheel wheel;
    uint64_t now_ms;
    uint64_t seed;
    probe probes[MANY];
};

static void set(probe *p, uint64_t deadline_ms)
{
    p->expected_ms = deadline_ms;
    lq_wheel_set(&p->f->wheel, &p->entry, deadline_ms);
}

static void drop(probe *p)
{
    p->expected_ms = 0;
    lq_wheel_remove(&p->f->wheel, &p->entry);
}

static void on_due(lq_wheel_entry *entry)
{
    probe *p = LQ_CONTAINER_OF(entry, probe, entry);

    CHECK(lq_list_is_empty(&entry->link));
    CHECK(p->expected_ms && p->expected_ms <= p->f->now_ms);
    p->expected_ms = 0;
    p->fired++;
    if (p->removes) drop(p->removes);
    if (p->again_in_ms) set(p, p->f->now_ms + p->again_in_ms);
}

static fixture *set_up(uint64_t now_ms)
{
    fixture *f = lq_mem_zalloc(sizeof *f);
    size_t i;

    CHECK(f);
    f->now_ms = now_ms;
    f->seed = 7;
    lq_wheel_init(&f->wheel, on_due);
    for (i = 0; i < MANY; i++) {
        f->probes[i].f = f;
        lq_wheel_entry_init(&f->probes[i].entry);
    }
    return f;
}

static void tear_down(fixture *f)
{
    lq_mem_free(f);
}

static void tick(fixture *f, uint64_t now_ms)
{
    f->now_ms = now_ms;
    lq_wheel_tick(&f->wheel, now_ms);
}

/* Every tick up to now_ms, on time. */
static void pass(fixture *f, uint64_t now_ms)
{
    uint64_t at = f->now_ms / LQ_WHEEL_TICK_MS + 1;

    for (; at * LQ_WHEEL_TICK_MS <= now_ms; at++)
        tick(f, at * LQ_WHEEL_TICK_MS);
    f->now_ms = now_ms;
}

static void test_is_due_with_the_tick_behind_it(void)
{
    fixture *f = set_up(50500);
    probe *p = f->probes;

    CHECK(lq_wheel_is_empty(&f->wheel));
    set(p, 52000);
    set(p + 1, 52001);
    CHECK(!lq_wheel_is_empty(&f->wheel));
    pass(f, 51999);
    CHECK(p->fired == 0);
    tick(f, 52000);
    CHECK(p->fired == 1 && p[1].fired == 0);
    tick(f, 53000);
    CHECK(p[1].fired == 1);
    CHECK(lq_wheel_is_empty(&f->wheel));
    tear_down(f);
}

static void test_later_is_a_store(void)
{
    fixture *f = set_up(10000);
    probe *p = f->probes;
    lq_list *next;

    tick(f, 10000);
    set(p, 12000);
    next = p->entry.link.next;
    set(p, 90000);
    CHECK(p->entry.link.next == next);
    pass(f, 89999);
    CHECK(p->fired == 0);
    pass(f, 90000);
    CHECK(p->fired == 1);
    tear_down(f);
}

static void test_earlier_is_moved(void)
{
    fixture *f = set_up(10000);
    probe *p = f->probes;

    tick(f, 10000);
    set(p, 90000);
    set(p, 12500);
    pass(f, 12999);
    CHECK(p->fired == 0);
    pass(f, 13000);
    CHECK(p->fired == 1);
    tear_down(f);
}

static void test_removed_is_never_due(void)
{
    fixture *f = set_up(10000);
    probe *p = f->probes;

    drop(p);
    set(p, 12000);
    drop(p);
    CHECK(lq_wheel_is_empty(&f->wheel));
    drop(p);
    pass(f, 400000);
    CHECK(p->fired == 0);
    tear_down(f);
}

static void test_beyond_the_span(void)
{
    uint64_t span = (uint64_t)LQ_WHEEL_SLOTS * LQ_WHEEL_TICK_MS;
    fixture *f = set_up(10000);
    probe *p = f->probes;
    uint64_t last;
    int i;

    tick(f, 10000);
    for (i = 0; i < 20; i++) set(p + i, 10000 + span * (uint64_t)i / 4 + 1);
    for (i = 0; i < 20; i++) {
        last = p[i].expected_ms;
        pass(f, last);
        CHECK(p[i].fired == 0);
        pass(f, last + LQ_WHEEL_TICK_MS - 1);
        CHECK(p[i].fired == 1);
    }
    set(p, UINT64_MAX);
    pass(f, f->now_ms + 5 * span);
    CHECK(p->fired == 1 && !lq_wheel_is_empty(&f->wheel));
    tear_down(f);
}

static void test_missed_ticks(void)
{
    fixture *f = set_up(10000);
    probe *p = f->probes;

    tick(f, 10000);
    set(p, 15000);
    set(p + 1, 5000000);
    set(p + 2, 5002500);
    tick(f, 5000999);
    CHECK(p->fired == 1 && p[1].fired == 1 && p[2].fired == 0);
    pass(f, 5002999);
    CHECK(p[2].fired == 0);
    tick(f, 5003000);
    CHECK(p[2].fired == 1);
    tear_down(f);
}

/* The wheel is not ticked while it is empty. */
static void test_first_entry_after_a_pause(void)
{
    fixture *f = set_up(10000);
    probe *p = f->probes;

    tick(f, 10000);
    f->now_ms = 7777500;
    set(p, 7780500);
    pass(f, 7780999);
    CHECK(p->fired == 0);
    pass(f, 7781000);
    CHECK(p->fired == 1);
    tear_down(f);
}

static void test_over_is_due_with_the_next_tick(void)
{
    fixture *f = set_up(10000);
    probe *p = f->probes;

    tick(f, 10000);
    set(p, 1);
    tick(f, 10999);
    CHECK(p->fired == 0);
    tick(f, 11000);
    CHECK(p->fired == 1);
    tear_down(f);
}

static void test_callbacks_may_change_everything(void)
{
    fixture *f = set_up(10000);
    probe *p = f->probes;

    tick(f, 10000);
    p[0].removes = &p[1];
    p[2].again_in_ms = 1500;
    set(&p[0], 12000);
    set(&p[1], 12000);
    set(&p[2], 12000);
    tick(f, 12000);
    CHECK(p[0].fired == 1 && p[1].fired == 0 && p[2].fired == 1);
    pass(f, 13999);
    CHECK(p[2].fired == 1);
    pass(f, 14000);
    CHECK(p[2].fired == 2);
    drop(&p[2]);
    CHECK(lq_wheel_is_empty(&f->wheel));
    tear_down(f);
}

static uint64_t roll(fixture *f, uint64_t limit)
{
    f->seed = (f->seed * 48271) % 2147483647;
    return f->seed % limit;
}

static void change_one(fixture *f)
{
    probe *p = &f->probes[roll(f, MANY)];

    if (roll(f, 4) == 0)
        drop(p);
    else
        set(p, f->now_ms + roll(f, 400000));
}

/* What should have come has come: less than a tick late. */
static void check_none_is_overdue(const fixture *f)
{
    const probe *p;
    size_t count = 0;

    for (p = f->probes; p < f->probes + MANY; p++) {
        CHECK(lq_list_is_empty(&p->entry.link) == (p->expected_ms == 0));
        if (!p->expected_ms) continue;
        count++;
        CHECK(p->expected_ms > f->now_ms / LQ_WHEEL_TICK_MS * LQ_WHEEL_TICK_MS);
    }
    CHECK(f->wheel.count == count);
}

static void test_many(void)
{
    fixture *f = set_up(123456);
    size_t i, k, turns = test_scaled(400);

    for (i = 0; i < turns; i++) {
        for (k = 0; k < 10; k++) change_one(f);
        pass(f, f->now_ms + roll(f, 9000));
        if (i % 20 == 0) tick(f, f->now_ms + roll(f, 300000));
        pass(f, f->now_ms + LQ_WHEEL_TICK_MS);
        check_none_is_overdue(f);
    }
    tear_down(f);
}

int main(void)
{
    test_begin();
    test_is_due_with_the_tick_behind_it();
    test_later_is_a_store();
    test_earlier_is_moved();
    test_removed_is_never_due();
    test_beyond_the_span();
    test_missed_ticks();
    test_first_entry_after_a_pause();
    test_over_is_due_with_the_next_tick();
    test_callbacks_may_change_everything();
    test_many();
    return test_end();
}

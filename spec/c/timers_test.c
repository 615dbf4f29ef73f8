/* timers_test.c - the heap of exact waits. */
#include <stdint.h>
#include <string.h>

#include "base/mem.h"
#include "loop/timers.h"
#include "test.h"

enum { MAX_FIRED = 16 };

typedef struct fixture fixture;

typedef struct probe {
    lq_timer timer;
    fixture *f;
    int name;
    struct probe *other; /* whom its callback stops, or starts */
    uint64_t start_at_ms;
} probe;

struct fixture {
    lq_timers timers;
    probe probes[8];
    int fired[MAX_FIRED];
    size_t count;
};

static void on_due(lq_timer *timer)
{
    probe *p = LQ_CONTAINER_OF(timer, probe, timer);

    CHECK(!lq_timer_is_set(timer));
    CHECK(p->f->count < MAX_FIRED);
    p->f->fired[p->f->count++] = p->name;
}

static void on_due_stop(lq_timer *timer)
{
    probe *p = LQ_CONTAINER_OF(timer, probe, timer);

    on_due(timer);
    lq_timer_stop(&p->f->timers, &p->other->timer);
    CHECK(!lq_timer_is_set(&p->other->timer));
}

static void on_due_start(lq_timer *timer)
{
    probe *p = LQ_CONTAINER_OF(timer, probe, timer);

    on_due(timer);
    CHECK(lq_timer_start(&p->f->timers, &p->other->timer, p->start_at_ms) == 0);
    CHECK(lq_timer_is_set(&p->other->timer));
}

static void set_up(fixture *f)
{
    int i;

    memset(f, 0, sizeof *f);
    lq_timers_init(&f->timers);
    for (i = 0; i < 8; i++) {
        f->probes[i].f = f;
        f->probes[i].name = i;
        lq_timer_init(&f->probes[i].timer, on_due);
    }
}

static void start(fixture *f, int name, uint64_t at_ms)
{
    CHECK(lq_timer_start(&f->timers, &f->probes[name].timer, at_ms) == 0);
}

static bool fired(const fixture *f, const int *names, size_t count)
{
    return f->count == count &&
           memcmp(f->fired, names, count * sizeof *names) == 0;
}

#define CHECK_FIRED(f, ...)                                                    \
    CHECK(fired(f, (const int[]){__VA_ARGS__},                                 \
                sizeof((const int[]){__VA_ARGS__}) / sizeof(int)))

static void test_order(void)
{
    fixture f;

    set_up(&f);
    CHECK(lq_timers_next(&f.timers) == UINT64_MAX);
    start(&f, 0, 30);
    start(&f, 1, 10);
    start(&f, 2, 20);
    CHECK(lq_timers_next(&f.timers) == 10);
    lq_timers_run(&f.timers, 9);
    CHECK(f.count == 0);
    lq_timers_run(&f.timers, 20);
    CHECK_FIRED(&f, 1, 2);
    CHECK(lq_timers_next(&f.timers) == 30);
    lq_timers_run(&f.timers, 1000);
    CHECK_FIRED(&f, 1, 2, 0);
    CHECK(lq_timers_is_empty(&f.timers));
    lq_timers_fini(&f.timers);
}

static void test_equal_times_keep_the_order_of_start(void)
{
    fixture f;
    int i;

    set_up(&f);
    for (i = 0; i < 8; i++) start(&f, i, 5);
    start(&f, 3, 5);
    lq_timers_run(&f.timers, 5);
    CHECK_FIRED(&f, 0, 1, 2, 4, 5, 6, 7, 3);
    lq_timers_fini(&f.timers);
}

static void test_restart_and_stop(void)
{
    fixture f;

    set_up(&f);
    start(&f, 0, 10);
    start(&f, 1, 20);
    start(&f, 0, 30);
    CHECK(lq_timers_next(&f.timers) == 20);
    start(&f, 0, 5);
    CHECK(lq_timers_next(&f.timers) == 5);
    lq_timer_stop(&f.timers, &f.probes[0].timer);
    lq_timer_stop(&f.timers, &f.probes[0].timer);
    lq_timers_run(&f.timers, 100);
    CHECK_FIRED(&f, 1);
    lq_timers_fini(&f.timers);
}

static void test_stop_inside_a_callback(void)
{
    fixture f;

    set_up(&f);
    f.probes[0].timer.on_due = on_due_stop;
    f.probes[0].other = &f.probes[1];
    f.probes[2].timer.on_due = on_due_stop;
    f.probes[2].other = &f.probes[2];
    start(&f, 0, 10);
    start(&f, 1, 10);
    start(&f, 2, 11);
    start(&f, 3, 12);
    lq_timers_run(&f.timers, 20);
    CHECK_FIRED(&f, 0, 2, 3);
    lq_timers_fini(&f.timers);
}

static void test_start_inside_a_callback_waits(void)
{
    fixture f;

    set_up(&f);
    f.probes[0].timer.on_due = on_due_start;
    f.probes[0].other = &f.probes[0];
    f.probes[0].start_at_ms = 1;
    f.probes[1].timer.on_due = on_due_start;
    f.probes[1].other = &f.probes[2];
    f.probes[1].start_at_ms = 2;
    start(&f, 0, 10);
    start(&f, 1, 10);
    start(&f, 2, 11);
    lq_timers_run(&f.timers, 20);
    CHECK_FIRED(&f, 0, 1);
    CHECK(lq_timers_next(&f.timers) == 1);
    lq_timers_run(&f.timers, 20);
    CHECK_FIRED(&f, 0, 1, 0, 2);
    lq_timers_run(&f.timers, 0);
    CHECK(f.count == 4 && lq_timers_next(&f.timers) == 1);
    lq_timers_fini(&f.timers);
}

/* 0 and 1 start 4 and 5; then 2 stops 4, one of the newcomers. */
static void test_stop_of_a_newcomer(void)
{
    fixture f;
    int i;

    set_up(&f);
    for (i = 0; i < 2; i++) {
        f.probes[i].timer.on_due = on_due_start;
        f.probes[i].other = &f.probes[4 + i];
        f.probes[i].start_at_ms = 15;
    }
    f.probes[2].timer.on_due = on_due_stop;
    f.probes[2].other = &f.probes[4];
    for (i = 0; i < 4; i++) start(&f, i, 10);
    lq_timers_run(&f.timers, 20);
    CHECK_FIRED(&f, 0, 1, 2, 3);
    lq_timers_run(&f.timers, 20);
    CHECK_FIRED(&f, 0, 1, 2, 3, 5);
    CHECK(lq_timers_is_empty(&f.timers));
    lq_timers_fini(&f.timers);
}

/* ---- many at random, against a plain table ------------------------------- */

enum { MANY = 512 };

typedef struct crowd crowd;

typedef struct member {
    lq_timer timer;
    crowd *c;
    uint64_t expected_ms; /* 0: not set */
} member;

struct crowd {
    lq_timers timers;
    member members[MANY];
    uint64_t now_ms, last_ms;
    uint64_t seed;
    size_t fired;
    bool is_changing; /* callbacks start and stop others */
};

static uint64_t roll(crowd *c, uint64_t limit)
{
    c->seed = (c->seed * 48271) % 2147483647;
    return c->seed % limit;
}

static void change_one(crowd *c)
{
    member *m = &c->members[roll(c, MANY)];

    if (roll(c, 3) == 0) {
        lq_timer_stop(&c->timers, &m->timer);
        m->expected_ms = 0;
        return;
    }
    m->expected_ms = c->now_ms + 1 + roll(c, 200);
    CHECK(lq_timer_start(&c->timers, &m->timer, m->expected_ms) == 0);
}

static void on_member_due(lq_timer *timer)
{
    member *m = LQ_CONTAINER_OF(timer, member, timer);
    crowd *c = m->c;

    CHECK(m->expected_ms == timer->at_ms && timer->at_ms <= c->now_ms);
    CHECK(timer->at_ms >= c->last_ms);
    c->last_ms = timer->at_ms;
    m->expected_ms = 0;
    c->fired++;
    if (c->is_changing) change_one(c);
}

static void check_none_is_overdue(const crowd *c)
{
    uint64_t first = UINT64_MAX;
    const member *m;

    for (m = c->members; m < c->members + MANY; m++) {
        CHECK(lq_timer_is_set(&m->timer) == (m->expected_ms != 0));
        if (m->expected_ms && m->expected_ms < first) first = m->expected_ms;
    }
    CHECK(first > c->now_ms);
    CHECK(lq_timers_next(&c->timers) == first);
}

static void test_many(bool is_changing)
{
    crowd *c = lq_mem_zalloc(sizeof *c);
    size_t i, k, turns = test_scaled(300);

    CHECK(c);
    c->seed = 42;
    c->is_changing = is_changing;
    lq_timers_init(&c->timers);
    for (i = 0; i < MANY; i++) {
        c->members[i].c = c;
        lq_timer_init(&c->members[i].timer, on_member_due);
    }
    for (i = 0; i < turns; i++) {
        for (k = 0; k < 40; k++) change_one(c);
        c->now_ms += roll(c, 20);
        c->last_ms = 0;
        lq_timers_run(&c->timers, c->now_ms);
        check_none_is_overdue(c);
    }
    CHECK(c->fired > turns);
    lq_timers_fini(&c->timers);
    lq_mem_free(c);
}

static void test_reserved_room_is_kept(void)
{
    lq_timer many[100];
    lq_timer_slot *slots;
    fixture f;
    int i;

    set_up(&f);
    CHECK(lq_timers_reserve(&f.timers, 100) == 0);
    slots = f.timers.slots;
    for (i = 0; i < 100; i++) {
        lq_timer_init(&many[i], on_due);
        CHECK(lq_timer_start(&f.timers, &many[i], (uint64_t)i) == 0);
    }
    CHECK(f.timers.slots == slots && f.timers.cap >= 100);
    for (i = 0; i < 100; i++) lq_timer_stop(&f.timers, &many[i]);
    lq_timers_fini(&f.timers);
}

int main(void)
{
    test_begin();
    test_order();
    test_equal_times_keep_the_order_of_start();
    test_restart_and_stop();
    test_stop_inside_a_callback();
    test_start_inside_a_callback_waits();
    test_stop_of_a_newcomer();
    test_reserved_room_is_kept();
    test_many(false);
    test_many(true);
    return test_end();
}

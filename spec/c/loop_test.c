/* loop_test.c - the loop: turns, timers, deadlines, life; and threads. */
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>

#include "loop/loop.h"
#include "test.h"

enum { MAX_STEPS = 64 };

/* What a test's callbacks leave behind. */
typedef struct fixture {
    lq_loop loop;
    char steps[MAX_STEPS];
    size_t count;
    lq_turn turns[3];
    lq_timer timers[3];
    lq_wheel_entry entry;
    uv_poll_t poll;
    uv_async_t async;
    int fd;
    int rounds;
    uint64_t started_ms;
    _Atomic int stage;
} fixture;

static void step(fixture *f, char name)
{
    CHECK(f->count < MAX_STEPS - 1);
    f->steps[f->count++] = name;
}

static void set_up(fixture *f)
{
    memset(f, 0, sizeof *f);
    CHECK(lq_loop_open(&f->loop) == 0);
    f->started_ms = lq_loop_update(&f->loop);
    lq_wheel_entry_init(&f->entry);
}

static void tear_down(fixture *f)
{
    CHECK(lq_loop_busy_since(&f->loop) == 0);
    CHECK(lq_loop_close(&f->loop) == 0);
}

/* ---- turns --------------------------------------------------------------- */

static void run_a(lq_turn *turn)
{
    step(LQ_CONTAINER_OF(turn, fixture, turns[0]), 'a');
}

static void run_b(lq_turn *turn)
{
    step(LQ_CONTAINER_OF(turn, fixture, turns[1]), 'b');
}

static void on_due_stop(lq_timer *timer)
{
    fixture *f = LQ_CONTAINER_OF(timer, fixture, timers[0]);

    step(f, 't');
    lq_loop_stop(&f->loop);
}

static void add_hook(fixture *f, int i, void (*run)(lq_turn *turn))
{
    f->turns[i].run = run;
    lq_loop_on_turn(&f->loop, &f->turns[i]);
}

static void set_timer(fixture *f, int i, void (*on_due)(lq_timer *),
                      uint64_t in_ms)
{
    lq_timer_init(&f->timers[i], on_due);
    CHECK(lq_timer_start(lq_loop_timers(&f->loop), &f->timers[i],
                         lq_loop_now(&f->loop) + in_ms) == 0);
}

static void test_hooks_run_in_order_around_the_poll(void)
{
    fixture f;

    set_up(&f);
    add_hook(&f, 0, run_a);
    add_hook(&f, 1, run_b);
    set_timer(&f, 0, on_due_stop, 0);
    lq_loop_run(&f.loop);
    CHECK(strcmp(f.steps, "tabab") == 0);
    tear_down(&f);
}

/* Takes itself off and adds another one, which still runs in this round. */
static void run_once(lq_turn *turn)
{
    fixture *f = LQ_CONTAINER_OF(turn, fixture, turns[2]);

    step(f, 'o');
    lq_list_remove(&turn->link);
    lq_list_remove(&f->turns[0].link);
    add_hook(f, 1, run_b);
}

static void test_hooks_change_the_hooks(void)
{
    fixture f;

    set_up(&f);
    add_hook(&f, 2, run_once);
    add_hook(&f, 0, run_a);
    set_timer(&f, 0, on_due_stop, 0);
    lq_loop_run(&f.loop);
    CHECK(strcmp(f.steps, "tobb") == 0);
    tear_down(&f);
}

/* ---- again --------------------------------------------------------------- */

static void run_again(lq_turn *turn)
{
    fixture *f = LQ_CONTAINER_OF(turn, fixture, turns[0]);

    if (++f->rounds < 10) lq_loop_again(&f->loop);
}

/* Nothing would wake it, and nothing but `again` keeps it alive. */
static void test_again_keeps_it_turning(void)
{
    fixture f;

    set_up(&f);
    add_hook(&f, 0, run_again);
    lq_loop_again(&f.loop);
    CHECK(lq_loop_run(&f.loop) == 0);
    CHECK(f.rounds >= 10);
    CHECK(!uv_is_active((uv_handle_t *)&f.loop.again));
    tear_down(&f);
}

/* Asked for in a callback of the poll, it holds for the poll after. */
static void on_readable(uv_poll_t *handle, int status, int events)
{
    fixture *f = handle->data;
    uint64_t value;

    CHECK(status == 0 && (events & UV_READABLE));
    CHECK(read(f->fd, &value, sizeof value) == sizeof value);
    step(f, 'r');
    lq_loop_again(&f->loop);
}

static void run_count(lq_turn *turn)
{
    fixture *f = LQ_CONTAINER_OF(turn, fixture, turns[0]);

    if (!strchr(f->steps, 'r')) return;
    step(f, '.');
    if (f->count == 4) lq_loop_stop(&f->loop);
}

static void test_again_out_of_the_poll(void)
{
    fixture f;

    set_up(&f);
    f.fd = eventfd(1, EFD_NONBLOCK | EFD_CLOEXEC);
    CHECK(f.fd >= 0);
    CHECK(uv_poll_init(lq_loop_uv(&f.loop), &f.poll, f.fd) == 0);
    f.poll.data = &f;
    CHECK(uv_poll_start(&f.poll, UV_READABLE, on_readable) == 0);
    add_hook(&f, 0, run_count);
    CHECK(lq_loop_run(&f.loop) == 1);
    CHECK(strcmp(f.steps, "r...") == 0);
    uv_close((uv_handle_t *)&f.poll, NULL);
    tear_down(&f);
    close(f.fd);
}

/* ---- timers and deadlines ------------------------------------------------ */

static void on_due_note(lq_timer *timer)
{
    fixture *f = LQ_CONTAINER_OF(timer, fixture, timers[1]);

    CHECK(lq_loop_now(&f->loop) >= timer->at_ms);
    step(f, 'n');
}

static void on_due_last(lq_timer *timer)
{
    fixture *f = LQ_CONTAINER_OF(timer, fixture, timers[2]);

    CHECK(lq_loop_now(&f->loop) >= timer->at_ms);
    step(f, 'l');
}

/* It ends by itself: a set timer keeps it alive, a stopped one does not. */
static void test_timers(void)
{
    fixture f;

    set_up(&f);
    set_timer(&f, 0, on_due_stop, 3600 * 1000);
    set_timer(&f, 2, on_due_last, 30);
    set_timer(&f, 1, on_due_note, 10);
    lq_timer_stop(lq_loop_timers(&f.loop), &f.timers[0]);
    CHECK(lq_loop_run(&f.loop) == 0);
    CHECK(strcmp(f.steps, "nl") == 0);
    CHECK(lq_loop_now(&f.loop) - f.started_ms >= 30);
    tear_down(&f);
}

static void run_start_timer(lq_turn *turn)
{
    fixture *f = LQ_CONTAINER_OF(turn, fixture, turns[0]);

    if (++f->rounds == 2) set_timer(f, 1, on_due_note, 1);
}

static void test_timer_started_in_the_last_hook(void)
{
    fixture f;

    set_up(&f);
    add_hook(&f, 0, run_start_timer);
    lq_loop_again(&f.loop);
    CHECK(lq_loop_run(&f.loop) == 0);
    CHECK(strcmp(f.steps, "n") == 0);
    tear_down(&f);
}

static void on_deadline(lq_wheel_entry *entry)
{
    fixture *f = LQ_CONTAINER_OF(entry, fixture, entry);

    CHECK(lq_loop_now(&f->loop) >= entry->deadline_ms);
    step(f, 'd');
    lq_loop_stop(&f->loop);
}

static void test_deadline(void)
{
    fixture f;

    set_up(&f);
    lq_loop_on_deadline(&f.loop, on_deadline);
    lq_wheel_set(lq_loop_wheel(&f.loop), &f.entry, f.started_ms + 5);
    set_timer(&f, 0, on_due_stop, 60 * 1000);
    lq_loop_run(&f.loop);
    CHECK(strcmp(f.steps, "d") == 0);
    lq_timer_stop(lq_loop_timers(&f.loop), &f.timers[0]);
    CHECK(lq_loop_run(&f.loop) == 0);
    CHECK(!uv_is_active((uv_handle_t *)&f.loop.tick));
    tear_down(&f);
}

static void test_deadline_does_not_keep_it_alive(void)
{
    fixture f;

    set_up(&f);
    lq_loop_on_deadline(&f.loop, on_deadline);
    lq_wheel_set(lq_loop_wheel(&f.loop), &f.entry, f.started_ms + 60000);
    CHECK(lq_loop_run(&f.loop) == 0);
    CHECK(f.count == 0);
    lq_wheel_remove(lq_loop_wheel(&f.loop), &f.entry);
    tear_down(&f);
}

/* ---- life ---------------------------------------------------------------- */

static void test_run_without_anything(void)
{
    fixture f;

    set_up(&f);
    CHECK(lq_loop_run(&f.loop) == 0);
    tear_down(&f);
}

static void test_stop_before_run(void)
{
    fixture f;

    set_up(&f);
    set_timer(&f, 0, on_due_stop, 0);
    lq_loop_stop(&f.loop);
    CHECK(lq_loop_run(&f.loop) == 1);
    CHECK(f.count == 0);
    lq_loop_run(&f.loop);
    CHECK(strcmp(f.steps, "t") == 0);
    lq_loop_stop(&f.loop);
    tear_down(&f);
}

static void on_second_closed(uv_handle_t *handle)
{
    step(handle->data, 'y');
}

static void on_first_closed(uv_handle_t *handle)
{
    fixture *f = handle->data;

    step(f, 'x');
    uv_close((uv_handle_t *)&f->async, on_second_closed);
}

static void test_close_finishes_what_is_closing(void)
{
    uv_timer_t first;
    fixture f;

    set_up(&f);
    CHECK(uv_timer_init(lq_loop_uv(&f.loop), &first) == 0);
    CHECK(uv_async_init(lq_loop_uv(&f.loop), &f.async, NULL) == 0);
    first.data = f.async.data = &f;
    uv_close((uv_handle_t *)&first, on_first_closed);
    tear_down(&f);
    CHECK(strcmp(f.steps, "xy") == 0);
}

/* Debug builds report each on standard error. */
static void test_close_tells_what_is_left(void)
{
    fixture f;

    set_up(&f);
    CHECK(uv_async_init(lq_loop_uv(&f.loop), &f.async, NULL) == 0);
    set_timer(&f, 0, on_due_stop, 60000);
    CHECK(lq_loop_close(&f.loop) == UV_EBUSY);
    uv_close((uv_handle_t *)&f.async, NULL);
    CHECK(lq_loop_close(&f.loop) == UV_EBUSY);
    lq_timer_stop(lq_loop_timers(&f.loop), &f.timers[0]);
    CHECK(lq_loop_close(&f.loop) == 0);
}

/* ---- busy_since, seen from another thread -------------------------------- */

static void on_stage(uv_async_t *handle)
{
    fixture *f = handle->data;
    int stage = atomic_load(&f->stage) + 1;

    lq_loop_beat(&f->loop);
    CHECK(lq_loop_busy_since(&f->loop) == lq_loop_now(&f->loop));
    atomic_store(&f->stage, stage);
    while (atomic_load(&f->stage) == stage) sched_yield();
    lq_loop_stop(&f->loop);
}

static void watch(void *arg)
{
    fixture *f = arg;
    uint64_t busy_since;

    while (atomic_load(&f->stage) == 0) sched_yield();
    while (lq_loop_busy_since(&f->loop) != 0) sched_yield();
    uv_async_send(&f->async);
    while (atomic_load(&f->stage) != 2) sched_yield();
    busy_since = lq_loop_busy_since(&f->loop);
    CHECK(busy_since >= f->started_ms);
    CHECK(busy_since <= uv_hrtime() / 1000000);
    atomic_store(&f->stage, 3);
}

static void run_stage_1(lq_turn *turn)
{
    fixture *f = LQ_CONTAINER_OF(turn, fixture, turns[0]);

    CHECK(lq_loop_busy_since(&f->loop) != 0);
    if (atomic_load(&f->stage) == 0) atomic_store(&f->stage, 1);
}

static void test_busy_since(void)
{
    lq_thread watcher;
    fixture f;

    set_up(&f);
    CHECK(lq_loop_busy_since(&f.loop) == 0);
    CHECK(uv_async_init(lq_loop_uv(&f.loop), &f.async, on_stage) == 0);
    f.async.data = &f;
    add_hook(&f, 0, run_stage_1);
    CHECK(lq_thread_start(&watcher, "lq:watch", watch, &f) == 0);
    lq_loop_run(&f.loop);
    lq_thread_join(&watcher);
    uv_close((uv_handle_t *)&f.async, NULL);
    tear_down(&f);
}

/* ---- threads ------------------------------------------------------------- */

typedef struct seen {
    char name[32];
    sigset_t mask;
    size_t stack_size;
    lq_owner owner;
    bool is_owner;
} seen;

static void look(void *arg)
{
    seen *s = arg;
    pthread_attr_t attr;

    pthread_getname_np(pthread_self(), s->name, sizeof s->name);
    pthread_sigmask(SIG_BLOCK, NULL, &s->mask);
    CHECK(pthread_getattr_np(pthread_self(), &attr) == 0);
    CHECK(pthread_attr_getstacksize(&attr, &s->stack_size) == 0);
    pthread_attr_destroy(&attr);
    s->is_owner = lq_owner_is_self(&s->owner);
    lq_owner_set(&s->owner);
    LQ_ASSERT_OWNER(s);
}

static void test_thread(void)
{
    static const int blocked[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGCHLD};
    sigset_t mask;
    lq_thread t;
    seen s = {0};
    size_t i;

    CHECK(lq_owner_is_self(&s.owner));
    lq_owner_set(&s.owner);
    LQ_ASSERT_OWNER(&s);
    CHECK(lq_thread_start(&t, "lq:a-name-too-long", look, &s) == 0);
    lq_thread_join(&t);
    CHECK(strcmp(s.name, "lq:a-name-too-l") == 0);
    CHECK(s.stack_size >= 1024 * 1024);
    CHECK(!s.is_owner && !lq_owner_is_self(&s.owner));
    pthread_sigmask(SIG_BLOCK, NULL, &mask);
    for (i = 0; i < LQ_COUNT_OF(blocked); i++) {
        CHECK(sigismember(&s.mask, blocked[i]) == 1);
        CHECK(sigismember(&mask, blocked[i]) == 0);
    }
    CHECK(sigismember(&s.mask, SIGSEGV) == 0);
}

enum { REUSED_FILES = 16 };

static void open_files(void *arg)
{
    _Atomic int *is_closed = arg;
    FILE *files[REUSED_FILES];
    int i;

    /* Relaxed: nothing but the kernel orders the close before the opens. */
    while (!atomic_load_explicit(is_closed, memory_order_relaxed)) usleep(100);
    for (i = 0; i < REUSED_FILES; i++)
        CHECK((files[i] = fopen("/dev/null", "r")));
    for (i = 0; i < REUSED_FILES; i++) fclose(files[i]);
}

/* The thread sanitizer must see that libuv has closed its descriptors. */
static void test_descriptors_go_to_another_thread(void)
{
    _Atomic int is_closed = 0;
    lq_thread t;
    lq_loop loop;

    CHECK(lq_thread_start(&t, "lq:opens", open_files, &is_closed) == 0);
    CHECK(lq_loop_open(&loop) == 0);
    CHECK(lq_loop_close(&loop) == 0);
    atomic_store_explicit(&is_closed, 1, memory_order_relaxed);
    lq_thread_join(&t);
}

int main(void)
{
    test_begin();
    test_hooks_run_in_order_around_the_poll();
    test_hooks_change_the_hooks();
    test_again_keeps_it_turning();
    test_again_out_of_the_poll();
    test_timers();
    test_timer_started_in_the_last_hook();
    test_deadline();
    test_deadline_does_not_keep_it_alive();
    test_run_without_anything();
    test_stop_before_run();
    test_close_finishes_what_is_closing();
    test_close_tells_what_is_left();
    test_busy_since();
    test_thread();
    test_descriptors_go_to_another_thread();
    return test_end();
}

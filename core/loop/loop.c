/* loop.c - see loop.h. */
#include "loop/loop.h"

#include <stdio.h>

#ifdef LQ_DEBUG
enum { IS_DEBUG = 1 };
#else
enum { IS_DEBUG = 0 };
#endif

enum { FIRST_TIMERS = 32 }; /* those of the loop's owner need no memory */

static void set_idle(lq_loop *loop)
{
    atomic_store_explicit(&loop->pulse->busy_since_ms, 0, memory_order_relaxed);
}

LQ_ANY_THREAD uint64_t lq_loop_busy_since(const lq_loop *loop)
{
    return atomic_load_explicit(&loop->pulse->busy_since_ms,
                                memory_order_relaxed);
}

void lq_loop_keep_pulse(lq_loop *loop, lq_pulse *where)
{
    LQ_ASSERT_OWNER(loop);
    loop->pulse = where;
    set_idle(loop);
}

/* ---- timers and deadlines ------------------------------------------------ */

static void on_timers_due(uv_timer_t *handle)
{
    lq_loop *loop = handle->data;

    loop->due_at_ms = UINT64_MAX;
    lq_timers_run(&loop->timers, uv_now(&loop->uv));
}

static void on_tick(uv_timer_t *handle)
{
    lq_loop *loop = handle->data;

    lq_wheel_tick(&loop->wheel, uv_now(&loop->uv));
}

static void arm_due(lq_loop *loop, uint64_t now)
{
    uint64_t next = lq_timers_next(&loop->timers);

    if (next == loop->due_at_ms) return;
    loop->due_at_ms = next;
    if (next == UINT64_MAX) {
        uv_timer_stop(&loop->due);
        return;
    }
    uv_timer_start(&loop->due, on_timers_due, next > now ? next - now : 0, 0);
}

/* At the multiples of a tick, which the wheel promises its 1 s for. It runs
 * out by itself when the wheel is empty. */
static void arm_tick(lq_loop *loop, uint64_t now)
{
    if (lq_wheel_is_empty(&loop->wheel)) return;
    if (uv_is_active((uv_handle_t *)&loop->tick)) return;
    uv_timer_start(&loop->tick, on_tick,
                   LQ_WHEEL_TICK_MS - now % LQ_WHEEL_TICK_MS, 0);
}

/* Once a turn, not with every timer that is started and stopped within. libuv
 * sleeps relative to its own time, which must be fresh for that. */
static void arm(lq_loop *loop)
{
    uint64_t now;

    uv_update_time(&loop->uv);
    now = uv_now(&loop->uv);
    arm_due(loop, now);
    arm_tick(loop, now);
}

/* ---- turns --------------------------------------------------------------- */

/* A hook may take off any hook, or add one, which runs in this round: the
 * cursor is a member of the list that nobody else knows. */
static void run_hooks(lq_loop *loop)
{
    lq_list cursor;
    lq_turn *turn;

    lq_list_push_front(&loop->turns, &cursor);
    while (cursor.next != &loop->turns) {
        turn = LQ_CONTAINER_OF(cursor.next, lq_turn, link);
        lq_list_remove(&cursor);
        lq_list_push_front(&turn->link, &cursor);
        turn->run(turn);
    }
    lq_list_remove(&cursor);
}

static void on_before(uv_prepare_t *handle)
{
    lq_loop *loop = handle->data;

    run_hooks(loop);
    arm(loop);
    /* An idle handle that is active now keeps this poll from sleeping. */
    loop->wants_again = false;
    set_idle(loop);
}

static void on_after(uv_check_t *handle)
{
    lq_loop *loop = handle->data;

    lq_loop_beat(loop);
    if (!loop->wants_again) uv_idle_stop(&loop->again);
    run_hooks(loop);
}

static void on_again(uv_idle_t *handle)
{
    (void)handle;
}

void lq_loop_on_turn(lq_loop *loop, lq_turn *turn)
{
    LQ_ASSERT_OWNER(loop);
    lq_list_push_back(&loop->turns, &turn->link);
}

void lq_loop_on_deadline(lq_loop *loop, void (*on_due)(lq_wheel_entry *entry))
{
    LQ_ASSERT_OWNER(loop);
    LQ_ASSERT(lq_wheel_is_empty(&loop->wheel));
    loop->wheel.on_due = on_due;
}

void lq_loop_again(lq_loop *loop)
{
    LQ_ASSERT_OWNER(loop);
    loop->wants_again = true;
    uv_idle_start(&loop->again, on_again);
}

uint64_t lq_loop_update(lq_loop *loop)
{
    LQ_ASSERT_OWNER(loop);
    uv_update_time(&loop->uv);
    return uv_now(&loop->uv);
}

/* ---- life ---------------------------------------------------------------- */

/* These inits and starts cannot fail. */
static void open_handles(lq_loop *loop)
{
    uv_timer_init(&loop->uv, &loop->due);
    uv_timer_init(&loop->uv, &loop->tick);
    uv_prepare_init(&loop->uv, &loop->before);
    uv_check_init(&loop->uv, &loop->after);
    uv_idle_init(&loop->uv, &loop->again);
    loop->due.data = loop->tick.data = loop;
    loop->before.data = loop->after.data = loop->again.data = loop;
    uv_unref((uv_handle_t *)&loop->tick);
    uv_unref((uv_handle_t *)&loop->before);
    uv_unref((uv_handle_t *)&loop->after);
    uv_prepare_start(&loop->before, on_before);
    uv_check_start(&loop->after, on_after);
}

int lq_loop_open(lq_loop *loop)
{
    int err;

    *loop = (lq_loop){.due_at_ms = UINT64_MAX};
    loop->pulse = &loop->own_pulse;
    lq_timers_init(&loop->timers);
    err = lq_timers_reserve(&loop->timers, FIRST_TIMERS);
    if (err == 0) err = uv_loop_init(&loop->uv);
    if (err < 0) {
        lq_timers_fini(&loop->timers);
        return err;
    }
    open_handles(loop);
    lq_wheel_init(&loop->wheel, NULL);
    lq_list_init(&loop->turns);
    return 0;
}

/* libuv ends when only a timer is set that the next `arm` would tell it of:
 * one that a hook or a closing callback has started. */
int lq_loop_run(lq_loop *loop)
{
    int is_alive;

    lq_owner_set(&loop->owner);
    do {
        arm(loop);
        lq_loop_beat(loop);
        is_alive = uv_run(&loop->uv, UV_RUN_DEFAULT);
    } while (!loop->is_stopped && lq_timers_next(&loop->timers) != UINT64_MAX);
    loop->is_stopped = false;
    set_idle(loop);
    lq_owner_clear(&loop->owner);
    return is_alive != 0;
}

void lq_loop_stop(lq_loop *loop)
{
    LQ_ASSERT_OWNER(loop);
    loop->is_stopped = true;
    uv_stop(&loop->uv);
}

static void close_handles(lq_loop *loop)
{
    uv_handle_t *handles[] = {
        (uv_handle_t *)&loop->due,    (uv_handle_t *)&loop->tick,
        (uv_handle_t *)&loop->before, (uv_handle_t *)&loop->after,
        (uv_handle_t *)&loop->again,
    };
    size_t i;

    for (i = 0; i < LQ_COUNT_OF(handles); i++) uv_close(handles[i], NULL);
}

static void report_handle(uv_handle_t *handle, void *arg)
{
    const char *type = uv_handle_type_name(handle->type);

    (void)arg;
    fprintf(stderr, "luaqueduct: loop closed with %s %s handle left\n",
            uv_is_active(handle) ? "an active" : "a stopped",
            type ? type : "unknown");
}

static void report_left(lq_loop *loop)
{
    uv_walk(&loop->uv, report_handle, NULL);
    fprintf(stderr,
            "luaqueduct: loop closed with %u requests, %zu timers, "
            "%zu deadlines left\n",
            loop->uv.active_reqs.count, loop->timers.count, loop->wheel.count);
}

static void note_closing(uv_handle_t *handle, void *arg)
{
    if (uv_is_closing(handle)) *(bool *)arg = true;
}

/* Also what a closing callback closes. */
static void finish_closing(lq_loop *loop)
{
    bool is_closing;

    do {
        uv_run(&loop->uv, UV_RUN_NOWAIT);
        is_closing = false;
        uv_walk(&loop->uv, note_closing, &is_closing);
    } while (is_closing);
}

int lq_loop_close(lq_loop *loop)
{
    int err = UV_EBUSY;

    if (!loop->is_closing) close_handles(loop);
    loop->is_closing = true;
    finish_closing(loop);
    if (lq_timers_is_empty(&loop->timers) && lq_wheel_is_empty(&loop->wheel))
        err = uv_loop_close(&loop->uv);
    if (err == 0)
        lq_timers_fini(&loop->timers);
    else if (IS_DEBUG)
        report_left(loop);
    return err;
}

/* task.c - see task.h.
 *
 * A coroutine that waits has one of two marks on top of its stack: `wait` when
 * it is the one that waits, `pass` when it waits because a user coroutine (at
 * its index 1) does. So the chain is found without a list of its own.
 */
#include "lua/task.h"

#include <errno.h>
#include <lauxlib.h>
#include <string.h>

#include "base/mem.h"
#include "lua/error.h"

enum { KEEP_TASKS = 1024 };

/* Only the addresses count; `parked` is what a parked task waits for. */
static const char wait_mark, pass_mark, parked;

static void *mark(const char *m)
{
    return (void *)(uintptr_t)m;
}

static bool has_mark(lua_State *co, const char *m)
{
    return lua_status(co) == LUA_YIELD && lua_gettop(co) > 0 &&
           lua_touserdata(co, -1) == mark(m) && lua_islightuserdata(co, -1);
}

bool lq_task_is_waiting(lua_State *co)
{
    return has_mark(co, &wait_mark) || has_mark(co, &pass_mark);
}

/* ---- errors -------------------------------------------------------------- */

static int push_text(lua_State *L)
{
    lq_push_error_text(L, 1);
    return 1;
}

/* The error value as text, which a value on top of L keeps alive. Nothing is
 * pushed here that needs memory: an error would be a panic. */
static const char *error_text(lua_State *L, lua_State *co)
{
    int status;

    lua_pushcfunction(L, push_text);
    lua_pushvalue(co, -1);
    if (co != L) lua_xmove(co, L, 1);
    status = lua_pcall(L, 1, 1, 0);
    if (status == LUA_ERRMEM) return "(no memory to say which error)";
    if (status != LUA_OK) return "(an error whose __tostring fails)";
    return lua_tostring(L, -1);
}

static int push_trace(lua_State *L)
{
    lua_State *co = lua_tothread(L, 1);

    luaL_traceback(L, co, lua_touserdata(L, 2), 0);
    return 1;
}

/* Leaves text and traceback on top of vm->L; lends it. */
static const char *describe_error(lq_vm *vm, lua_State *co)
{
    lua_State *L = vm->L;
    const char *text = error_text(L, co), *trace;

    lua_pushcfunction(L, push_trace);
    lua_pushthread(co);
    lua_xmove(co, L, 1);
    lua_pushlightuserdata(L, (void *)(uintptr_t)text);
    if (lua_pcall(L, 2, 1, 0) != LUA_OK) return text;
    trace = lua_tostring(L, -1);
    return trace ? trace : text;
}

char *lq_task_error(lq_vm *vm, lua_State *co)
{
    int top = lua_gettop(vm->L);
    const char *text = describe_error(vm, co);
    char *copy = lq_mem_strndup(text, strlen(text));

    lua_settop(vm->L, top);
    return copy;
}

void lq_task_log_error(lq_vm *vm, lua_State *co, const char *what)
{
    int top = lua_gettop(vm->L);
    const char *text = describe_error(vm, co);
    lq_record r = {.level = LQ_LOG_ERROR};
    lq_buf whole;

    lq_buf_init(&whole);
    if (lq_buf_append(&whole, what, strlen(what)) < 0 ||
        lq_buf_append(&whole, ": ", 2) < 0 ||
        lq_buf_append(&whole, text, strlen(text)) < 0)
        lq_record_set_message(&r, (lq_str){text, strlen(text)});
    else
        lq_record_set_message(&r,
                              (lq_str){lq_buf_ptr(&whole), lq_buf_len(&whole)});
    lq_log_record(vm->cfg.log, &r);
    lq_buf_fini(&whole);
    lua_settop(vm->L, top);
}

void lq_task_log_record(lq_vm *vm, lua_State *co, lq_record *r)
{
    int top = lua_gettop(vm->L);
    const char *text = describe_error(vm, co);

    lq_record_set_message(r, (lq_str){text, strlen(text)});
    lq_log_record(vm->cfg.log, r);
    lua_settop(vm->L, top);
}

/* ---- life ---------------------------------------------------------------- */

static void set_state(lq_task *t, lq_task_state state)
{
    t->state = state;
}

static void on_due(lq_timer *timer)
{
    lq_task_wake(LQ_CONTAINER_OF(timer, lq_task, timer), LQ_ETIMEOUT);
}

static int anchor_thread(lua_State *L)
{
    lq_task *t = lua_touserdata(L, 1);

    t->co = lua_newthread(L);
    t->ref = luaL_ref(L, LUA_REGISTRYINDEX);
    return 0;
}

/* A task with a fresh coroutine. */
static lq_task *make_task(lq_vm *vm)
{
    lq_task *t = lq_mem_zalloc(sizeof *t);

    if (!t) return NULL;
    t->vm = vm;
    lq_list_init(&t->link);
    lq_list_init(&t->children);
    lq_list_init(&t->sibling);
    lq_list_init(&t->wards);
    lq_timer_init(&t->timer, on_due);
    lua_pushcfunction(vm->L, anchor_thread);
    lua_pushlightuserdata(vm->L, t);
    if (lua_pcall(vm->L, 1, 0, 0) != LUA_OK) {
        lua_pop(vm->L, 1);
        lq_mem_free(t);
        return NULL;
    }
    return t;
}

lq_task *lq_task_new(lq_vm *vm, void (*on_done)(lq_task *, int, int),
                     void *owner)
{
    lq_list *link = lq_list_pop_front(&vm->idle_tasks);
    lq_task *t;

    if (link) vm->idle_count--;
    t = link ? LQ_CONTAINER_OF(link, lq_task, link) : make_task(vm);
    if (!t) return NULL;
    set_state(t, LQ_TASK_NEW);
    t->on_done = on_done;
    t->owner = owner;
    lq_list_push_back(&vm->live, &t->link);
    vm->live_count++;
    return t;
}

static void free_task(lq_task *t)
{
    luaL_unref(t->vm->L, LUA_REGISTRYINDEX, t->ref);
    lq_mem_free(t);
}

void lq_task_guard(lq_task *t, lq_task_ward *ward)
{
    lq_list_push_back(&t->wards, &ward->link);
}

/* What its `<close>` variables have not ended. */
static void end_wards(lq_task *t)
{
    lq_list *link;

    while ((link = lq_list_pop_front(&t->wards))) {
        lq_task_ward *ward = LQ_CONTAINER_OF(link, lq_task_ward, link);
        ward->on_over(ward);
    }
}

/* It has ended well. */
static void leave_wards(lq_task *t)
{
    lq_list *link;

    while ((link = lq_list_pop_front(&t->wards))) {
        lq_task_ward *ward = LQ_CONTAINER_OF(link, lq_task_ward, link);
        if (ward->is_within) ward->on_over(ward);
    }
}

/* Nobody waits for it any more, and it for nobody. */
static void leave_family(lq_task *t)
{
    lq_list *link;

    while ((link = lq_list_pop_front(&t->children)))
        LQ_CONTAINER_OF(link, lq_task, sibling)->parent = NULL;
    leave_wards(t);
    lq_list_remove(&t->sibling);
    t->parent = NULL;
}

/* Its coroutine is empty and can run the next function. */
static void recycle(lq_task *t)
{
    lq_vm *vm = t->vm;

    if (t->handle) *t->handle = NULL;
    t->handle = NULL;
    leave_family(t);
    t->is_cancelled = t->has_permit = false;
    t->on_cancel = NULL;
    t->on_done = NULL;
    t->owner = t->wait = NULL;
    t->wait_err = 0;
    lq_list_remove(&t->link);
    vm->live_count--;
    if (t->is_spent || vm->idle_count >= KEEP_TASKS) {
        free_task(t);
        return;
    }
    set_state(t, LQ_TASK_IDLE);
    lq_list_push_back(vm->idle_tasks.next, &t->link);
    vm->idle_count++;
}

/* Whether the error on top of co is another than the one on top of vm->L. */
static bool is_new_error(lua_State *L, lua_State *co)
{
    bool is_same;

    lua_pushvalue(co, -1);
    lua_xmove(co, L, 1);
    is_same = lua_rawequal(L, -1, -2);
    lua_pop(L, 1);
    return !is_same;
}

/* lua_resetthread with the watchdog's eyes on the `<close>` variables. */
int lq_task_reset(lq_vm *vm, lua_State *co)
{
    int status;

    lq_running_push(&vm->running, co);
    if (LQ_UNLIKELY(lq_running_is_interrupted(&vm->running)))
        lq_interrupt_join(co);
    status = lua_resetthread(co);
    lq_running_pop(&vm->running);
    return status;
}

/* The interruption is over when nothing runs any more. */
static void settle_interrupt(lq_vm *vm)
{
    if (LQ_UNLIKELY(lq_running_is_interrupted(&vm->running)) &&
        lq_running_is_empty(&vm->running))
        lq_interrupt_end(&vm->running, vm->L);
}

/* Lua has run out of stack while it handled that, so not all has been handled.
 * Of a user's own pcall or coroutine it is no business of ours. */
static void note_status(lq_vm *vm, int status)
{
    if (LQ_LIKELY(status != LUA_ERRERR) || vm->is_broken) return;
    vm->is_broken = true;
    if (vm->cfg.on_broken) vm->cfg.on_broken(vm);
}

/* Closes the coroutines from the innermost out. On top of vm->L stands the
 * error that ended the task, or nil; errors in `<close>` variables are
 * logged. */
static void close_coroutines(lq_task *t, lua_State *co)
{
    int status;

    if (has_mark(co, &pass_mark)) close_coroutines(t, lua_tothread(co, 1));
    status = lq_task_reset(t->vm, co);
    note_status(t->vm, status);
    if (status != LUA_OK && is_new_error(t->vm->L, co))
        lq_task_log_error(t->vm, co, "error while a task was closed");
    lua_settop(co, 0);
}

static void finish(lq_task *t, int results)
{
    if (t->on_done) t->on_done(t, LUA_OK, results);
    lua_settop(t->co, 0);
    recycle(t);
}

/* It has ended before it could say so itself. */
static void tell_parent(lq_task *t)
{
    if (t->parent) lq_task_unpark(t->parent);
}

/* `<close>` variables of a failed or cancelled task run here. They see the
 * task as current, but may not wait. The coroutine is not used again: in Lua
 * 5.4.4 lua_resetthread leaves the message handler of an xpcall behind. */
static void unwind(lq_task *t, bool has_failed)
{
    lq_vm *vm = t->vm;
    lq_task *outer = vm->current;

    set_state(t, LQ_TASK_CLOSING);
    vm->current = t;
    if (has_failed) {
        lua_pushvalue(t->co, -1);
        lua_xmove(t->co, vm->L, 1);
    } else {
        lua_pushnil(vm->L);
    }
    lq_loop_beat(vm->cfg.loop);
    lq_running_push(&vm->running, vm->L);
    vm->unwinding++;
    close_coroutines(t, t->co);
    vm->unwinding--;
    lq_running_pop(&vm->running);
    settle_interrupt(vm);
    lua_pop(vm->L, 1);
    vm->current = outer;
    end_wards(t);
    t->is_spent = true;
}

bool lq_task_outermost(lua_State *co, lua_Debug *ar)
{
    int low = 0, high = 1, mid;

    while (lua_getstack(co, high, ar)) {
        low = high;
        high *= 2;
    }
    while (high - low > 1) {
        mid = low + (high - low) / 2;
        if (lua_getstack(co, mid, ar))
            low = mid;
        else
            high = mid;
    }
    return lua_getstack(co, low, ar);
}

/* Pushes on vm->L what the outermost function has as its first value: on_done
 * may point at it (a request), and the stack of a closed coroutine keeps
 * nothing alive. */
static void pin_first(lq_vm *vm, lua_State *co)
{
    lua_Debug ar;
    bool has_begun = lua_getstack(co, 0, &ar);

    if (!has_begun && lua_gettop(co) > 1)
        lua_pushvalue(co, 2); /* behind the function */
    else if (!has_begun || !lq_task_outermost(co, &ar) ||
             !lua_getlocal(co, &ar, 1))
        lua_pushnil(co);
    lua_xmove(co, vm->L, 1);
}

static void cancel_now(lq_task *t)
{
    void (*on_cancel)(lq_task *) = t->on_cancel;
    lq_vm *vm = t->vm;

    t->on_cancel = NULL;
    lq_timer_stop(lq_loop_timers(vm->cfg.loop), &t->timer);
    if (on_cancel) on_cancel(t);
    lq_vm_open_reserve(vm);
    pin_first(vm, t->co);
    unwind(t, false);
    lq_vm_shut_reserve(vm);
    if (t->on_done) t->on_done(t, LUA_YIELD, 0);
    lua_pop(vm->L, 1);
    tell_parent(t);
    recycle(t);
}

static void fail(lq_task *t, int status)
{
    lq_vm *vm = t->vm;
    void (*on_done)(lq_task *, int, int) = t->on_done;

    lq_vm_open_reserve(vm);
    if (status == LUA_ERRMEM) lq_vm_run_short(vm);
    /* First the report, for which the stack must stand, then the end. */
    if (on_done)
        on_done(t, status, 1);
    else
        lq_task_log_error(vm, t->co, "error in a task");
    t->on_done = NULL;
    unwind(t, true);
    tell_parent(t);
    recycle(t);
    note_status(vm, status);
}

static int push_foreign_yield(lua_State *L)
{
    lua_pushliteral(L, "coroutine.yield outside a coroutine of one's own: "
                       "nobody would resume it");
    return 1;
}

/* A yield that is not ours: the task has no one to yield to. */
static void fail_foreign_yield(lq_task *t, int results)
{
    lua_State *L = t->vm->L;
    int status;

    lq_vm_open_reserve(t->vm);
    lua_pop(t->co, results);
    lua_pushcfunction(L, push_foreign_yield);
    status = lua_pcall(L, 0, 1, 0);
    lua_xmove(L, t->co, 1);
    fail(t, status == LUA_OK ? LUA_ERRRUN : status);
}

/* Returns whether it waits. */
static bool resume(lq_task *t, int args)
{
    lq_vm *vm = t->vm;
    lq_task *outer = vm->current;
    int results = 0, status;
    bool is_waiting = false;

    if (lua_status(t->co) == LUA_YIELD) lua_pop(t->co, 1); /* the mark */
    lq_loop_beat(vm->cfg.loop);
    t->on_cancel = NULL;
    set_state(t, LQ_TASK_RUNNING);
    vm->current = t;
    lq_running_push(&vm->running, vm->L);
    lq_running_push(&vm->running, t->co);
    status = lua_resume(t->co, outer ? outer->co : vm->L, args, &results);
    vm->current = outer;
    if (LQ_LIKELY(status == LUA_OK)) {
        finish(t, results);
    } else if (status != LUA_YIELD) {
        fail(t, status);
    } else if (!lq_task_is_waiting(t->co)) {
        fail_foreign_yield(t, results);
    } else {
        set_state(t, LQ_TASK_WAITING);
        is_waiting =
            !t->is_cancelled && !lq_running_is_interrupted(&vm->running);
        if (!is_waiting) cancel_now(t);
    }
    lq_running_pop(&vm->running);
    lq_running_pop(&vm->running);
    settle_interrupt(vm);
    if (LQ_UNLIKELY(vm->is_short) && !outer) lq_vm_relieve(vm);
    if (LQ_UNLIKELY(status != LUA_OK && !is_waiting)) lq_vm_shut_reserve(vm);
    return is_waiting;
}

bool lq_task_run(lq_task *t, int args)
{
    LQ_ASSERT(t->state == LQ_TASK_NEW && !t->vm->current);
    return resume(t, args);
}

void lq_task_drop(lq_task *t)
{
    LQ_ASSERT(t->state == LQ_TASK_NEW);
    lua_settop(t->co, 0);
    recycle(t);
}

void lq_task_ready(lq_task *t, int args)
{
    LQ_ASSERT(t->state == LQ_TASK_NEW);
    t->start_args = args;
    set_state(t, LQ_TASK_READY);
    lq_list_remove(&t->link);
    lq_list_push_back(&t->vm->ready, &t->link);
    lq_loop_again(t->vm->cfg.loop);
}

void lq_task_wake(lq_task *t, int err)
{
    if (t->state != LQ_TASK_WAITING) return;
    lq_timer_stop(lq_loop_timers(t->vm->cfg.loop), &t->timer);
    t->wait_err = err;
    t->start_args = 0;
    set_state(t, LQ_TASK_READY);
    lq_list_remove(&t->link);
    lq_list_push_back(&t->vm->ready, &t->link);
    lq_loop_again(t->vm->cfg.loop);
}

void lq_task_unpark(lq_task *t)
{
    if (t->state == LQ_TASK_WAITING && t->wait == &parked)
        lq_task_wake(t, 0);
    else
        t->has_permit = true;
}

void lq_task_adopt(lq_task *t, lq_task *parent)
{
    t->parent = parent;
    lq_list_push_back(&parent->children, &t->sibling);
}

/* Out of a `<close>` of another cancelled task: it has its turn later, so that
 * a chain of them does not pile up on the C stack. */
static void cancel_later(lq_task *t)
{
    t->is_cancelled = true;
    if (t->state == LQ_TASK_READY) return;
    set_state(t, LQ_TASK_READY);
    lq_list_remove(&t->link);
    lq_list_push_back(&t->vm->ready, &t->link);
    lq_loop_again(t->vm->cfg.loop);
}

void lq_task_cancel(lq_task *t)
{
    switch (t->state) {
    case LQ_TASK_READY:
    case LQ_TASK_WAITING:
        if (t->vm->unwinding > 0)
            cancel_later(t);
        else
            cancel_now(t);
        break;
    case LQ_TASK_RUNNING: t->is_cancelled = true; break;
    case LQ_TASK_IDLE:
    case LQ_TASK_NEW:
    case LQ_TASK_CLOSING: break;
    }
}

/* ---- the turn ------------------------------------------------------------ */

/* Runs what is ready now; what becomes ready meanwhile has the next turn. */
static void run_ready(lq_turn *turn)
{
    lq_vm *vm = LQ_CONTAINER_OF(turn, lq_vm, turn);
    lq_list batch, *link;
    lq_task *t;

    if (lq_list_is_empty(&vm->ready)) return;
    lq_list_init(&batch);
    lq_list_move(&vm->ready, &batch);
    while ((link = lq_list_pop_front(&batch))) {
        t = LQ_CONTAINER_OF(link, lq_task, link);
        lq_list_push_back(&vm->live, &t->link);
        if (t->is_cancelled)
            cancel_now(t);
        else
            resume(t, t->start_args);
    }
}

int lq_tasks_init(lq_vm *vm)
{
    lq_list_init(&vm->ready);
    lq_list_init(&vm->live);
    lq_list_init(&vm->idle_tasks);
    vm->turn.run = run_ready;
    lq_loop_on_turn(vm->cfg.loop, &vm->turn);
    return 0;
}

void lq_tasks_cancel(lq_vm *vm)
{
    lq_list *link;

    LQ_ASSERT(!vm->current);
    while ((link = vm->ready.next) != &vm->ready ||
           (link = vm->live.next) != &vm->live)
        lq_task_cancel(LQ_CONTAINER_OF(link, lq_task, link));
}

void lq_tasks_fini(lq_vm *vm)
{
    lq_list *link;

    LQ_ASSERT(vm->live_count == 0);
    lq_list_remove(&vm->turn.link);
    while ((link = lq_list_pop_front(&vm->idle_tasks)))
        free_task(LQ_CONTAINER_OF(link, lq_task, link));
}

/* ---- waiting ------------------------------------------------------------- */

lq_task *lq_task_check(lua_State *L)
{
    lq_task *t = lq_vm_of(L)->current;

    if (!t) luaL_error(L, "this runs outside any task");
    return t;
}

lq_task *lq_task_check_wait(lua_State *L)
{
    lq_task *t = lq_task_check(L);

    if (t->state == LQ_TASK_CLOSING)
        luaL_error(L, "cannot wait while a task is closed (in __close)");
    if (!lua_isyieldable(L) || t->vm->unyieldable > 0)
        luaL_error(L, "cannot wait here: Lua cannot leave the C function that "
                      "called this one (a table.sort comparator, a "
                      "string.gsub callback, a __tostring or __gc); wait "
                      "before it and hand over the result");
    return t;
}

int lq_task_wait(lua_State *L, lq_task *t, void (*on_cancel)(lq_task *),
                 void *wait, lua_KFunction k)
{
    t->on_cancel = on_cancel;
    t->wait = wait;
    t->wait_err = 0;
    lua_pushlightuserdata(L, mark(&wait_mark));
    return lua_yieldk(L, 1, (lua_KContext)t, k);
}

int lq_task_park(lua_State *L, lq_task *t, lua_KFunction k)
{
    if (t->has_permit) {
        t->has_permit = false;
        return 0;
    }
    return lq_task_wait(L, t, NULL, (void *)(uintptr_t)&parked, k);
}

int lq_task_deadline(lq_task *t, uint64_t at_ms)
{
    return lq_timer_start(lq_loop_timers(t->vm->cfg.loop), &t->timer, at_ms);
}

/* ---- user coroutines ----------------------------------------------------- */

int lq_task_resume(lua_State *co, lua_State *from, int args, int *results)
{
    lq_vm *vm = lq_vm_of(from);
    bool can_pass = lua_isyieldable(from);
    int status;

    if (!can_pass) vm->unyieldable++;
    if (lq_task_is_waiting(co)) lua_pop(co, 1); /* the mark */
    lq_running_push(&vm->running, co);
    if (LQ_UNLIKELY(lq_running_is_interrupted(&vm->running)))
        lq_interrupt_join(co);
    status = lua_resume(co, from, args, results);
    lq_running_pop(&vm->running);
    if (!can_pass) vm->unyieldable--;
    if (status == LUA_ERRMEM) lq_vm_run_short(vm);
    if (status == LUA_YIELD && lq_task_is_waiting(co)) return LQ_TASK_PASSES;
    return status;
}

int lq_task_pass(lua_State *L, lua_KContext ctx, lua_KFunction k)
{
    lua_pushlightuserdata(L, mark(&pass_mark));
    return lua_yieldk(L, 1, ctx, k);
}

/* initialize.c - see initialize.h. */
#include "run/initialize.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lua/app.h"
#include "lua/pack.h"
#include "lua/task.h"
#include "lua/trace.h"

enum { SIGNALS = 2, FLUSH_MS = 1000 };

typedef struct run {
    lq_loop loop;
    uv_signal_t signals[SIGNALS];
    lq_timer deadline; /* --start-timeout */
    bool is_stopped;
    bool is_late;
    lq_vm vm;
    lq_app app;
    bool is_done;
    bool ok;
} run;

static void on_done(lq_app *app, bool ok)
{
    run *r = app->data;

    r->is_done = true;
    r->ok = ok;
    lq_loop_stop(&r->loop);
}

static void on_deadline(lq_timer *timer)
{
    run *r = LQ_CONTAINER_OF(timer, run, deadline);

    r->is_late = true;
    lq_loop_stop(&r->loop);
}

/* Returns -ENOMEM. */
static int start_deadline(run *r, double seconds)
{
    lq_timer_init(&r->deadline, on_deadline);
    if (seconds <= 0) return 0;
    return lq_timer_start(lq_loop_timers(&r->loop), &r->deadline,
                          lq_loop_update(&r->loop) +
                              (uint64_t)(seconds * 1000));
}

/* TERM and INT give the start up. */
static void on_signal(uv_signal_t *handle, int number)
{
    run *r = handle->data;

    (void)number;
    r->is_stopped = true;
    lq_loop_stop(&r->loop);
}

static int open_signals(run *r)
{
    static const int numbers[SIGNALS] = {SIGTERM, SIGINT};
    int i, err;

    for (i = 0; i < SIGNALS; i++) {
        err = uv_signal_init(lq_loop_uv(&r->loop), &r->signals[i]);
        if (err < 0) return err;
        r->signals[i].data = r;
        err = uv_signal_start(&r->signals[i], on_signal, numbers[i]);
        if (err < 0) return err;
    }
    return 0;
}

static void close_signals(run *r)
{
    int i;

    for (i = 0; i < SIGNALS; i++) uv_close((uv_handle_t *)&r->signals[i], NULL);
}

/* options.context as --option K=V gave it, packed, on top of L. */
static int push_packed(lua_State *L)
{
    const lq_options *o = lua_touserdata(L, 1);
    size_t i;
    lq_buf *out = lua_touserdata(L, 2);

    lua_newtable(L);
    for (i = 0; i < o->pair_count; i++) {
        lua_pushlstring(L, o->pairs[i].key.ptr, o->pairs[i].key.len);
        lua_pushstring(L, o->pairs[i].value);
        lua_rawset(L, -3);
    }
    lq_pack(L, lua_gettop(L), out);
    return 0;
}

static int pack_options(run *r, const lq_options *o, lq_buf *out)
{
    lua_State *L = r->vm.L;
    int status;

    lua_pushcfunction(L, push_packed);
    lua_pushlightuserdata(L, (void *)(uintptr_t)o);
    lua_pushlightuserdata(L, out);
    status = lua_pcall(L, 2, 0, 0);
    if (status != LUA_OK) lua_pop(L, 1);
    return status == LUA_OK ? 0 : -ENOMEM;
}

static void do_step(run *r, const lq_options *o, const char *step, lq_buf *out)
{
    lq_buf packed;

    lq_buf_init(&packed);
    if (lq_app_init(&r->app, &r->vm) < 0) return;
    r->app.data = r;
    if (pack_options(r, o, &packed) == 0 &&
        start_deadline(r, o->start_timeout) == 0) {
        lq_app_run(&r->app, step, (lq_str){o->app, strlen(o->app)},
                   (lq_str){lq_buf_ptr(&packed), lq_buf_len(&packed)}, on_done);
        if (!r->is_done) lq_loop_run(&r->loop);
    }
    lq_buf_fini(&packed);
    lq_timer_stop(lq_loop_timers(&r->loop), &r->deadline);
    if (!r->is_done) r->app.on_done = NULL;
    lq_tasks_cancel(&r->vm);
    if (r->ok && lq_buf_append(out, lq_buf_ptr(&r->app.text),
                               lq_buf_len(&r->app.text)) < 0)
        r->ok = false;
}

static int close_run(run *r)
{
    const char *text = r->app.error ? r->app.error : "not enough memory";

    if (r->is_late) text = "it has not loaded within --start-timeout";
    close_signals(r);
    lq_log_flush(r->vm.cfg.log, FLUSH_MS);
    if (!r->ok && !r->is_stopped)
        fprintf(stderr, "luaqueduct: the app could not start: %s\n", text);
    lq_app_fini(&r->app);
    lq_vm_close(&r->vm);
    if (lq_loop_close(&r->loop) < 0) return -EBUSY;
    if (r->is_stopped) return -EINTR;
    return r->ok ? 0 : LQ_EINVALID;
}

/* There is no way back into what runs here. */
static void on_panic(lq_vm *vm, const char *text)
{
    char trace[2048];

    lq_trace_running(&vm->running, trace, sizeof trace);
    lq_log_flush(vm->cfg.log, FLUSH_MS);
    fprintf(stderr, "luaqueduct: the app could not start: %s\n%s\n", text,
            trace);
    _exit(1);
}

int lq_initialize(const lq_options *options, const lq_paths *paths,
                  const lq_log *log, const char *step, lq_buf *out)
{
    run r = {.deadline = {.index = SIZE_MAX}};
    lq_vm_cfg cfg = {
        .loop = &r.loop,
        .log = log,
        .workers = options->workers,
        .generation = 1,
        .memory_limit = options->memory_limit,
        .lua_path = paths->lua,
        .lib_path = paths->lib,
        .on_panic = on_panic,
    };

    if (lq_loop_open(&r.loop) < 0 || open_signals(&r) < 0 ||
        lq_vm_open(&r.vm, &cfg) < 0) {
        fprintf(stderr, "luaqueduct: not enough memory to start\n");
        return -ENOMEM;
    }
    do_step(&r, options, step, out);
    return close_run(&r);
}

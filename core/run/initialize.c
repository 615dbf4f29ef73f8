/* initialize.c - see initialize.h. */
#include "run/initialize.h"

#include <errno.h>
#include <string.h>

#include "base/mem.h"
#include "loop/mailbox.h"
#include "lua/app.h"
#include "lua/pack.h"
#include "lua/task.h"
#include "lua/trace.h"
#include "run/watchdog.h"

enum { STUCK_MS = 1000 }; /* told to stop, and still in the same turn */

struct lq_initialize {
    lq_initialize_cfg cfg;
    lq_declarations declared;
    lq_log log;         /* of the thread that runs it */
    lq_watch watch;     /* main thread */
    lq_mailbox mailbox; /* any message: stop */
    lq_msg stop;
    /* Of the thread that runs it. */
    lq_loop loop;
    lq_vm vm;
    lq_app app;
    bool is_done;
    bool is_stopped;
    bool ok;
};

/* ---- the run ------------------------------------------------------------- */

static void on_done(lq_app *app, bool ok)
{
    lq_initialize *i = app->data;

    i->is_done = true;
    i->ok = ok;
    lq_loop_stop(&i->loop);
}

static void on_message(lq_mailbox *mb, lq_msg *msg)
{
    lq_initialize *i = mb->data;

    (void)msg;
    i->is_stopped = true;
    lq_loop_stop(&i->loop);
}

/* options.context as --option K=V gave it, packed, into the buffer at 2. */
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

static int pack_options(lq_initialize *i, lq_buf *out)
{
    lua_State *L = i->vm.L;
    int status;

    lua_pushcfunction(L, push_packed);
    lua_pushlightuserdata(L, (void *)(uintptr_t)i->cfg.options);
    lua_pushlightuserdata(L, out);
    status = lua_pcall(L, 2, 0, 0);
    if (status != LUA_OK) lua_pop(L, 1);
    return status == LUA_OK ? 0 : -ENOMEM;
}

static void do_step(lq_initialize *i)
{
    const char *script = i->cfg.options->app;
    lq_buf packed;

    lq_buf_init(&packed);
    if (pack_options(i, &packed) == 0) {
        lq_app_run(&i->app, i->cfg.step, (lq_str){script, strlen(script)},
                   (lq_str){lq_buf_ptr(&packed), lq_buf_len(&packed)}, on_done);
        if (!i->is_done && !i->is_stopped) lq_loop_run(&i->loop);
    }
    lq_buf_fini(&packed);
    if (!i->is_done) i->app.on_done = NULL;
    lq_tasks_cancel(&i->vm);
}

static int on_service(lq_vm *vm, const lq_service_spec *spec)
{
    lq_initialize *i = vm->cfg.data;

    return lq_declarations_add(&i->declared, spec);
}

static int open_vm(lq_initialize *i)
{
    const lq_options *o = i->cfg.options;
    const lq_vm_cfg cfg = {
        .loop = &i->loop,
        .log = &i->log,
        .workers = o->workers,
        .generation = i->cfg.generation,
        .memory_limit = o->memory_limit,
        .lua_path = i->cfg.paths->lua,
        .lib_path = i->cfg.paths->lib,
        .code = i->cfg.code,
        .on_service = on_service,
        .data = i,
    };

    return lq_vm_open(&i->vm, &cfg);
}

void lq_initialize_run(lq_initialize *i)
{
    if (open_vm(i) < 0) return;
    i->vm.running.limit_s = i->cfg.options->start_timeout;
    lq_watch_allow(true);
    if (lq_app_init(&i->app, &i->vm) == 0) {
        i->app.data = i;
        do_step(i);
    }
    lq_watch_allow(false);
    lq_vm_close(&i->vm);
}

/* ---- from outside -------------------------------------------------------- */

void lq_initialize_stop(lq_initialize *i)
{
    (void)!lq_mailbox_push(&i->mailbox, &i->stop);
}

bool lq_initialize_watch(lq_initialize *i, uv_thread_t thread, uint64_t now_ms)
{
    return lq_watch_look(&i->watch, thread, now_ms, STUCK_MS);
}

void lq_initialize_trace(const lq_initialize *i, char *out, size_t cap)
{
    lq_trace_running(&i->vm.running, out, cap);
}

lq_declarations *lq_initialize_declared(lq_initialize *i)
{
    return &i->declared;
}

const char *lq_initialize_error(const lq_initialize *i)
{
    if (i->ok) return NULL;
    if (i->is_stopped) return "it was stopped while it loaded";
    return i->app.error ? i->app.error : "not enough memory";
}

lq_str lq_initialize_text(const lq_initialize *i)
{
    return (lq_str){lq_buf_ptr(&i->app.text), lq_buf_len(&i->app.text)};
}

static int open_parts(lq_initialize *i)
{
    int err = lq_log_init(&i->log, i->cfg.log, i->cfg.log->who, 0);

    if (err < 0) return err;
    if ((err = lq_loop_open(&i->loop)) < 0) goto fail;
    err = lq_mailbox_open(&i->mailbox, lq_loop_uv(&i->loop), on_message, i);
    if (err == 0) return 0;
    (void)!lq_loop_close(&i->loop);

fail:
    lq_log_fini(&i->log);
    return err;
}

int lq_initialize_new(lq_initialize **out, const lq_initialize_cfg *cfg)
{
    lq_initialize *i = lq_mem_zalloc(sizeof *i);
    int err;

    if (!i) return -ENOMEM;
    i->cfg = *cfg;
    lq_declarations_init(&i->declared);
    err = open_parts(i);
    if (err < 0) {
        lq_mem_free(i);
        return err;
    }
    lq_watch_init(&i->watch, &i->vm.running, i->loop.pulse);
    *out = i;
    return 0;
}

void lq_initialize_free(lq_initialize *i)
{
    if (!i) return;
    lq_mailbox_close(&i->mailbox, NULL);
    if (lq_loop_close(&i->loop) < 0) return; /* something was left open */
    lq_mailbox_fini(&i->mailbox);
    lq_log_fini(&i->log);
    lq_declarations_fini(&i->declared);
    lq_app_fini(&i->app);
    lq_mem_free(i);
}

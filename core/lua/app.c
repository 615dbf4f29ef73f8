/* app.c - see app.h. */
#include "lua/app.h"

#include <errno.h>
#include <lauxlib.h>
#include <string.h>

#include "base/mem.h"
#include "lua/lib_router.h"
#include "lua/task.h"

static void set_error(lq_app *app, const char *text)
{
    lq_mem_free(app->error);
    app->error = text ? lq_mem_strndup(text, strlen(text)) : NULL;
}

static int load_module(lua_State *L)
{
    lq_app *app = lua_touserdata(L, 1);

    lua_getglobal(L, "require");
    lua_pushliteral(L, "luaqueduct.app");
    lua_call(L, 1, 1);
    luaL_checktype(L, -1, LUA_TTABLE);
    app->module_ref = luaL_ref(L, LUA_REGISTRYINDEX);
    return 0;
}

int lq_app_init(lq_app *app, lq_vm *vm)
{
    lua_State *L = vm->L;

    *app = (lq_app){.vm = vm};
    lua_pushcfunction(L, load_module);
    lua_pushlightuserdata(L, app);
    if (lua_pcall(L, 1, 0, 0) == LUA_OK) return 0;
    set_error(app, lua_tostring(L, -1));
    lua_pop(L, 1);
    return app->error ? LQ_EINVALID : -ENOMEM;
}

void lq_app_fini(lq_app *app)
{
    lq_buf_fini(&app->text);
    set_error(app, NULL);
}

const char *lq_app_error(const lq_app *app)
{
    return app->error ? app->error : "not enough memory";
}

/* The result of a step: a string (text) or a router. */
static bool take_result(lq_app *app, lua_State *co)
{
    const lq_router *const *router;
    size_t len;
    const char *text;

    if (lua_type(co, -1) == LUA_TSTRING) {
        text = lua_tolstring(co, -1, &len);
        lq_buf_clear(&app->text);
        return lq_buf_append(&app->text, text, len) == 0;
    }
    router = luaL_testudata(co, -1, LQ_ROUTER_TYPE);
    if (router) app->router = *router;
    return true;
}

static void on_step_done(lq_task *t, int status, int results)
{
    lq_app *app = t->owner;
    bool ok = status == LUA_OK;

    app->step = NULL;
    if (ok && results > 0)
        ok = take_result(app, t->co);
    else if (status == LUA_YIELD)
        set_error(app, "cancelled");
    else if (!ok) {
        lq_mem_free(app->error);
        app->error = lq_task_error(app->vm, t->co);
    }
    if (app->on_done) app->on_done(app, ok);
}

void lq_app_cancel(lq_app *app)
{
    app->on_done = NULL;
    if (app->step) lq_task_cancel(app->step);
}

/* What a step begins with. */
typedef struct begin {
    const lq_app *app;
    const char *step;
    lq_str args[2];
} begin;

static int push_begin(lua_State *L)
{
    const begin *b = lua_touserdata(L, 1);
    size_t i;

    lua_rawgeti(L, LUA_REGISTRYINDEX, b->app->module_ref);
    lua_getfield(L, -1, b->step);
    for (i = 0; i < LQ_COUNT_OF(b->args); i++)
        lua_pushlstring(L, b->args[i].ptr ? b->args[i].ptr : "",
                        b->args[i].len);
    return 1 + (int)LQ_COUNT_OF(b->args);
}

/* The function and its arguments onto the task; false: there is no memory. */
static bool push_step(lq_task *t, const begin *b)
{
    lua_State *L = t->vm->L;
    int status;

    lq_vm_open_reserve(t->vm);
    lua_pushcfunction(L, push_begin);
    lua_pushlightuserdata(L, (void *)(uintptr_t)b);
    status = lua_pcall(L, 1, 1 + (int)LQ_COUNT_OF(b->args), 0);
    lq_vm_shut_reserve(t->vm);
    if (status == LUA_OK)
        lua_xmove(L, t->co, 1 + (int)LQ_COUNT_OF(b->args));
    else
        lua_pop(L, 1);
    return status == LUA_OK;
}

void lq_app_run(lq_app *app, const char *step, lq_str arg, lq_str arg2,
                void (*on_done)(lq_app *app, bool ok))
{
    const begin b = {app, step, {arg, arg2}};
    lq_task *t = lq_task_new(app->vm, on_step_done, app);

    app->on_done = on_done;
    if (!t || !push_step(t, &b)) {
        if (t) lq_task_drop(t);
        set_error(app, NULL);
        on_done(app, false);
        return;
    }
    app->step = t;
    lq_task_ready(t, (int)LQ_COUNT_OF(b.args));
}

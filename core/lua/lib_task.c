/* lib_task.c - luaqueduct.core.task: tasks, as far as C makes them.
 *
 * A handle is a userdata that holds a pointer to its task; the task points
 * back, and whichever dies first clears the other.
 *
 * Owns:    nothing.
 * Thread:  that of the state.
 * Knows:   task.
 */
#include <lauxlib.h>
#include <math.h>
#include <time.h>

#include "lua/error.h"
#include "lua/libs.h"
#include "lua/task.h"

#define HANDLE_TYPE "luaqueduct.Task"

/* ---- handles ------------------------------------------------------------- */

static lq_task **check_handle(lua_State *L, int i)
{
    return luaL_checkudata(L, i, HANDLE_TYPE);
}

/* The handle of `t`: one for each task, kept in the weak table at `handles`. */
static void push_handle(lua_State *L, lq_task *t, int handles)
{
    lq_task **handle;

    if (t->handle && lua_rawgetp(L, handles, t) == LUA_TUSERDATA &&
        lua_touserdata(L, -1) == t->handle)
        return;
    if (t->handle) {
        *t->handle = NULL;
        t->handle = NULL;
        lua_pop(L, 1);
    }
    handle = lua_newuserdatauv(L, sizeof *handle, 0);
    *handle = NULL;
    luaL_setmetatable(L, HANDLE_TYPE);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, handles, t);
    *handle = t;
    t->handle = (void **)handle;
}

/* handle:cancel() */
static int m_cancel(lua_State *L)
{
    lq_task *t = *check_handle(L, 1);

    if (t) lq_task_cancel(t);
    return 0;
}

static int mt_gc(lua_State *L)
{
    lq_task **handle = check_handle(L, 1);

    if (*handle && (*handle)->handle == (void **)handle)
        (*handle)->handle = NULL;
    *handle = NULL;
    return 0;
}

static int mt_tostring(lua_State *L)
{
    static const char *const names[] = {"over",    "new",     "ready",
                                        "running", "waiting", "closing"};
    lq_task *t = *check_handle(L, 1);

    lua_pushfstring(L, "luaqueduct.Task (%s)", names[t ? (int)t->state : 0]);
    return 1;
}

/* ---- tasks --------------------------------------------------------------- */

static int fail_spawn(lua_State *L)
{
    lq_vm_run_short(lq_vm_of(L));
    return luaL_error(L, "not enough memory");
}

/* stack: handles, task */
static int make_handle(lua_State *L)
{
    push_handle(L, lua_touserdata(L, 2), 1);
    return 1;
}

/* Leaves the handle on the stack of a task that may have to be dropped: false
 * when there is no memory for it. */
static bool push_new_handle(lua_State *L, lq_task *t)
{
    lua_pushcfunction(L, make_handle);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_pushlightuserdata(L, t);
    return lua_pcall(L, 2, 1, 0) == LUA_OK;
}

static int spawn(lua_State *L, lq_task *parent)
{
    int args = lua_gettop(L) - 1;
    lq_task *t;

    luaL_checktype(L, 1, LUA_TFUNCTION);
    luaL_checkstack(L, 4, NULL);
    t = lq_task_new(lq_vm_of(L), NULL, NULL);
    if (!t) return fail_spawn(L);
    if (!push_new_handle(L, t)) {
        lq_task_drop(t);
        return fail_spawn(L);
    }
    lua_insert(L, 1);
    if (!lua_checkstack(t->co, args + 1)) {
        lq_task_drop(t);
        return luaL_error(L, "too many arguments");
    }
    lua_xmove(L, t->co, args + 1);
    if (parent) lq_task_adopt(t, parent);
    lq_task_ready(t, args);
    return 1;
}

/* task.spawn(fn, ...) -> handle */
static int task_spawn(lua_State *L)
{
    return spawn(L, NULL);
}

/* task.spawn_child(fn, ...) -> handle */
static int task_spawn_child(lua_State *L)
{
    return spawn(L, lq_task_check(L));
}

/* task.current() -> handle */
static int task_current(lua_State *L)
{
    push_handle(L, lq_task_check(L), lua_upvalueindex(1));
    return 1;
}

/* task.is_live(handle) -> boolean */
static int task_is_live(lua_State *L)
{
    lua_pushboolean(L, *check_handle(L, 1) != NULL);
    return 1;
}

static int wake_k(lua_State *L, int status, lua_KContext ctx)
{
    (void)L;
    (void)status;
    (void)ctx;
    return 0;
}

/* The wait that is about to begin ends after as many seconds as stand at 1. */
static void limit_wait(lua_State *L, lq_task *t)
{
    lua_Number seconds = luaL_checknumber(L, 1);
    uint64_t now_ms = lq_loop_update(lq_vm_of(L)->cfg.loop);

    luaL_argcheck(L, seconds >= 0, 1, "seconds must not be negative");
    if (seconds > 1e9) seconds = 1e9;
    if (lq_task_deadline(t, now_ms + (uint64_t)ceil(seconds * 1000)) < 0)
        luaL_error(L, "not enough memory");
}

/* task.park(seconds?): waits for unpark, or returns at once when it came
 * before. */
static int task_park(lua_State *L)
{
    lq_task *t = lq_task_check_wait(L);

    if (!lua_isnoneornil(L, 1) && !t->has_permit) limit_wait(L, t);
    return lq_task_park(L, t, wake_k);
}

/* task.unpark(handle) -> boolean: whether there is such a task */
static int task_unpark(lua_State *L)
{
    lq_task *t = *check_handle(L, 1);

    if (t) lq_task_unpark(t);
    lua_pushboolean(L, t != NULL);
    return 1;
}

/* task.sleep(seconds) */
static int task_sleep(lua_State *L)
{
    lq_task *t = lq_task_check_wait(L);

    limit_wait(L, t);
    return lq_task_wait(L, t, NULL, NULL, wake_k);
}

static lua_Number seconds_of(clockid_t id)
{
    struct timespec at;

    clock_gettime(id, &at);
    return (lua_Number)at.tv_sec + (lua_Number)at.tv_nsec / 1e9;
}

/* task.now() -> seconds, monotonic */
static int task_now(lua_State *L)
{
    lua_pushnumber(L, seconds_of(CLOCK_MONOTONIC));
    return 1;
}

/* task.time() -> seconds since 1970, the wall clock */
static int task_time(lua_State *L)
{
    lua_pushnumber(L, seconds_of(CLOCK_REALTIME));
    return 1;
}

static const luaL_Reg functions[] = {
    {"current", task_current},
    {"is_live", task_is_live},
    {"now", task_now},
    {"park", task_park},
    {"sleep", task_sleep},
    {"spawn", task_spawn},
    {"spawn_child", task_spawn_child},
    {"time", task_time},
    {"unpark", task_unpark},
    {NULL, NULL},
};

static const luaL_Reg methods[] = {
    {"cancel", m_cancel},
    {NULL, NULL},
};

static const luaL_Reg metamethods[] = {
    {"__gc", mt_gc},
    {"__tostring", mt_tostring},
    {NULL, NULL},
};

/* A table from task to handle that keeps neither alive. */
static void push_handles(lua_State *L)
{
    lua_newtable(L);
    lua_createtable(L, 0, 1);
    lua_pushliteral(L, "v");
    lua_setfield(L, -2, "__mode");
    lua_setmetatable(L, -2);
}

int luaopen_luaqueduct_core_task(lua_State *L)
{
    luaL_newmetatable(L, HANDLE_TYPE);
    luaL_setfuncs(L, metamethods, 0);
    luaL_newlib(L, methods);
    lua_setfield(L, -2, "__index");
    luaL_newlibtable(L, functions);
    push_handles(L);
    luaL_setfuncs(L, functions, 1);
    return 1;
}

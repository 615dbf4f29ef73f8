/* lib_coroutine.c - luaqueduct.core.coroutine: resume, wrap and close that let
 * a wait pass through.
 *
 * vm.c puts them into the table `coroutine`. They behave as the stock ones,
 * but for a coroutine that waits in a task: its resumer waits along and is
 * resumed with it, and nobody else may resume or close it.
 *
 * Owns:    nothing.
 * Thread:  that of the state.
 * Knows:   task.
 */
#include <lauxlib.h>

#include "lua/libs.h"
#include "lua/task.h"

/* ---- resume -------------------------------------------------------------- */

static lua_State *check_coroutine(lua_State *L)
{
    lua_State *co = lua_tothread(L, 1);

    luaL_argexpected(L, co, 1, "coroutine");
    return co;
}

static void check_not_waiting(lua_State *L, lua_State *co)
{
    if (lq_task_is_waiting(co))
        luaL_error(L, "cannot resume a coroutine that waits: the task in which "
                      "it waits resumes it");
}

/* Moves `args` values from L to co. Returns an error message or NULL. */
static const char *move_args(lua_State *L, lua_State *co, int args)
{
    if (!lua_checkstack(co, args)) return "too many arguments to resume";
    if (lua_status(co) == LUA_OK && lua_gettop(co) == 0)
        return "cannot resume dead coroutine";
    lua_xmove(L, co, args);
    return NULL;
}

/* Moves the results of co to L, behind what is there. */
static int move_results(lua_State *L, lua_State *co, int results)
{
    if (!lua_checkstack(L, results + 1)) {
        lua_pop(co, results);
        lua_pushliteral(L, "too many results to resume");
        return -1;
    }
    lua_xmove(co, L, results);
    return results;
}

/* Whether co can be resumed at all; the stock texts. */
static const char *why_not(lua_State *L, lua_State *co)
{
    lua_Debug ar;

    if (co == L) return "cannot resume non-suspended coroutine";
    if (lua_status(co) == LUA_OK && lua_getstack(co, 0, &ar))
        return "cannot resume non-suspended coroutine";
    if (lua_status(co) != LUA_OK && lua_status(co) != LUA_YIELD)
        return "cannot resume dead coroutine";
    return NULL;
}

/* What both variants share: the results lie on L, or the error value does.
 * Returns their count, -1 for an error, LQ_TASK_PASSES - 1 to pass. */
enum { PASS = -2 };

static int after_resume(lua_State *L, lua_State *co, int status, int results)
{
    if (status == LQ_TASK_PASSES) return PASS;
    if (status == LUA_OK || status == LUA_YIELD)
        return move_results(L, co, results);
    lua_xmove(co, L, 1);
    return -1;
}

static int start(lua_State *L, lua_State *co, int args)
{
    const char *error = why_not(L, co);
    int status, results = 0;

    if (!error) error = move_args(L, co, args);
    if (error) {
        lua_pushstring(L, error);
        return -1;
    }
    status = lq_task_resume(co, L, args, &results);
    return after_resume(L, co, status, results);
}

static int go_on(lua_State *L, lua_State *co)
{
    int results = 0, status = lq_task_resume(co, L, 0, &results);

    return after_resume(L, co, status, results);
}

static int finish_resume(lua_State *L, int n)
{
    lua_pushboolean(L, n >= 0);
    lua_insert(L, n >= 0 ? -(n + 1) : -2);
    return n >= 0 ? n + 1 : 2;
}

static int resume_k(lua_State *L, int status, lua_KContext ctx)
{
    int n = go_on(L, lua_tothread(L, 1));

    (void)status;
    if (n == PASS) return lq_task_pass(L, ctx, resume_k);
    return finish_resume(L, n);
}

/* coroutine.resume(co, ...) -> true, ... | false, err */
static int coroutine_resume(lua_State *L)
{
    lua_State *co = check_coroutine(L);
    int n;

    check_not_waiting(L, co);
    n = start(L, co, lua_gettop(L) - 1);
    if (n == PASS) return lq_task_pass(L, 0, resume_k);
    return finish_resume(L, n);
}

/* ---- wrap ---------------------------------------------------------------- */

/* Like the stock wrap: closes the coroutine and raises its error, with the
 * position in front when it is a string. */
static int finish_wrap(lua_State *L, lua_State *co, int n)
{
    if (n >= 0) return n;
    if (lua_status(co) != LUA_OK && lua_status(co) != LUA_YIELD &&
        lq_task_reset(lq_vm_of(L), co) != LUA_OK)
        lua_xmove(co, L, 1);
    if (lua_type(L, -1) == LUA_TSTRING) {
        luaL_where(L, 1);
        lua_insert(L, -2);
        lua_concat(L, 2);
    }
    return lua_error(L);
}

static int wrap_k(lua_State *L, int status, lua_KContext ctx)
{
    lua_State *co = lua_tothread(L, 1);
    int n = go_on(L, co);

    (void)status;
    if (n == PASS) return lq_task_pass(L, ctx, wrap_k);
    return finish_wrap(L, co, n);
}

static int call_wrapped(lua_State *L)
{
    lua_State *co = lua_tothread(L, lua_upvalueindex(1));
    int n;

    check_not_waiting(L, co);
    lua_pushvalue(L, lua_upvalueindex(1)); /* index 1, as lq_task_pass wants */
    lua_insert(L, 1);
    n = start(L, co, lua_gettop(L) - 1);
    if (n == PASS) return lq_task_pass(L, 0, wrap_k);
    return finish_wrap(L, co, n);
}

/* coroutine.wrap(fn) -> function */
static int coroutine_wrap(lua_State *L)
{
    lua_State *co;

    luaL_checktype(L, 1, LUA_TFUNCTION);
    co = lua_newthread(L);
    lua_pushvalue(L, 1);
    lua_xmove(L, co, 1);
    lua_pushcclosure(L, call_wrapped, 1);
    return 1;
}

/* ---- close --------------------------------------------------------------- */

/* Has a frame: it runs, or has resumed who does. */
static bool is_active(lua_State *L, lua_State *co)
{
    lua_Debug ar;

    return co == L || (lua_status(co) == LUA_OK && lua_getstack(co, 0, &ar));
}

/* coroutine.close(co) -> true | false, err
 * Upvalue 1 is the stock function, for what it refuses. */
static int coroutine_close(lua_State *L)
{
    lua_State *co = check_coroutine(L);
    int status;

    if (lq_task_is_waiting(co))
        luaL_error(L, "cannot close a coroutine that waits");
    if (is_active(L, co)) {
        lua_pushvalue(L, lua_upvalueindex(1));
        lua_insert(L, 1);
        lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
        return lua_gettop(L);
    }
    status = lq_task_reset(lq_vm_of(L), co);
    lua_pushboolean(L, status == LUA_OK);
    if (status == LUA_OK) return 1;
    lua_xmove(co, L, 1);
    return 2;
}

static const luaL_Reg functions[] = {
    {"resume", coroutine_resume},
    {"wrap", coroutine_wrap},
    {NULL, NULL},
};

int luaopen_luaqueduct_core_coroutine(lua_State *L)
{
    luaL_newlib(L, functions);
    lua_getglobal(L, "coroutine");
    lua_getfield(L, -1, "close");
    lua_remove(L, -2);
    lua_pushcclosure(L, coroutine_close, 1);
    lua_setfield(L, -2, "close");
    return 1;
}

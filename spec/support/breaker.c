/* breaker.c - a C module that breaks the state of its worker, as a bad one
 * may: for specs.
 *
 * Owns:    nothing.
 * Thread:  that of the state.
 */
#include <lauxlib.h>

#include "lua/task.h"
#include "lua/vm.h"

int luaopen_breaker(lua_State *L);

/* breaker.panic(): an error on a coroutine that nobody has resumed. */
static int breaker_panic(lua_State *L)
{
    lua_State *co = lua_newthread(L);

    lua_pushliteral(co, "breaker.panic was called");
    return lua_error(co);
}

/* Behind a task none is current: the next one that begins finds that out. */
static void leave_current(lq_task *t, int status, int results)
{
    lq_vm *vm = t->vm;
    void (*on_done)(lq_task *, int, int) = t->wait;

    t->on_done = on_done;
    on_done(t, status, results);
    vm->current = t;
}

/* breaker.spoil(): breaks an invariant of the runtime when this task ends. It
 * may not wait any more. */
static int breaker_spoil(lua_State *L)
{
    lq_task *t = lq_vm_of(L)->current;

    t->wait = t->on_done;
    t->on_done = leave_current;
    return 0;
}

static const luaL_Reg functions[] = {
    {"panic", breaker_panic},
    {"spoil", breaker_spoil},
    {NULL, NULL},
};

int luaopen_breaker(lua_State *L)
{
    luaL_newlib(L, functions);
    return 1;
}

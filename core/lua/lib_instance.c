/* lib_instance.c - luaqueduct.core.instance: what a worker knows of itself.
 *
 * A service has its name instead of an id.
 *
 * Owns:    nothing.
 * Thread:  that of the state.
 * Knows:   vm.
 */
#include <lauxlib.h>

#include "lua/libs.h"
#include "lua/vm.h"

/* instance:stop(): the worker drains and ends. */
static int m_stop(lua_State *L)
{
    lq_vm_stop(L, "aq.instance:stop() was called");
    return 0;
}

static void set_integer(lua_State *L, const char *name, lua_Integer n)
{
    lua_pushinteger(L, n);
    lua_setfield(L, -2, name);
}

int luaopen_luaqueduct_core_instance(lua_State *L)
{
    const lq_vm *vm = lq_vm_of(L);

    lua_createtable(L, 0, 5);
    if (vm->cfg.service) {
        lua_pushstring(L, vm->cfg.service->name);
        lua_setfield(L, -2, "name");
    } else {
        set_integer(L, "id", vm->cfg.id);
        set_integer(L, "workers", vm->cfg.workers);
    }
    set_integer(L, "restarts", vm->cfg.restarts);
    set_integer(L, "generation", vm->cfg.generation);
    lua_pushcfunction(L, m_stop);
    lua_setfield(L, -2, "stop");
    return 1;
}

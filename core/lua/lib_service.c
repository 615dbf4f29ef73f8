/* lib_service.c - luaqueduct.core.service: services as apps declare, call and
 * are them.
 *
 * Owns:    nothing.
 * Thread:  that of the state.
 * Knows:   calls, pack, vm.
 */
#include <lauxlib.h>

#include "lua/answers.h"
#include "lua/calls.h"
#include "lua/libs.h"
#include "lua/pack.h"

/* service.declare(name, path, arg, instances, queue, busy_timeout): in
 * initialize only */
static int service_declare(lua_State *L)
{
    lq_vm *vm = lq_vm_of(L);
    lq_service_spec spec = {
        .name = luaL_checkstring(L, 1),
        .path = luaL_checkstring(L, 2),
        .instances = (int)luaL_checkinteger(L, 4),
        .queue = (size_t)luaL_checkinteger(L, 5),
        .busy_timeout = luaL_checknumber(L, 6),
    };

    if (!vm->cfg.on_service)
        return luaL_error(L, "services are declared in initialize only");
    lq_buf_clear(&vm->packed);
    lq_pack(L, 3, &vm->packed);
    spec.arg = (lq_str){lq_buf_ptr(&vm->packed), lq_buf_len(&vm->packed)};
    if (vm->cfg.on_service(vm, &spec) < 0)
        return luaL_error(L, "not enough memory");
    return 0;
}

/* service.serve(methods, is_concurrent): in a service, behind its prepare */
static int service_serve(lua_State *L)
{
    lq_vm *vm = lq_vm_of(L);

    luaL_checktype(L, 1, LUA_TTABLE);
    if (!vm->cfg.service) return luaL_error(L, "this is no service");
    lua_settop(L, 2);
    lua_pushvalue(L, 1);
    lq_answers_serve(vm->answers, L, vm->cfg.service->queue,
                     lua_toboolean(L, 2));
    return 0;
}

/* service.path() -> string: of the script of this service */
static int service_path(lua_State *L)
{
    const lq_vm *vm = lq_vm_of(L);

    if (!vm->cfg.service) return luaL_error(L, "this is no service");
    lua_pushstring(L, vm->cfg.service->path);
    return 1;
}

/* service.knows(name) -> boolean */
static int service_knows(lua_State *L)
{
    lq_vm *vm = lq_vm_of(L);
    lq_hub_address address;

    lua_pushboolean(L, vm->hub && lq_hub_find(vm->hub, luaL_checkstring(L, 1),
                                              &address) != LQ_HUB_UNKNOWN);
    return 1;
}

static const luaL_Reg functions[] = {
    {"call", lq_calls_call},
    {"cast", lq_calls_cast},
    {"declare", service_declare},
    {"knows", service_knows},
    {"path", service_path},
    {"serve", service_serve},
    {NULL, NULL},
};

int luaopen_luaqueduct_core_service(lua_State *L)
{
    luaL_newlib(L, functions);
    return 1;
}

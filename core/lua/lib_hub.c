/* lib_hub.c - luaqueduct.core.hub: messages to other workers and services.
 *
 * Owns:    nothing.
 * Thread:  that of the state.
 * Knows:   subscription, pack, hub.
 */
#include <errno.h>
#include <lauxlib.h>
#include <limits.h>

#include "lua/args.h"
#include "lua/error.h"
#include "lua/libs.h"
#include "lua/publish.h"
#include "lua/subscription.h"

static lq_vm *check_vm(lua_State *L)
{
    lq_vm *vm = lq_vm_of(L);

    if (!vm->hub)
        luaL_error(L, "aq.hub works in workers and services; initialize runs "
                      "before there are any");
    return vm;
}

/* hub.subscribe(topic, fn) -> subscription */
static int hub_subscribe(lua_State *L)
{
    lq_str topic = lq_check_topic(L, 1);

    check_vm(L);
    luaL_checktype(L, 2, LUA_TFUNCTION);
    lq_subscriptions_push_new(L, topic, 2);
    return 1;
}

/* The flag of the option's name at i. */
static unsigned check_option(lua_State *L, int i)
{
    const char *name = lua_type(L, i) == LUA_TSTRING ? lua_tostring(L, i) : "";

    if (strcmp(name, "include_self") == 0) return LQ_HUB_WITH_SENDER;
    if (strcmp(name, "binary") == 0) return LQ_HUB_BINARY;
    return (unsigned)luaL_error(
        L, "unknown option %s; there are include_self and binary",
        luaL_tolstring(L, i, NULL));
}

/* { include_self = true, binary = true } -> lq_hub_how */
static unsigned read_options(lua_State *L, int i)
{
    unsigned how = LQ_HUB_PLAIN, flag;

    if (lua_isnoneornil(L, i)) return how;
    luaL_checktype(L, i, LUA_TTABLE);
    for (lua_pushnil(L); lua_next(L, i); lua_pop(L, 1)) {
        flag = check_option(L, -2);
        if (lua_toboolean(L, -1)) how |= flag;
    }
    return how;
}

/* hub.publish(topic, value, options?) -> integer */
static int hub_publish(lua_State *L)
{
    lq_str topic = lq_check_topic(L, 1);
    unsigned how = read_options(L, 3);

    check_vm(L);
    lua_pushinteger(L, lq_publish(L, topic, 2, how, NULL));
    return 1;
}

/* hub.send(to, topic, value) -> true | nil, error */
static int hub_send(lua_State *L)
{
    lq_vm *vm = check_vm(L);
    lq_str topic = lq_check_topic(L, 2), name = LQ_STR("");
    lua_Integer id = 0;
    int err;

    if (lua_type(L, 1) == LUA_TSTRING)
        name.ptr = lua_tolstring(L, 1, &name.len);
    else
        id = luaL_checkinteger(L, 1);
    if (id < 0 || id > INT_MAX || (id == 0 && name.len == 0))
        return lq_push_failure(L, LQ_ENORECEIVER, NULL);
    err = lq_hub_send(vm->hub, (int)id, name, topic, lq_pack_message(L, 3));
    if (err == -ENOMEM) return luaL_error(L, "not enough memory");
    if (err < 0) return lq_push_failure(L, err, NULL);
    lua_pushboolean(L, true);
    return 1;
}

static void set_count(lua_State *L, const char *name, uint64_t n)
{
    lua_pushinteger(L, (lua_Integer)n);
    lua_setfield(L, -2, name);
}

/* hub.stats() -> table */
static int hub_stats(lua_State *L)
{
    lq_vm *vm = check_vm(L);
    lq_hub_stats stats;

    lq_hub_member_stats(vm->hub, &stats);
    lua_createtable(L, 0, 5);
    set_count(L, "sent", stats.sent);
    set_count(L, "received", stats.received);
    set_count(L, "dropped", stats.dropped);
    set_count(L, "queued", stats.queued);
    set_count(L, "subscriptions", lq_subscriptions_count(vm->subscriptions));
    return 1;
}

static const luaL_Reg functions[] = {
    {"publish", hub_publish},     {"send", hub_send}, {"stats", hub_stats},
    {"subscribe", hub_subscribe}, {NULL, NULL},
};

int luaopen_luaqueduct_core_hub(lua_State *L)
{
    lq_subscriptions_push_type(L);
    luaL_newlib(L, functions);
    return 1;
}

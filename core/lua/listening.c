/* listening.c - see listening.h; and luaqueduct.core.listen, with which an app
 * listens.
 *
 * Owns:    the listeners' shells. Each that is open is anchored in a table of
 *          the registry under its number.
 * Thread:  that of the state.
 * Knows:   connection.
 */
#include "lua/listening.h"

#include <lauxlib.h>
#include <unistd.h>

#include "lua/args.h"
#include "lua/connection.h"
#include "lua/error.h"
#include "lua/libs.h"

#define LISTENER_TYPE "luaqueduct.Listener"

/* Only the address counts: of the table. */
static const char listeners_key;

typedef struct listener {
    int number; /* 0: closed */
    int port;
} listener;

/* Pushes { [number] = spec }. */
static void push_listeners(lua_State *L)
{
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &listeners_key) == LUA_TTABLE) return;
    lua_pop(L, 1);
    lua_newtable(L);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &listeners_key);
}

/* ---- connections --------------------------------------------------------- */

typedef struct arrival {
    int number;
    lq_connection *connection; /* NULL: nobody listens */
    lq_connection_spec *spec;
} arrival;

/* In a protected call. */
static int push_arrival(lua_State *L)
{
    arrival *a = lua_touserdata(L, 1);

    push_listeners(L);
    if (lua_rawgeti(L, -1, a->number) != LUA_TUSERDATA) return 0;
    a->spec = lua_touserdata(L, -1);
    a->connection = lq_push_connection(L, lua_gettop(L));
    return 0;
}

/* The socket is taken from here on. */
static void begin(lq_vm *vm, const arrival *a, lq_conn *c)
{
    lq_tcp_open(&a->connection->tcp, lq_connections_sessions(vm->connections),
                &a->spec->session, a->spec->framing, c, true);
    lq_connection_begin(a->connection);
}

int lq_listening_open(lq_vm *vm, int number, lq_net *net, int fd,
                      const struct sockaddr_storage *peer)
{
    arrival a = {.number = number};
    lq_conn *c;
    int err;

    lua_pushcfunction(vm->L, push_arrival);
    lua_pushlightuserdata(vm->L, &a);
    if (lua_pcall(vm->L, 1, 0, 0) != LUA_OK) {
        lua_pop(vm->L, 1);
        close(fd);
        return -ENOMEM;
    }
    if (!a.connection) {
        close(fd);
        return LQ_ECLOSED;
    }
    err = lq_conn_open_raw(&c, net, fd, peer);
    if (err < 0) {
        lq_connection_drop(vm, a.connection);
        return err;
    }
    begin(vm, &a, c);
    return 0;
}

/* ---- listeners ----------------------------------------------------------- */

static listener *check_listener(lua_State *L)
{
    return luaL_checkudata(L, 1, LISTENER_TYPE);
}

/* listen.close(listener) */
static int listen_close(lua_State *L)
{
    listener *l = check_listener(L);
    lq_vm *vm = lq_vm_of(L);
    int number = l->number;

    if (!number) return 0;
    l->number = 0;
    vm->cfg.on_unlisten(vm, number);
    push_listeners(L);
    lua_pushnil(L);
    lua_rawseti(L, -2, number);
    return 0;
}

/* listen.port(listener) -> integer */
static int listen_port(lua_State *L)
{
    lua_pushinteger(L, check_listener(L)->port);
    return 1;
}

/* listen.stats(listener) -> table */
static int listen_stats(lua_State *L)
{
    check_listener(L);
    lua_getiuservalue(L, 1, 1);
    lq_push_connection_stats(L, lua_touserdata(L, -1));
    return 1;
}

/* stack: options, spec, listener */
static int open_listener(lua_State *L, listener *l)
{
    lq_vm *vm = lq_vm_of(L);
    lq_listen_spec spec = {.address = lq_string_field(L, 1, "address"),
                           .options = lq_string_field(L, 1, "same")};
    lq_err err;
    uint16_t port;

    spec.port = (uint16_t)lq_integer_field(L, 1, "port");
    push_listeners(L);
    if (vm->cfg.on_listen(vm, &spec, &l->number, &port, &err) < 0)
        return luaL_error(L, "%s", err.text);
    l->port = port;
    lua_pushvalue(L, 2);
    lua_rawseti(L, -2, l->number);
    lua_settop(L, 3);
    return 1;
}

/* listen.open{ address, port, framing, same, max_message, max_buffered, quiet,
 * open, message, drain, close } -> listener; all of it has been checked. Raises
 * when the port cannot be had. */
static int listen_open(lua_State *L)
{
    lq_vm *vm = lq_vm_of(L);
    lq_connection_spec *spec;
    listener *l;
    lq_str framing;

    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    if (!vm->cfg.on_listen || !vm->connections)
        return luaL_error(L, "aq.tcp.listen works in workers; App:prepare is "
                             "the place for it");
    spec = lq_push_connection_spec(L, 1, &lq_tcp_kind);
    framing.ptr = lq_string_field(L, 1, "framing");
    framing.len = strlen(framing.ptr);
    spec->framing = (lq_framing)lq_framing_of(framing);
    l = lua_newuserdatauv(L, sizeof *l, 1);
    *l = (listener){0};
    luaL_setmetatable(L, LISTENER_TYPE);
    lua_pushvalue(L, 2);
    lua_setiuservalue(L, 3, 1);
    return open_listener(L, l);
}

static const luaL_Reg functions[] = {
    {"close", listen_close}, {"open", listen_open}, {"port", listen_port},
    {"stats", listen_stats}, {NULL, NULL},
};

int luaopen_luaqueduct_core_listen(lua_State *L)
{
    lq_connection_push_types(L);
    luaL_newmetatable(L, LISTENER_TYPE);
    lua_pop(L, 1);
    luaL_newlib(L, functions);
    return 1;
}

/* lib_tcp.c - luaqueduct.core.tcp: connections that an app opens.
 *
 * Owns:    the shells; vm->wires, made by the first call.
 * Thread:  that of the state.
 * Knows:   duplex, dial, wire.
 */
#include <errno.h>
#include <lauxlib.h>
#include <math.h>
#include <string.h>

#include "lua/duplex.h"
#include "lua/error.h"
#include "lua/libs.h"
#include "lua/tcp.h"
#include "net/dial.h"

#define TIMEOUT_S 10.0

typedef struct shell {
    lq_duplex duplex; /* of a wire */
    lq_dial *dial;    /* NULL: it has ended */
    lq_task *task;    /* waits for it */
} shell;

/* ---- a wire as a duplex -------------------------------------------------- */

static lq_str wire_read(const void *c)
{
    const lq_wire *w = c;

    return (lq_str){lq_buf_ptr(&w->in), lq_buf_len(&w->in)};
}

static void wire_take(void *c, size_t len)
{
    lq_wire_take(c, len);
}

static int wire_read_error(const void *c)
{
    return ((const lq_wire *)c)->read_error;
}

static void wire_want(void *c, bool wants_more)
{
    lq_wire_want(c, wants_more);
}

static int wire_write(void *c, const char *bytes, size_t len)
{
    return lq_wire_write(c, bytes, len);
}

static int wire_write_error(const void *c)
{
    return ((const lq_wire *)c)->write_error;
}

static size_t wire_unsent(const void *c)
{
    return lq_wire_unsent(c);
}

static void wire_end(void *c)
{
    lq_wire_end(c);
}

static const lq_duplex_ops ops = {
    .read = wire_read,
    .take = wire_take,
    .read_error = wire_read_error,
    .want = wire_want,
    .write = wire_write,
    .write_error = wire_write_error,
    .unsent = wire_unsent,
    .end = wire_end,
};

static void on_wire_event(lq_wire *w)
{
    lq_duplex_event(w->holder);
}

/* ---- connecting ---------------------------------------------------------- */

static void on_dialled(void *data, lq_wire *w, int err)
{
    shell *s = data;

    s->dial = NULL;
    if (w) {
        w->on_event = on_wire_event;
        w->holder = &s->duplex;
        lq_duplex_set(&s->duplex, w, s->task);
    }
    lq_task_wake(s->task, err);
}

/* Connected or not: the task does not hear of it any more. */
static void on_cancel(lq_task *t)
{
    shell *s = t->wait;

    if (s->dial) lq_dial_abandon(s->dial);
    s->dial = NULL;
    lq_duplex_end(&s->duplex);
}

/* stack: host, port */
static int push_dial_failure(lua_State *L, int err)
{
    char buf[128];
    bool is_resolver = err <= UV_EAI_ADDRFAMILY && err > LQ_ETIMEOUT;
    const char *text =
        is_resolver ? uv_strerror(err) : lq_strerror(err, buf, sizeof buf);

    lua_pushnil(L);
    lua_pushfstring(L, "cannot connect to %s, port %I: %s", lua_tostring(L, 1),
                    (LUAI_UACINT)lua_tointeger(L, 2), text);
    if (is_resolver)
        lq_push_error_named(L, uv_err_name(err), lua_tostring(L, -1));
    else
        lq_push_error(L, err, lua_tostring(L, -1));
    lua_remove(L, -2);
    return 2;
}

/* stack: host, port, options, shell */
static int connect_k(lua_State *L, int status, lua_KContext ctx)
{
    int err = ((lq_task *)ctx)->wait_err;

    (void)status;
    if (err < 0) return push_dial_failure(L, err);
    lua_settop(L, 4);
    return 1;
}

static shell *push_shell(lua_State *L)
{
    shell *s = lua_newuserdatauv(L, sizeof *s, 0);

    *s = (shell){0};
    lq_duplex_init(&s->duplex, &ops);
    luaL_setmetatable(L, LQ_TCP_TYPE);
    return s;
}

static lq_str check_host(lua_State *L, int i)
{
    lq_str host;

    luaL_checktype(L, i, LUA_TSTRING);
    host.ptr = lua_tolstring(L, i, &host.len);
    luaL_argcheck(L, host.len > 0, i, "a host must not be empty");
    luaL_argcheck(L, host.len <= LQ_DIAL_HOST_MAX, i,
                  "a host has at most 255 bytes");
    luaL_argcheck(L, !memchr(host.ptr, '\0', host.len), i,
                  "a host has no NUL in it");
    return host;
}

/* { timeout = seconds } -> milliseconds */
static uint64_t read_options(lua_State *L, int i)
{
    lua_Number seconds = TIMEOUT_S;

    if (lua_isnoneornil(L, i)) return (uint64_t)(TIMEOUT_S * 1000);
    luaL_checktype(L, i, LUA_TTABLE);
    for (lua_pushnil(L); lua_next(L, i); lua_pop(L, 1)) {
        if (lua_type(L, -2) != LUA_TSTRING ||
            strcmp(lua_tostring(L, -2), "timeout") != 0)
            luaL_error(L, "unknown option %s; there is timeout",
                       luaL_tolstring(L, -2, NULL));
        luaL_argcheck(L, lua_type(L, -1) == LUA_TNUMBER, i,
                      "the timeout must be a number of seconds");
        seconds = lua_tonumber(L, -1);
    }
    luaL_argcheck(L, seconds > 0, i, "the timeout must be more than 0");
    if (seconds > 1e9) seconds = 1e9;
    return (uint64_t)ceil(seconds * 1000);
}

static lq_wires *check_wires(lua_State *L)
{
    lq_vm *vm = lq_vm_of(L);

    if (!vm->wires) vm->wires = lq_wires_new(vm->cfg.loop);
    if (!vm->wires) luaL_error(L, "not enough memory");
    return vm->wires;
}

/* tcp.connect(host, port, options?) -> conn | nil, err */
static int tcp_connect(lua_State *L)
{
    lq_dial_cfg cfg = {.host = check_host(L, 1), .on_done = on_dialled};
    lua_Integer port = luaL_checkinteger(L, 2);
    lq_task *t;
    lq_wires *ws;
    shell *s;
    int err;

    luaL_argcheck(L, port > 0 && port <= UINT16_MAX, 2,
                  "a port is from 1 to 65535");
    cfg.port = (uint16_t)port;
    lua_settop(L, 3);
    cfg.timeout_ms = read_options(L, 3);
    t = lq_task_check_wait(L);
    ws = check_wires(L);
    s = push_shell(L);
    s->task = t;
    cfg.data = s;
    if ((err = lq_dial_start(&s->dial, ws, &cfg)) < 0)
        return push_dial_failure(L, err);
    return lq_task_wait(L, t, on_cancel, s, connect_k);
}

/* ---- the module ---------------------------------------------------------- */

void lq_tcp_close(lq_vm *vm)
{
    lq_wires_close(vm->wires);
    vm->wires = NULL;
}

static const luaL_Reg functions[] = {
    {"connect", tcp_connect},
    {NULL, NULL},
};

int luaopen_luaqueduct_core_tcp(lua_State *L)
{
    lq_duplex_push_type(L, LQ_TCP_TYPE);
    luaL_newlib(L, functions);
    return 1;
}

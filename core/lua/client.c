/* client.c - see client.h. */
#include "lua/client.h"

#include "lua/task.h"

/* What proxies say of the client, as far as they are believed. */
static lq_forwarded forwarded_of(lua_State *L, const lq_exchange *x)
{
    lq_forwarded f;
    lq_err err;

    if (lq_exchange_forwarded(x, &f, &err) < 0)
        lq_log_printf(lq_vm_of(L)->cfg.log, LQ_LOG_DEBUG,
                      "the proxy is not believed: %s", err.text);
    return f;
}

void lq_push_remote_address(lua_State *L, const lq_exchange *x)
{
    lq_forwarded f = forwarded_of(L, x);

    if (!*f.address) lq_address_write(lq_exchange_peer(x), f.address);
    lua_pushstring(L, f.address);
}

/* The port belongs to the address: that of the peer goes with the peer's. */
void lq_push_remote_port(lua_State *L, const lq_exchange *x)
{
    lq_forwarded f = forwarded_of(L, x);
    uint16_t port = *f.address ? f.port : lq_exchange_peer(x)->port;

    if (port)
        lua_pushinteger(L, port);
    else
        lua_pushnil(L);
}

void lq_push_scheme(lua_State *L, const lq_exchange *x)
{
    lq_forwarded f = forwarded_of(L, x);

    lua_pushstring(L, f.scheme ? f.scheme : "http");
}

static void push_sent_host(lua_State *L, const lq_request *r)
{
    lq_str host = lq_request_host(r);

    if (host.ptr)
        lua_pushlstring(L, host.ptr, host.len);
    else
        lua_pushnil(L);
}

void lq_push_host(lua_State *L, const lq_exchange *x)
{
    lq_forwarded f = forwarded_of(L, x);

    if (*f.host)
        lua_pushstring(L, f.host);
    else
        push_sent_host(L, &x->parser.request);
}

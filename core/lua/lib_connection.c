/* lib_connection.c - what Lua can do with a connection: see connection.h.
 *
 * Owns:    nothing.
 * Thread:  that of the state.
 * Knows:   connection, hub.
 */
#include <errno.h>
#include <lauxlib.h>
#include <stdio.h>

#include "base/utf8.h"
#include "lua/args.h"
#include "lua/connection.h"
#include "lua/error.h"
#include "lua/publish.h"

enum { FIELD_CONTEXT = 1, FIELD_ID, FIELD_REMOTE_ADDRESS };

static lq_connection *check_connection(lua_State *L)
{
    return luaL_checkudata(L, 1, LQ_CONNECTION_TYPE);
}

static int push_send_failure(lua_State *L, int err)
{
    switch (err) {
    case -ENOMEM: return luaL_error(L, "not enough memory");
    case LQ_EINVALID:
        return luaL_error(L, "a line that is sent has no line feed inside and "
                             "no carriage return at its end");
    case LQ_ETOOLARGE:
        return luaL_error(L, "the message is longer than the framing allows");
    default: return lq_push_failure(L, err, NULL);
    }
}

/* conn:send(data, is_binary?) -> boolean | nil, err */
static int m_send(lua_State *L)
{
    lq_connection *c = check_connection(L);
    lq_str data = lq_check_str(L, 2);
    bool is_binary = lua_toboolean(L, 3);
    int err;

    if (c->is_websocket && !is_binary && !lq_utf8_valid(data))
        return luaL_argerror(L, 2,
                             "text must be UTF-8; send(data, true) sends "
                             "any bytes as binary");
    err = lq_session_send(&c->session, data, is_binary);
    if (err < 0) return push_send_failure(L, err);
    lua_pushboolean(L, err);
    return 1;
}

/* conn:subscribe(topic) -> true | nil, err */
static int m_subscribe(lua_State *L)
{
    lq_connection *c = check_connection(L);
    lq_str topic = lq_check_topic(L, 2);
    int err = LQ_ECLOSED;

    if (c->session.state == LQ_SESSION_OPEN)
        err = lq_audience_subscribe(&c->session.all->audience, &c->session,
                                    topic);
    if (err == -ENOMEM) return luaL_error(L, "not enough memory");
    if (err < 0) return lq_push_failure(L, err, NULL);
    lua_pushboolean(L, true);
    return 1;
}

/* conn:unsubscribe(topic) */
static int m_unsubscribe(lua_State *L)
{
    lq_connection *c = check_connection(L);
    lq_str topic = lq_check_topic(L, 2);

    if (c->session.state == LQ_SESSION_OPEN)
        lq_audience_unsubscribe(&c->session.all->audience, &c->session, topic);
    return 0;
}

/* conn:publish(topic, message, is_binary?) -> integer */
static int m_publish(lua_State *L)
{
    lq_connection *c = check_connection(L);
    lq_str topic = lq_check_topic(L, 2);
    unsigned how = lua_toboolean(L, 4) ? LQ_HUB_BINARY : LQ_HUB_PLAIN;

    (void)lq_check_str(L, 3);
    lua_pushinteger(L, lq_publish(L, topic, 3, how, &c->session));
    return 1;
}

static int close_websocket(lua_State *L, lq_connection *c)
{
    lua_Integer code = luaL_optinteger(L, 2, LQ_WS_NORMAL);
    lq_str reason = LQ_STR("");

    luaL_argcheck(
        L, code > 0 && code < 5000 && lq_ws_close_code_is_valid((int)code), 2,
        "a close code is 1000 or from 3000 to 4999, or another "
        "one of RFC 6455 that may be sent");
    if (!lua_isnoneornil(L, 3)) reason = lq_check_str(L, 3);
    luaL_argcheck(L, reason.len <= LQ_WS_CONTROL_MAX - 2, 3,
                  "a reason has at most 123 bytes");
    luaL_argcheck(L, lq_utf8_valid(reason), 3, "a reason must be UTF-8");
    lq_session_finish(&c->session, LQ_END_CLOSED, (int)code, reason);
    return 0;
}

/* conn:close(code?, reason?) */
static int m_close(lua_State *L)
{
    lq_connection *c = check_connection(L);

    if (c->is_websocket) return close_websocket(L, c);
    lq_session_finish(&c->session, LQ_END_CLOSED, 0, LQ_STR(""));
    return 0;
}

static int push_context(lua_State *L)
{
    if (lua_getiuservalue(L, 1, 1) == LUA_TTABLE) return 1;
    lua_newtable(L);
    lua_pushvalue(L, -1);
    lua_setiuservalue(L, 1, 1);
    return 1;
}

static int push_id(lua_State *L, const lq_connection *c)
{
    const lq_net *net = c->session.all->net;
    char text[LQ_NET_ID_CAP + 24];

    snprintf(text, sizeof text, "%.*s%llx", (int)net->id_len, net->id,
             (unsigned long long)c->session.id);
    lua_pushstring(L, text);
    return 1;
}

static int mt_index(lua_State *L)
{
    lq_connection *c = check_connection(L);
    char address[LQ_ADDRESS_TEXT];

    lua_pushvalue(L, 2);
    if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TNUMBER) return 1;
    switch (lua_tointeger(L, -1)) {
    case FIELD_CONTEXT: return push_context(L);
    case FIELD_ID: return push_id(L, c);
    default:
        lq_address_write(&c->session.peer, address);
        lua_pushstring(L, address);
        return 1;
    }
}

static int mt_newindex(lua_State *L)
{
    return luaL_error(L,
                      "a connection cannot be changed (field '%s'); "
                      "its context is there to keep things",
                      luaL_tolstring(L, 2, NULL));
}

static int mt_tostring(lua_State *L)
{
    const lq_connection *c = check_connection(L);

    lua_pushfstring(L, "%s (%s)",
                    c->is_websocket ? "luaqueduct.WebSocket"
                                    : "luaqueduct.TcpSession",
                    c->session.state == LQ_SESSION_OPEN ? "open" : "closed");
    return 1;
}

static const luaL_Reg methods[] = {
    {"close", m_close},
    {"publish", m_publish},
    {"send", m_send},
    {"subscribe", m_subscribe},
    {"unsubscribe", m_unsubscribe},
    {NULL, NULL},
};

static const luaL_Reg metamethods[] = {
    {"__newindex", mt_newindex},
    {"__tostring", mt_tostring},
    {NULL, NULL},
};

void lq_connection_push_types(lua_State *L)
{
    static const struct {
        const char *name;
        int field;
    } fields[] = {{"context", FIELD_CONTEXT},
                  {"id", FIELD_ID},
                  {"remote_address", FIELD_REMOTE_ADDRESS}};
    size_t i;

    lq_connection_spec_push_type(L);
    if (luaL_newmetatable(L, LQ_CONNECTION_TYPE)) {
        luaL_setfuncs(L, metamethods, 0);
        luaL_newlib(L, methods);
        for (i = 0; i < LQ_COUNT_OF(fields); i++) {
            lua_pushinteger(L, fields[i].field);
            lua_setfield(L, -2, fields[i].name);
        }
        lua_pushcclosure(L, mt_index, 1);
        lua_setfield(L, -2, "__index");
    }
    lua_pop(L, 1);
}

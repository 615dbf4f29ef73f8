/* connection.c - see connection.h. */
#include "lua/connection.h"

#include <errno.h>
#include <lauxlib.h>
#include <math.h>
#include <stdio.h>

#include "base/mem.h"
#include "base/utf8.h"
#include "hub/hub.h"
#include "lua/error.h"
#include "lua/pack.h"

struct lq_connections {
    lq_vm *vm;
    lq_sessions sessions;
    lq_str message; /* on its way into a task; lent */
    bool is_binary;
    bool is_closed; /* nothing runs any more */
    void (*on_over)(void *data);
    void *data;
};

struct lq_connection {
    lq_connection_spec *spec;
    lq_task *task;  /* that has a message, or runs `open` or `close` */
    lq_task *drain; /* that runs `drain`; NULL, both: none */
    int ref;
    bool is_websocket;
    bool is_opening;  /* WebSocket: until the caller has run `open` */
    bool is_starting; /* its task has not waited yet */
    bool is_closing;  /* `close` runs, or has run */
    union {
        lq_session session;
        lq_tcp tcp;
        lq_websocket websocket;
    };
};

static lq_connection *connection_of(lq_session *s)
{
    return LQ_CONTAINER_OF(s, lq_connection, session);
}

static lq_connections *all_of(lua_State *L)
{
    return lq_vm_of(L)->connections;
}

lq_websocket *lq_connection_websocket(lq_connection *c)
{
    return &c->websocket;
}

lq_tcp *lq_connection_tcp(lq_connection *c)
{
    return &c->tcp;
}

/* ---- the end ------------------------------------------------------------ */

static void unanchor(lq_vm *vm, lq_connection *c)
{
    lq_connection_spec *spec = c->spec;

    if (c->is_websocket) lq_websocket_fini(&c->websocket);
    luaL_unref(vm->L, LUA_REGISTRYINDEX, c->ref);
    c->ref = LUA_NOREF;
    if (--spec->count > 0) return;
    luaL_unref(vm->L, LUA_REGISTRYINDEX, spec->ref);
    spec->ref = LUA_NOREF;
}

void lq_connection_drop(lq_vm *vm, lq_connection *c)
{
    unanchor(vm, c);
}

static lq_connections *owner_of(const lq_connection *c)
{
    return c->session.all->audience.cfg.data;
}

/* `close` has run. */
static void release(lq_connection *c)
{
    lq_connections *cs = owner_of(c);

    unanchor(cs->vm, c);
    lq_session_release(&c->session);
}

static void log_failure(const lq_task *t, const lq_connection *c,
                        const char *name)
{
    char what[128];

    snprintf(what, sizeof what, "error in %s of a %s", name,
             c->is_websocket ? "WebSocket" : "TCP connection");
    lq_task_log_error(t->vm, t->co, what);
}

static const char *reason_name(const lq_session *s)
{
    static const char *const names[] = {
        [LQ_END_NONE] = "closed",     [LQ_END_CLOSED] = "closed",
        [LQ_END_EOF] = "eof",         [LQ_END_RESET] = "reset",
        [LQ_END_IDLE] = "idle",       [LQ_END_TOO_LARGE] = "too_large",
        [LQ_END_INVALID] = "invalid", [LQ_END_SLOW] = "slow",
        [LQ_END_ERROR] = "error",     [LQ_END_STOP] = "stop",
    };

    return names[s->end];
}

/* ---- tasks -------------------------------------------------------------- */

static lq_connection *current(lua_State *L)
{
    return lq_vm_of(L)->current->owner;
}

static int done(lua_State *L, int status, lua_KContext ctx)
{
    (void)L;
    (void)status;
    (void)ctx;
    return 0;
}

/* Pushes the function and the connection. */
static lq_connection *push_call(lua_State *L, lq_callback which)
{
    lq_connection *c = current(L);

    luaL_checkstack(L, 8, NULL);
    lua_rawgeti(L, LUA_REGISTRYINDEX, c->spec->callbacks[which]);
    lua_rawgeti(L, LUA_REGISTRYINDEX, c->ref);
    return c;
}

static int call(lua_State *L, int args)
{
    lua_callk(L, args, 0, 0, done);
    return 0;
}

static int run_open(lua_State *L)
{
    push_call(L, LQ_CALLBACK_OPEN);
    return call(L, 1);
}

static int run_drain(lua_State *L)
{
    push_call(L, LQ_CALLBACK_DRAIN);
    return call(L, 1);
}

/* The message is lent until the first wait, so it is pushed at once. */
static int run_message(lua_State *L)
{
    lq_connections *cs = all_of(L);

    push_call(L, LQ_CALLBACK_MESSAGE);
    lua_pushlstring(L, cs->message.ptr, cs->message.len);
    lua_pushboolean(L, cs->is_binary);
    return call(L, 3);
}

static int run_close(lua_State *L)
{
    lq_connection *c = push_call(L, LQ_CALLBACK_CLOSE);

    if (!c->is_websocket) {
        lua_pushstring(L, reason_name(&c->session));
        return call(L, 2);
    }
    lua_pushinteger(L, lq_websocket_code(&c->websocket));
    lua_pushlstring(L, c->websocket.reason, c->websocket.reason_len);
    return call(L, 3);
}

static void on_closed(lq_task *t, int status, int results)
{
    lq_connection *c = t->owner;

    (void)results;
    if (status != LUA_OK && status != LUA_YIELD) log_failure(t, c, "close");
    release(c);
}

/* When nothing else of it runs. */
static void run_close_if_due(lq_connection *c)
{
    lq_connections *cs = owner_of(c);
    lq_task *t = NULL;

    if (c->session.conn || c->task || c->is_opening || c->is_starting ||
        c->drain || c->is_closing)
        return;
    c->is_closing = true;
    if (!cs->is_closed && c->spec->callbacks[LQ_CALLBACK_CLOSE] != LUA_NOREF) {
        t = lq_task_new(cs->vm, on_closed, c);
        if (!t)
            lq_log_printf(cs->vm->cfg.log, LQ_LOG_ERROR,
                          "no memory: close of a connection is not called");
    }
    if (!t) {
        release(c);
        return;
    }
    c->task = t;
    lua_pushcfunction(t->co, run_close);
    lq_task_ready(t, 0);
}

/* `open` or `message` is over. */
static void handled(lq_task *t, int status, const char *name)
{
    lq_connection *c = t->owner;

    c->task = NULL;
    if (status != LUA_OK && status != LUA_YIELD) log_failure(t, c, name);
    if (status != LUA_OK)
        lq_session_finish(&c->session, LQ_END_ERROR, 0, LQ_STR(""));
    if (c->is_starting) return;
    lq_session_go_on(&c->session);
    run_close_if_due(c);
}

static void on_message_done(lq_task *t, int status, int results)
{
    (void)results;
    handled(t, status, "message");
}

static void on_open_done(lq_task *t, int status, int results)
{
    (void)results;
    handled(t, status, "open");
}

static lq_task *new_task(lq_connection *c, void (*on_done)(lq_task *, int, int))
{
    lq_connections *cs = owner_of(c);
    lq_task *t = cs->is_closed ? NULL : lq_task_new(cs->vm, on_done, c);

    if (!t && !cs->is_closed)
        lq_log_printf(cs->vm->cfg.log, LQ_LOG_ERROR,
                      "no memory for a task: the connection ends");
    if (!t) lq_session_finish(&c->session, LQ_END_ERROR, 0, LQ_STR(""));
    return t;
}

/* ---- what the session tells --------------------------------------------- */

/* Returns whether it waits. */
static bool on_message(lq_session *s, lq_str message, bool is_binary)
{
    lq_connection *c = connection_of(s);
    lq_connections *cs = owner_of(c);
    lq_task *t;
    bool waits;

    if (c->spec->callbacks[LQ_CALLBACK_MESSAGE] == LUA_NOREF) return false;
    t = new_task(c, on_message_done);
    if (!t) return false;
    cs->message = message;
    cs->is_binary = is_binary;
    c->task = t;
    c->is_starting = true;
    lua_pushcfunction(t->co, run_message);
    waits = lq_task_run(t, 0);
    c->is_starting = false;
    if (!waits) run_close_if_due(c);
    return waits;
}

static void on_drained(lq_task *t, int status, int results)
{
    lq_connection *c = t->owner;

    (void)results;
    c->drain = NULL;
    if (status != LUA_OK && status != LUA_YIELD) {
        log_failure(t, c, "drain");
        lq_session_finish(&c->session, LQ_END_ERROR, 0, LQ_STR(""));
    }
    /* It was not told `close` meanwhile. */
    run_close_if_due(c);
}

static void on_drain(lq_session *s)
{
    lq_connection *c = connection_of(s);
    lq_task *t;

    if (c->spec->callbacks[LQ_CALLBACK_DRAIN] == LUA_NOREF || c->drain) return;
    t = new_task(c, on_drained);
    if (!t) return;
    c->drain = t;
    lua_pushcfunction(t->co, run_drain);
    lq_task_ready(t, 0);
}

static void on_over(lq_session *s)
{
    run_close_if_due(connection_of(s));
}

/* ---- opening ------------------------------------------------------------ */

void lq_connection_begin(lq_connection *c)
{
    lq_task *t;

    if (c->spec->callbacks[LQ_CALLBACK_OPEN] == LUA_NOREF) {
        lq_session_go_on(&c->session);
        return;
    }
    t = new_task(c, on_open_done);
    if (!t) {
        lq_session_go_on(&c->session);
        return;
    }
    c->task = t;
    lua_pushcfunction(t->co, run_open);
    lq_task_ready(t, 0);
}

bool lq_connection_push_open(lua_State *L, lq_connection *c)
{
    c->task = lq_vm_of(L)->current;
    lua_rawgeti(L, LUA_REGISTRYINDEX, c->spec->callbacks[LQ_CALLBACK_OPEN]);
    lua_rawgeti(L, LUA_REGISTRYINDEX, c->ref);
    if (c->spec->callbacks[LQ_CALLBACK_OPEN] != LUA_NOREF) return true;
    lua_pop(L, 2);
    return false;
}

void lq_connection_opened(lq_connection *c, bool has_failed)
{
    c->is_opening = false;
    c->task = NULL;
    if (has_failed) lq_session_finish(&c->session, LQ_END_ERROR, 0, LQ_STR(""));
    lq_session_go_on(&c->session);
    run_close_if_due(c);
}

/* stack: spec at `i` -> the connection */
lq_connection *lq_push_connection(lua_State *L, int i)
{
    lq_connection_spec *spec = lua_touserdata(L, i);
    bool is_websocket = spec->session.kind == &lq_websocket_kind;
    size_t size = offsetof(lq_connection, session) +
                  (is_websocket ? sizeof(lq_websocket) : sizeof(lq_tcp));
    lq_connection *c;

    if (spec->ref == LUA_NOREF) {
        lua_pushvalue(L, i);
        spec->ref = luaL_ref(L, LUA_REGISTRYINDEX);
    }
    c = lua_newuserdatauv(L, size, 1);
    memset(c, 0, size);
    c->is_websocket = is_websocket;
    c->is_opening = is_websocket;
    c->spec = spec;
    c->ref = LUA_NOREF;
    luaL_setmetatable(L, LQ_CONNECTION_TYPE);
    lua_pushvalue(L, -1);
    c->ref = luaL_ref(L, LUA_REGISTRYINDEX);
    spec->count++;
    return c;
}

/* ---- methods ------------------------------------------------------------ */

enum { FIELD_CONTEXT = 1, FIELD_ID, FIELD_REMOTE_ADDRESS };

static lq_connection *check_connection(lua_State *L)
{
    return luaL_checkudata(L, 1, LQ_CONNECTION_TYPE);
}

static lq_str check_bytes(lua_State *L, int i)
{
    lq_str s;

    s.ptr = luaL_checklstring(L, i, &s.len);
    return s;
}

static lq_str check_topic(lua_State *L, int i)
{
    lq_str topic;

    luaL_checktype(L, i, LUA_TSTRING);
    topic = check_bytes(L, i);
    luaL_argcheck(L, topic.len > 0, i, "a topic must not be empty");
    luaL_argcheck(L, topic.len <= LQ_HUB_TOPIC_MAX, i,
                  "a topic has at most 255 bytes");
    return topic;
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
    lq_str data = check_bytes(L, 2);
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
    lq_str topic = check_topic(L, 2);
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
    lq_str topic = check_topic(L, 2);

    if (c->session.state == LQ_SESSION_OPEN)
        lq_audience_unsubscribe(&c->session.all->audience, &c->session, topic);
    return 0;
}

/* conn:publish(topic, message, is_binary?) -> integer */
static int m_publish(lua_State *L)
{
    lq_connection *c = check_connection(L);
    lq_str topic = check_topic(L, 2), message = check_bytes(L, 3);
    bool is_binary = lua_toboolean(L, 4);
    lq_vm *vm = lq_vm_of(L);
    int count;

    lq_buf_clear(&vm->packed);
    lq_pack(L, 3, &vm->packed);
    count = lq_hub_publish(vm->hub, topic, lq_buf_view(&vm->packed),
                           is_binary ? LQ_HUB_BINARY : LQ_HUB_PLAIN);
    if (count == -ENOMEM ||
        lq_connections_publish(vm->connections, topic, message, is_binary,
                               &c->session) < 0)
        return luaL_error(L, "not enough memory");
    lua_pushinteger(L, count < 0 ? 0 : count);
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
    if (!lua_isnoneornil(L, 3)) reason = check_bytes(L, 3);
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

/* ---- specs -------------------------------------------------------------- */

static int mt_spec_gc(lua_State *L)
{
    lq_connection_spec *spec = lua_touserdata(L, 1);
    int i;

    for (i = 0; i < LQ_CALLBACKS; i++)
        luaL_unref(L, LUA_REGISTRYINDEX, spec->callbacks[i]);
    luaL_unref(L, LUA_REGISTRYINDEX, spec->protocols);
    luaL_unref(L, LUA_REGISTRYINDEX, spec->origins);
    return 0;
}

/* Takes field `name` of the table at i, unless it is nil. */
static int ref_field(lua_State *L, int i, const char *name)
{
    if (lua_getfield(L, i, name) == LUA_TNIL) {
        lua_pop(L, 1);
        return LUA_NOREF;
    }
    return luaL_ref(L, LUA_REGISTRYINDEX);
}

static lua_Number number_field(lua_State *L, int i, const char *name)
{
    lua_Number n;

    lua_getfield(L, i, name);
    n = lua_tonumber(L, -1);
    lua_pop(L, 1);
    return n;
}

lq_connection_spec *lq_push_connection_spec(lua_State *L, int i,
                                            const lq_session_kind *kind)
{
    static const char *const names[] = {"open", "message", "drain", "close"};
    lq_connection_spec *spec = lua_newuserdatauv(L, sizeof *spec, 0);
    int k;

    *spec = (lq_connection_spec){
        .protocols = LUA_NOREF, .origins = LUA_NOREF, .ref = LUA_NOREF};
    for (k = 0; k < LQ_CALLBACKS; k++) spec->callbacks[k] = LUA_NOREF;
    luaL_setmetatable(L, LQ_CONNECTION_SPEC_TYPE);
    spec->session.kind = kind;
    spec->session.max_message = (size_t)number_field(L, i, "max_message");
    spec->session.max_buffered = (size_t)number_field(L, i, "max_buffered");
    spec->session.quiet_ms = (uint64_t)ceil(number_field(L, i, "quiet") * 1000);
    spec->session.on_message = on_message;
    spec->session.on_drain = on_drain;
    spec->session.on_over = on_over;
    spec->limits.max_message = spec->session.max_message;
    for (k = 0; k < LQ_CALLBACKS; k++)
        spec->callbacks[k] = ref_field(L, i, names[k]);
    spec->protocols = ref_field(L, i, "protocols");
    spec->origins = ref_field(L, i, "origins");
    return spec;
}

static void set_count(lua_State *L, const char *name, uint64_t n)
{
    lua_pushinteger(L, (lua_Integer)n);
    lua_setfield(L, -2, name);
}

void lq_push_connection_stats(lua_State *L, const lq_connection_spec *spec)
{
    lua_createtable(L, 0, 5);
    set_count(L, "open", spec->count);
    set_count(L, "opened", spec->session.opened);
    set_count(L, "received", spec->session.received);
    set_count(L, "sent", spec->session.sent);
    set_count(L, "slow", spec->session.slow);
}

void lq_connection_push_types(lua_State *L)
{
    static const struct {
        const char *name;
        int field;
    } fields[] = {{"context", FIELD_CONTEXT},
                  {"id", FIELD_ID},
                  {"remote_address", FIELD_REMOTE_ADDRESS}};
    size_t i;

    if (luaL_newmetatable(L, LQ_CONNECTION_SPEC_TYPE)) {
        lua_pushcfunction(L, mt_spec_gc);
        lua_setfield(L, -2, "__gc");
    }
    lua_pop(L, 1);
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

/* ---- topics ------------------------------------------------------------- */

static int on_topic(void *data, lq_str name, uint32_t *number)
{
    const lq_connections *cs = data;

    return lq_hub_subscribe(cs->vm->hub, name, number);
}

static void on_topic_gone(void *data, lq_str name)
{
    const lq_connections *cs = data;

    lq_hub_unsubscribe(cs->vm->hub, name);
}

void lq_connections_deliver(lq_connections *cs, uint32_t number, lq_str message,
                            bool is_binary)
{
    if (lq_audience_deliver(&cs->sessions.audience, number, message,
                            is_binary) < 0)
        lq_log_printf(cs->vm->cfg.log, LQ_LOG_ERROR,
                      "no memory: a message does not reach the connections "
                      "that subscribe to it");
}

int lq_connections_publish(lq_connections *cs, lq_str topic, lq_str message,
                           bool is_binary, const lq_session *except)
{
    if (!cs) return 0;
    return lq_audience_publish(&cs->sessions.audience, topic, message,
                               is_binary, except);
}

bool lq_connections_have(const lq_connections *cs, uint32_t number)
{
    return cs && lq_audience_has(&cs->sessions.audience, number);
}

/* ---- all of a worker's -------------------------------------------------- */

static void on_idle(lq_sessions *ss)
{
    lq_connections *cs = ss->data;

    if (cs->on_over) cs->on_over(cs->data);
}

lq_connections *lq_connections_new(lq_vm *vm, lq_net *net)
{
    lq_connections *cs = lq_mem_zalloc(sizeof *cs);
    lq_audience_cfg cfg = {
        .loop = vm->cfg.loop,
        .log = vm->cfg.log,
        .on_topic = on_topic,
        .on_topic_gone = on_topic_gone,
        .data = cs,
    };

    if (!cs) return NULL;
    cs->vm = vm;
    if (lq_sessions_init(&cs->sessions, net, &cfg) < 0) {
        lq_mem_free(cs);
        return NULL;
    }
    cs->sessions.on_idle = on_idle;
    cs->sessions.data = cs;
    return cs;
}

void lq_connections_free(lq_connections *cs)
{
    if (!cs) return;
    lq_sessions_fini(&cs->sessions);
    lq_mem_free(cs);
}

lq_sessions *lq_connections_sessions(lq_connections *cs)
{
    return &cs->sessions;
}

void lq_connections_leave(lq_connections *cs, uint64_t within_ms)
{
    if (cs && !cs->is_closed) lq_sessions_leave(&cs->sessions, within_ms);
}

/* Of sessions that are over; they leave the list as they end. */
static void cancel_handlers(lq_connections *cs)
{
    lq_list *over = &cs->sessions.over, rest, *link;
    lq_connection *c;
    lq_task *drain;

    lq_list_init(&rest);
    lq_list_move(over, &rest);
    while ((link = lq_list_pop_front(&rest))) {
        lq_list_push_back(over, link);
        c = connection_of(LQ_CONTAINER_OF(link, lq_session, link));
        drain = c->drain; /* the other one may be its last */
        if (c->task && !c->is_closing) lq_task_cancel(c->task);
        if (drain) lq_task_cancel(drain);
    }
}

void lq_connections_cut(lq_connections *cs)
{
    if (!cs) return;
    lq_sessions_cut(&cs->sessions);
    cancel_handlers(cs);
}

void lq_connections_close(lq_connections *cs)
{
    if (!cs) return;
    cs->is_closed = true;
    lq_sessions_cut(&cs->sessions);
}

bool lq_connections_are_over(const lq_connections *cs)
{
    return !cs || cs->sessions.count == 0;
}

void lq_connections_on_over(lq_connections *cs, void (*over)(void *data),
                            void *data)
{
    cs->on_over = over;
    cs->data = data;
}

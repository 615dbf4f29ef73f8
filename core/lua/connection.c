/* connection.c - see connection.h. */
#include "lua/connection.h"

#include <errno.h>
#include <lauxlib.h>
#include <stdio.h>

#include "base/mem.h"
#include "hub/hub.h"

struct lq_connections {
    lq_vm *vm;
    lq_sessions sessions;
    lq_str message; /* on its way into a task; lent */
    bool is_binary;
    bool is_closed; /* nothing runs any more */
    void (*on_over)(void *data);
    void *data;
};

static lq_connection *connection_of(lq_session *s)
{
    return LQ_CONTAINER_OF(s, lq_connection, session);
}

static lq_connections *all_of(lua_State *L)
{
    return lq_vm_of(L)->connections;
}

/* ---- the end ------------------------------------------------------------- */

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

/* ---- tasks --------------------------------------------------------------- */

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

/* ---- what the session tells ---------------------------------------------- */

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

/* ---- opening ------------------------------------------------------------- */

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

void lq_connection_serve(lq_session_cfg *cfg)
{
    cfg->on_message = on_message;
    cfg->on_drain = on_drain;
    cfg->on_over = on_over;
}

/* ---- topics -------------------------------------------------------------- */

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

/* ---- all of a worker's --------------------------------------------------- */

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

/* lib_websocket.c - luaqueduct.core.websocket: requests that become WebSockets.
 *
 * The handler checks the request, takes the connection out of HTTP, answers 101
 * on it, and calls the app's `open` before it returns.
 *
 * Owns:    nothing.
 * Thread:  that of the state.
 * Knows:   connection, exchange.
 */
#include <errno.h>
#include <lauxlib.h>
#include <string.h>

#include "base/mem.h"
#include "lua/args.h"
#include "lua/connection.h"
#include "lua/error.h"
#include "lua/libs.h"
#include "lua/reply.h"
#include "lua/request.h"
#include "net/exchange.h"

enum { MAX_PROTOCOLS = 32 };

/* While `open` runs: it may fail, or its task be cancelled. Its own memory:
 * what is on the stack of a task that fails may be collected before it is told.
 */
typedef struct opening {
    lq_task_ward ward;
    lq_connection *connection;
} opening;

/* What the two sides agree on. */
typedef struct agreement {
    char accept[LQ_WS_ACCEPT_LEN];
    lq_str protocol; /* ptr NULL: none */
    lq_ws_deflate_params deflate;
} agreement;

/* ---- refusals ------------------------------------------------------------ */

static void set_header(lua_State *L, const char *name, const char *value)
{
    lua_pushstring(L, value);
    lua_setfield(L, -2, name);
}

/* A response with a sentence. */
static int push_refusal(lua_State *L, int status, const char *why)
{
    lua_createtable(L, 0, 3);
    lua_pushinteger(L, status);
    lua_setfield(L, -2, "status");
    lua_pushfstring(L, "%s\n", why);
    lua_setfield(L, -2, "body");
    lua_createtable(L, 0, 2);
    if (status == 426) {
        set_header(L, "Upgrade", "websocket");
        set_header(L, "Sec-WebSocket-Version", "13");
    }
    lua_setfield(L, -2, "headers");
    luaL_setmetatable(L, LQ_RESPONSE_TYPE);
    return 1;
}

/* ---- what is agreed on --------------------------------------------------- */

/* Whether the list in the registry (LUA_NOREF: everything) has the value of
 * Origin. Who sends none is no browser. */
static bool is_origin_allowed(lua_State *L, int ref, const lq_request *r)
{
    lq_str origin = lq_request_header(r, LQ_STR("origin"));
    bool has = false;
    lua_Integer i;

    if (ref == LUA_NOREF || !origin.ptr) return true;
    lua_rawgeti(L, LUA_REGISTRYINDEX, ref);
    for (i = 1; !has && lua_rawgeti(L, -1, i) == LUA_TSTRING; i++) {
        size_t len;
        const char *s = lua_tolstring(L, -1, &len);

        has = len == origin.len && memcmp(s, origin.ptr, len) == 0;
        lua_pop(L, 1);
    }
    lua_pop(L, has ? 1 : 2);
    return has;
}

/* The strings are lent by the list in the registry. */
static void choose_protocol(lua_State *L, int ref, lq_str wanted,
                            lq_str *protocol)
{
    lq_str ours[MAX_PROTOCOLS];
    size_t n = 0;
    int i;

    *protocol = (lq_str){0};
    if (ref == LUA_NOREF || !wanted.ptr) return;
    lua_rawgeti(L, LUA_REGISTRYINDEX, ref);
    while (n < MAX_PROTOCOLS &&
           lua_rawgeti(L, -1, (lua_Integer)n + 1) == LUA_TSTRING) {
        ours[n].ptr = lua_tolstring(L, -1, &ours[n].len);
        n++;
        lua_pop(L, 1);
    }
    if (n < MAX_PROTOCOLS) lua_pop(L, 1);
    lua_pop(L, 1);
    i = lq_ws_choose_protocol(wanted, ours, n);
    if (i >= 0) *protocol = ours[i];
}

/* 0, or the status to refuse with. */
static int agree(lua_State *L, lq_exchange *x, const lq_connection_spec *spec,
                 agreement *a, const char **why)
{
    const lq_request *r = &x->parser.request;
    lq_str protocols, extensions;
    int status = lq_ws_check(r, why);

    if (status) return status;
    if (!is_origin_allowed(L, spec->origins, r)) {
        *why = "this origin may not open a WebSocket here";
        return 403;
    }
    if (lq_ws_list_field(r, LQ_STR("sec-websocket-protocol"), &x->arena,
                         &protocols) < 0 ||
        lq_ws_list_field(r, LQ_STR("sec-websocket-extensions"), &x->arena,
                         &extensions) < 0 ||
        lq_ws_accept_key(lq_request_header(r, LQ_STR("sec-websocket-key")),
                         a->accept) == -ENOMEM)
        luaL_error(L, "not enough memory");
    choose_protocol(L, spec->protocols, protocols, &a->protocol);
    a->deflate = (lq_ws_deflate_params){0};
    if (extensions.ptr &&
        lq_ws_negotiate(extensions, &spec->deflate_cfg, &a->deflate) < 0) {
        *why = "Sec-WebSocket-Extensions is malformed";
        return 400;
    }
    if (!spec->deflates) a->deflate.on = false;
    return 0;
}

/* ---- the answer ---------------------------------------------------------- */

static void put(lq_buf *out, lq_str s)
{
    lq_buf_put(out, s.ptr, s.len);
}

/* RFC 6455 4.2.2. -ENOMEM. */
static int write_answer(lq_conn *c, const agreement *a)
{
    static const lq_str end = {"\r\n", 2};
    lq_buf *out = lq_conn_out(c);
    char line[LQ_WS_EXTENSION_MAX];
    size_t len;

    if (!out || lq_buf_reserve(out, 512 + sizeof line + a->protocol.len) < 0)
        return -ENOMEM;
    put(out, LQ_STR("HTTP/1.1 101 Switching Protocols\r\n"
                    "Upgrade: websocket\r\nConnection: Upgrade\r\n"
                    "Sec-WebSocket-Accept: "));
    lq_buf_put(out, a->accept, sizeof a->accept);
    put(out, end);
    if (a->protocol.ptr) {
        put(out, LQ_STR("Sec-WebSocket-Protocol: "));
        put(out, a->protocol);
        put(out, end);
    }
    if (a->deflate.on) {
        len = lq_ws_extension_line(&a->deflate, line, sizeof line);
        put(out, LQ_STR("Sec-WebSocket-Extensions: "));
        lq_buf_put(out, line, len);
        put(out, end);
    }
    put(out, end);
    lq_conn_flush_later(c);
    return 0;
}

/* The client, not the proxy that has handed its request on. */
static void set_peer(lq_conn *c, const lq_forwarded *f)
{
    lq_address a;

    if (!*f->address) return;
    if (!lq_address_read(&a, (lq_str){f->address, strlen(f->address)})) return;
    a.port = f->port;
    c->peer = a;
}

/* ---- opening ------------------------------------------------------------- */

static void end_opening(opening *o, bool has_failed)
{
    lq_connection *c = o->connection;

    lq_list_remove(&o->ward.link);
    lq_mem_free(o);
    lq_connection_opened(c, has_failed);
}

static void on_task_over(lq_task_ward *ward)
{
    end_opening(LQ_CONTAINER_OF(ward, opening, ward), true);
}

static int after_open(lua_State *L, int status, lua_KContext ctx)
{
    (void)L;
    (void)status;
    end_opening((opening *)ctx, false);
    return 0;
}

/* NULL: no memory, and the connection is dropped. */
static opening *new_opening(lua_State *L, lq_connection *c)
{
    opening *o = lq_mem_alloc(sizeof *o);

    if (!o) {
        lq_connection_drop(lq_vm_of(L), c);
        return NULL;
    }
    lq_list_init(&o->ward.link);
    o->ward.on_over = on_task_over;
    o->ward.is_within = true; /* the app may have caught the error of `open` */
    o->connection = c;
    return o;
}

/* stack: request, connection */
static int run_open(lua_State *L, opening *o)
{
    if (!lq_connection_push_open(L, o->connection))
        return after_open(L, LUA_OK, (lua_KContext)o);
    lq_task_guard(lq_vm_of(L)->current, &o->ward);
    lua_pushvalue(L, 1);
    lua_callk(L, 2, 0, (lua_KContext)o, after_open);
    return after_open(L, LUA_OK, (lua_KContext)o);
}

/* Nothing here raises. */
static int take(lua_State *L, lq_exchange *x, lq_connection_spec *spec,
                const agreement *a, opening *o)
{
    lq_sessions *ss = lq_connections_sessions(lq_vm_of(L)->connections);
    lq_websocket *w = &o->connection->websocket;
    lq_forwarded forwarded;
    lq_err ignored;
    lq_conn *c;
    int err;

    (void)lq_exchange_forwarded(x, &forwarded, &ignored);
    err = lq_websocket_init(w, ss, &spec->limits, &a->deflate);
    if (err == 0) err = lq_exchange_detach(x, &c);
    if (err < 0) {
        lq_connection_drop(lq_vm_of(L), o->connection);
        lq_mem_free(o);
        return err;
    }
    set_peer(c, &forwarded);
    err = write_answer(c, a);
    lq_websocket_open(w, ss, &spec->session, c, true);
    if (err < 0) lq_session_cut(&w->session, LQ_END_ERROR);
    return 0;
}

/* handle(req) -> nil | response. Upvalue 1: the spec. */
static int handle(lua_State *L)
{
    lq_exchange *x = lq_check_request(L, 1);
    lq_connection_spec *spec = lua_touserdata(L, lua_upvalueindex(1));
    const char *why = NULL;
    agreement a;
    opening *o;
    int err, status;

    lua_settop(L, 1);
    if (!lq_vm_of(L)->connections)
        return luaL_error(L, "aq.websocket works in workers");
    status = agree(L, x, spec, &a, &why);
    if (status) return push_refusal(L, status, why);
    luaL_checkstack(L, LUA_MINSTACK, NULL);
    lua_pushvalue(L, lua_upvalueindex(1));
    o = new_opening(L, lq_push_connection(L, 2));
    err = o ? take(L, x, spec, &a, o) : -ENOMEM;
    if (err == -ENOMEM) return luaL_error(L, "not enough memory");
    if (err < 0)
        return push_refusal(L, 400,
                            "another request is under way on this "
                            "connection, or a body");
    return run_open(L, o);
}

/* ---- the module ---------------------------------------------------------- */

/* websocket.new{ max_message, max_buffered, quiet, deflate, context_takeover,
 * window_bits, protocols, origins, open, message, drain, close } -> handle,
 * spec; all of it has been checked. */
static int websocket_new(lua_State *L)
{
    lq_connection_spec *spec;

    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    spec = lq_push_connection_spec(L, 1, &lq_websocket_kind);
    spec->deflates = lq_boolean_field(L, 1, "deflate");
    spec->deflate_cfg.context_takeover =
        lq_boolean_field(L, 1, "context_takeover");
    spec->deflate_cfg.window_bits = (int)lq_integer_field(L, 1, "window_bits");
    lua_pushvalue(L, 2);
    lua_pushcclosure(L, handle, 1);
    lua_insert(L, 2);
    return 2;
}

/* websocket.stats(spec) -> table */
static int websocket_stats(lua_State *L)
{
    lq_push_connection_stats(L, luaL_checkudata(L, 1, LQ_CONNECTION_SPEC_TYPE));
    return 1;
}

static const luaL_Reg functions[] = {
    {"new", websocket_new},
    {"stats", websocket_stats},
    {NULL, NULL},
};

int luaopen_luaqueduct_core_websocket(lua_State *L)
{
    lq_connection_push_types(L);
    luaL_newlib(L, functions);
    return 1;
}

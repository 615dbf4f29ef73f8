/* connection.h - WebSockets and TCP connections as Lua sees them.
 *
 * A userdata with the session inside. Each callback of the app runs in a task
 * of its own: `open`, then a `message` at a time, `close` when all of them are
 * over. An idle connection has no task.
 *
 * Owns:    the userdata, anchored in the registry until `close` has run. A
 *          spec: the app's functions, for the sessions of one route or
 *          listener.
 * Thread:  that of the state.
 * Life:    all of a state's: new -> ... -> cut -> close -> free. A connection:
 *          push -> open -> (message)* -> close -> released; a handle that an
 *          app keeps says that it is closed.
 * Knows:   session, task.
 */
#ifndef LQ_CONNECTION_H
#define LQ_CONNECTION_H

#include <lua.h>

#include "http/ws_handshake.h"
#include "lua/task.h"
#include "net/tcp.h"
#include "net/websocket.h"

#define LQ_CONNECTION_TYPE "luaqueduct.Connection"
#define LQ_CONNECTION_SPEC_TYPE "luaqueduct.ConnectionSpec"

typedef struct lq_connections lq_connections;
typedef struct lq_connection lq_connection;

/* The app's functions: references in the registry, LUA_NOREF: there is none. */
typedef enum lq_callback {
    LQ_CALLBACK_OPEN,
    LQ_CALLBACK_MESSAGE,
    LQ_CALLBACK_DRAIN,
    LQ_CALLBACK_CLOSE,
    LQ_CALLBACKS,
} lq_callback;

/* A userdata; anchored while it has connections. */
typedef struct lq_connection_spec {
    lq_session_cfg session;
    lq_framing framing; /* of TCP */
    lq_ws_limits limits;
    lq_ws_deflate_cfg deflate_cfg;
    bool deflates;
    int callbacks[LQ_CALLBACKS];
    int protocols; /* a list in the registry; LUA_NOREF: none */
    int origins;
    int ref;
    size_t count;
} lq_connection_spec;

/* For a worker whose net is open; they end before it. NULL: no memory. */
lq_connections *lq_connections_new(lq_vm *vm, lq_net *net) LQ_MUST_CHECK;
/* Nothing is left of them; NULL is allowed. */
void lq_connections_free(lq_connections *cs);

/* They end as the worker goes, spread over so many ms; 0: now. A message that
 * is being handled is finished before. */
void lq_connections_leave(lq_connections *cs, uint64_t within_ms);
/* They are cut, and what handles a message is cancelled; `close` still runs. */
void lq_connections_cut(lq_connections *cs);
/* ... and nothing runs any more. */
void lq_connections_close(lq_connections *cs);
/* Whether every `close` has run. */
bool lq_connections_are_over(const lq_connections *cs);
/* Called when that has become so, out of the loop or a task. */
void lq_connections_on_over(lq_connections *cs, void (*on_over)(void *data),
                            void *data);

/* Whether some of them subscribe to the topic of that number. NULL: no. */
bool lq_connections_have(const lq_connections *cs, uint32_t number);

/* A string was published on the topic of that number. */
void lq_connections_deliver(lq_connections *cs, uint32_t number, lq_str message,
                            bool is_binary);

/* Publishes to the connections of this worker that subscribe, but for
 * `except`. NULL: there are none. -ENOMEM. */
int lq_connections_publish(lq_connections *cs, lq_str topic, lq_str message,
                           bool is_binary,
                           const lq_session *except) LQ_MUST_CHECK;

/* ---- for lib_websocket.c and listening.c -------------------------------- */

/* Pushes a spec, with what the table at i says: the callbacks, max_message,
 * max_buffered, quiet (seconds). Raises. */
lq_connection_spec *lq_push_connection_spec(lua_State *L, int i,
                                            const lq_session_kind *kind);

/* Pushes a connection of the spec at i, closed and anchored; raises for memory.
 */
lq_connection *lq_push_connection(lua_State *L, int i);
/* It was never opened: not anchored any longer. */
void lq_connection_drop(lq_vm *vm, lq_connection *c);

lq_sessions *lq_connections_sessions(lq_connections *cs);

/* The part of it that is to be opened. */
lq_websocket *lq_connection_websocket(lq_connection *c);
lq_tcp *lq_connection_tcp(lq_connection *c);

/* Behind the opening, as busy: `open` runs in a task of its own, if there is
 * one. */
void lq_connection_begin(lq_connection *c);
/* ... or the caller runs it, of a WebSocket: until opened() nothing else does.
 * Pushes the function and the connection, for which there must be room; false:
 * there is no such callback. */
bool lq_connection_push_open(lua_State *L, lq_connection *c);
void lq_connection_opened(lq_connection *c, bool has_failed);

/* The metatables, registered. */
void lq_connection_push_types(lua_State *L);

/* Pushes the spec's figures as a table. */
void lq_push_connection_stats(lua_State *L, const lq_connection_spec *spec);

#endif

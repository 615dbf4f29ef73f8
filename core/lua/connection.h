/* connection.h - WebSockets and TCP connections as Lua sees them.
 *
 * A userdata with the session inside. Each callback of the app runs in a task
 * of its own: `open`, then a `message` at a time, `close` when all of them are
 * over. An idle connection has no task.
 *
 * Owns:    the userdata, anchored in the registry until `close` has run.
 * Thread:  that of the state.
 * Life:    all of a state's: new -> ... -> cut -> close -> free. A connection:
 *          push -> open -> (message)* -> close -> released; a handle that an
 *          app keeps says that it is closed.
 * Knows:   connection_spec, session, task.
 */
#ifndef LQ_CONNECTION_H
#define LQ_CONNECTION_H

#include <lua.h>

#include "http/ws_handshake.h"
#include "lua/connection_spec.h"
#include "lua/task.h"
#include "net/tcp.h"
#include "net/websocket.h"

#define LQ_CONNECTION_TYPE "luaqueduct.Connection"

typedef struct lq_connections lq_connections;
typedef struct lq_connection lq_connection;

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

/* ---- for lib_websocket.c and listening.c --------------------------------- */

/* Pushes a connection of the spec at i, closed and anchored; raises for memory.
 */
lq_connection *lq_push_connection(lua_State *L, int i);
/* It was never opened: not anchored any longer. */
void lq_connection_drop(lq_vm *vm, lq_connection *c);

lq_sessions *lq_connections_sessions(lq_connections *cs);

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

/* Lets the sessions of `cfg` call what this file has for them. */
void lq_connection_serve(lq_session_cfg *cfg);

#endif

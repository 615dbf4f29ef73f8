/* connection_spec.h - what an app says of the connections of one route or one
 * listener: its functions and their limits.
 *
 * Owns:    references to the functions, in the registry.
 * Thread:  that of the state.
 * Life:    a userdata: push -> ... -> collected. It anchors itself while it has
 *          connections.
 * Knows:   session.
 */
#ifndef LQ_CONNECTION_SPEC_H
#define LQ_CONNECTION_SPEC_H

#include <lua.h>

#include "http/ws_decoder.h"
#include "http/ws_handshake.h"
#include "net/session.h"

#define LQ_CONNECTION_SPEC_TYPE "luaqueduct.ConnectionSpec"

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

/* Pushes a spec, with what the table at i says: the callbacks, max_message,
 * max_buffered, quiet (seconds). Raises. */
lq_connection_spec *lq_push_connection_spec(lua_State *L, int i,
                                            const lq_session_kind *kind);

/* Pushes the spec's figures as a table. */
void lq_push_connection_stats(lua_State *L, const lq_connection_spec *spec);

/* Registers the metatable. */
void lq_connection_spec_push_type(lua_State *L);

#endif

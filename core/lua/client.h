/* client.h - the fields of a request that tell who asks, and for whom.
 *
 * They are those of the connection, unless its peer is a proxy that is trusted
 * and tells others (forwarded.h). They are worked out whenever they are read:
 * who does not ask pays nothing.
 *
 * Owns:    nothing.
 * Thread:  that of the state.
 * Knows:   exchange, forwarded, task.
 */
#ifndef LQ_CLIENT_H
#define LQ_CLIENT_H

#include <lua.h>

#include "net/exchange.h"

/* req.remote_address, a string */
void lq_push_remote_address(lua_State *L, const lq_exchange *x);

/* req.remote_port, nil when it is not known */
void lq_push_remote_port(lua_State *L, const lq_exchange *x);

/* req.scheme, "http" or "https" */
void lq_push_scheme(lua_State *L, const lq_exchange *x);

/* req.host, nil when there is none */
void lq_push_host(lua_State *L, const lq_exchange *x);

#endif

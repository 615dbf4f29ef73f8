/* publish.h - a value of Lua on its way to those that subscribe to its topic.
 *
 * Owns:    nothing; it packs into vm->packed.
 * Thread:  that of the state.
 * Knows:   hub, pack, connection.
 */
#ifndef LQ_PUBLISH_H
#define LQ_PUBLISH_H

#include <lua.h>

#include "hub/hub.h"
#include "lua/vm.h"
#include "net/session.h"

/* The value at i, packed; lent until the next one. Raises for what cannot be
 * packed, and for memory. */
lq_str lq_pack_message(lua_State *L, int i);

/* Publishes the value at i through the hub; a string goes to the connections of
 * this worker that subscribe, too, but not to `except` (NULL: to all). `how`:
 * of lq_hub_how. Returns for how many others it was queued. Raises as
 * lq_pack_message does. */
int lq_publish(lua_State *L, lq_str topic, int i, unsigned how,
               const lq_session *except);

#endif

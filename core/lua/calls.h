/* calls.h - the calls of services that a state makes.
 *
 * A call is a message to one member of the hub and another one back. What it
 * waits for is looked at again whenever a service comes or goes, so that none
 * waits for somebody who has died.
 *
 * Owns:    the calls under way.
 * Thread:  that of the state.
 * Life:    new -> (call | cast | take)* -> free, when the tasks are
 *          over.
 * Knows:   call_wire, task, hub.
 */
#ifndef LQ_CALLS_H
#define LQ_CALLS_H

#include "hub/hub.h"
#include "lua/vm.h"

typedef struct lq_calls lq_calls;

/* NULL: no memory. */
lq_calls *lq_calls_new(lq_vm *vm) LQ_MUST_CHECK;
/* NULL is allowed. */
void lq_calls_free(lq_calls *c);

/* A reply; or an empty note: services have come or gone. */
void lq_calls_take(lq_calls *c, const lq_note *note);

/* Whether the note is one for the caller: a reply, or empty. */
bool lq_calls_are_meant(const lq_note *note);

/* calls.call(name, timeout, method, ...) -> any | nil, error: waits */
int lq_calls_call(lua_State *L);
/* calls.cast(name, method, ...) -> true | nil, error */
int lq_calls_cast(lua_State *L);

#endif

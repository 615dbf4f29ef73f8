/* calls.h - calls of services: those that this state makes, and, in a service,
 * those that it answers.
 *
 * A call is a message to one member of the hub and another one back. What it
 * waits for is looked at again whenever a service comes or goes, so that none
 * waits for somebody who has died.
 *
 * Owns:    the calls under way, and the queue of a service.
 * Thread:  that of the state.
 * Life:    new -> (call | serve | take | check)* -> free, when the tasks are
 *          over.
 * Knows:   task, pack, hub.
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

/* From now on it answers: with the functions of the table on top of L, which is
 * popped; at most `queue` calls wait. */
void lq_calls_serve(lq_calls *c, lua_State *L, size_t queue,
                    bool is_concurrent);

/* A note on topic 0. */
void lq_calls_take(lq_calls *c, const lq_sender *from, const lq_note *note);

/* A service that ends: on_idle comes, once, when no call is answered or waits
 * any more, at once if so. */
void lq_calls_drain(lq_calls *c, void (*on_idle)(void *data), void *data);

/* calls.call(name, timeout, method, ...) -> any | nil, error: waits */
int lq_calls_call(lua_State *L);
/* calls.cast(name, method, ...) -> true | nil, error */
int lq_calls_cast(lua_State *L);

#endif

/* subscription.h - what the app does with messages of the hub: one queue and
 * one task at a time for each function that has subscribed.
 *
 * Owns:    the subscriptions of one state, and what waits in their queues.
 * Thread:  that of the state.
 * Life:    new -> (push_new | deliver | run)* -> close -> free, when the state
 * is closed. Knows:   task, pack, hub.
 */
#ifndef LQ_SUBSCRIPTION_H
#define LQ_SUBSCRIPTION_H

#include "hub/hub.h"
#include "lua/vm.h"

typedef struct lq_subscriptions lq_subscriptions;

/* NULL: no memory. */
lq_subscriptions *lq_subscriptions_new(lq_vm *vm) LQ_MUST_CHECK;
/* NULL is allowed. */
void lq_subscriptions_free(lq_subscriptions *ss);

/* No task begins any more. */
void lq_subscriptions_close(lq_subscriptions *ss);

/* For lq_hub_member_cfg, with `data` a lq_subscriptions. */
bool lq_subscriptions_deliver(void *data, const lq_sender *from,
                              const lq_note *note);
void lq_subscriptions_run(void *data);

/* Pushes the handle of a new one: `fn` (an index) is called with each value and
 * who has sent it. Raises without memory. */
void lq_subscriptions_push_new(lua_State *L, lq_str topic, int fn);

size_t lq_subscriptions_count(const lq_subscriptions *ss);

/* The metatable of handles, on top of L. */
void lq_subscriptions_push_type(lua_State *L);

#endif

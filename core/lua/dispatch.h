/* dispatch.h - requests in, handlers in tasks, responses out.
 *
 * Owns:    the handlers of the app in one state, and what Lua has registered
 *          for the slow paths.
 * Thread:  that of the state.
 * Life:    init -> set (from Lua) -> requests -> fini.
 * Knows:   task, json, net.
 */
#ifndef LQ_DISPATCH_H
#define LQ_DISPATCH_H

#include "lua/vm.h"
#include "net/exchange.h"

typedef struct lq_dispatch lq_dispatch;

/* -ENOMEM. */
int lq_dispatch_init(lq_dispatch **out, lq_vm *vm) LQ_MUST_CHECK;
void lq_dispatch_fini(lq_dispatch *d);

/* For lq_net_cfg. */
void lq_dispatch_request(lq_dispatch *d, lq_exchange *x);
void lq_dispatch_body(lq_exchange *x);
void lq_dispatch_drain(lq_exchange *x);
void lq_dispatch_cancel(lq_exchange *x, bool timed_out);

#endif

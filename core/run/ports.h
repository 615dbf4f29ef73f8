/* ports.h - what the apps of a runtime listen on.
 *
 * One socket for each address that is asked for, for all workers, and for all
 * generations that ask for it. It is bound when the first one asks, listens
 * when a generation accepts, and is closed when no worker of any generation
 * that serves wants it any more. The guard has it, too, for the next runtime
 * (run/keep); without a guard that is here.
 *
 * Owns:    its descriptors of the sockets.
 * Thread:  take, leave, release, listen_on - any. Everything else the main
 *          thread's.
 * Life:    new -> (take | leave | release)*, listen, gate, forget, shut ->
 *          free, when all workers have been joined. A port lives until it is
 *          wanted by nobody and released by all who took it.
 * Knows:   keep, ask, sockets; lua's lq_listen_spec.
 */
#ifndef LQ_PORTS_H
#define LQ_PORTS_H

#include "base/err.h"
#include "lua/vm.h"
#include "run/sockets.h"

typedef struct lq_ports lq_ports;
typedef struct lq_port lq_port;
struct lq_crew;

typedef struct lq_ports_cfg {
    const lq_sockets *sockets; /* whose addresses are taken; borrowed */
    int guard_fd; /* of lq_ask_pair; taken; -1: there is no guard */
    int workers;
    bool share_port;
} lq_ports_cfg;

/* Who wants a port: a worker, by the crew of its generation and its place. What
 * the place wants outlasts it; a successor takes that over. */
typedef struct lq_ports_user {
    const struct lq_crew *crew;
    int index; /* from 0 */
    int restarts;
} lq_ports_user;

/* -ENOMEM, or libuv's codes: the descriptor is still the caller's. */
int lq_ports_new(lq_ports **out, const lq_ports_cfg *cfg) LQ_MUST_CHECK;
/* Everything is released. NULL is allowed. */
void lq_ports_free(lq_ports *p);

/* Gives the port for `spec`, which the user wants from now on; `ordinal`: how
 * often this worker has asked for a free port of the address before. Waits for
 * the guard, LQ_ASK_MS at most. Every take is to be followed by a release. */
LQ_ANY_THREAD int lq_ports_take(lq_ports *p, const lq_listen_spec *spec,
                                int ordinal, const lq_ports_user *user,
                                lq_port **out, lq_err *err) LQ_MUST_CHECK;

/* The worker does not want it any more, unless another one has its place. */
LQ_ANY_THREAD void lq_ports_leave(lq_ports *p, lq_port *port,
                                  const lq_ports_user *user);

/* Who has taken it does not use it any more. */
LQ_ANY_THREAD void lq_ports_release(lq_ports *p, lq_port *port);

/* From now on connections are taken on it, if they are not already. */
LQ_ANY_THREAD int lq_ports_listen_on(const lq_port *port,
                                     lq_err *err) LQ_MUST_CHECK;

/* Constant. The descriptor is lent until release. */
int lq_port_fd(const lq_port *port);
int lq_port_number(const lq_port *port);    /* from 1; each has its own */
uint16_t lq_port_real(const lq_port *port); /* of TCP */

/* All that workers of `crew` want: the generation is about to accept. Returns
 * -errno. */
int lq_ports_listen(lq_ports *p, const struct lq_crew *crew,
                    lq_err *err) LQ_MUST_CHECK;

/* As lq_sockets_gate does it, no connection begins any more on what `crew` does
 * not want, as it is to be forgotten. */
void lq_ports_gate(lq_ports *p, const struct lq_crew *crew);

/* Nobody of `crew` accepts any more: what only it wants is closed. */
void lq_ports_forget(lq_ports *p, const struct lq_crew *crew);

/* All of it is another runtime's from now on: nothing is gated or shut here,
 * and nobody can take any. */
void lq_ports_hand_over(lq_ports *p);

/* The end begins: no connection begins any more, and nobody can take any. */
void lq_ports_end(lq_ports *p);

#endif

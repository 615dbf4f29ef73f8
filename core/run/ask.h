/* ask.h - how the runtime asks its guard for sockets to listen on.
 *
 * A pair of sockets that keeps messages apart: a question goes to the guard, an
 * answer comes back, with the socket. The guard's end does not wait.
 *
 * Owns:    nothing.
 * Thread:  port - one at a time; drop - any, also meanwhile. answer - the
 *          guard.
 * Knows:   keep, libc.
 */
#ifndef LQ_ASK_H
#define LQ_ASK_H

#include "run/keep.h"

enum { LQ_ASK_MS = 5000 }; /* the guard's time for an answer */

/* Both ends are closed on exec and do not block. -errno. */
int lq_ask_pair(int fds[2]) LQ_MUST_CHECK;

/* Waits for the socket for `key`, which becomes the caller's. `number` tells
 * this question from earlier ones. Returns the socket, -errno with which the
 * guard could not bind it, LQ_ETIMEOUT, or -EPIPE: there is no guard. */
int lq_ask_port(int fd, const lq_keep_key *key, int number) LQ_MUST_CHECK;

/* Nobody listens on it any more. */
void lq_ask_drop(int fd, const lq_keep_key *key);

/* Answers all questions that wait. Returns -EPIPE when the runtime has gone. */
int lq_ask_answer(int fd, lq_keep *keep) LQ_MUST_CHECK;

#endif

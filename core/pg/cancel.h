/* cancel.h - asks the server to give up what one of its backends does.
 *
 * A connection of its own carries 16 bytes (protocol 3.0, CancelRequest); the
 * server closes it when it has passed the request on.
 *
 * Owns:    its socket.
 * Thread:  owner loop.
 * Life:    start -> on_done or stop, or nothing after leave; it frees itself.
 * Knows:   base, loop.
 */
#ifndef LQ_PG_CANCEL_H
#define LQ_PG_CANCEL_H

#include "loop/loop.h"

typedef struct lq_pg_cancel lq_pg_cancel;

/* To where `fd` is connected to. on_done comes out of the loop, when the other
 * side has closed or something has failed: what is cancelled and what is not
 * shows elsewhere. -errno: nothing follows. */
int lq_pg_cancel_start(lq_pg_cancel **out, lq_loop *loop, int fd,
                       const uint32_t key[2], void (*on_done)(void *),
                       void *data) LQ_MUST_CHECK;

/* The same for a connection that is closed behind it: nobody waits for this
 * one, which takes half a second at most. *pending is one more until it is
 * freed. What cannot be asked for is not. */
void lq_pg_cancel_leave(lq_loop *loop, int fd, const uint32_t key[2],
                        size_t *pending);

/* on_done does not follow. NULL is allowed. */
void lq_pg_cancel_stop(lq_pg_cancel *c);

#endif

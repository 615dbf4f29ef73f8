/* listener.h - accepts on one listening socket.
 *
 * uv_poll and accept4 instead of uv_listen, whose way out of a full
 * descriptor table drops connections.
 *
 * Owns:    the poll handle. The socket is borrowed from the main thread.
 * Thread:  owner loop.
 * Life:    open -> (start | stop)* -> close -> on_closed.
 * Knows:   base, loop.
 */
#ifndef LQ_LISTENER_H
#define LQ_LISTENER_H

#include <sys/socket.h>

#include "loop/loop.h"

typedef struct lq_listener lq_listener;

struct lq_listener {
    uv_poll_t poll;
    lq_loop *loop;
    lq_timer retry; /* after the descriptor table was full */
    int fd;
    bool is_started;
    /* Takes an accepted, non-blocking socket. May stop the listener. */
    void (*on_accept)(lq_listener *, int fd, const struct sockaddr_storage *);
    void (*on_closed)(lq_listener *);
    /* Asked before each accept; NULL: always. When it says no, what waits
     * stays in the kernel's queue for a while. To be set after open. */
    bool (*can_accept)(const lq_listener *);
    /* Told whenever the system refuses: -EMFILE or the like. What waits stays
     * where it is for a while. NULL: nobody. To be set after open. */
    void (*on_pause)(lq_listener *, int err);
    void *data;
};

/* Borrows `fd`, which must stay open until on_closed. */
int lq_listener_open(lq_listener *l, lq_loop *loop, int fd,
                     void (*on_accept)(lq_listener *, int,
                                       const struct sockaddr_storage *),
                     void *data) LQ_MUST_CHECK;

/* Accepts from now on; both may be called in any state. */
int lq_listener_start(lq_listener *l);
void lq_listener_stop(lq_listener *l);

/* Accepts all that waits now, before a stop. */
void lq_listener_sweep(lq_listener *l);

void lq_listener_close(lq_listener *l, void (*on_closed)(lq_listener *));

#endif

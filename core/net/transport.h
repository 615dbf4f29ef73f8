/* transport.h - how a connection reaches its socket.
 *
 * A table of functions, so that another transport (TLS) finds its place
 * without a branch in conn.c.
 *
 * Owns:    nothing; the descriptor belongs to the connection.
 * Thread:  owner loop.
 * Knows:   base, libc.
 */
#ifndef LQ_TRANSPORT_H
#define LQ_TRANSPORT_H

#include <sys/types.h>

#include "base/defs.h"

typedef struct lq_transport {
    /* Bytes moved, 0 at the end of what the peer sends (read only), or
     * -errno; -EAGAIN when the socket would block. Neither waits. */
    ssize_t (*read)(int fd, void *bytes, size_t len);
    ssize_t (*write)(int fd, const void *bytes, size_t len);
    /* Ends our direction; what was written goes out first. */
    void (*finish)(int fd);
    /* The close that follows is no end in order: the peer can tell. */
    void (*reset)(int fd);
} lq_transport;

/* A bare socket, TCP or unix. */
extern const lq_transport lq_transport_plain;

#endif

/* arrival.h - a connection that has been accepted, on its way to the worker
 * that serves it.
 *
 * Owns:    nothing; whoever has it has the socket.
 * Thread:  none; it is copied from one to the other.
 * Knows:   libc.
 */
#ifndef LQ_ARRIVAL_H
#define LQ_ARRIVAL_H

#include <sys/socket.h>

typedef struct lq_arrival {
    int fd;     /* does not block */
    int number; /* of what the app listens on (run/ports); 0: it is HTTP */
    struct sockaddr_storage peer;
} lq_arrival;

#endif

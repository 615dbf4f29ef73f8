/* clients.h - the sockets of a worker's connections, for somebody else to shut.
 *
 * A worker that is stuck in a C function is given up by the main thread, and
 * its clients are told so: their sockets are shut, which leaves them open for
 * the thread that has them, should it ever come back.
 *
 * Owns:    a list of descriptors, which are the worker's.
 * Thread:  add, remove - the worker. abandon, close - main thread.
 * Life:    init -> (add | remove)* -> abandon? -> close? -> fini, when the
 *          worker has been joined.
 * Knows:   base, uv.
 */
#ifndef LQ_CLIENTS_H
#define LQ_CLIENTS_H

#include <uv.h>

#include "base/defs.h"

typedef struct lq_clients {
    uv_mutex_t lock;
    /* Guarded by lock. */
    uint8_t *has; /* a bit for each descriptor */
    int cap;      /* bits */
    int count;
    bool is_abandoned;
} lq_clients;

/* Returns libuv's codes. */
int lq_clients_init(lq_clients *c) LQ_MUST_CHECK;
void lq_clients_fini(lq_clients *c);

/* A connection begins. Returns -ENOMEM, or LQ_ECLOSED after abandon. */
int lq_clients_add(lq_clients *c, int fd) LQ_MUST_CHECK;
/* It is over; before its descriptor is closed. Returns false after abandon:
 * it is not counted any more. */
bool lq_clients_remove(lq_clients *c, int fd);

bool lq_clients_is_abandoned(lq_clients *c);

/* Shuts them all, once. Returns how many there were. */
int lq_clients_abandon(lq_clients *c);

/* After abandon: closes them. The worker's thread has ended and left them. */
void lq_clients_close(lq_clients *c);

#endif

/* sockets.h - the listening sockets of the runtime.
 *
 * For TCP one SO_REUSEPORT socket for each worker, so that the kernel spreads
 * connections; for a unix socket one for all. They are bound at once and
 * listen only when told: until then the port refuses connections. Those that
 * are given listen already, are one for all, and stay their giver's: they are
 * closed and nothing else.
 *
 * Unless the port is to be shared, nobody else may have it: that is looked at
 * before binding and once more before listening, as two runtimes that start
 * side by side see each other only then.
 *
 * Owns:    the descriptors, and the file of a unix socket that it has bound.
 * Thread:  main thread; fd, count, is_shared, have and url are read by workers.
 * Life:    open -> listen -> gate -> shut -> close; close may come at any
 * point. Knows:   base, listen_url, libc.
 */
#ifndef LQ_SOCKETS_H
#define LQ_SOCKETS_H

#include <sys/socket.h>

#include "base/err.h"

typedef struct lq_sockets lq_sockets;

typedef struct lq_sockets_cfg {
    const int *given; /* sockets that listen; taken */
    size_t given_count;
    const char *const *urls; /* copied */
    size_t url_count;
    int workers;
    bool share_port;
} lq_sockets_cfg;

/* Binds every URL. `err` tells which one failed and why. Returns LQ_EINVALID
 * for a URL, else -errno; then nothing stays bound. */
int lq_sockets_open(lq_sockets **out, const lq_sockets_cfg *cfg,
                    lq_err *err) LQ_MUST_CHECK;

/* From now on connections are taken, if they are not already. Returns -errno:
 * the caller closes. */
int lq_sockets_listen(lq_sockets *s, lq_err *err) LQ_MUST_CHECK;

/* No new connection comes any more, as far as the system can do that: what
 * waits can be accepted without loss. A client that comes now tries again until
 * it is refused. Not those that are given. */
void lq_sockets_gate(lq_sockets *s);

/* Connections are refused again, but on those that are given; the descriptors
 * stay open, for other threads may still have them in their poll sets. */
void lq_sockets_shut(lq_sockets *s);

/* How many listeners there are: one for each that is given, then one for each
 * URL. */
size_t lq_sockets_count(const lq_sockets *s);

/* Lends the socket of `listener` for a worker (both from 0). */
int lq_sockets_fd(const lq_sockets *s, size_t listener, int worker);

/* Whether all workers have the same socket. */
bool lq_sockets_is_shared(const lq_sockets *s, size_t listener);

/* Whether one of them has the address. No byte of it may be undefined. */
bool lq_sockets_have(const lq_sockets *s,
                     const struct sockaddr_storage *address, socklen_t len);

/* As it stands in the ready line, with the real port; lent until close. */
const char *lq_sockets_url(const lq_sockets *s, size_t listener);

/* From now on the files of unix sockets are another process's. */
void lq_sockets_leave_files(lq_sockets *s);

/* Removes the files of unix sockets that are still ours: for a process that
 * leaves the rest to the kernel, as threads still use it. */
void lq_sockets_unlink(const lq_sockets *s);

/* The same, and everything is closed. NULL is allowed. */
void lq_sockets_close(lq_sockets *s);

#endif

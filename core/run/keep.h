/* keep.h - the sockets that apps listen on, where they outlive the runtime.
 *
 * They are known by what was asked for, so that the next runtime, whose app
 * asks for the same, finds the same sockets, which have never been closed.
 *
 * Owns:    the sockets.
 * Thread:  whoever has it: the guard, or without one the runtime (run/ports).
 * Life:    init -> (get | drop | begin | settle)* -> fini.
 * Knows:   base, tcp_socket.
 */
#ifndef LQ_KEEP_H
#define LQ_KEEP_H

#include <sys/socket.h>

#include "base/err.h"
#include "base/list.h"

/* What is asked for. No byte of it is left undefined, as all of them are
 * compared. */
typedef struct lq_keep_key {
    struct sockaddr_storage address;
    socklen_t len;
    int ordinal; /* among those that ask for any port of the address; from 0 */
} lq_keep_key;

typedef struct lq_keep {
    lq_list sockets;
    int round;
    bool is_shared;
} lq_keep;

/* `share`: other processes may listen on the same ports (--share-port). */
void lq_keep_init(lq_keep *k, bool share);
void lq_keep_fini(lq_keep *k);

/* Lends the socket for `key`, bound, new or not. Returns it, or -errno. */
int lq_keep_get(lq_keep *k, const lq_keep_key *key) LQ_MUST_CHECK;

/* Closes it, if there is one. */
void lq_keep_drop(lq_keep *k, const lq_keep_key *key);

/* A new runtime asks from now on. Settle closes what it has not asked for. */
void lq_keep_begin(lq_keep *k);
void lq_keep_settle(lq_keep *k);

#endif

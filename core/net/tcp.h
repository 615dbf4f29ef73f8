/* tcp.h - TCP connections whose bytes are messages by their framing.
 *
 * Owns:    nothing beyond the session.
 * Thread:  owner loop.
 * Life:    as session.h.
 * Knows:   session, framing.
 */
#ifndef LQ_NET_TCP_H
#define LQ_NET_TCP_H

#include "net/session.h"

typedef struct lq_tcp {
    lq_session session;
    size_t scanned; /* framing.h */
} lq_tcp;

extern const lq_session_kind lq_tcp_kind;

/* `t` is all zero. Takes the connection, as lq_session_open does. */
void lq_tcp_open(lq_tcp *t, lq_sessions *ss, lq_session_cfg *cfg,
                 lq_framing framing, lq_conn *c, bool is_busy);

#endif

/* conn.h - one connection of a client.
 *
 * Owns:    the socket, its poll handle, bytes read and not parsed, bytes
 *          written and not sent, the exchanges under way.
 * Thread:  owner loop.
 * Life:    open -> ... -> cut or ended -> on_closed, in which it is freed.
 *          HTTP: read, parse, exchanges, flush. DETACHED: raw bytes for
 *          whoever holds it. LINGER: everything is sent, what still comes is
 *          thrown away for a while, so that the client can read the answer.
 * CLOSING: the handle closes. Knows:   base, http, loop, net.
 *
 * The struct stands here because exchange.c and stream.c are parts of the
 * same room and work on it.
 */
#ifndef LQ_CONN_H
#define LQ_CONN_H

#include <sys/socket.h>

#include "base/address.h"
#include "base/buf.h"
#include "base/list.h"
#include "loop/wheel.h"
#include "net/net.h"
#include "net/transport.h"

typedef enum lq_conn_state {
    LQ_CONN_HTTP,
    LQ_CONN_DETACHED,
    LQ_CONN_LINGER,
    LQ_CONN_CLOSING,
} lq_conn_state;

struct lq_conn {
    uv_poll_t poll;
    lq_net *net;
    const lq_transport *transport;
    lq_list link;  /* of net->conns */
    lq_list dirty; /* of net->dirty */
    lq_wheel_entry deadline;
    lq_list exchanges;    /* in request order */
    lq_exchange *origin;  /* detached: whose handler still runs */
    lq_exchange *parsing; /* the last one, while its request is incomplete */
    lq_buf *in;           /* read and not parsed; NULL: nothing */
    lq_buf *out;          /* written and not sent; NULL: nothing */
    union {
        void *holder;            /* of a detached connection */
        uint64_t linger_till_ms; /* while it lingers */
    };
    uint64_t since_ms; /* when the state of the deadline began */
    int fd;
    lq_conn_state state;
    uint8_t exchange_count;
    uint8_t events;      /* what the poll handle waits for */
    bool is_blocked;     /* the socket takes no more of the output */
    bool has_more;       /* bytes behind the request that is being answered */
    bool is_corked;      /* a callback is at work: it flushes at its end */
    bool is_refused;     /* no further request is parsed */
    bool has_eof;        /* the peer has ended its direction */
    bool ends_when_sent; /* behind the last byte of the output */
    bool is_kept;        /* a request has been answered before */
    bool reads_stream;   /* detached: the holder wants bytes */
    int error;           /* detached: why it is over */
    lq_address peer;
};

/* Takes `fd`, an accepted non-blocking socket, also on failure. */
int lq_conn_open(lq_net *net, int fd, const struct sockaddr_storage *peer);

/* Sends what is to be sent. */
void lq_conn_flush(lq_conn *c);
/* ... at the end of this turn, or of the callback at work. */
void lq_conn_flush_later(lq_conn *c);

/* Closes at once; exchanges under way lose their client. */
void lq_conn_cut(lq_conn *c);
/* Closes behind the bytes in the output. */
void lq_conn_end(lq_conn *c);
/* The worker drains: an idle connection ends, unless it is new: false. */
bool lq_conn_drain(lq_conn *c);

/* For net.c: what the loop calls for the entry `deadline`. */
void lq_conn_on_deadline(lq_wheel_entry *entry);

/* For exchange.c. The first exchange may be over: promote the next. */
void lq_conn_advance(lq_conn *c);
/* Go on parsing what was left, and reading. */
void lq_conn_resume(lq_conn *c);
/* No further request is parsed on it. */
void lq_conn_refuse(lq_conn *c);
/* What the poll handle and the deadline are to wait for now. */
void lq_conn_update(lq_conn *c);

/* The buffer for output; NULL when there is no memory. */
lq_buf *lq_conn_out(lq_conn *c);
size_t lq_conn_unsent(const lq_conn *c);
/* ... and the answers behind it, of handlers that were quicker. */
size_t lq_conn_queued(const lq_conn *c);

#endif

/* conn.h - one connection of a client.
 *
 * Owns:    the socket, its poll handle, bytes read and not parsed, bytes
 *          written and not sent, the exchanges under way.
 * Thread:  owner loop.
 * Life:    open -> ... -> cut or ended -> on_closed, in which it is freed.
 *          HTTP: read, parse, exchanges, flush. DETACHED: bytes for its
 *          holder. LINGER: everything is sent, what still comes is
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

/* Who has a detached connection. Embedded by value; the connection borrows it
 * until its holder gives it up, or it is over. */
typedef struct lq_holder lq_holder;
typedef struct lq_holder_ops {
    /* Bytes have come and none wait in c->in; returns how many were used, the
     * rest is kept there. It may change them. NULL: all are kept. */
    size_t (*on_bytes)(lq_conn *c, char *bytes, size_t len);
    /* Bytes wait in c->in, the peer has ended its direction, something was
     * sent, or it is over: CLOSING, for c->error. */
    void (*on_event)(lq_conn *c);
    /* c->due_ms has come. NULL: it is never set. */
    void (*on_due)(lq_conn *c);
    /* The handler that took the connection out of HTTP has failed. */
    void (*on_failure)(lq_conn *c);
} lq_holder_ops;

struct lq_holder {
    const lq_holder_ops *ops;
};

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
        lq_holder *holder;       /* of a detached connection; NULL: none */
        uint64_t linger_till_ms; /* while it lingers */
    };
    uint64_t since_ms; /* when the state of the deadline began */
    uint64_t due_ms;   /* detached: when its holder is to be told; 0: never */
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

/* The same for a socket that does not speak HTTP: it is detached from the
 * start. */
int lq_conn_open_raw(lq_conn **out, lq_net *net, int fd,
                     const struct sockaddr_storage *peer) LQ_MUST_CHECK;

/* Sends what is to be sent. */
void lq_conn_flush(lq_conn *c);
/* ... at the end of this turn, or of the callback at work. */
void lq_conn_flush_later(lq_conn *c);

/* For a holder, outside its callbacks, too: sends the bytes behind the output,
 * at once where that is empty, and keeps what the socket does not take. It may
 * be closing afterwards. -ENOMEM. */
int lq_conn_write(lq_conn *c, lq_str bytes) LQ_MUST_CHECK;

/* Of a detached connection: reads once, out of turn, what has come. It may be
 * closing afterwards. */
void lq_conn_look(lq_conn *c);

/* Sends what the socket takes of the output, and nothing else: also inside a
 * callback of the holder. It may be closing afterwards. */
void lq_conn_push(lq_conn *c);

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

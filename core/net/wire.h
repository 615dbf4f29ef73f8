/* wire.h - connections that we open: raw bytes out and in.
 *
 * It connects to one address. What was read stays in `in` until the holder
 * takes it, also behind an end or an error; above a mark reading stops until
 * the holder wants more. What is written goes out at the end of the turn.
 *
 * Owns:    lq_wires: all of one thread's. A wire: its socket, its poll handle,
 *          what has been read and not taken, what is written and not sent.
 * Thread:  owner loop.
 * Life:    wires: new -> wires come and go -> close, when nobody holds one.
 *          wire: connect -> (read | write)* -> end or cut. CONNECTING: until
 *          the socket answers. OPEN: bytes. ENDING: nobody holds it, what was
 *          written goes out. LINGER: all is sent, what still comes is thrown
 *          away for a while, so that nothing is lost in a reset. CLOSING: the
 *          handle closes, then it is freed.
 * Knows:   base, loop, transport.
 */
#ifndef LQ_WIRE_H
#define LQ_WIRE_H

#include <netinet/in.h>
#include <uv.h>

#include "base/buf.h"
#include "base/list.h"
#include "loop/loop.h"
#include "net/transport.h"

typedef struct lq_wires {
    lq_loop *loop;
    lq_list wires;   /* all but those that close */
    lq_list dirty;   /* to be flushed at the end of the turn */
    lq_list lookups; /* of dial.c: names under way */
    lq_turn turn;
    char *read_buf; /* valid within one callback */
} lq_wires;

/* NULL: no memory. */
lq_wires *lq_wires_new(lq_loop *loop) LQ_MUST_CHECK;

/* Cuts all wires; their handles close with the loop. Waits for names that are
 * just being looked up. NULL is allowed. */
void lq_wires_close(lq_wires *ws);

/* The thread has ended without closing anything: the other sides are told, the
 * rest stays. Any thread that has joined it. NULL is allowed. */
void lq_wires_shut(const lq_wires *ws);

typedef union lq_socket_address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
} lq_socket_address;

typedef enum lq_wire_state {
    LQ_WIRE_CONNECTING,
    LQ_WIRE_OPEN,
    LQ_WIRE_ENDING,
    LQ_WIRE_LINGER,
    LQ_WIRE_CLOSING,
} lq_wire_state;

typedef struct lq_wire {
    uv_poll_t poll;
    lq_wires *all;
    const lq_transport *transport;
    lq_list link;
    lq_list dirty;
    lq_timer timer;     /* while it ends */
    uint64_t end_by_ms; /* ... at the latest */
    lq_buf in;
    lq_buf out;
    /* It is connected or has failed to; bytes or their end are there; what is
     * unsent has become little. Out of the loop; may end or cut the wire. */
    void (*on_event)(struct lq_wire *);
    void *holder; /* of whoever sets on_event */
    int fd;
    lq_wire_state state;
    uint8_t events;   /* what the poll handle waits for; 0: stopped */
    bool wants_more;  /* the holder waits for bytes */
    bool has_written; /* something has been sent */
    int read_error;   /* 0, or why nothing more comes: LQ_EEOF, -errno */
    int write_error;  /* 0, or why nothing more can be sent */
} lq_wire;

/* Begins to connect. Gives the wire: -errno, with no wire, when that is
 * impossible at once. An event follows. */
int lq_wire_connect(lq_wire **out, lq_wires *ws, const lq_socket_address *to,
                    void (*on_event)(lq_wire *), void *holder) LQ_MUST_CHECK;

/* Takes `len` bytes off the front of `in`. */
void lq_wire_take(lq_wire *w, size_t len);

/* Whether the holder waits for more than stands in `in`. */
void lq_wire_want(lq_wire *w, bool wants_more);

/* Copies the bytes; they go out at the end of the turn. Returns why they
 * cannot be sent, or -ENOMEM. */
int lq_wire_write(lq_wire *w, const void *bytes, size_t len) LQ_MUST_CHECK;

static inline size_t lq_wire_unsent(const lq_wire *w)
{
    return lq_buf_len(&w->out);
}

/* Gives the wire up: what was written goes out, then it closes. No event
 * follows. */
void lq_wire_end(lq_wire *w);

/* Closes at once; with a reset where bytes are unsent. No event follows. */
void lq_wire_cut(lq_wire *w);

#endif

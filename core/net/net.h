/* net.h - what all connections of one worker have in common.
 *
 * Owns:    the connections, a pool of exchanges and one of buffers, the read
 *          buffer that all connections share, the list of connections with
 *          something to write.
 * Thread:  owner loop, unless a line says otherwise.
 * Life:    open -> (connections come and go)* -> drain? -> close -> on_closed.
 * Knows:   base, http, loop, log. Not Lua: what is above is reached through
 * cfg.
 */
#ifndef LQ_NET_H
#define LQ_NET_H

#include "base/address.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/list.h"
#include "http/response.h"
#include "http/route.h"
#include "log/log.h"
#include "loop/loop.h"

typedef struct lq_conn lq_conn;
typedef struct lq_exchange lq_exchange;
typedef struct lq_net lq_net;

enum {
    LQ_NET_READ_SIZE = 64 * 1024,  /* bytes a read takes at most */
    LQ_NET_READ_AHEAD = 8 * 1024,  /* the same outside of bodies */
    LQ_NET_HIGH_WATER = 32 * 1024, /* unsent or unread: the other side waits */
    LQ_NET_LOW_WATER = 8 * 1024,   /* under this it goes on */
    LQ_NET_ID_CAP = 32,
    LQ_NET_PIPELINE = 64, /* requests of a connection at a time */
};

typedef struct lq_net_cfg {
    /* Milliseconds, 0: no limit. */
    uint64_t header_timeout_ms;
    uint64_t idle_timeout_ms;
    uint64_t body_timeout_ms;
    uint64_t write_timeout_ms;
    uint64_t request_timeout_ms;
    /* The peers that are believed what they say of the client. */
    lq_trust trust;
    /* Bytes, 0: no limit. */
    uint64_t header_limit;
    uint64_t body_limit;

    /* A request's head is there and has a route; the body, if any, may still
     * come. May answer before it returns. */
    void (*on_request)(lq_exchange *x);
    /* More of a body is there, or its end, or its failure. */
    void (*on_body)(lq_exchange *x);
    /* What stood unsent of a streamed answer has fallen under the mark. */
    void (*on_drain)(lq_exchange *x);
    /* The client left, or the request's time is up (`timed_out`): the handler
     * is to end; it must call lq_exchange_end or lq_exchange_abandon. */
    void (*on_cancel)(lq_exchange *x, bool timed_out);
    /* A connection is gone, all but its descriptor, which closes now. */
    void (*on_gone)(lq_net *net, int fd);
    int worker;               /* part of ids */
    const lq_log *access_log; /* borrowed; NULL: none */
    void *data;
} lq_net_cfg;

struct lq_net {
    /* Set by open, then constant. */
    lq_net_cfg cfg;
    lq_loop *loop;
    char id[LQ_NET_ID_CAP]; /* what the ids of its requests begin with */
    size_t id_len;
    uint64_t last_id;
    /* Set before the first connection. */
    const lq_router *router;

    lq_list conns;
    lq_list dirty; /* connections to be flushed at the end of the turn */
    lq_list free_exchanges;
    lq_list free_bufs;
    size_t conn_count;
    size_t free_exchange_count;
    size_t free_buf_count;
    bool is_draining;
    bool ends_idle; /* it drains, and not for one more request */
    lq_date date;
    lq_turn turn;
    void (*on_closed)(lq_net *);
    char *read_buf; /* LQ_NET_READ_SIZE bytes, valid within one callback */
};

/* Copies cfg. Returns -ENOMEM. */
int lq_net_open(lq_net *net, lq_loop *loop,
                const lq_net_cfg *cfg) LQ_MUST_CHECK;

/* What was written goes out now, for those whose turn is behind the net's. */
void lq_net_flush(lq_net *net);

/* Later answers say `Connection: close`; an idle connection stays for one more
 * request. */
void lq_net_retire(lq_net *net);

/* The same, and idle connections end now. What has arrived on them is still
 * answered. One that is so new that its first request may be under way has
 * LQ_NET_NEW_MS: true when there are such, and the caller comes again. */
enum { LQ_NET_NEW_MS = 200 };
bool lq_net_drain(lq_net *net);

/* Cuts every connection; on_closed follows when the last one is gone, at once
 * when there is none. */
void lq_net_close(lq_net *net, void (*on_closed)(lq_net *));

/* For conn.c: an empty buffer out of the pool, or NULL; and back. */
lq_buf *lq_net_buf(lq_net *net);
/* ... a new one: those of the pool may have grown large. */
lq_buf *lq_net_buf_small(void);
void lq_net_buf_release(lq_net *net, lq_buf *b);

/* For conn.c: a connection is gone. */
void lq_net_forget(lq_net *net, lq_conn *c);

#endif

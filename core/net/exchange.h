/* exchange.h - one request and its answer.
 *
 * The unit of work of a connection: made at a request's first byte, taken by
 * the handler at its head, over when both the request has been read (or given
 * up) and the answer stands in the connection's output.
 *
 * Owns:    the parser, the arena, the body received and not yet read, the
 *          answer while earlier requests are still unanswered.
 * Thread:  owner loop.
 * Life:    new -> HEAD -> RUNNING -> (STREAMING ->)? ANSWERED -> recycled.
 *          `handler_done` and `conn` decide when it may go: a client that
 *          leaves sets conn to NULL, and the exchange waits for its handler.
 * Knows:   base, http, loop, net.
 */
#ifndef LQ_EXCHANGE_H
#define LQ_EXCHANGE_H

#include "base/address.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/list.h"
#include "http/forwarded.h"
#include "http/parse.h"
#include "http/route.h"
#include "loop/timers.h"
#include "net/net.h"

typedef enum lq_exchange_state {
    LQ_EXCHANGE_HEAD,      /* the head is arriving */
    LQ_EXCHANGE_RUNNING,   /* a handler has it, nothing was answered */
    LQ_EXCHANGE_STREAMING, /* the answer's head is out */
    LQ_EXCHANGE_ANSWERED,  /* the answer is complete */
} lq_exchange_state;

struct lq_exchange {
    lq_net *net;
    lq_conn *conn; /* NULL: the client left, nothing is sent any more */
    uint64_t id;   /* counts the worker's requests */
    lq_list link;  /* of its connection, in request order; or of the pool */
    lq_exchange_state state;
    lq_address peer; /* once conn is NULL */
    lq_parser parser;
    lq_arena arena;
    lq_match match;

    /* The request's body. */
    lq_buf body;            /* received and not read */
    uint64_t body_received; /* bytes in all */
    uint64_t body_limit;    /* 0: none */
    uint64_t body_timeout_ms;
    int body_error;     /* 0, or why the body will not be complete */
    bool has_head;      /* route and limits are known */
    bool request_done;  /* nothing more of the request will come */
    bool wants_whole;   /* the handler waits for its end: no high water */
    bool sent_continue; /* 100 went out, or is not wanted */
    bool discards;      /* what comes of the body is thrown away */

    /* The answer. */
    lq_buf out;         /* while earlier ones are unanswered */
    bool close;         /* the connection ends behind this answer */
    uint16_t status;    /* 0: it has not begun */
    uint64_t body_sent; /* bytes of its body, not those of chunks' frames */
    uint64_t began_ns;  /* access.c's; 0: there is nothing to record */
    bool is_chunked;
    bool is_broken; /* it will not be whole */
    bool waits_drain;
    lq_conn *detached; /* the connection it took along; NULL: none, or gone */
    uint64_t discards_from; /* body_received when `discards` began */

    /* The handler. */
    void *handler;   /* of the layer above */
    void *shell;     /* of the layer above */
    size_t mark;     /* of the layer above: where its answer begins */
    bool is_writing; /* of the layer above: mark holds */
    bool has_failed; /* of the layer above: the answer tells of an error */
    bool lost_body;  /* of the layer above: a loop over the body ended early */
    bool is_detached;
    bool handler_done;
    bool has_clock;      /* the request's clock has been started */
    bool is_timed_out;   /* on_cancel was called for it */
    uint64_t started_ms; /* the end of the head */
    uint64_t timeout_ms; /* 0: none */
    uint64_t paused_ms;  /* since when the clock stands, 0: it runs */
    lq_timer clock;
};

/* The request's id, unique among all of the workers: writes it, without a NUL
 * behind it, to `out` and returns its length. */
enum { LQ_EXCHANGE_ID_CAP = 48 };
size_t lq_exchange_id(const lq_exchange *x, char out[LQ_EXCHANGE_ID_CAP]);

/* For conn.c. new takes one out of the pool; NULL when there is no memory.
 * The parser is set up for the first byte. */
lq_exchange *lq_exchange_new(lq_conn *c);
void lq_exchange_recycle(lq_exchange *x);
void lq_exchange_free(lq_exchange *x);
/* The head is complete: route, limits. The handler starts at once when the
 * request is complete too, else with start, behind the bytes at hand. Either
 * may end the exchange. */
void lq_exchange_head(lq_exchange *x);
void lq_exchange_start(lq_exchange *x);
/* Bytes of the body, its end, or its failure (negative). */
void lq_exchange_body(lq_exchange *x, lq_str bytes);
void lq_exchange_body_end(lq_exchange *x);
void lq_exchange_body_fail(lq_exchange *x, int err);
/* It has no connection any longer, but still knows whose it was. */
void lq_exchange_part(lq_exchange *x);
/* The client left. */
void lq_exchange_leave(lq_exchange *x);
/* It is now the first unanswered one: its output may go out. */
void lq_exchange_promote(lq_exchange *x);
/* An answer of C's own: status line, a short text. Ends the answer. */
void lq_exchange_refuse(lq_exchange *x, int status);

/* The buffer in which the answer is written now; lent until the next call for
 * this connection. NULL when there is no memory. */
lq_buf *lq_exchange_out(lq_exchange *x);

/* How the answer's head is to be framed; fixes whether the connection is kept.
 * `length`: of the body in bytes, -1 when not known: then what is sent of it is
 * added to body_sent. */
lq_response_opts lq_exchange_opts(lq_exchange *x, int status, int64_t length);

/* The head of a streamed answer has been written. The clock stops. */
void lq_exchange_stream(lq_exchange *x, bool is_chunked);

/* So much stands unsent in front of the answer's next byte that a stream is to
 * wait; little is enough while earlier answers are not complete. */
bool lq_exchange_is_full(const lq_exchange *x);

/* The answer is complete, the handler has ended; x is not used afterwards. */
void lq_exchange_end(lq_exchange *x);

/* The handler has ended without a whole answer: the connection ends behind
 * what there is of it, in a way that is no end of an answer. x is not used
 * afterwards. */
void lq_exchange_abandon(lq_exchange *x);

/* The other end of the connection, also when it is gone; lent until the
 * exchange ends or parts. */
const lq_address *lq_exchange_peer(const lq_exchange *x);

/* What proxies that are trusted say of the client; all of it is empty when the
 * peer is none, or is not believed: then LQ_EINVALID, `err` says why. */
int lq_exchange_forwarded(const lq_exchange *x, lq_forwarded *out, lq_err *err);

/* The handler waits: what it needs of the request is kept, its clock starts.
 * Returns -ENOMEM. */
int lq_exchange_wait(lq_exchange *x) LQ_MUST_CHECK;

/* The handler wants the body (or more of it): 100 Continue goes out if it is
 * due, and reading goes on. The clock stands until body_arrived. */
void lq_exchange_want_body(lq_exchange *x, bool is_whole);
void lq_exchange_body_arrived(lq_exchange *x);
/* `len` bytes of x->body were taken by the handler. */
void lq_exchange_body_taken(lq_exchange *x, size_t len);

/* Takes the connection out of HTTP. Returns LQ_EINVALID when other requests
 * are under way on it or a part of the body has been read, LQ_ECLOSED when the
 * client left. The exchange ends by itself; the handler calls
 * lq_exchange_end afterwards. */
int lq_exchange_detach(lq_exchange *x, lq_conn **out) LQ_MUST_CHECK;

#endif

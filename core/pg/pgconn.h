/* pgconn.h - one connection to PostgreSQL, in libpq's pipeline mode.
 *
 * Each query is sent with a sync of its own, so that one which fails takes no
 * neighbour along. What is added in a turn of the loop goes out at its end. The
 * socket is always read, also while it is written to.
 *
 * Owns:    the PGconn, its poll handle, the queries that were added and are not
 *          over.
 * Thread:  owner loop.
 * Life:    open -> CONNECTING -> on_open -> OPEN: add ... -> close, or on_lost
 *          at any time. It frees itself when its handle is closed, after
 *          on_freed.
 * Knows:   query, url, lookup, cancel, loop, log; libpq.
 */
#ifndef LQ_PG_CONN_H
#define LQ_PG_CONN_H

#include <uv.h>

#include "log/log.h"
#include "loop/loop.h"
#include "pg/cancel.h"
#include "pg/lookup.h"
#include "pg/query.h"
#include "pg/url.h"

typedef struct pg_conn PGconn; /* libpq's */
typedef struct lq_pg_conn lq_pg_conn;

/* What a connection could not be opened or was lost for. */
typedef struct lq_pg_failure {
    int err;
    char sqlstate[6];
    char text[400];
} lq_pg_failure;

typedef struct lq_pg_conn_cfg {
    lq_loop *loop;
    const lq_log *log;
    const lq_pg_url *url;
    size_t *pending;  /* counts names that are looked up, and last cancels */
    lq_list *dirty;   /* connections with something to send */
    uint64_t *errors; /* counts queries that have failed */
    uint64_t connect_ms;
    bool prepare;
    size_t cache; /* statements */

    void (*on_open)(lq_pg_conn *);
    /* One query less, or it takes queries again. */
    void (*on_change)(lq_pg_conn *);
    /* What was not sent is in c->unsent, for the taking; it closes by itself
     * then. Also when it has never been open. */
    void (*on_lost)(lq_pg_conn *, const lq_pg_failure *);
    void (*on_freed)(lq_pg_conn *);
    /* A notification; may be NULL. */
    void (*on_notify)(lq_pg_conn *, const char *channel, const char *payload);
    void *data;
} lq_pg_conn_cfg;

typedef enum lq_pg_conn_state {
    LQ_PG_CONNECTING,
    LQ_PG_OPEN,
    LQ_PG_CLOSING,
} lq_pg_conn_state;

typedef struct lq_pg_poll {
    uv_poll_t handle;
    lq_pg_conn *conn; /* NULL: it closes */
    int fd;
    uint8_t events;
} lq_pg_poll;

struct lq_pg_conn {
    const lq_pg_conn_cfg *cfg;
    lq_list link;  /* of the pool's connections */
    lq_list dirty; /* of cfg.dirty, when there is something to send */
    lq_pg_conn_state state;
    void *holder;     /* the pool's: who has it for himself; NULL: everybody */
    bool is_reserved; /* the pool's: takes nothing until it is idle */
    uint8_t cleaning; /* the pool's: what is left to be done behind a lease */
    bool is_stalled;  /* it sends nothing (giveup.h) */
    bool is_blocked;  /* the socket takes no more */
    bool is_plain;    /* out of pipeline mode */
    bool is_copying;  /* it takes chunks and nothing else */
    uint8_t syncing;  /* syncs under way, one behind each cancel */
    bool is_lost;     /* its queries are being failed */
    bool must_set_dates; /* the server's own are not ISO */
    lq_list unsent;
    lq_list sent;    /* the first is what the server works on */
    size_t load;     /* of both */
    lq_list closing; /* queries that close statements, before the next one */

    PGconn *pg;
    lq_pg_poll *poll;
    int polls; /* handles that are not closed */
    lq_pg_lookup *lookup;
    lq_pg_cancel *cancel;
    lq_timer timer;
    uint64_t connect_by_ms;
    uint64_t head_ms;      /* when the server could begin with the first */
    uint64_t cancel_by_ms; /* 0, or when it is given up */
    uint64_t again_ms;     /* 0, or when the server is asked again to cancel */
    uint32_t key[2];       /* for a cancel; 0: unknown */
    lq_pg_cache prepared;
    lq_pg_failure failure; /* at opening */
    struct {
        char *text;
        size_t len;
        void *file;
    } trace; /* of libpq, while it connects */
};

/* Begins to connect; on_open or on_lost follows, out of the loop. -ENOMEM. */
int lq_pg_conn_open(lq_pg_conn **out, const lq_pg_conn_cfg *cfg) LQ_MUST_CHECK;

/* Takes a query, to be sent with the next flush. */
void lq_pg_conn_add(lq_pg_conn *c, lq_pg_query *q);

/* Sends what it has. */
void lq_pg_conn_flush(lq_pg_conn *c);

/* Nobody wants the answer of this query, which it has, any more. */
void lq_pg_conn_abandon(lq_pg_conn *c, lq_pg_query *q);

/* The asker has taken pieces: the next ones may come, before this returns. */
void lq_pg_conn_go_on(lq_pg_conn *c, lq_pg_query *q);

/* Closes it; the queries that it still has are failed with `err`, and the
 * server is asked to give up the one it is at. on_lost is not called. */
void lq_pg_conn_close(lq_pg_conn *c, int err);

/* Whether a transaction is open. */
bool lq_pg_conn_is_in_transaction(const lq_pg_conn *c);

/* Whether more queries may be added for everybody. */
static inline bool lq_pg_conn_is_free(const lq_pg_conn *c)
{
    return c->state == LQ_PG_OPEN && !c->holder && !c->is_reserved &&
           !c->is_stalled;
}

#endif

/* plain.h - what libpq does out of pipeline mode only: scripts and copies.
 *
 * Such a query is alone on its connection, which somebody has for himself.
 *
 * Owns:    nothing: part of pgconn.
 * Thread:  owner loop.
 * Knows:   pgconn, query, pieces; libpq.
 */
#ifndef LQ_PG_PLAIN_H
#define LQ_PG_PLAIN_H

#include "pg/pgconn.h"

static inline bool lq_pg_is_plain(lq_pg_kind kind)
{
    return kind == LQ_PG_SCRIPT || kind == LQ_PG_COPY_IN ||
           kind == LQ_PG_COPY_OUT;
}

/* Leaves pipeline mode and sends. false: libpq has refused. */
bool lq_pg_plain_send(lq_pg_conn *c, const lq_pg_query *q) LQ_MUST_CHECK;

typedef enum lq_pg_plain {
    LQ_PG_PLAIN_WAITS, /* for more to read, or for the asker */
    LQ_PG_PLAIN_GOES_ON,
    LQ_PG_PLAIN_TELLS, /* the asker: there is a piece, or room for one */
    LQ_PG_PLAIN_OVER,
    LQ_PG_PLAIN_LOST,
} lq_pg_plain;

/* Takes the next thing that the server has said. */
lq_pg_plain lq_pg_plain_read(lq_pg_conn *c, lq_pg_query *q);

/* Behind the end: pipeline mode again. false: libpq has refused. */
bool lq_pg_plain_leave(lq_pg_conn *c) LQ_MUST_CHECK;

/* COPY_IN: hands bytes over, or the end (`error`: it is to be undone; NULL: it
 * is whole). LQ_EEOF: the server takes no more, and its result follows;
 * LQ_ELOST. on_done follows when there is room for the next bytes, if
 * lq_pg_copy_must_wait says that there is none. */
int lq_pg_copy_put(lq_pg_query *q, lq_str bytes) LQ_MUST_CHECK;
int lq_pg_copy_end(lq_pg_query *q, const char *error) LQ_MUST_CHECK;

static inline bool lq_pg_copy_must_wait(const lq_pg_query *q)
{
    return q->is_ended || q->conn->is_blocked;
}

#endif

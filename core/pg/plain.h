/* plain.h - what libpq does out of pipeline mode only: scripts and copies.
 *
 * Such a query is alone on its connection, which somebody has for himself. A
 * copy to the server is several of them, one after another: until COPY_END the
 * connection takes nothing else.
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
    return kind == LQ_PG_SCRIPT || kind == LQ_PG_COPY_OUT ||
           (kind >= LQ_PG_COPY_IN && kind <= LQ_PG_COPY_END);
}

static inline bool lq_pg_is_chunk(lq_pg_kind kind)
{
    return kind == LQ_PG_COPY_DATA || kind == LQ_PG_COPY_END;
}

/* Leaves pipeline mode, if it is not left, and sends. false: libpq has
 * refused. */
bool lq_pg_plain_send(lq_pg_conn *c, lq_pg_query *q) LQ_MUST_CHECK;

typedef enum lq_pg_plain {
    LQ_PG_PLAIN_WAITS, /* for more to read */
    LQ_PG_PLAIN_GOES_ON,
    LQ_PG_PLAIN_TELLS, /* the asker: there is a piece */
    LQ_PG_PLAIN_OVER,
    LQ_PG_PLAIN_LOST,
} lq_pg_plain;

/* Takes the next thing that the server has said. */
lq_pg_plain lq_pg_plain_read(lq_pg_conn *c, lq_pg_query *q);

/* Behind the end: pipeline mode again, unless a copy goes on. false: libpq has
 * refused. */
bool lq_pg_plain_leave(lq_pg_conn *c) LQ_MUST_CHECK;

#endif

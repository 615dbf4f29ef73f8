/* giveup.h - a connection whose server works on what nobody wants any more.
 *
 * A cancel hits whatever the server works on just then. So it goes out only
 * when the query that it is meant for is alone, or all of them are given up, or
 * when it does not end by itself; nothing else is sent until that is over and a
 * sync has come back: the connection is stalled.
 *
 * Owns:    nothing: part of pgconn.
 * Thread:  owner loop.
 * Life:    head -> (again)* -> ends, or cancel_by_ms passes and pgconn loses
 *          the connection.
 * Knows:   pgconn, cancel.
 */
#ifndef LQ_PG_GIVEUP_H
#define LQ_PG_GIVEUP_H

#include "pg/pgconn.h"

/* Whether the server has one query, and behind it nothing that somebody wants:
 * a cancel that comes too late hits that. */
bool lq_pg_conn_is_alone(const lq_pg_conn *c);

/* Whether the server works on nothing but what was left: it will be asked to
 * give that up, unless something is sent behind it. */
bool lq_pg_giveup_is_near(const lq_pg_conn *c);

/* The first query has taken too long, or was left long enough ago: who waits
 * for it is told, the server is asked to give it up. May close `c`. */
void lq_pg_giveup_head(lq_pg_conn *c, uint64_t now_ms);

/* It is time to ask again, or although others are behind it. */
void lq_pg_giveup_again(lq_pg_conn *c);

/* The first query is over: the next one has time of its own. */
void lq_pg_giveup_goes_on(lq_pg_conn *c, uint64_t now_ms);

/* Something is over. Returns whether this was what the connection was stalled
 * for: it may send again. */
bool lq_pg_giveup_ends(lq_pg_conn *c);

/* The connection is about to be closed. */
void lq_pg_giveup_last(const lq_pg_conn *c);

#endif

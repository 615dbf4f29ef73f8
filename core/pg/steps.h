/* steps.h - a query as the messages that it is sent as.
 *
 * A statement is prepared once on a connection and kept in its cache; one that
 * falls out of that is closed on the server, too. Behind all of it comes a
 * sync. What was sent stands in q->steps: the server answers in this order.
 *
 * Owns:    nothing: part of pgconn.
 * Thread:  owner loop.
 * Knows:   pgconn, statement; libpq.
 */
#ifndef LQ_PG_STEPS_H
#define LQ_PG_STEPS_H

#include "pg/pgconn.h"

/* What the server answers to a query, in order. */
enum {
    LQ_PG_STEP_PREPARE,
    LQ_PG_STEP_DESCRIBE,
    LQ_PG_STEP_RUN,
    LQ_PG_STEP_SYNC
};

/* In pipeline mode, into libpq's buffer. false: libpq has refused. */
bool lq_pg_steps_send(lq_pg_conn *c, lq_pg_query *q) LQ_MUST_CHECK;

/* The server has not done the step at hand: a statement that it was to prepare
 * is not there. */
void lq_pg_steps_undo(lq_pg_conn *c, const lq_pg_query *q);

/* The server does not have these statements, or not as they are kept. */
void lq_pg_steps_forget(lq_pg_conn *c, const lq_pg_query *q);

#endif

/* opening.h - how a connection comes about: names, libpq's steps, what is to be
 * known about the server.
 *
 * Owns:    nothing: part of pgconn.
 * Thread:  owner loop.
 * Life:    start -> on_opened, or on_failed with c->failure set; out of the
 *          loop. stop ends it early.
 * Knows:   pgconn, watch.
 */
#ifndef LQ_PG_OPENING_H
#define LQ_PG_OPENING_H

#include "pg/pgconn.h"

/* -ENOMEM: nothing follows. */
int lq_pg_opening_start(lq_pg_conn *c) LQ_MUST_CHECK;

/* Ends it: names, trace. */
void lq_pg_opening_stop(lq_pg_conn *c);

/* For pgconn.c: what libpq has said, without its line ends. */
void lq_pg_failure_set(lq_pg_failure *f, int err, const char *message);

/* To be given by pgconn.c. */
void lq_pg_conn_opened(lq_pg_conn *c);
void lq_pg_conn_failed(lq_pg_conn *c);

#endif

/* line.h - who waits for a connection of a pool, and which are opened for them.
 *
 * Queries and leases wait in a list each, in the order of their coming; the
 * pool's timer is set for the one that waits longest, and for the next try to
 * connect.
 *
 * Owns:    nothing: all of it is the pool's.
 * Thread:  as pool.h.
 * Knows:   poolstate.
 */
#ifndef LQ_PG_LINE_H
#define LQ_PG_LINE_H

#include "pg/poolstate.h"

/* Sets the pool's timer, if need be. -ENOMEM. */
int lq_pg_line_arm(lq_pg_pool *p) LQ_MUST_CHECK;

/* Puts a query behind those that wait. An error stands in q, too:
 * LQ_EOVERLOADED, -ENOMEM, or what the last try to connect has failed with. */
int lq_pg_line_put(lq_pg_pool *p, lq_pg_query *q) LQ_MUST_CHECK;

/* Where a query may go now, `ahead` others being in line before it; opens a
 * connection where there is room. NULL: it waits. */
lq_pg_conn *lq_pg_line_place(lq_pg_pool *p, size_t ahead);

/* Hands it to a connection, out of the line if it was there. */
void lq_pg_line_give(lq_pg_pool *p, lq_pg_conn *c, lq_pg_query *q);

/* Gives everything to those who wait; the second one sees to the timer, too,
 * and fails them all when there is no memory for that. */
void lq_pg_line_serve(lq_pg_pool *p);
void lq_pg_line_serve_and_arm(lq_pg_pool *p);

/* Fails all who wait; those who have waited too long. */
void lq_pg_line_fail(lq_pg_pool *p, const lq_pg_failure *f);
void lq_pg_line_fail_late(lq_pg_pool *p, uint64_t now_ms);

/* Tells the asker of a query, which is in no list and has its error; counts
 * that. */
void lq_pg_line_finish(lq_pg_pool *p, lq_pg_query *q);

/* A query that nothing follows for; returns the failure's code. */
int lq_pg_refuse(lq_pg_pool *p, lq_pg_query *q, const lq_pg_failure *f);

/* It waits no longer, or has lost its connection. */
void lq_pg_lease_fail(lq_pg_lease *l, const lq_pg_failure *f);

/* ---- opening ------------------------------------------------------------- */

/* Whether there is neither a connection nor the hope of one soon. */
bool lq_pg_is_away(const lq_pg_pool *p);

bool lq_pg_may_open(const lq_pg_pool *p);

/* Returns whether one is on its way. */
bool lq_pg_open_one(lq_pg_pool *p);

/* The server is away: a pause, from half to all of what it may be. */
void lq_pg_pause_opening(lq_pg_pool *p, const lq_pg_failure *f);

#endif

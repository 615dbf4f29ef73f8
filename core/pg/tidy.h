/* tidy.h - a connection that comes back from a lease is made as new.
 *
 * Whatever was under way there is given up, a transaction rolled back, a
 * session that has changed discarded; then everybody may use it again. What
 * cannot be made as new is closed.
 *
 * Owns:    the queries that it asks.
 * Thread:  as pool.h.
 * Life:    take_back -> go_on with each change of the connection -> it has no
 *          holder any more.
 * Knows:   poolstate, line.
 */
#ifndef LQ_PG_TIDY_H
#define LQ_PG_TIDY_H

#include "pg/poolstate.h"

/* From a lease, which has one. `has_changed`: the session may be another one
 * than it was. */
void lq_pg_tidy_take_back(lq_pg_lease *l, bool has_changed);

/* The next step, once what is under way has come to its end. */
void lq_pg_tidy_go_on(lq_pg_pool *p, lq_pg_conn *c);

#endif

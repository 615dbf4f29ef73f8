/* remote.h - a pool whose connections are on another thread (keeper.h): the end
 * of one asker, which is used through pool.h like any other pool.
 *
 * What is asked in a turn of the loop goes out at its end. Results come back as
 * libpq made them, with the query that asked for them. Streams come in pieces,
 * of which a few are under way.
 *
 * Owns:    the queries and leases that are away, until they are back or the
 *          keeper has them alone.
 * Thread:  that of the asker's loop.
 * Life:    open -> (submit | acquire ... release)* -> close; it frees itself
 *          when the keeper has answered that.
 * Knows:   keeper, far.
 */
#ifndef LQ_PG_REMOTE_H
#define LQ_PG_REMOTE_H

#include "pg/keeper.h"

/* Takes part in the keeper's pool of these options, of which loop and pending
 * are the asker's: *pending counts what is not freed. `owner`: whom
 * lq_pg_keeper_evict names. LQ_EINVALID: the URL, `err` says why; -ENOMEM, or
 * libuv's codes. */
int lq_pg_remote_open(lq_pg_pool **out, lq_pg_keeper *keeper,
                      const lq_pg_pool_cfg *cfg, const void *owner,
                      lq_err *err) LQ_MUST_CHECK;

#endif

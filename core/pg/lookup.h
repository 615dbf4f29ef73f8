/* lookup.h - the addresses of the hosts of a URL, as libpq wants them.
 *
 * libpq would look names up where it stands, and everything would wait. Numeric
 * addresses, local sockets and `localhost` need no resolver; other names are
 * looked up on libuv's threads, one after another.
 *
 * Owns:    the lists that it makes.
 * Thread:  owner loop.
 * Life:    start -> on_done or abandon; it frees itself, which may be later
 *          than either: libuv cannot take a look-up back. *under_way counts
 *          them, for whoever wants to wait.
 * Knows:   url, loop.
 */
#ifndef LQ_PG_LOOKUP_H
#define LQ_PG_LOOKUP_H

#include "loop/loop.h"
#include "pg/url.h"

typedef struct lq_pg_lookup lq_pg_lookup;

/* Lists with commas between. Valid within on_done. */
typedef struct lq_pg_hosts {
    const char *names;
    const char *addresses;
    const char *ports;
} lq_pg_hosts;

/* on_done comes out of the loop, or before start returns when nothing is to be
 * looked up. `err`: 0, one of libuv's UV_EAI_ codes when no host has an
 * address, or -ENOMEM. `under_way` counts look-ups; it outlives them. When
 * start returns an error, nothing follows. */
int lq_pg_lookup_start(lq_pg_lookup **out, lq_loop *loop, const lq_pg_url *url,
                       size_t *under_way,
                       void (*on_done)(void *, const lq_pg_hosts *, int err),
                       void *data) LQ_MUST_CHECK;

/* on_done does not follow. NULL is allowed. */
void lq_pg_lookup_abandon(lq_pg_lookup *l);

#endif

/* relief.h - accepts for workers that cannot.
 *
 * A listening socket whose worker is busy or gone is served by the main
 * thread: it accepts and hands the connection to a worker with a fresh tick.
 *
 * Owns:    a poll handle for each worker and listener. The sockets are
 *          borrowed.
 * Thread:  main thread.
 * Life:    open -> check* -> close -> on_closed.
 * Knows:   sockets, spread, roster.
 */
#ifndef LQ_RELIEF_H
#define LQ_RELIEF_H

#include "run/roster.h"
#include "run/sockets.h"
#include "run/spread.h"

typedef struct lq_relief lq_relief;

/* -ENOMEM, or libuv's codes. Borrows all. */
int lq_relief_open(lq_relief **out, lq_loop *loop, lq_sockets *sockets,
                   lq_spread *spread, lq_roster *roster,
                   int count) LQ_MUST_CHECK;

/* Every LQ_SPREAD_BUSY_MS: looks which workers need help. */
void lq_relief_check(lq_relief *r);

/* Frees it in the loop; on_closed(data) follows. */
void lq_relief_close(lq_relief *r, void (*on_closed)(void *), void *data);

#endif

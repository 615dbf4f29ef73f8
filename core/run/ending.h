/* ending.h - how a worker comes to an end, alone or with all others.
 *
 * It runs through these steps, each beginning when the one before is over:
 * connections drained -> App:close() -> tasks cancelled -> listeners, net and
 * mailbox closed -> the loop stops. A deadline cuts what takes too long.
 *
 * Owns:    nothing: all of it is the worker's.
 * Thread:  the worker's; init - main thread.
 * Life:    init -> retire or drain -> (look)* -> the loop stops; cut at any
 *          point.
 * Knows:   workerstate.
 */
#ifndef LQ_ENDING_H
#define LQ_ENDING_H

#include "run/workerstate.h"

void lq_ending_init(lq_worker *w);

/* This worker alone: others serve on. */
void lq_ending_retire(lq_worker *w);

/* Everybody: what still comes is served here, or by nobody. */
void lq_ending_drain(lq_worker *w);

/* No other worker hands connections over any more. */
void lq_ending_be_alone(lq_worker *w);

/* Something is gone: is this all? */
void lq_ending_look(lq_worker *w);

/* The worker's connections that stay are all over (lq_connections_on_over). */
void lq_ending_on_connections_over(void *worker);

/* Closes everything at once. */
void lq_ending_cut(lq_worker *w);

#endif

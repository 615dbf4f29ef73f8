/* queue.h - records on their way to the log thread.
 *
 * Every thread appends to one list of blocks, under one lock, so that records
 * stay in the order in which they were made, also between threads. A source
 * (a thread that logs) may have LQ_LOG_QUOTA bytes in the list and as many in
 * the batch that is being written; what is beyond is dropped and counted.
 *
 * The log thread is woken only when it sleeps. When batches follow each other
 * quickly it lets records gather for LQ_LOG_PACE_MS: then most pushes wake
 * nobody, and a batch has many records.
 *
 * Owns:    the records pushed and not taken, the sources, spare blocks.
 * Thread:  new, close, free - the thread that owns the log thread. join, leave,
 *          push, flush, ask_reopen - any thread. The rest - log thread.
 * Life:    new -> (join -> push* -> leave)* -> close -> free. After close a
 *          push is refused; what was pushed before is still taken.
 * Order:   first in, first out, over all threads.
 * Knows:   base, record, uv (locks).
 */
#ifndef LQ_LOG_QUEUE_H
#define LQ_LOG_QUEUE_H

#include "base/defs.h"
#include "log/record.h"

enum {
    LQ_LOG_QUOTA = 8 * 1024 * 1024,
    LQ_LOG_PACE_MS = 5,
};

typedef struct lq_log_queue lq_log_queue;
typedef struct lq_log_source lq_log_source;
typedef struct lq_log_block lq_log_block;

/* A block of records, one behind the other. */
struct lq_log_block {
    lq_log_block *next;
    size_t len;
    size_t cap;
    char bytes[];
};

/* What the log thread took. */
typedef struct lq_log_batch {
    lq_log_block *blocks; /* NULL: none */
    lq_log_source *told;  /* sources with something to tell; next_told */
    bool reopens;         /* the sink is to be opened anew */
    bool is_last;         /* the queue is closed */
} lq_log_batch;

/* -ENOMEM, or libuv's codes. */
int lq_log_queue_new(lq_log_queue **out) LQ_MUST_CHECK;
/* Nobody may use it any more. NULL is allowed. */
void lq_log_queue_free(lq_log_queue *q);

/* A thread begins to log. NULL when there is no memory; given back by leave. */
LQ_ANY_THREAD lq_log_source *lq_log_queue_join(lq_log_queue *q, const char *who,
                                               int worker);
/* It logs no more; the source stays until its records have been written. */
LQ_ANY_THREAD void lq_log_queue_leave(lq_log_queue *q, lq_log_source *source);

/* Copies the record, with the time. LQ_ECLOSED; LQ_EOVERLOADED or -ENOMEM: it
 * was dropped and counted. */
LQ_ANY_THREAD int lq_log_queue_push(lq_log_queue *q, lq_log_source *source,
                                    lq_record *r);

/* Waits, at most timeout_ms, until what was pushed up to now has been written
 * or given up. Returns LQ_ETIMEOUT. */
LQ_ANY_THREAD int lq_log_queue_flush(lq_log_queue *q, uint64_t timeout_ms);

/* The sink is to be opened anew. */
LQ_ANY_THREAD void lq_log_queue_ask_reopen(lq_log_queue *q);

/* No more records. What is inside may be written for grace_ms. */
void lq_log_queue_close(lq_log_queue *q, uint64_t grace_ms);
/* After close: waits until the log thread has called end. LQ_ETIMEOUT. */
int lq_log_queue_await_end(lq_log_queue *q, uint64_t timeout_ms) LQ_MUST_CHECK;

/* ---- for the log thread -------------------------------------------------- */

/* Waits for records, an order, or idle_ms, and takes what is there. With
 * is_paced it lets records gather first. */
void lq_log_queue_take(lq_log_queue *q, lq_log_batch *b, bool is_paced,
                       uint64_t idle_ms);

/* The batch has been written or given up: its blocks go back, and so do
 * sources that have left and have nothing to tell. */
void lq_log_queue_settle(lq_log_queue *q, lq_log_batch *b);

/* Walks the sources of a batch: those that records were dropped of, and those
 * that have left. */
lq_log_source *lq_log_queue_next_told(lq_log_source *source);

/* Whether the sink has been asked to open anew since the last take. */
bool lq_log_queue_has_order(lq_log_queue *q);

/* The log thread has nothing more to do with the queue but to return. */
void lq_log_queue_end(lq_log_queue *q);

/* Closed, and the grace is over: nothing more is to be waited for. */
bool lq_log_queue_is_late(lq_log_queue *q);

/* ---- sources ------------------------------------------------------------- */

/* Log thread: records of the source that are not written, told of neither. */
uint64_t *lq_log_source_lost(lq_log_source *source);
const lq_origin *lq_log_source_origin(const lq_log_source *source);
/* The source of a record that was unpacked. */
lq_log_source *lq_log_source_of(const lq_origin *origin);

#endif

/* batch.h - messages of one sender: written by it, then read by many.
 *
 * A record is what it is about, whom it is for, and a packed value, which thus
 * stands in memory once however many receive it.
 *
 * Owns:    its bytes.
 * Thread:  the sender's until it is shared; then any, and it does not change.
 * Life:    new -> add* -> (ref by each receiver) -> unref by all.
 * Knows:   base.
 */
#ifndef LQ_BATCH_H
#define LQ_BATCH_H

#include "base/defs.h"
#include "base/str.h"

typedef struct lq_batch lq_batch;

/* Who sends. */
typedef struct lq_sender {
    uint32_t serial; /* of the member, never 0 */
    int id;          /* of the worker; 0: a service */
    char name[64];   /* of the service; "": a worker */
} lq_sender;

typedef struct lq_note {
    uint32_t topic;   /* its id */
    uint32_t to;      /* the serial of a member; 0: all that subscribe */
    bool with_sender; /* the sender itself is meant, too */
    bool is_binary;   /* a string: for connections that tell it from text */
    lq_str bytes;     /* packed */
} lq_note;

/* Room for `len` bytes of values to begin with. NULL: no memory. */
lq_batch *lq_batch_new(const lq_sender *from, size_t len) LQ_MUST_CHECK;
LQ_ANY_THREAD lq_batch *lq_batch_ref(lq_batch *b);
/* NULL is allowed. */
LQ_ANY_THREAD void lq_batch_unref(lq_batch *b);

/* Copies the bytes. -ENOMEM. `b` may move, and nobody else may have it. */
int lq_batch_add(lq_batch **b, const lq_note *note) LQ_MUST_CHECK;

size_t lq_batch_bytes(const lq_batch *b);
const lq_sender *lq_batch_sender(const lq_batch *b);

/* The record at *at, from 0, and where the next one begins; its bytes are lent.
 * false: there are no more. */
bool lq_batch_next(const lq_batch *b, size_t *at, lq_note *out);

#endif

/* buf.h - bytes that grow at the end and are consumed at the front.
 *
 * Embedded by value. Memory is asked for at the first reserve and kept until
 * fini, so that a buffer which is used again costs nothing.
 *
 * Owns:    its memory.
 * Thread:  none; whoever holds it.
 * Life:    init -> (reserve | append | consume)* -> fini.
 * Knows:   mem.
 */
#ifndef LQ_BUF_H
#define LQ_BUF_H

#include "base/defs.h"
#include "base/str.h"

typedef struct lq_buf {
    char *data;
    size_t head; /* the first byte not consumed */
    size_t tail; /* behind the last byte */
    size_t cap;
} lq_buf;

void lq_buf_init(lq_buf *b);
void lq_buf_fini(lq_buf *b);

/* The bytes inside; lent until the next call that changes `b`. */
static inline char *lq_buf_ptr(const lq_buf *b)
{
    return b->data + b->head;
}

static inline size_t lq_buf_len(const lq_buf *b)
{
    return b->tail - b->head;
}

static inline lq_str lq_buf_view(const lq_buf *b)
{
    return (lq_str){lq_buf_ptr(b), lq_buf_len(b)};
}

/* Makes room for `len` more bytes. Returns UV_ENOMEM's value, -ENOMEM. */
int lq_buf_grow(lq_buf *b, size_t len) LQ_MUST_CHECK;

static inline LQ_MUST_CHECK int lq_buf_reserve(lq_buf *b, size_t len)
{
    return LQ_LIKELY(b->cap - b->tail >= len) ? 0 : lq_buf_grow(b, len);
}

/* Copies `len` bytes to the end; room must have been reserved. */
static inline void lq_buf_put(lq_buf *b, const void *bytes, size_t len)
{
    LQ_DEBUG_ASSERT(b->cap - b->tail >= len);
    if (len) memcpy(b->data + b->tail, bytes, len);
    b->tail += len;
}

/* Copies `len` bytes to the end. Returns -ENOMEM. */
static inline LQ_MUST_CHECK int lq_buf_append(lq_buf *b, const void *bytes,
                                              size_t len)
{
    int err = lq_buf_reserve(b, len);

    if (err < 0) return err;
    lq_buf_put(b, bytes, len);
    return 0;
}

/* Takes `len` bytes off the front. */
static inline void lq_buf_consume(lq_buf *b, size_t len)
{
    LQ_DEBUG_ASSERT(len <= lq_buf_len(b));
    b->head += len;
    if (b->head == b->tail) b->head = b->tail = 0;
}

/* Takes everything beyond the first `len` bytes off the end. */
static inline void lq_buf_truncate(lq_buf *b, size_t len)
{
    LQ_DEBUG_ASSERT(len <= lq_buf_len(b));
    b->tail = b->head + len;
}

/* Empties it and keeps the memory. */
static inline void lq_buf_clear(lq_buf *b)
{
    b->head = b->tail = 0;
}

#endif

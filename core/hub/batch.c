/* batch.c - see batch.h. */
#include "hub/batch.h"

#include <errno.h>
#include <stdatomic.h>

#include "base/mem.h"

struct lq_batch {
    _Atomic int refs;
    lq_sender from;
    size_t len;
    size_t cap;
    char bytes[];
};

/* In front of the bytes of a record. */
typedef struct head {
    uint32_t len;
    uint32_t topic;
    uint32_t to;
    bool with_sender;
    bool is_binary;
} head;

lq_batch *lq_batch_new(const lq_sender *from, size_t len)
{
    size_t cap = len + sizeof(head);
    lq_batch *b = lq_mem_alloc(sizeof *b + cap);

    if (!b) return NULL;
    atomic_init(&b->refs, 1);
    b->from = *from;
    b->len = 0;
    b->cap = cap;
    return b;
}

LQ_ANY_THREAD lq_batch *lq_batch_ref(lq_batch *b)
{
    atomic_fetch_add_explicit(&b->refs, 1, memory_order_relaxed);
    return b;
}

LQ_ANY_THREAD void lq_batch_unref(lq_batch *b)
{
    if (!b) return;
    if (atomic_fetch_sub_explicit(&b->refs, 1, memory_order_acq_rel) == 1)
        lq_mem_free(b);
}

static int grow(lq_batch **batch, size_t len)
{
    lq_batch *b = *batch;
    size_t cap = 2 * b->cap;

    if (b->cap - b->len >= len) return 0;
    if (cap < b->len + len) cap = b->len + len;
    b = lq_mem_realloc(b, sizeof *b + cap);
    if (!b) return -ENOMEM;
    b->cap = cap;
    *batch = b;
    return 0;
}

int lq_batch_add(lq_batch **batch, const lq_note *note)
{
    head h = {(uint32_t)note->bytes.len, note->topic, note->to,
              note->with_sender, note->is_binary};
    lq_batch *b;

    if (grow(batch, sizeof h + note->bytes.len) < 0) return -ENOMEM;
    b = *batch;
    memcpy(b->bytes + b->len, &h, sizeof h);
    if (note->bytes.len)
        memcpy(b->bytes + b->len + sizeof h, note->bytes.ptr, note->bytes.len);
    b->len += sizeof h + note->bytes.len;
    return 0;
}

size_t lq_batch_bytes(const lq_batch *b)
{
    return b->len;
}

const lq_sender *lq_batch_sender(const lq_batch *b)
{
    return &b->from;
}

bool lq_batch_next(const lq_batch *b, size_t *at, lq_note *out)
{
    head h;

    if (*at >= b->len) return false;
    memcpy(&h, b->bytes + *at, sizeof h);
    *out = (lq_note){
        .topic = h.topic,
        .to = h.to,
        .with_sender = h.with_sender,
        .is_binary = h.is_binary,
        .bytes = {b->bytes + *at + sizeof h, h.len},
    };
    *at += sizeof h + h.len;
    return true;
}

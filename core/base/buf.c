/* buf.c - see buf.h. */
#include "base/buf.h"

#include <errno.h>

#include "base/mem.h"

enum { SMALLEST = 256 };

void lq_buf_init(lq_buf *b)
{
    *b = (lq_buf){0};
}

void lq_buf_fini(lq_buf *b)
{
    lq_mem_free(b->data);
    *b = (lq_buf){0};
}

static void move_to_front(lq_buf *b)
{
    memmove(b->data, b->data + b->head, lq_buf_len(b));
    b->tail -= b->head;
    b->head = 0;
}

int lq_buf_grow(lq_buf *b, size_t len)
{
    size_t used = lq_buf_len(b), cap = b->cap ? b->cap : SMALLEST;
    char *data;

    if (len > SIZE_MAX / 4 || used > SIZE_MAX / 4) return -ENOMEM;
    if (b->head >= b->cap / 4 && b->cap - used >= len && b->data) {
        move_to_front(b);
        return 0;
    }
    while (cap - used < len || cap < used) cap *= 2;
    if (b->head) move_to_front(b);
    data = lq_mem_realloc(b->data, cap);
    if (!data) return -ENOMEM;
    b->data = data;
    b->cap = cap;
    return 0;
}

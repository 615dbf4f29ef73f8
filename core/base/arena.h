/* arena.h - memory that is given back all at once.
 *
 * Embedded by value. The first chunk is made at the first allocation and kept
 * over reset, so that small work that comes again and again asks for no
 * memory.
 *
 * Owns:    its chunks, and with them everything allocated from it.
 * Thread:  none; whoever holds it.
 * Life:    init -> (alloc | reset)* -> fini.
 * Knows:   mem.
 */
#ifndef LQ_ARENA_H
#define LQ_ARENA_H

#include "base/defs.h"

enum { LQ_ARENA_ALIGN = 8 };

typedef struct lq_arena_chunk lq_arena_chunk;

typedef struct lq_arena {
    lq_arena_chunk *first; /* NULL until something is allocated */
    lq_arena_chunk *last;
    char *at; /* where the next allocation begins */
    size_t left;
} lq_arena;

void lq_arena_init(lq_arena *a);
void lq_arena_fini(lq_arena *a);

/* Gives back what was allocated; keeps the first chunk. */
void lq_arena_reset(lq_arena *a);

/* For lq_arena_alloc, when the chunk is used up. */
void *lq_arena_grow(lq_arena *a, size_t len) LQ_MUST_CHECK;

/* `len` bytes aligned to 8, lent until reset or fini; not cleared. NULL when
 * there is no memory. */
static inline LQ_MUST_CHECK void *lq_arena_alloc(lq_arena *a, size_t len)
{
    size_t room = (len + LQ_ARENA_ALIGN - 1) & ~(size_t)(LQ_ARENA_ALIGN - 1);
    void *result = a->at;

    if (LQ_UNLIKELY(room > a->left || room == 0)) return lq_arena_grow(a, len);
    a->at += room;
    a->left -= room;
    return result;
}

#endif

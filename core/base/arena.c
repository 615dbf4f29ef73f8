/* arena.c - see arena.h. */
#include "base/arena.h"

#include <stdalign.h>

#include "base/mem.h"

enum { FIRST_CHUNK = 1024, LARGEST_CHUNK = 64 * 1024 };

struct lq_arena_chunk {
    lq_arena_chunk *next;
    size_t cap; /* of `bytes` */
    alignas(LQ_ARENA_ALIGN) char bytes[];
};

_Static_assert(sizeof(lq_arena_chunk) % LQ_ARENA_ALIGN == 0, "alignment");

static void use(lq_arena *a, lq_arena_chunk *chunk)
{
    a->last = chunk;
    a->at = chunk->bytes;
    a->left = chunk->cap;
}

/* Adds a chunk with `cap` bytes, header included, behind the last one. */
static bool add_chunk(lq_arena *a, size_t cap)
{
    lq_arena_chunk *chunk = lq_mem_alloc(cap);

    if (!chunk) return false;
    chunk->next = NULL;
    chunk->cap = cap - sizeof *chunk;
    if (a->last)
        a->last->next = chunk;
    else
        a->first = chunk;
    use(a, chunk);
    return true;
}

/* The size of the chunk in which `len` bytes have room. */
static size_t next_cap(const lq_arena *a, size_t len)
{
    size_t cap = (a->last->cap + sizeof *a->last) * 2;

    if (cap > LARGEST_CHUNK) cap = LARGEST_CHUNK;
    return cap >= len + sizeof *a->last ? cap : len + sizeof *a->last;
}

void *lq_arena_grow(lq_arena *a, size_t len)
{
    if (len > SIZE_MAX / 4) return NULL;
    if (len == 0) len = 1;
    len = (len + LQ_ARENA_ALIGN - 1) & ~(size_t)(LQ_ARENA_ALIGN - 1);
    /* The first chunk is small whatever is asked for first: it is kept. */
    if (!a->first && !add_chunk(a, FIRST_CHUNK)) return NULL;
    if (len > a->left && !add_chunk(a, next_cap(a, len))) return NULL;
    return lq_arena_alloc(a, len);
}

void lq_arena_init(lq_arena *a)
{
    *a = (lq_arena){0};
}

static void free_chunks(lq_arena_chunk *chunk)
{
    lq_arena_chunk *next;

    for (; chunk; chunk = next) {
        next = chunk->next;
        lq_mem_free(chunk);
    }
}

void lq_arena_fini(lq_arena *a)
{
    free_chunks(a->first);
    lq_arena_init(a);
}

void lq_arena_reset(lq_arena *a)
{
    if (!a->first) return;
    if (a->first->next) {
        free_chunks(a->first->next);
        a->first->next = NULL;
    }
    use(a, a->first);
}

/* alloc.c - see alloc.h. */
#include "lua/alloc.h"

#include <string.h>

#include "base/mem.h"

#if defined(__SANITIZE_ADDRESS__)
#define USES_MALLOC 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define USES_MALLOC 1
#endif
#endif
#ifndef USES_MALLOC
#define USES_MALLOC 0
#endif

enum {
    LARGEST = LQ_ALLOC_STEP * LQ_ALLOC_CLASSES,
    CHUNK = 32 * 1024,
    CHUNK_HEAD = 16, /* the link, and the alignment of what follows */
};

void lq_alloc_init(lq_alloc *a)
{
    *a = (lq_alloc){0};
}

void lq_alloc_fini(lq_alloc *a)
{
    void *chunk, *next;

    for (chunk = a->chunks; chunk; chunk = next) {
        memcpy(&next, chunk, sizeof next);
        lq_mem_free(chunk);
    }
    lq_alloc_init(a);
}

static size_t class_of(size_t len)
{
    return (len - 1) / LQ_ALLOC_STEP;
}

static bool is_small(size_t len)
{
    return !USES_MALLOC && len <= LARGEST;
}

static bool add_chunk(lq_alloc *a)
{
    char *chunk = lq_mem_alloc(CHUNK);

    if (!chunk) return false;
    memcpy(chunk, &a->chunks, sizeof a->chunks);
    a->chunks = chunk;
    a->at = chunk + CHUNK_HEAD;
    a->left = CHUNK - CHUNK_HEAD;
    return true;
}

static void *take_small(lq_alloc *a, size_t len)
{
    size_t i = class_of(len), size = (i + 1) * LQ_ALLOC_STEP;
    void *block = a->free[i];

    if (block) {
        memcpy(&a->free[i], block, sizeof a->free[i]);
        return block;
    }
    if (a->left < size && !add_chunk(a)) return NULL;
    block = a->at;
    a->at += size;
    a->left -= size;
    return block;
}

static void give_small(lq_alloc *a, void *block, size_t len)
{
    size_t i = class_of(len);

    memcpy(block, &a->free[i], sizeof a->free[i]);
    a->free[i] = block;
}

static void *take(lq_alloc *a, size_t len)
{
    return is_small(len) ? take_small(a, len) : lq_mem_alloc(len);
}

static void give(lq_alloc *a, void *ptr, size_t len)
{
    if (is_small(len))
        give_small(a, ptr, len);
    else
        lq_mem_free(ptr);
}

static void *resize(lq_alloc *a, void *ptr, size_t old_len, size_t new_len)
{
    void *block;

    if (!is_small(old_len) && !is_small(new_len))
        return lq_mem_realloc(ptr, new_len);
    if (is_small(old_len) && is_small(new_len) &&
        class_of(old_len) == class_of(new_len))
        return ptr;
    block = take(a, new_len);
    if (!block) return NULL;
    memcpy(block, ptr, old_len < new_len ? old_len : new_len);
    give(a, ptr, old_len);
    return block;
}

void *lq_alloc_lua(void *ud, void *ptr, size_t old_len, size_t new_len)
{
    lq_alloc *a = ud;
    void *block;

    if (!ptr) old_len = 0; /* then it tells the kind of the object */
    if (new_len == 0) {
        if (old_len) give(a, ptr, old_len);
        a->used -= old_len;
        return NULL;
    }
    block = old_len ? resize(a, ptr, old_len, new_len) : take(a, new_len);
    if (block) a->used += new_len - old_len;
    return block;
}

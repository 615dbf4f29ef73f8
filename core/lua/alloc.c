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
    CHUNK_ALIGN = 32 * 1024,  /* so a block tells its chunk */
    CHUNK = CHUNK_ALIGN - 64, /* with malloc's own head the next one fits in */
    CHUNK_HEAD = 32,
};

struct lq_alloc_chunk {
    lq_alloc_chunk *next;
    size_t cut;  /* bytes made into blocks; of the newest not yet known */
    size_t idle; /* trim: how many of them are free */
};

_Static_assert(sizeof(lq_alloc_chunk) <= CHUNK_HEAD, "room for the head");

void lq_alloc_init(lq_alloc *a)
{
    *a = (lq_alloc){0};
}

void lq_alloc_fini(lq_alloc *a)
{
    lq_alloc_chunk *chunk, *next;

    for (chunk = a->chunks; chunk; chunk = next) {
        next = chunk->next;
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

/* What has been cut from the newest chunk. */
static void note_cut(lq_alloc *a)
{
    if (a->at) a->chunks->cut = CHUNK - CHUNK_HEAD - a->left;
}

static bool add_chunk(lq_alloc *a)
{
    lq_alloc_chunk *chunk = lq_mem_aligned(CHUNK_ALIGN, CHUNK);

    if (!chunk) return false;
    note_cut(a);
    chunk->next = a->chunks;
    a->chunks = chunk;
    a->at = (char *)chunk + CHUNK_HEAD;
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

/* What shrinks may stay where it is: a block is larger than its list says
 * then. Only a large one that becomes small has to move. */
static void *resize(lq_alloc *a, void *ptr, size_t old_len, size_t new_len)
{
    void *block;

    if (!is_small(old_len) && !is_small(new_len)) {
        block = lq_mem_realloc(ptr, new_len);
        return !block && new_len <= old_len ? ptr : block;
    }
    if (is_small(old_len) && is_small(new_len) &&
        class_of(old_len) == class_of(new_len))
        return ptr;
    block = take(a, new_len);
    if (!block && is_small(old_len) && new_len <= old_len) return ptr;
    if (!block) return NULL;
    memcpy(block, ptr, old_len < new_len ? old_len : new_len);
    give(a, ptr, old_len);
    return block;
}

/* Behind a refusal it has to be a sixteenth better. */
static bool is_too_much(lq_alloc *a, size_t more)
{
    size_t limit = a->limit + a->reserve;
    bool is_full = a->used + more > limit;

    if (a->is_tight && !is_full) is_full = a->used > limit - a->limit / 16;
    a->is_tight = is_full && !a->is_tight;
    return is_full;
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
    if (LQ_UNLIKELY(a->limit) && new_len > old_len &&
        is_too_much(a, new_len - old_len))
        return NULL;
    block = old_len ? resize(a, ptr, old_len, new_len) : take(a, new_len);
    if (block) a->used += new_len - old_len;
    return block;
}

/* ---- giving back --------------------------------------------------------- */

static lq_alloc_chunk *chunk_of(void *block)
{
    return (lq_alloc_chunk *)((uintptr_t)block & ~(uintptr_t)(CHUNK_ALIGN - 1));
}

static bool is_idle(const lq_alloc_chunk *chunk)
{
    return chunk->idle == chunk->cut;
}

static void *next_of(void *block)
{
    void *next;

    memcpy(&next, block, sizeof next);
    return next;
}

static void count_idle(lq_alloc *a)
{
    lq_alloc_chunk *chunk;
    void *block;
    size_t i;

    for (chunk = a->chunks; chunk; chunk = chunk->next) chunk->idle = 0;
    for (i = 0; i < LQ_ALLOC_CLASSES; i++)
        for (block = a->free[i]; block; block = next_of(block))
            chunk_of(block)->idle += (i + 1) * LQ_ALLOC_STEP;
}

/* Takes the blocks of idle chunks off their list. */
static void drop_idle(void **list)
{
    void *block = *list, *next, *kept = NULL;

    for (; block; block = next) {
        next = next_of(block);
        if (is_idle(chunk_of(block))) continue;
        memcpy(block, &kept, sizeof kept);
        kept = block;
    }
    *list = kept;
}

void lq_alloc_trim(lq_alloc *a)
{
    lq_alloc_chunk **link = &a->chunks, *chunk;
    size_t i;

    note_cut(a);
    count_idle(a);
    for (i = 0; i < LQ_ALLOC_CLASSES; i++) drop_idle(&a->free[i]);
    if (a->chunks && is_idle(a->chunks)) a->at = NULL, a->left = 0;
    while ((chunk = *link)) {
        if (is_idle(chunk)) {
            *link = chunk->next;
            lq_mem_free(chunk);
        } else {
            link = &chunk->next;
        }
    }
}

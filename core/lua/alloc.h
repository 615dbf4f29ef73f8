/* alloc.h - the allocator of one Lua state, with the limit of its heap.
 *
 * Small blocks come from free lists by size, cut from chunks, so that a worker
 * in its stride does not call malloc; large ones go to malloc. A chunk stays
 * until lq_alloc_trim finds that all of it is free. Builds with a sanitizer
 * use malloc for all, so that it sees each block.
 *
 * Owns:    all memory of the state.
 * Thread:  the state's.
 * Life:    init -> lua_newstate(lq_alloc_lua, a) ... lua_close -> fini.
 * Knows:   base. The type of lua_Alloc, not Lua.
 */
#ifndef LQ_ALLOC_H
#define LQ_ALLOC_H

#include "base/defs.h"

enum {
    LQ_ALLOC_STEP = 16,
    LQ_ALLOC_CLASSES = 32, /* up to 512 bytes */
};

typedef struct lq_alloc_chunk lq_alloc_chunk;

typedef struct lq_alloc {
    void *free[LQ_ALLOC_CLASSES];
    lq_alloc_chunk *chunks; /* the newest first */
    char *at;               /* the rest of the newest */
    size_t left;
    size_t used;    /* bytes that Lua holds */
    size_t limit;   /* of `used`; 0: none */
    size_t reserve; /* bytes beyond the limit that may be used just now */
    bool is_tight;  /* the last thing that would have grown was refused */
} lq_alloc;

void lq_alloc_init(lq_alloc *a);
/* After lua_close: everything goes. */
void lq_alloc_fini(lq_alloc *a);

/* A lua_Alloc whose user data is an lq_alloc. What would grow beyond the limit
 * fails; Lua collects its garbage then and asks again, and when that has not
 * brought it below 15/16 of the limit this fails, too: it would collect again
 * and again for the little that is left. Shrinking fails only without memory,
 * from a large block to a small one. */
void *lq_alloc_lua(void *ud, void *ptr, size_t old_len, size_t new_len);

/* Gives back the chunks of which nothing is in use. Walks over every free
 * block: for after a blow-up, not for every day. */
void lq_alloc_trim(lq_alloc *a);

#endif

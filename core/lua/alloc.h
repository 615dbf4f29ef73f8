/* alloc.h - the allocator of one Lua state.
 *
 * Small blocks come from free lists by size, cut from chunks that live as long
 * as the state, so that a worker in its stride does not call malloc; large
 * ones go to malloc. Builds with a sanitizer use malloc for all, so that it
 * sees each block.
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

typedef struct lq_alloc {
    void *free[LQ_ALLOC_CLASSES];
    void *chunks; /* linked through their first word */
    char *at;     /* the rest of the newest chunk */
    size_t left;
    size_t used; /* bytes that Lua holds */
} lq_alloc;

void lq_alloc_init(lq_alloc *a);
/* After lua_close: everything goes. */
void lq_alloc_fini(lq_alloc *a);

/* A lua_Alloc whose user data is an lq_alloc. */
void *lq_alloc_lua(void *ud, void *ptr, size_t old_len, size_t new_len);

#endif

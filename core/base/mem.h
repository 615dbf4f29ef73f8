/* mem.h - memory of our own C code.
 *
 * Every allocation of ours goes through here, so that one place can count
 * them, limit them or make them fail.
 *
 * Owns:    nothing.
 * Thread:  any thread.
 * Knows:   libc.
 */
#ifndef LQ_MEM_H
#define LQ_MEM_H

#include "base/defs.h"

/* All of these return NULL when there is no memory, and give what they
 * return; lq_mem_free(NULL) is allowed. */
void *lq_mem_alloc(size_t len) LQ_MUST_CHECK;
void *lq_mem_zalloc(size_t len) LQ_MUST_CHECK;
void *lq_mem_realloc(void *ptr, size_t len) LQ_MUST_CHECK;
/* align: a power of two, and a multiple of sizeof(void *). */
void *lq_mem_aligned(size_t align, size_t len) LQ_MUST_CHECK;
char *lq_mem_strndup(const char *s, size_t len) LQ_MUST_CHECK;
void lq_mem_free(void *ptr);

/* At the start of the process: what is freed in one large piece goes back to
 * the system at once, whatever was freed before it (glibc raises its bounds
 * with every large block, up to 32 MiB). */
void lq_mem_init(void);

/* Gives free memory back to the system, where the C library can. Slow, and
 * other threads that allocate may wait for it: for after a blow-up. */
void lq_mem_trim(void);

#endif

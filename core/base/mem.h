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
char *lq_mem_strndup(const char *s, size_t len) LQ_MUST_CHECK;
void lq_mem_free(void *ptr);

#endif

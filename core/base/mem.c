/* mem.c - see mem.h. */
#include "base/mem.h"

#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <stdlib.h>
#include <string.h>

enum {
    MMAP_FROM = 256 * 1024, /* a block from here on is mapped by itself */
    KEEP_FREE = 512 * 1024, /* at the end of an arena */
};

void lq_mem_init(void)
{
#ifdef __GLIBC__
    mallopt(M_MMAP_THRESHOLD, MMAP_FROM);
    mallopt(M_TRIM_THRESHOLD, KEEP_FREE);
#endif
}

void *lq_mem_alloc(size_t len)
{
    return malloc(len);
}

void *lq_mem_zalloc(size_t len)
{
    return calloc(1, len);
}

void *lq_mem_realloc(void *ptr, size_t len)
{
    return realloc(ptr, len);
}

void *lq_mem_aligned(size_t align, size_t len)
{
    void *ptr;

    return posix_memalign(&ptr, align, len) == 0 ? ptr : NULL;
}

char *lq_mem_strndup(const char *s, size_t len)
{
    char *copy = lq_mem_alloc(len + 1);

    if (!copy) return NULL;
    memcpy(copy, s, len);
    copy[len] = '\0';
    return copy;
}

void lq_mem_free(void *ptr)
{
    free(ptr);
}

void lq_mem_trim(void)
{
#ifdef __GLIBC__
    malloc_trim(0);
#endif
}

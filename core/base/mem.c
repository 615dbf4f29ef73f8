/* mem.c - see mem.h. */
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

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

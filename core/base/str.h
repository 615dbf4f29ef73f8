/* str.h - a view of bytes that somebody else owns.
 *
 * Owns:    nothing: `ptr` is borrowed.
 * Thread:  none.
 * Knows:   libc.
 */
#ifndef LQ_STR_H
#define LQ_STR_H

#include <string.h>
#include <strings.h>

#include "base/defs.h"

typedef struct lq_str {
    const char *ptr;
    size_t len;
} lq_str;

/* A string literal as a view. */
#define LQ_STR(literal) ((lq_str){"" literal, sizeof(literal) - 1})

static inline bool lq_str_equal(lq_str a, lq_str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

/* Equal but for the case of ASCII letters. */
static inline bool lq_str_equal_nocase(lq_str a, lq_str b)
{
    return a.len == b.len &&
           (a.len == 0 || strncasecmp(a.ptr, b.ptr, a.len) == 0);
}

#endif

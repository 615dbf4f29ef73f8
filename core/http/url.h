/* url.h - percent-encoding and name=value pairs.
 *
 * Owns:    nothing.
 * Thread:  none.
 * Knows:   base.
 */
#ifndef LQ_URL_H
#define LQ_URL_H

#include <sys/types.h>

#include "base/str.h"

/* The value of a hexadecimal digit, or -1. */
static inline int lq_url_hex(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The byte of the escape at `s`, of which `left` bytes can be read; -1 when
 * it is broken. */
static inline int lq_url_escape(const char *s, size_t left)
{
    int high, low;

    if (left < 3) return -1;
    high = lq_url_hex(s[1]);
    low = lq_url_hex(s[2]);
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

/* Decodes into `out`, which has room for in.len bytes and may be in.ptr.
 * Returns the length, or LQ_EINVALID for a broken escape. */
ssize_t lq_url_decode(char *out, lq_str in, bool plus_is_space);

/* Encodes every byte that is not unreserved (RFC 3986 2.3) into `out`, which
 * has room for 3 * in.len bytes. Returns the length. */
size_t lq_url_encode(char *out, lq_str in);

/* Takes the next pair of `a=b&c=d` off the front of `rest`, raw; false at the
 * end. A pair without `=` has the value "", pairs of no bytes are passed
 * over. Both lie in `rest`. */
bool lq_url_next_pair(lq_str *rest, lq_str *name, lq_str *value);

#endif

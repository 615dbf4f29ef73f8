/* utf8.h - whether bytes are UTF-8.
 *
 * Strict (RFC 3629): no overlong forms, no surrogates, nothing above U+10FFFF.
 *
 * Owns:    nothing.
 * Thread:  none.
 * Knows:   str.
 */
#ifndef LQ_UTF8_H
#define LQ_UTF8_H

#include "base/str.h"

/* How many bytes from the front are whole, valid characters. */
size_t lq_utf8_prefix(lq_str s);

static inline bool lq_utf8_valid(lq_str s)
{
    return lq_utf8_prefix(s) == s.len;
}

/* Whether `s` is the beginning of a character that lacks one byte or more: what
 * may stand behind the prefix as long as more is to come. */
bool lq_utf8_is_cut(lq_str s);

#endif

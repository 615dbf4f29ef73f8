/* cut.c - see cut.h. */
#include "log/cut.h"

#include <stdio.h>

enum { LONGEST_TAIL = 3 }; /* bytes behind the first of a character */

static bool is_inside(lq_str s, size_t at)
{
    return ((unsigned char)s.ptr[at] & 0xC0) == 0x80;
}

lq_str lq_cut(lq_str s, size_t most)
{
    size_t at = most;

    if (s.len <= most) return s;
    while (at > 0 && most - at < LONGEST_TAIL && is_inside(s, at)) at--;
    return (lq_str){s.ptr, is_inside(s, at) ? most : at};
}

int lq_cut_put(lq_buf *out, lq_str s, size_t most)
{
    lq_str kept = lq_cut(s, most);
    char text[64];
    int len, err = lq_buf_append(out, kept.ptr, kept.len);

    if (err < 0 || kept.len == s.len) return err;
    len = snprintf(text, sizeof text, "... (%zu bytes more)", s.len - kept.len);
    return lq_buf_append(out, text, (size_t)len);
}

int lq_cut_escape(lq_buf *out, lq_str s, size_t most,
                  int (*escape)(lq_buf *, lq_str))
{
    lq_buf whole;
    int err;

    lq_buf_init(&whole);
    err = lq_cut_put(&whole, s, most);
    if (err == 0)
        err = escape(out, (lq_str){lq_buf_ptr(&whole), lq_buf_len(&whole)});
    lq_buf_fini(&whole);
    return err;
}

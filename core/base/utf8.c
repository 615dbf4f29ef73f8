/* utf8.c - see utf8.h. */
#include "base/utf8.h"

/* How many bytes from the front are ASCII, rounded down to a multiple of 8
 * where a word holds another one. */
static size_t ascii_run(const char *p, size_t len)
{
    size_t at = 0;
    uint64_t word;

    for (; len - at >= sizeof word; at += sizeof word) {
        memcpy(&word, p + at, sizeof word);
        if (word & UINT64_C(0x8080808080808080)) break;
    }
    return at;
}

/* Whether `second` may follow `first`, the start of a longer character. */
static bool is_second(unsigned char first, unsigned char second)
{
    unsigned char low = 0x80, high = 0xBF;

    if (first == 0xE0) low = 0xA0;
    if (first == 0xED) high = 0x9F;
    if (first == 0xF0) low = 0x90;
    if (first == 0xF4) high = 0x8F;
    return second >= low && second <= high;
}

/* How long a character is that begins so, 0 when none does. */
static size_t len_by_first(unsigned char first)
{
    if (first < 0x80) return 1;
    if (first < 0xC2 || first > 0xF4) return 0;
    return first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
}

/* The length of the character at `p`, 0 when there is no valid one. */
static size_t char_len(const unsigned char *p, size_t left)
{
    size_t len = len_by_first(p[0]), i;

    if (len <= 1) return len;
    if (len > left || !is_second(p[0], p[1])) return 0;
    for (i = 2; i < len; i++)
        if ((p[i] & 0xC0) != 0x80) return 0;
    return len;
}

size_t lq_utf8_prefix(lq_str s)
{
    size_t at = 0, len;

    while (at < s.len) {
        if ((unsigned char)s.ptr[at] < 0x80) {
            at += ascii_run(s.ptr + at, s.len - at);
            if (at == s.len) break;
        }
        len = char_len((const unsigned char *)s.ptr + at, s.len - at);
        if (!len) break;
        at += len;
    }
    return at;
}

bool lq_utf8_is_cut(lq_str s)
{
    const unsigned char *p = (const unsigned char *)s.ptr;

    if (s.len == 0 || s.len >= len_by_first(p[0])) return false;
    if (s.len > 1 && !is_second(p[0], p[1])) return false;
    return s.len < 3 || (p[2] & 0xC0) == 0x80;
}

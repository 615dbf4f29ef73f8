/* fuzz_url.c - percent-encoding, pairs and UTF-8.
 *
 * Owns:    nothing that outlives an input.
 * Thread:  none.
 * Knows:   base, http/url.
 */
#include <ctype.h>

#include "base/err.h"
#include "base/utf8.h"
#include "fuzz.h"
#include "http/url.h"

/* ---- escapes ------------------------------------------------------------- */

/* The naive way; -1 for a broken escape. */
static ssize_t decode(char *out, lq_str in, bool plus_is_space)
{
    size_t i, len = 0;
    char digits[3] = "";

    for (i = 0; i < in.len; i++) {
        out[len++] = plus_is_space && in.ptr[i] == '+' ? ' ' : in.ptr[i];
        if (in.ptr[i] != '%') continue;
        if (in.len - i < 3 || !isxdigit((unsigned char)in.ptr[i + 1]) ||
            !isxdigit((unsigned char)in.ptr[i + 2]))
            return -1;
        memcpy(digits, in.ptr + i + 1, 2);
        out[len - 1] = (char)strtol(digits, NULL, 16);
        i += 2;
    }
    return (ssize_t)len;
}

static void try_decode(lq_str in, bool plus_is_space)
{
    char *expected = fuzz_copy(in.ptr, in.len), *out = malloc(in.len);
    char *in_place = fuzz_copy(in.ptr, in.len);
    ssize_t len = decode(expected, in, plus_is_space);

    FUZZ_CHECK(out);
    if (len < 0) {
        FUZZ_CHECK(lq_url_decode(out, in, plus_is_space) == LQ_EINVALID);
    } else {
        FUZZ_CHECK(lq_url_decode(out, in, plus_is_space) == len);
        FUZZ_CHECK(!memcmp(out, expected, (size_t)len));
        FUZZ_CHECK(lq_url_decode(in_place, (lq_str){in_place, in.len},
                                 plus_is_space) == len);
        FUZZ_CHECK(!memcmp(in_place, expected, (size_t)len));
    }
    free(in_place);
    free(out);
    free(expected);
}

/* What is encoded is safe to stand anywhere in a URL, and comes back. */
static void try_encode(lq_str in)
{
    char *out = malloc(3 * in.len), *back = malloc(3 * in.len);
    size_t len, i;

    FUZZ_CHECK(out && back);
    len = lq_url_encode(out, in);
    FUZZ_CHECK(len >= in.len && len <= 3 * in.len);
    for (i = 0; i < len; i++)
        FUZZ_CHECK(isalnum((unsigned char)out[i]) ||
                   (out[i] && strchr("-._~%", out[i])));
    FUZZ_CHECK(lq_url_decode(back, (lq_str){out, len}, true) ==
               (ssize_t)in.len);
    FUZZ_CHECK(!memcmp(back, in.ptr, in.len));
    free(back);
    free(out);
}

/* ---- pairs --------------------------------------------------------------- */

/* The pairs, with what is between them, are the text again. */
static void try_pairs(lq_str in)
{
    char *copy = fuzz_copy(in.ptr, in.len);
    lq_str rest = {copy, in.len}, name, value;
    const char *at = copy, *end = copy + in.len;

    while (lq_url_next_pair(&rest, &name, &value)) {
        while (at < end && *at == '&') at++;
        FUZZ_CHECK(name.ptr == at &&
                   name.len + value.len <= (size_t)(end - at));
        FUZZ_CHECK(!memchr(name.ptr, '&', name.len));
        FUZZ_CHECK(!memchr(name.ptr, '=', name.len));
        at += name.len;
        FUZZ_CHECK(name.len > 0 || (at < end && *at == '='));
        if (at < end && *at == '=') at++;
        FUZZ_CHECK(value.ptr == at);
        FUZZ_CHECK(!memchr(value.ptr, '&', value.len));
        at += value.len;
        FUZZ_CHECK(at == end || *at == '&');
        FUZZ_CHECK(rest.ptr + rest.len == end &&
                   rest.len <= (size_t)(end - at));
    }
    while (at < end && *at == '&') at++;
    FUZZ_CHECK(at == end && rest.len == 0);
    free(copy);
}

/* ---- UTF-8 --------------------------------------------------------------- */

/* By the number of ones in front. */
static size_t len_of_first(unsigned char first)
{
    if (first < 0x80) return 1;
    if (first >> 5 == 6) return 2;
    if (first >> 4 == 14) return 3;
    return first >> 3 == 30 ? 4 : 0;
}

/* How many bytes the character at the front of `s` has; 0: it is none. By the
 * number that it means, and how that has to be written. */
static size_t character_len(lq_str s)
{
    static const unsigned least[] = {0, 0, 0x80, 0x800, 0x10000};
    unsigned number = (unsigned char)s.ptr[0];
    size_t len = len_of_first((unsigned char)number), i;

    if (len == 0 || len > s.len) return 0;
    if (len > 1) number &= 0x7fu >> len;
    for (i = 1; i < len; i++) {
        if (((unsigned char)s.ptr[i] & 0xc0) != 0x80) return 0;
        number = number << 6 | ((unsigned char)s.ptr[i] & 0x3f);
    }
    if (number < least[len] || number > 0x10ffff) return 0;
    return number >= 0xd800 && number <= 0xdfff ? 0 : len;
}

static void try_utf8(lq_str in)
{
    char *copy = fuzz_copy(in.ptr, in.len);
    size_t at = 0, len;

    while (at < in.len) {
        len = character_len((lq_str){in.ptr + at, in.len - at});
        if (!len) break;
        at += len;
    }
    FUZZ_CHECK(lq_utf8_prefix((lq_str){copy, in.len}) == at);
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    lq_str in = {(const char *)data, len};

    try_decode(in, false);
    try_decode(in, true);
    try_encode(in);
    try_pairs(in);
    try_utf8(in);
    return 0;
}

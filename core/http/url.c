/* url.c - see url.h. */
#include "http/url.h"

#include "base/err.h"

ssize_t lq_url_decode(char *out, lq_str in, bool plus_is_space)
{
    char *to = out;
    size_t i = 0;
    int byte;

    while (i < in.len) {
        if (in.ptr[i] == '%') {
            byte = lq_url_escape(in.ptr + i, in.len - i);
            if (byte < 0) return LQ_EINVALID;
            *to++ = (char)byte;
            i += 3;
            continue;
        }
        *to++ = plus_is_space && in.ptr[i] == '+' ? ' ' : in.ptr[i];
        i++;
    }
    return to - out;
}

static bool is_unreserved(char c)
{
    char letter = (char)(c | 0x20);

    return (letter >= 'a' && letter <= 'z') || (c >= '0' && c <= '9') ||
           c == '-' || c == '.' || c == '_' || c == '~';
}

size_t lq_url_encode(char *out, lq_str in)
{
    static const char digits[] = "0123456789ABCDEF";
    char *to = out;
    size_t i;

    for (i = 0; i < in.len; i++) {
        unsigned char c = (unsigned char)in.ptr[i];

        if (is_unreserved(in.ptr[i])) {
            *to++ = in.ptr[i];
            continue;
        }
        *to++ = '%';
        *to++ = digits[c >> 4];
        *to++ = digits[c & 15];
    }
    return (size_t)(to - out);
}

/* Cuts `text`, which is not empty, at the first `mark`; returns what is behind
 * it, or nothing. */
static lq_str cut(lq_str *text, char mark)
{
    const char *end = text->ptr + text->len;
    const char *at = memchr(text->ptr, mark, text->len);

    if (!at) return (lq_str){end, 0};
    text->len = (size_t)(at - text->ptr);
    return (lq_str){at + 1, (size_t)(end - at - 1)};
}

bool lq_url_next_pair(lq_str *rest, lq_str *name, lq_str *value)
{
    lq_str pair;

    do {
        if (rest->len == 0) return false;
        pair = *rest;
        *rest = cut(&pair, '&');
    } while (pair.len == 0);
    *value = cut(&pair, '=');
    *name = pair;
    return true;
}

/* escape.c - see escape.h.
 *
 * Runs of plain bytes are copied whole; a table says what ends a run.
 */
#include "log/escape.h"

#include <stdio.h>

#include "base/utf8.h"

/* What a byte may end the run of. */
enum { CONTROL = 1, HIGH = 2, QUOTE = 4, BLANK = 8 };

#define C8                                                                     \
    CONTROL, CONTROL, CONTROL, CONTROL, CONTROL, CONTROL, CONTROL, CONTROL
#define H8 HIGH, HIGH, HIGH, HIGH, HIGH, HIGH, HIGH, HIGH
#define H64 H8, H8, H8, H8, H8, H8, H8, H8

static const unsigned char kinds[256] = {
    C8,
    C8,
    C8,
    C8,
    [' '] = BLANK,
    ['='] = BLANK,
    ['"'] = QUOTE,
    ['\\'] = QUOTE,
    [0x7f] = CONTROL,
    [0x80] = H64,
    H64,
};

typedef struct style {
    unsigned char ends; /* kinds that end a run */
    bool is_json;
} style;

static const style text_style = {CONTROL | HIGH, false};
static const style quoted_style = {CONTROL | HIGH | QUOTE, false};
static const style json_text_style = {CONTROL | HIGH, true};
static const style json_style = {CONTROL | HIGH | QUOTE, true};

static size_t plain_run(lq_str s, unsigned char ends)
{
    size_t at = 0;

    while (at < s.len && !(kinds[(unsigned char)s.ptr[at]] & ends)) at++;
    return at;
}

/* The letter of a short escape that both formats know; 0: none. */
static char letter_of(unsigned char c)
{
    switch (c) {
    case '\n': return 'n';
    case '\r': return 'r';
    case '\t': return 't';
    case '"':
    case '\\': return (char)c;
    default: return 0;
    }
}

static int put_byte(lq_buf *out, const style *st, unsigned char c)
{
    char text[8] = {'\\', letter_of(c)};

    if (text[1]) return lq_buf_append(out, text, 2);
    snprintf(text, sizeof text, st->is_json ? "\\u%04x" : "\\x%02x", c);
    return lq_buf_append(out, text, st->is_json ? 6 : 4);
}

/* The character at `p` that must not go out as it is, or 0. */
static unsigned forbidden(const unsigned char *p)
{
    if (p[0] == 0xC2 && p[1] < 0xA0) return p[1];
    if (p[0] == 0xE2 && p[1] == 0x80 && (p[2] & 0xFE) == 0xA8)
        return 0x2000u + (p[2] & 0x3Fu);
    return 0;
}

/* The character or the stray byte at the front; *len: how many bytes. */
static int put_high(lq_buf *out, const style *st, lq_str s, size_t *len)
{
    const unsigned char *p = (const unsigned char *)s.ptr;
    unsigned code;
    char text[16];

    s.len = s.len < 4 ? s.len : 4;
    if (lq_utf8_prefix(s) == 0) {
        *len = 1;
        return st->is_json ? lq_buf_append(out, "\xEF\xBF\xBD", 3)
                           : put_byte(out, st, p[0]);
    }
    *len = p[0] < 0xE0 ? 2 : p[0] < 0xF0 ? 3 : 4;
    code = forbidden(p);
    if (!code) return lq_buf_append(out, s.ptr, *len);
    snprintf(text, sizeof text, "\\u%04x", code);
    return lq_buf_append(out, text, 6);
}

static int escape(lq_buf *out, const style *st, lq_str s)
{
    size_t len;
    int err;

    for (;;) {
        len = plain_run(s, st->ends);
        err = lq_buf_append(out, s.ptr, len);
        s.ptr += len;
        s.len -= len;
        if (err < 0 || s.len == 0) return err;
        len = 1;
        if (kinds[(unsigned char)*s.ptr] & HIGH)
            err = put_high(out, st, s, &len);
        else
            err = put_byte(out, st, (unsigned char)*s.ptr);
        if (err < 0) return err;
        s.ptr += len;
        s.len -= len;
    }
}

static int escape_quoted(lq_buf *out, const style *st, lq_str s)
{
    int err = lq_buf_append(out, "\"", 1);

    if (err == 0) err = escape(out, st, s);
    return err < 0 ? err : lq_buf_append(out, "\"", 1);
}

int lq_escape_text(lq_buf *out, lq_str s)
{
    return escape(out, &text_style, s);
}

int lq_escape_value(lq_buf *out, lq_str s)
{
    size_t run = plain_run(s, CONTROL | HIGH | QUOTE | BLANK);
    bool is_word;

    if (run == s.len && run > 0) return lq_buf_append(out, s.ptr, s.len);
    is_word = s.len > 0 && plain_run(s, CONTROL | QUOTE | BLANK) == s.len;
    return is_word ? escape(out, &text_style, s)
                   : escape_quoted(out, &quoted_style, s);
}

int lq_escape_json_text(lq_buf *out, lq_str s)
{
    return escape(out, &json_text_style, s);
}

int lq_escape_json(lq_buf *out, lq_str s)
{
    return escape_quoted(out, &json_style, s);
}

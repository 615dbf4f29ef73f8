/* pattern.c - see pattern.h.
 *
 * The automaton keeps one bit for each item that may take the next byte. A
 * byte leaves those whose set has it (`hit`): such an item stays when it
 * repeats and hands on to the next one. Items that may be left out are then
 * passed by, a whole run of them in one addition whose carry runs through it.
 */
#include "http/pattern.h"

#include "http/url.h"

typedef struct reader {
    lq_pattern *p;
    lq_str text;
    size_t at;
    uint64_t item; /* the bit of the item being read */
    lq_err *err;
} reader;

/* ---- bytes --------------------------------------------------------------- */

static bool is_between(int c, int low, int high)
{
    return c >= low && c <= high;
}

static bool is_letter(int c)
{
    return is_between(c | 0x20, 'a', 'z');
}

static bool is_digit(int c)
{
    return is_between(c, '0', '9');
}

static bool is_graphic(int c)
{
    return is_between(c, '!', '~');
}

/* Whether `c` is in the class of a small letter; -1: there is no such class.
 * Not <ctype.h>, which asks the locale. */
static int is_in_class(int letter, int c)
{
    switch (letter) {
    case 'a': return is_letter(c);
    case 'c': return c < ' ' || c == 127;
    case 'd': return is_digit(c);
    case 'g': return is_graphic(c);
    case 'l': return is_between(c, 'a', 'z');
    case 'p': return is_graphic(c) && !is_letter(c) && !is_digit(c);
    case 's': return c == ' ' || is_between(c, '\t', '\r');
    case 'u': return is_between(c, 'A', 'Z');
    case 'w': return is_letter(c) || is_digit(c);
    case 'x': return is_digit(c) || is_between(c | 0x20, 'a', 'f');
    default: return -1;
    }
}

static void add_range(reader *r, int low, int high)
{
    int c;

    for (c = low; c <= high; c++) r->p->by_byte[c] |= r->item;
}

static void complement(reader *r)
{
    int c;

    for (c = 0; c < 256; c++) r->p->by_byte[c] ^= r->item;
}

static void add_class(reader *r, int letter)
{
    bool is_inverted = is_between(letter, 'A', 'Z');
    int c;

    for (c = 0; c < 256; c++)
        if (is_in_class(letter | 0x20, c) != is_inverted)
            r->p->by_byte[c] |= r->item;
}

/* ---- reading ------------------------------------------------------------- */

/* The byte `ahead` of the place; -1 behind the end. */
static int peek(const reader *r, size_t ahead)
{
    size_t at = r->at + ahead;

    return at < r->text.len ? (unsigned char)r->text.ptr[at] : -1;
}

static int fail(reader *r, const char *why)
{
    return lq_err_set(r->err, LQ_EINVALID, "%s", why);
}

/* `%` and what follows it. */
static int read_escape(reader *r)
{
    int c = peek(r, 1);

    if (c < 0) return fail(r, "a constraint cannot end with '%'");
    if (c == 'b' || c == 'f')
        return fail(r, "%b and %f do not exist in constraints");
    if (is_letter(c) && is_in_class(c | 0x20, 0) >= 0)
        add_class(r, c);
    else if (is_digit(c))
        return fail(r, "a constraint has no captures");
    else if (is_letter(c))
        return fail(r, "there is no such character class");
    else
        add_range(r, c, c);
    r->at += 2;
    return 0;
}

static int read_range(reader *r)
{
    int low = peek(r, 0), high = peek(r, 2);

    if (high == '%') return fail(r, "a range cannot end in a class");
    if (low > high) return fail(r, "this range is empty");
    add_range(r, low, high);
    r->at += 3;
    return 0;
}

static int read_member(reader *r)
{
    int c = peek(r, 0), behind = peek(r, 2);

    if (c == '%') return read_escape(r);
    if (peek(r, 1) == '-' && behind >= 0 && behind != ']') return read_range(r);
    add_range(r, c, c);
    r->at++;
    return 0;
}

/* `[...]`; a `]` that comes first is a member. */
static int read_set(reader *r)
{
    bool is_inverted = peek(r, 1) == '^';
    size_t start = r->at, first;
    int err;

    first = r->at += is_inverted ? 2 : 1;
    while (peek(r, 0) != ']' || r->at == first) {
        if (peek(r, 0) < 0) {
            r->at = start;
            return fail(r, "a set is not closed");
        }
        err = read_member(r);
        if (err < 0) return err;
    }
    r->at++;
    if (is_inverted) complement(r);
    return 0;
}

/* A dollar sign: an item like others, but at the end. */
static int read_dollar(reader *r)
{
    if (r->at + 1 == r->text.len)
        return fail(r, "a constraint is anchored anyway; '$' is written '%$'");
    add_range(r, '$', '$');
    r->at++;
    return 0;
}

/* One set of bytes, without its quantifier. */
static int read_item(reader *r)
{
    int c = peek(r, 0);

    switch (c) {
    case '%': return read_escape(r);
    case '[': return read_set(r);
    case '$': return read_dollar(r);
    case '(':
    case ')': return fail(r, "a constraint has no captures");
    case '.': add_range(r, 0, 255); break;
    default: add_range(r, c, c); break;
    }
    r->at++;
    return 0;
}

static void read_quantifier(reader *r)
{
    int c = peek(r, 0);

    if (c != '*' && c != '+' && c != '-' && c != '?') return;
    if (c != '?') r->p->repeats |= r->item;
    if (c != '+') r->p->optional |= r->item;
    r->at++;
}

static int read_all(reader *r)
{
    int err;

    for (;;) {
        err = read_item(r);
        if (err < 0) return err;
        read_quantifier(r);
        if (r->at == r->text.len) return 0;
        r->item <<= 1;
        if (!r->item) return fail(r, "a constraint has at most 64 items");
    }
}

static int check_start(reader *r)
{
    if (r->text.len == 0) return fail(r, "a constraint cannot be empty");
    if (r->text.ptr[0] == '^')
        return fail(r, "a constraint is anchored anyway; '^' is written '%^'");
    return 0;
}

int lq_pattern_init(lq_pattern *p, lq_str text, size_t *at, lq_err *err)
{
    reader r = {.p = p, .text = text, .item = 1, .err = err};
    int result;

    *p = (lq_pattern){.repeats = 0};
    result = check_start(&r);
    if (result == 0) result = read_all(&r);
    p->last = r.item;
    *at = r.at;
    return result;
}

/* ---- matching ------------------------------------------------------------ */

/* `active`, and what stands behind those of it that may be left out. A carry
 * sets the bits from the lowest active one of a run to the one behind it. */
static uint64_t pass_by(const lq_pattern *p, uint64_t active)
{
    uint64_t runs = p->optional;

    return active | ((runs + (active & runs)) ^ runs);
}

bool lq_pattern_match(const lq_pattern *p, lq_str text, bool is_encoded,
                      size_t *budget)
{
    uint64_t active = pass_by(p, 1), hit = 0;
    size_t i = 0, left = *budget;
    unsigned char c;

    while (i < text.len && active && left) {
        c = (unsigned char)text.ptr[i];
        if (is_encoded && c == '%') {
            c = (unsigned char)lq_url_escape(text.ptr + i, text.len - i);
            i += 2;
        }
        hit = active & p->by_byte[c];
        active = pass_by(p, (hit & p->repeats) | hit << 1);
        i++;
        left--;
    }
    *budget = left;
    return i == text.len && ((hit | (active & p->optional)) & p->last);
}

/* ---- extent -------------------------------------------------------------- */

/* Behind the set that begins at `at`. */
static size_t skip_set(lq_str text, size_t at)
{
    size_t first = at + 1;

    if (first < text.len && text.ptr[first] == '^') first++;
    for (at = first; at < text.len; at++) {
        if (text.ptr[at] == ']' && at > first) return at + 1;
        if (text.ptr[at] == '%') at++;
    }
    return text.len;
}

size_t lq_pattern_extent(lq_str text)
{
    size_t at = 0, depth = 0;

    while (at < text.len) {
        switch (text.ptr[at]) {
        case '%': at += 2; continue;
        case '[': at = skip_set(text, at); continue;
        case '(': depth++; break;
        case ')':
            if (depth-- == 0) return at;
            break;
        default: break;
        }
        at++;
    }
    return text.len;
}

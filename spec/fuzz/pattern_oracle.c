/* pattern_oracle.c - see pattern_oracle.h. */
#include "pattern_oracle.h"

#include <ctype.h>

#include "fuzz.h"

/* The byte at `at`, -1 behind the end. */
static int byte_at(lq_str s, size_t at)
{
    return at < s.len ? (unsigned char)s.ptr[at] : -1;
}

static bool is_quantifier(int c)
{
    return c == '*' || c == '+' || c == '-' || c == '?';
}

/* ---- what one item matches ----------------------------------------------- */

/* `%` and `letter`: a class, its opposite in capitals, or the byte itself. */
static bool is_in_class(int c, int letter)
{
    bool is_in;

    switch (tolower(letter)) {
    case 'a': is_in = isalpha(c); break;
    case 'c': is_in = iscntrl(c); break;
    case 'd': is_in = isdigit(c); break;
    case 'g': is_in = isgraph(c); break;
    case 'l': is_in = islower(c); break;
    case 'p': is_in = ispunct(c); break;
    case 's': is_in = isspace(c); break;
    case 'u': is_in = isupper(c); break;
    case 'w': is_in = isalnum(c); break;
    case 'x': is_in = isxdigit(c); break;
    default: return c == letter;
    }
    return is_in != (isupper(letter) != 0);
}

/* `members` is what stands between the brackets. */
static bool is_in_set(int c, lq_str members)
{
    bool is_inverted = byte_at(members, 0) == '^', is_in = false;
    size_t at = is_inverted ? 1 : 0;

    while (at < members.len) {
        int low = byte_at(members, at), high = byte_at(members, at + 2);

        if (low == '%') {
            is_in |= is_in_class(c, byte_at(members, at + 1));
            at += 2;
        } else if (byte_at(members, at + 1) == '-' && high >= 0) {
            is_in |= low <= c && c <= high;
            at += 3;
        } else {
            is_in |= c == low;
            at++;
        }
    }
    return is_in != is_inverted;
}

static bool item_matches(lq_str item, int c)
{
    if (item.ptr[0] == '[')
        return is_in_set(c, (lq_str){item.ptr + 1, item.len - 2});
    if (item.ptr[0] == '%') return is_in_class(c, byte_at(item, 1));
    return item.ptr[0] == '.' || c == byte_at(item, 0);
}

/* ---- reading ------------------------------------------------------------- */

/* What may follow a `%`: the letter of a class, or no letter and no digit. */
static bool is_escapable(int c)
{
    if (c < 0 || isdigit(c)) return false;
    return !isalpha(c) || strchr("acdglpsuwx", tolower(c)) != NULL;
}

/* How many bytes the member of a set at `at` has; 0: it is none. */
static size_t member_len(lq_str text, size_t at)
{
    int low = byte_at(text, at), high = byte_at(text, at + 2);

    if (low == '%') return is_escapable(byte_at(text, at + 1)) ? 2 : 0;
    if (byte_at(text, at + 1) != '-' || high < 0 || high == ']') return 1;
    return high != '%' && low <= high ? 3 : 0;
}

/* How many bytes the set at `at` has; 0: it is none. */
static size_t set_len(lq_str text, size_t at)
{
    size_t start = at, len;

    if (byte_at(text, ++at) == '^') at++;
    do { /* a bracket that comes first is a member */
        len = at < text.len ? member_len(text, at) : 0;
        if (!len) return 0;
        at += len;
    } while (byte_at(text, at) != ']');
    return at + 1 - start;
}

static size_t item_len(lq_str text, size_t at)
{
    switch (text.ptr[at]) {
    case '(':
    case ')': return 0;
    case '%': return is_escapable(byte_at(text, at + 1)) ? 2 : 0;
    case '[': return set_len(text, at);
    case '$': return at + 1 == text.len ? 0 : 1;
    default: return 1;
    }
}

bool oracle_pattern_read(oracle_pattern *p, lq_str text)
{
    size_t at = 0, len;

    p->count = 0;
    if (byte_at(text, 0) == '^') return false;
    while (at < text.len) {
        len = item_len(text, at);
        if (!len || p->count == ORACLE_ITEMS_MAX) return false;
        p->items[p->count] = (lq_str){text.ptr + at, len};
        p->quantifiers[p->count] = '\0';
        at += len;
        if (is_quantifier(byte_at(text, at)))
            p->quantifiers[p->count] = text.ptr[at++];
        p->count++;
    }
    return p->count > 0;
}

/* ---- matching ------------------------------------------------------------ */

/* From the places in front of an item to those behind it. A place is how many
 * bytes of the text are used up. */
static void pass(lq_str item, char quantifier, lq_str text, const bool *before,
                 bool *behind)
{
    bool may_skip = quantifier && quantifier != '+';
    bool may_repeat = quantifier && quantifier != '?';
    size_t at;

    for (at = 0; at <= text.len; at++) behind[at] = may_skip && before[at];
    for (at = 0; at < text.len; at++) {
        bool is_here = before[at] || (may_repeat && behind[at]);

        if (is_here && item_matches(item, byte_at(text, at)))
            behind[at + 1] = true;
    }
}

bool oracle_pattern_match(const oracle_pattern *p, lq_str text)
{
    bool tables[2][ORACLE_TEXT_MAX + 1] = {{false}};
    size_t i;

    FUZZ_CHECK(text.len <= ORACLE_TEXT_MAX);
    tables[0][0] = true;
    for (i = 0; i < p->count; i++)
        pass(p->items[i], p->quantifiers[i], text, tables[i % 2],
             tables[(i + 1) % 2]);
    return tables[p->count % 2][text.len];
}

/* ---- the end ------------------------------------------------------------- */

/* Brackets hide parentheses, whatever else is wrong with a set. */
static size_t skip_set(lq_str text, size_t at)
{
    if (byte_at(text, ++at) == '^') at++;
    if (byte_at(text, at) == ']') at++;
    while (at < text.len && text.ptr[at] != ']')
        at += text.ptr[at] == '%' ? 2 : 1;
    return at + 1;
}

size_t oracle_pattern_end(lq_str text)
{
    size_t at = 0, depth = 1;

    while (at < text.len) {
        if (text.ptr[at] == '(') depth++;
        if (text.ptr[at] == ')' && --depth == 0) return at;
        if (text.ptr[at] == '[')
            at = skip_set(text, at);
        else
            at += text.ptr[at] == '%' ? 2 : 1;
    }
    return text.len;
}

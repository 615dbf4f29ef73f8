/* pattern.h - the constraint of a route's variable, as in `:id(%d+)`.
 *
 * Anchored at both ends. Character classes, `.`, sets, `%` escapes and the
 * quantifiers * + - ? are those of Lua in the C locale; captures, %b and %f
 * do not exist. As only yes or no is asked, the pattern runs as an automaton
 * over one machine word: the time is linear in the text, whatever the pattern.
 *
 * Owns:    nothing: embedded by value, 2 KiB.
 * Thread:  none; constant after init.
 * Life:    init -> match*.
 * Knows:   base, url.
 */
#ifndef LQ_PATTERN_H
#define LQ_PATTERN_H

#include "base/err.h"
#include "base/str.h"

enum { LQ_PATTERN_ITEMS_MAX = 64 };

/* An item is one set of bytes with its quantifier; bit i stands for item i. */
typedef struct lq_pattern {
    uint64_t by_byte[256]; /* the items whose set has that byte */
    uint64_t repeats;      /* items with * + - */
    uint64_t optional;     /* items with * - ? */
    uint64_t last;         /* the one bit of the last item */
} lq_pattern;

/* Reads `text` (borrowed during the call). LQ_EINVALID: `err` says what is
 * wrong, `at` (an offset in `text`) where. */
int lq_pattern_init(lq_pattern *p, lq_str text, size_t *at,
                    lq_err *err) LQ_MUST_CHECK;

/* Whether the whole of `text` matches; escapes in it are good, and decoded
 * when `is_encoded`. Takes the bytes it looked at off `budget`, and ends with
 * false when nothing is left of it. */
bool lq_pattern_match(const lq_pattern *p, lq_str text, bool is_encoded,
                      size_t *budget);

/* How many bytes of `text` stand before the `)` that closes a constraint;
 * text.len when there is none. */
size_t lq_pattern_extent(lq_str text);

#endif

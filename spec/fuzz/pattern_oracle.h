/* pattern_oracle.h - a route's constraint, read and matched naively.
 *
 * As Lua reads a pattern: each item is interpreted anew for each byte, and the
 * set of places that a match may have reached is kept in a table.
 *
 * Owns:    nothing: all are views of the pattern.
 * Thread:  none.
 * Knows:   base/str, libc.
 */
#ifndef LQ_FUZZ_PATTERN_ORACLE_H
#define LQ_FUZZ_PATTERN_ORACLE_H

#include "base/str.h"

enum { ORACLE_ITEMS_MAX = 64, ORACLE_TEXT_MAX = 4096 };

typedef struct oracle_pattern {
    size_t count;
    lq_str items[ORACLE_ITEMS_MAX];     /* "a", ".", "%d", "[a-z]" */
    char quantifiers[ORACLE_ITEMS_MAX]; /* '\0' for none */
} oracle_pattern;

/* False when it is no constraint. */
bool oracle_pattern_read(oracle_pattern *p, lq_str text);

/* Whether the whole of `text`, not longer than ORACLE_TEXT_MAX, matches. */
bool oracle_pattern_match(const oracle_pattern *p, lq_str text);

/* Where the `)` stands that ends a constraint; text.len: nowhere. */
size_t oracle_pattern_end(lq_str text);

#endif

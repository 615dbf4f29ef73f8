/* syntax.h - the pattern of a route, taken apart.
 *
 *     /literal, /:name, /:name(constraint), the rest `*`, tails [/...]
 *
 * An optional tail stands at the end and may hold another one, so a pattern
 * has one form for each tail and one without: all of them beginnings of the
 * longest.
 *
 * Owns:    the bytes of its literals.
 * Thread:  none.
 * Life:    parse -> read; its views of the pattern live as long as that.
 * Knows:   base, pattern, url.
 */
#ifndef LQ_SYNTAX_H
#define LQ_SYNTAX_H

#include "base/err.h"
#include "base/str.h"

enum {
    LQ_PATTERN_LEN_MAX = 1024,
    LQ_PATTERN_SEGMENTS_MAX = 128,
    LQ_PARAMS_MAX = 32,
};

typedef enum lq_segment_kind {
    LQ_SEGMENT_LITERAL,     /* text: its bytes, percent-decoded */
    LQ_SEGMENT_CONSTRAINED, /* text: the constraint */
    LQ_SEGMENT_VARIABLE,
    LQ_SEGMENT_REST, /* all segments from here on; the last one */
} lq_segment_kind;

typedef struct lq_segment {
    lq_segment_kind kind;
    lq_str text;
    bool ends_form;
} lq_segment;

typedef struct lq_syntax {
    size_t count;
    lq_segment segments[LQ_PATTERN_SEGMENTS_MAX];
    size_t name_count;
    lq_str names[LQ_PARAMS_MAX]; /* in order; that of the rest is "*" */
    char bytes[LQ_PATTERN_LEN_MAX];
    size_t byte_count;
} lq_syntax;

/* Takes `pattern` apart; `out` has views of it. LQ_EINVALID: `err` says what
 * is wrong and at which column. */
int lq_syntax_parse(lq_syntax *out, lq_str pattern, lq_err *err) LQ_MUST_CHECK;

#endif

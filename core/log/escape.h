/* escape.h - any bytes as a part of one line.
 *
 * What ends a line or moves a terminal's cursor never goes out as it is:
 * control bytes, the control characters of Unicode (U+0080 to U+009F), its
 * line separators. What is not UTF-8 is \xNN in text and U+FFFD in JSON.
 *
 * Owns:    nothing.
 * Thread:  none.
 * Knows:   base.
 */
#ifndef LQ_ESCAPE_H
#define LQ_ESCAPE_H

#include "base/buf.h"
#include "base/str.h"

/* Each appends to `out` and returns -ENOMEM; a part may stand there then. */

/* `\n`, `\r`, `\t`, `\x1b`, `\u0085`; a backslash stays as it is. */
int lq_escape_text(lq_buf *out, lq_str s) LQ_MUST_CHECK;

/* What stands around the `=` of a field: as it is when it is one word, else in
 * quotes, in which a quote and a backslash have a backslash before them. */
int lq_escape_value(lq_buf *out, lq_str s) LQ_MUST_CHECK;

/* JSON as it is, but for what ends a line or moves a cursor inside strings. */
int lq_escape_json_text(lq_buf *out, lq_str s) LQ_MUST_CHECK;

/* A JSON string, quotes included. */
int lq_escape_json(lq_buf *out, lq_str s) LQ_MUST_CHECK;

#endif

/* cut.h - bytes that are too many for a record.
 *
 * What is cut says so at its end: `... (1234 bytes more)`.
 *
 * Owns:    nothing.
 * Thread:  none.
 * Knows:   base.
 */
#ifndef LQ_CUT_H
#define LQ_CUT_H

#include "base/buf.h"
#include "base/str.h"

/* The first `most` bytes, or up to three less: a character of UTF-8 is not
 * torn. Borrows `s`. */
lq_str lq_cut(lq_str s, size_t most);

/* Appends what lq_cut leaves and how many bytes it took. Returns -ENOMEM; a
 * part may stand there then. */
int lq_cut_put(lq_buf *out, lq_str s, size_t most) LQ_MUST_CHECK;

/* The same as `escape`, one of escape.h's, makes of it. */
int lq_cut_escape(lq_buf *out, lq_str s, size_t most,
                  int (*escape)(lq_buf *, lq_str)) LQ_MUST_CHECK;

#endif

/* framing.h - messages in a stream of bytes: where each ends.
 *
 * raw: whatever has come. line: up to a line feed, without it and without a
 * carriage return in front of it. u8, u16, u32: behind their length, unsigned
 * and big-endian.
 *
 * Owns:    nothing.
 * Thread:  none. Pure: bytes in, views out.
 * Knows:   buf, err.
 */
#ifndef LQ_FRAMING_H
#define LQ_FRAMING_H

#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

typedef enum lq_framing {
    LQ_FRAMING_RAW,
    LQ_FRAMING_LINE,
    LQ_FRAMING_U8,
    LQ_FRAMING_U16,
    LQ_FRAMING_U32,
} lq_framing;

/* A line without its end, bytes; a smaller `max` holds, a larger one not. */
enum { LQ_FRAMING_LINE_MAX = 64 * 1024 };

/* The kind of that name ("raw", "line", "u8" ...), or LQ_EINVALID. */
int lq_framing_of(lq_str name);

/* Finds the first message of `in`. Returns how many bytes it takes with what
 * frames it, and lends it in *message, a part of `in`; 0 when it is not whole;
 * LQ_ETOOLARGE when it is or will be longer than `max`, told by its length.
 *
 * *scanned: the caller's note, 0 in the beginning, of what need not be looked
 * at again when the same bytes come once more with others behind them; back at
 * 0 when a message was found. */
ssize_t lq_framing_find(lq_framing kind, lq_str in, size_t max, size_t *scanned,
                        lq_str *message);

/* Appends `message` as it goes out: what lq_framing_find gets it back from.
 * LQ_ETOOLARGE: its length does not fit; LQ_EINVALID: a line that has a line
 * feed inside or a carriage return at its end; -ENOMEM. `out` is as it was
 * then. */
int lq_framing_append(lq_framing kind, lq_buf *out,
                      lq_str message) LQ_MUST_CHECK;

#endif

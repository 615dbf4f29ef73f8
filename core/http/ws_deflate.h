/* ws_deflate.h - the compression of permessage-deflate, RFC 7692 7.2.
 *
 * zlib's raw deflate. Its memory comes from base/mem.h; a deflater has 10 to
 * 260 KiB and an inflater 8 to 40, by their window's bits.
 *
 * One that keeps no context is as good as new for every message: all
 * connections of a thread can share it. Bits: an inflater reads what was
 * written with as many bits or fewer; what a deflater writes can be read with
 * as many bits or more.
 *
 * Owns:    zlib's streams.
 * Thread:  none; whoever holds it.
 * Life:    new -> (deflate | inflate)* -> free.
 * Knows:   buf, mem, ws_frame; zlib (in ws_deflate.c).
 */
#ifndef LQ_WS_DEFLATE_H
#define LQ_WS_DEFLATE_H

#include "base/buf.h"
#include "base/str.h"

typedef struct lq_ws_deflater lq_ws_deflater;
typedef struct lq_ws_inflater lq_ws_inflater;

/* bits: of the window, 9 to 15; level: 1 to 9, or -1 for zlib's own choice.
 * Gives NULL when there is no memory. */
lq_ws_deflater *lq_ws_deflater_new(int bits, int level) LQ_MUST_CHECK;
void lq_ws_deflater_free(lq_ws_deflater *d);

/* Appends the payload that `in`, a whole message, makes. reset: as if there
 * had been no message before (no context takeover). -ENOMEM: `out` is as it
 * was; without reset the deflater is of no more use then, as the other side
 * has not seen what it has. */
int lq_ws_deflate(lq_ws_deflater *d, lq_str in, bool reset,
                  lq_buf *out) LQ_MUST_CHECK;

/* bits: 8 to 15. Gives NULL when there is no memory. */
lq_ws_inflater *lq_ws_inflater_new(int bits, bool keeps_context) LQ_MUST_CHECK;
void lq_ws_inflater_free(lq_ws_inflater *i);

/* Appends what `in`, a part of a message's payload, stands for; last: the
 * message ends with it. Never more than `max` bytes are in `out`, and memory
 * grows with what is there. Returns -LQ_WS_TOO_BIG when it would be more,
 * -LQ_WS_BAD_DATA for what is no deflate or ends within a block, -ENOMEM;
 * after an error an inflater that keeps its context is of no more use, another
 * one is ready for the next message. */
int lq_ws_inflate(lq_ws_inflater *i, lq_str in, bool last, size_t max,
                  lq_buf *out) LQ_MUST_CHECK;

#endif

/* encoding.h - how a message stands on the wire.
 *
 * A WebSocket takes frames, deflated or not; a TCP connection takes what its
 * framing says. A message that goes to many is encoded once for each encoding
 * that is among them.
 *
 * Owns:    a deflater for each size of window that has been asked for.
 * Thread:  owner loop.
 * Life:    all zero is a new one -> encode* -> fini.
 * Knows:   http's frames and deflate, framing.
 */
#ifndef LQ_ENCODING_H
#define LQ_ENCODING_H

#include "http/ws_deflate.h"
#include "net/framing.h"

enum {
    LQ_ENCODING_FRAMES = 0,  /* WebSocket, as they are */
    LQ_ENCODING_DEFLATE = 1, /* ... deflated, with a window of 9 bits; 10: 2 */
    LQ_ENCODING_FRAMING = 8, /* + lq_framing */
    LQ_ENCODINGS = LQ_ENCODING_FRAMING + LQ_FRAMING_U32 + 1,
    LQ_ENCODING_BITS_MIN = 9,
    LQ_ENCODING_BITS_MAX = 15,
    LQ_DEFLATE_FROM = 128, /* bytes; a shorter message is not worth it */
};

typedef struct lq_encoder {
    lq_ws_deflater *deflaters[LQ_ENCODING_BITS_MAX - LQ_ENCODING_BITS_MIN + 1];
} lq_encoder;

void lq_encoder_fini(lq_encoder *e);

static inline uint8_t lq_encoding_deflate(int bits)
{
    return (uint8_t)(LQ_ENCODING_DEFLATE + bits - LQ_ENCODING_BITS_MIN);
}

/* Appends the message. Text must be UTF-8. -ENOMEM; of framings: LQ_ETOOLARGE,
 * LQ_EINVALID. `out` is as it was then. */
int lq_encode(lq_encoder *e, uint8_t encoding, lq_str message, bool is_binary,
              lq_buf *out) LQ_MUST_CHECK;

/* Appends a WebSocket message in one frame; `d` (NULL: not deflated) keeps its
 * context when `keeps_context`. -ENOMEM. */
int lq_encode_frame(lq_ws_deflater *d, bool keeps_context, lq_str message,
                    bool is_binary, lq_buf *out) LQ_MUST_CHECK;

#endif

/* ws_frame.h - frames of WebSocket, RFC 6455 5.2: heads, masks, close codes.
 *
 * What of a frame can be told without knowing the frames in front of it; the
 * rest is the decoder's.
 *
 * Owns:    nothing.
 * Thread:  none.
 * Knows:   str.
 */
#ifndef LQ_WS_FRAME_H
#define LQ_WS_FRAME_H

#include "base/str.h"

enum {
    LQ_WS_CONT = 0,
    LQ_WS_TEXT = 1,
    LQ_WS_BINARY = 2,
    LQ_WS_CLOSE = 8, /* from here on: control frames */
    LQ_WS_PING = 9,
    LQ_WS_PONG = 10,
};

/* Codes of a close frame, RFC 6455 7.4.1. */
enum {
    LQ_WS_NORMAL = 1000,
    LQ_WS_GOING_AWAY = 1001,
    LQ_WS_PROTOCOL_ERROR = 1002,
    LQ_WS_NO_STATUS = 1005, /* never sent: a close frame without a code */
    LQ_WS_ABNORMAL = 1006,  /* never sent: no close frame came */
    LQ_WS_BAD_DATA = 1007,
    LQ_WS_POLICY = 1008,
    LQ_WS_TOO_BIG = 1009,
    LQ_WS_FAILURE = 1011,
};

enum {
    LQ_WS_HEAD_MAX = 10,        /* bytes; a server's frames have no mask */
    LQ_WS_CLIENT_HEAD_MAX = 14, /* with the mask's key */
    LQ_WS_CONTROL_MAX = 125,    /* bytes of a control frame's payload */
    LQ_WS_KEY_LEN = 4,
};

/* The head of a client's frame. */
typedef struct lq_ws_head {
    uint64_t len; /* of the payload, bytes */
    unsigned char key[LQ_WS_KEY_LEN];
    uint8_t opcode;
    bool is_final;
    bool is_deflated; /* RSV1, RFC 7692 6 */
} lq_ws_head;

static inline bool lq_ws_is_control(int opcode)
{
    return (opcode & LQ_WS_CLOSE) != 0;
}

/* Writes the head of a frame that is a whole message; returns its length.
 * is_deflated: the payload is compressed (RSV1). */
size_t lq_ws_frame_head(char out[LQ_WS_HEAD_MAX], int opcode, bool is_deflated,
                        uint64_t len);

/* Reads the head of a client's frame. Returns its length, 0 when `bytes` are
 * less than the head, or -LQ_WS_PROTOCOL_ERROR as soon as the bytes there are
 * allow no other answer. may_deflate: RSV1 has a meaning. */
int lq_ws_head_read(lq_ws_head *out, lq_str bytes,
                    bool may_deflate) LQ_MUST_CHECK;

/* Takes the mask off (or puts it on). offset: of the first byte in the
 * payload. Any alignment. */
void lq_ws_unmask(char *bytes, size_t len,
                  const unsigned char key[LQ_WS_KEY_LEN], size_t offset);

/* Whether a close frame may have it: what is registered for that, and the
 * ranges of libraries and applications. */
bool lq_ws_close_code_is_valid(int code);

#endif

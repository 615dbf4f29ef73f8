/* ws_decoder.h - a client's frames into messages, RFC 6455 5.4 to 5.6 and 8.1.
 *
 * A pull decoder, as http/parse.h is one: it takes bytes as they come and tells
 * the next event. A message of one frame that lies whole in the caller's bytes
 * is unmasked there and lent, not copied. Whatever else there is to remember
 * (a frame that is cut, fragments, what was inflated) stands in memory that
 * is there as long as it is needed, and grows with what has come, not with
 * what was announced: an idle decoder is the struct and nothing else.
 *
 * Owns:    the message under assembly.
 * Thread:  none; whoever holds it.
 * Life:    init -> (feed | release)* -> fini. Embedded by value.
 * Knows:   str, utf8, ws_frame, ws_deflate.
 */
#ifndef LQ_WS_DECODER_H
#define LQ_WS_DECODER_H

#include "base/str.h"
#include "http/ws_deflate.h"
#include "http/ws_frame.h"

/* A message of more fragments than LQ_WS_FRAGMENTS_FREE must have this many
 * bytes for each of them on average. Empty fragments would never come to an
 * end otherwise, and each costs as much to read as a message does; who cuts
 * messages for a reason does so at kilobytes. */
enum { LQ_WS_FRAGMENTS_FREE = 1024, LQ_WS_FRAGMENT_MEAN = 64 };

typedef enum lq_ws_event {
    LQ_WS_MORE,     /* everything was used, more is needed */
    LQ_WS_MESSAGE,  /* `payload`, `is_binary` */
    LQ_WS_GOT_PING, /* `payload` */
    LQ_WS_GOT_PONG, /* `payload` */
    LQ_WS_GOT_CLOSE /* `close_code`, `payload` is the reason */
} lq_ws_event;

/* Shared by many decoders. */
typedef struct lq_ws_limits {
    size_t max_message; /* bytes, after inflating */
} lq_ws_limits;

typedef struct lq_ws_decoder {
    /* For the caller to read. */
    lq_str payload;      /* of the last event; lent until the next feed */
    bool is_binary;      /* of the last message */
    uint16_t close_code; /* LQ_WS_NO_STATUS when the close frame had none */

    /* For ws_decoder.c alone. */
    int16_t error; /* negative: what every further feed returns */
    bool is_closed;
    const lq_ws_limits *limits;
    lq_ws_inflater *inflater;
    struct lq_ws_work *work; /* NULL: nothing is cut */
} lq_ws_decoder;

/* Borrows both until fini. inflater: NULL when permessage-deflate was not
 * agreed on (RSV1 is an error then); one that keeps no context may serve any
 * number of decoders of the thread. */
void lq_ws_decoder_init(lq_ws_decoder *d, const lq_ws_limits *limits,
                        lq_ws_inflater *inflater);
void lq_ws_decoder_fini(lq_ws_decoder *d);

/* Reads up to the next event, which it returns, or -(close code), or -ENOMEM;
 * sets *used in all cases. `bytes` change: they are unmasked in place. After
 * every event but LQ_WS_MORE it is to be called again, with the rest, also
 * when nothing is left. Behind an error all feeds return it again, behind a
 * close frame all are LQ_WS_MORE and what comes is ignored.
 *
 * -LQ_WS_PROTOCOL_ERROR: frames as they may not be; -LQ_WS_BAD_DATA: text that
 * is not UTF-8, told by the first byte that shows it where it is not deflated,
 * or broken deflate; -LQ_WS_TOO_BIG: told by a frame's head; -LQ_WS_POLICY: too
 * many small fragments. */
int lq_ws_decoder_feed(lq_ws_decoder *d, char *bytes, size_t len,
                       size_t *used) LQ_MUST_CHECK;

/* The payload is not needed any more: frees what only it had needed. The next
 * feed does the same. */
void lq_ws_decoder_release(lq_ws_decoder *d);

/* Whether a frame or a message has begun and is not over. */
bool lq_ws_decoder_is_within(const lq_ws_decoder *d);

#endif

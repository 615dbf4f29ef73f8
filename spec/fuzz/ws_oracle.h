/* ws_oracle.h - RFC 6455 and RFC 7692, read naively: whole inputs, no haste.
 *
 * Owns:    nothing.
 * Thread:  none.
 * Knows:   base/buf, ws_decoder's header for the names of events and limits.
 */
#ifndef LQ_WS_ORACLE_H
#define LQ_WS_ORACLE_H

#include "base/buf.h"
#include "http/ws_decoder.h"

/* The bytes of a buffer that may never have had any. */
static inline lq_str oracle_view(const lq_buf *b)
{
    return b->data ? lq_buf_view(b) : (lq_str){"", 0};
}

/* How deflated messages are read. */
typedef enum oracle_deflate {
    ORACLE_PLAIN, /* not agreed on */
    ORACLE_FRESH, /* without context */
    ORACLE_CONTEXT,
} oracle_deflate;

/* Adds an event to a log that can be compared. code: that of a close frame or
 * an error, or whether a message is binary. */
void oracle_log(lq_buf *log, int event, int code, lq_str payload);

/* All events of the frames in `in`, up to the first error. */
void oracle_ws_read(lq_buf *log, lq_str in, size_t max, oracle_deflate how);

/* Appends what a payload stands for to `out`, of which the bytes that are there
 * are the window. Returns 0 or a close code: at most `max` more bytes. */
int oracle_inflate(lq_buf *out, lq_str payload, size_t max);

#endif

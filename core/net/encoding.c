/* encoding.c - see encoding.h. */
#include "net/encoding.h"

#include <errno.h>

#include "http/ws_frame.h"

void lq_encoder_fini(lq_encoder *e)
{
    size_t i;

    for (i = 0; i < LQ_COUNT_OF(e->deflaters); i++)
        lq_ws_deflater_free(e->deflaters[i]);
}

static int put_frame(lq_buf *out, int opcode, lq_str payload)
{
    char head[LQ_WS_HEAD_MAX];
    size_t len = lq_ws_frame_head(head, opcode, false, payload.len);

    if (lq_buf_reserve(out, len + payload.len) < 0) return -ENOMEM;
    lq_buf_put(out, head, len);
    lq_buf_put(out, payload.ptr, payload.len);
    return 0;
}

/* The head's length is known behind the payload only: that is deflated beside
 * it and moved. */
static int put_deflated(lq_ws_deflater *d, bool keeps_context, int opcode,
                        lq_str message, lq_buf *out)
{
    char head[LQ_WS_HEAD_MAX];
    size_t before = lq_buf_len(out), len, payload_len;
    char *at;

    if (lq_buf_reserve(out, LQ_WS_HEAD_MAX) < 0) return -ENOMEM;
    lq_buf_put(out, head, LQ_WS_HEAD_MAX);
    if (lq_ws_deflate(d, message, !keeps_context, out) < 0) {
        lq_buf_truncate(out, before);
        return -ENOMEM;
    }
    payload_len = lq_buf_len(out) - before - LQ_WS_HEAD_MAX;
    len = lq_ws_frame_head(head, opcode, true, payload_len);
    at = lq_buf_ptr(out) + before;
    memcpy(at, head, len);
    memmove(at + len, at + LQ_WS_HEAD_MAX, payload_len);
    lq_buf_truncate(out, before + len + payload_len);
    return 0;
}

int lq_encode_frame(lq_ws_deflater *d, bool keeps_context, lq_str message,
                    bool is_binary, lq_buf *out)
{
    int opcode = is_binary ? LQ_WS_BINARY : LQ_WS_TEXT;

    if (!d || message.len < LQ_DEFLATE_FROM)
        return put_frame(out, opcode, message);
    return put_deflated(d, keeps_context, opcode, message, out);
}

static lq_ws_deflater *deflater(lq_encoder *e, uint8_t encoding)
{
    int i = encoding - LQ_ENCODING_DEFLATE;

    if (!e->deflaters[i])
        e->deflaters[i] = lq_ws_deflater_new(i + LQ_ENCODING_BITS_MIN, -1);
    return e->deflaters[i];
}

int lq_encode(lq_encoder *e, uint8_t encoding, lq_str message, bool is_binary,
              lq_buf *out)
{
    lq_ws_deflater *d = NULL;

    if (encoding >= LQ_ENCODING_FRAMING)
        return lq_framing_append((lq_framing)(encoding - LQ_ENCODING_FRAMING),
                                 out, message);
    if (encoding != LQ_ENCODING_FRAMES && !(d = deflater(e, encoding)))
        return -ENOMEM;
    return lq_encode_frame(d, false, message, is_binary, out);
}

/* websocket.c - see websocket.h. */
#include "net/websocket.h"

#include <errno.h>

#include "base/mem.h"

enum {
    FINISH_MS = 5000, /* for the peer's close frame */
    STOP_MS = 1000,   /* ... when the worker goes, which waits for it */
};

static lq_websocket *websocket_of(lq_session *s)
{
    return LQ_CONTAINER_OF(s, lq_websocket, session);
}

/* ---- frames of ours ------------------------------------------------------ */

static void send_control(lq_session *s, int opcode, lq_str payload)
{
    char head[LQ_WS_HEAD_MAX];
    size_t len = lq_ws_frame_head(head, opcode, false, payload.len);
    lq_buf *out = lq_conn_out(s->conn);

    if (!out || lq_buf_reserve(out, len + payload.len) < 0) {
        lq_session_cut(s, LQ_END_ERROR);
        return;
    }
    lq_buf_put(out, head, len);
    lq_buf_put(out, payload.ptr, payload.len);
    lq_conn_flush_later(s->conn);
}

/* code 0, or one that is never sent: without one. */
static void send_close(lq_session *s, int code, lq_str reason)
{
    char payload[LQ_WS_CONTROL_MAX];
    size_t len =
        reason.len < sizeof payload - 2 ? reason.len : sizeof payload - 2;

    if (!lq_ws_close_code_is_valid(code)) {
        send_control(s, LQ_WS_CLOSE, LQ_STR(""));
        return;
    }
    payload[0] = (char)(code >> 8);
    payload[1] = (char)(code & 0xff);
    if (len) memcpy(payload + 2, reason.ptr, len);
    send_control(s, LQ_WS_CLOSE, (lq_str){payload, len + 2});
}

static void keep_reason(lq_websocket *w, lq_str reason)
{
    if (w->reason || reason.len == 0) return;
    w->reason = lq_mem_strndup(reason.ptr, reason.len);
    w->reason_len = w->reason ? reason.len : 0;
}

int lq_websocket_code(const lq_websocket *w)
{
    const lq_session *s = &w->session;

    if (s->code) return s->code;
    switch ((lq_session_end)s->end) {
    case LQ_END_CLOSED: return LQ_WS_NO_STATUS;
    case LQ_END_TOO_LARGE: return LQ_WS_TOO_BIG;
    case LQ_END_INVALID: return LQ_WS_PROTOCOL_ERROR;
    case LQ_END_SLOW: return LQ_WS_POLICY;
    case LQ_END_ERROR: return LQ_WS_FAILURE;
    case LQ_END_STOP: return LQ_WS_GOING_AWAY;
    default: return LQ_WS_ABNORMAL;
    }
}

/* ---- what the kind does -------------------------------------------------- */

/* The last word of the peer: there is nothing to wait for. */
static void answer_close(lq_session *s)
{
    lq_websocket *w = websocket_of(s);
    int code = w->decoder.close_code;

    if (s->state == LQ_SESSION_OPEN) {
        keep_reason(w, w->decoder.payload);
        lq_session_finish(s, LQ_END_CLOSED, code, LQ_STR(""));
    }
    if (s->conn) lq_session_part(s);
}

static void refuse(lq_session *s, int code);

/* Whether there are too many of them: it is over. */
static bool is_flood(lq_session *s)
{
    lq_websocket *w = websocket_of(s);
    uint32_t now_s = (uint32_t)(lq_loop_now(s->conn->net->loop) / 1000);

    if (w->control_s != now_s) w->controls = 0;
    w->control_s = now_s;
    if (++w->controls <= LQ_WEBSOCKET_CONTROLS) return false;
    refuse(s, LQ_WS_POLICY);
    return true;
}

static void answer_ping(lq_session *s)
{
    if (is_flood(s) || s->state != LQ_SESSION_OPEN) return;
    /* Who sends pings and takes no answers. What is under way to a slow one
     * that is alive is no reason to end it. */
    if (lq_conn_unsent(s->conn) > s->cfg->max_buffered)
        lq_session_cut(s, LQ_END_SLOW);
    else
        send_control(s, LQ_WS_PONG, websocket_of(s)->decoder.payload);
}

/* The peer's bytes make no sense from here on, so nothing is awaited. */
static void refuse(lq_session *s, int code)
{
    lq_session_finish(s,
                      code == LQ_WS_TOO_BIG ? LQ_END_TOO_LARGE : LQ_END_INVALID,
                      code, LQ_STR(""));
    if (s->conn) lq_session_part(s);
}

static int next(lq_session *s, char *bytes, size_t len, size_t *used,
                lq_str *message, bool *is_binary)
{
    lq_websocket *w = websocket_of(s);
    size_t n;
    int event;

    while (s->conn) {
        event = lq_ws_decoder_feed(&w->decoder, bytes, len, &n);
        *used += n;
        bytes += n;
        len -= n;
        switch (event) {
        case LQ_WS_MORE: return 0;
        case LQ_WS_GOT_PONG: is_flood(s); break;
        case LQ_WS_GOT_PING: answer_ping(s); break;
        case LQ_WS_GOT_CLOSE: answer_close(s); break;
        case LQ_WS_MESSAGE:
            if (s->state != LQ_SESSION_OPEN) break;
            *message = w->decoder.payload;
            *is_binary = w->decoder.is_binary;
            return 1;
        case -ENOMEM: lq_session_cut(s, LQ_END_ERROR); break;
        default: refuse(s, -event);
        }
    }
    return 0;
}

/* A handler that waits does not hold what a large message took. */
static void on_taken(lq_session *s)
{
    lq_ws_decoder_release(&websocket_of(s)->decoder);
}

static int encode(lq_session *s, lq_str message, bool is_binary, lq_buf *out)
{
    lq_websocket *w = websocket_of(s);
    lq_ws_deflater *d = w->deflater;
    int err;

    if (!d)
        return lq_encode(&s->all->encoder, s->encoding, message, is_binary,
                         out);
    err = lq_encode_frame(d, !w->is_reset, message, is_binary, out);
    if (message.len >= LQ_DEFLATE_FROM) w->is_reset = err < 0;
    return err;
}

/* It has got what another deflater has made: in its window is more than in that
 * of its own. */
static void on_shared(lq_session *s)
{
    websocket_of(s)->is_reset = true;
}

static void finish(lq_session *s, int code, lq_str reason)
{
    lq_websocket *w = websocket_of(s);

    keep_reason(w, reason);
    send_close(s, code ? code : lq_websocket_code(w), reason);
    if (!s->conn) return;
    s->conn->reads_stream = true;
    lq_session_set_due(s, s->end == LQ_END_STOP ? STOP_MS : FINISH_MS);
    lq_conn_update(s->conn);
}

static void on_due(lq_session *s)
{
    if (s->state == LQ_SESSION_FINISHING) {
        lq_session_part(s);
    } else if (s->is_pinged && !s->is_busy) {
        lq_session_cut(s, LQ_END_IDLE);
    } else {
        s->is_pinged = true;
        lq_session_set_due(s, s->cfg->quiet_ms);
        send_control(s, LQ_WS_PING, LQ_STR(""));
    }
}

const lq_session_kind lq_websocket_kind = {
    .next = next,
    .on_taken = on_taken,
    .encode = encode,
    .on_shared = on_shared,
    .finish = finish,
    .on_due = on_due,
};

/* ---- life ---------------------------------------------------------------- */

static lq_ws_inflater *shared_inflater(lq_sessions *ss)
{
    if (!ss->inflater)
        ss->inflater = lq_ws_inflater_new(LQ_ENCODING_BITS_MAX, false);
    return ss->inflater;
}

int lq_websocket_init(lq_websocket *w, lq_sessions *ss,
                      const lq_ws_limits *limits,
                      const lq_ws_deflate_params *params)
{
    lq_ws_inflater *inflater = NULL;

    w->session.encoding = LQ_ENCODING_FRAMES;
    if (params->on) {
        w->session.encoding = lq_encoding_deflate(params->server_bits);
        if (!params->server_no_context_takeover)
            w->deflater = lq_ws_deflater_new(params->server_bits, -1);
        if (!params->client_no_context_takeover)
            w->inflater = lq_ws_inflater_new(params->client_bits, true);
        inflater = w->inflater ? w->inflater : shared_inflater(ss);
    }
    lq_ws_decoder_init(&w->decoder, limits, inflater);
    if (!params->on) return 0;
    if ((!params->server_no_context_takeover && !w->deflater) ||
        (!params->client_no_context_takeover && !w->inflater) || !inflater)
        return -ENOMEM;
    return 0;
}

void lq_websocket_open(lq_websocket *w, lq_sessions *ss, lq_session_cfg *cfg,
                       lq_conn *c, bool is_busy)
{
    lq_session_open(&w->session, ss, cfg, c, is_busy);
}

void lq_websocket_fini(lq_websocket *w)
{
    lq_ws_decoder_fini(&w->decoder);
    lq_ws_deflater_free(w->deflater);
    lq_ws_inflater_free(w->inflater);
    lq_mem_free(w->reason);
    w->deflater = NULL;
    w->inflater = NULL;
    w->reason = NULL;
    w->reason_len = 0;
}

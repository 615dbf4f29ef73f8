/* tcp.c - see tcp.h. */
#include "net/tcp.h"

static lq_framing framing_of(const lq_session *s)
{
    return (lq_framing)(s->encoding - LQ_ENCODING_FRAMING);
}

static int next(lq_session *s, char *bytes, size_t len, size_t *used,
                lq_str *message, bool *is_binary)
{
    lq_tcp *t = LQ_CONTAINER_OF(s, lq_tcp, session);
    ssize_t n = lq_framing_find(framing_of(s), (lq_str){bytes, len},
                                s->cfg->max_message, &t->scanned, message);

    *is_binary = true;
    if (n > 0) {
        *used = (size_t)n;
        return 1;
    }
    if (n < 0) lq_session_finish(s, LQ_END_TOO_LARGE, 0, LQ_STR(""));
    return 0;
}

static int encode(lq_session *s, lq_str message, bool is_binary, lq_buf *out)
{
    (void)is_binary;
    return lq_framing_append(framing_of(s), out, message);
}

/* There is no good-bye but the end of the bytes. */
static void finish(lq_session *s, int code, lq_str reason)
{
    (void)code;
    (void)reason;
    lq_session_part(s);
}

/* A message that is being handled is activity, too. */
static void on_due(lq_session *s)
{
    if (s->is_busy)
        lq_session_set_due(s, s->cfg->quiet_ms);
    else
        lq_session_finish(s, LQ_END_IDLE, 0, LQ_STR(""));
}

const lq_session_kind lq_tcp_kind = {
    .next = next,
    .encode = encode,
    .finish = finish,
    .on_due = on_due,
};

void lq_tcp_open(lq_tcp *t, lq_sessions *ss, lq_session_cfg *cfg,
                 lq_framing framing, lq_conn *c, bool is_busy)
{
    t->session.encoding = (uint8_t)(LQ_ENCODING_FRAMING + framing);
    lq_session_open(&t->session, ss, cfg, c, is_busy);
}

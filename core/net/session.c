/* session.c - see session.h. */
#include "net/session.h"

#include <errno.h>

#include "http/ws_deflate.h"

enum { LEAVE_TICK_MS = 50, STILL_MS = 500 };

/* ---- the end ------------------------------------------------------------- */

static void set_end(lq_session *s, lq_session_end end, int code)
{
    if (s->end) return;
    s->end = (uint8_t)end;
    s->code = (uint16_t)code;
    if (end == LQ_END_SLOW) s->cfg->slow++;
}

/* Gives the connection back to its fate. */
static lq_conn *let_go(lq_session *s)
{
    lq_conn *c = s->conn;

    c->holder = NULL;
    c->due_ms = 0;
    s->conn = NULL;
    s->state = LQ_SESSION_OVER;
    lq_list_remove(&s->link);
    lq_list_push_back(&s->all->over, &s->link);
    s->all->open_count--;
    lq_audience_leave(&s->all->audience, s);
    return c;
}

/* Nothing has gone either way lately, so nothing can be lost in a reset. */
static bool is_still(const lq_conn *c)
{
    return lq_conn_unsent(c) == 0 &&
           lq_loop_now(c->net->loop) > c->since_ms + STILL_MS;
}

void lq_session_part(lq_session *s)
{
    lq_conn *c = let_go(s);

    if (s->end == LQ_END_STOP && is_still(c))
        lq_conn_cut(c); /* a stop is not to wait for the peer's end */
    else
        lq_conn_end(c);
    s->cfg->on_over(s);
}

void lq_session_cut(lq_session *s, lq_session_end end)
{
    lq_conn *c;

    if (s->state == LQ_SESSION_OVER) return;
    set_end(s, end, 0);
    c = let_go(s);
    lq_conn_cut(c);
    s->cfg->on_over(s);
}

static lq_session_end end_of(int err)
{
    switch (err) {
    case LQ_ETIMEOUT: return LQ_END_SLOW;
    case LQ_ECLOSED: return LQ_END_STOP;
    case -ENOMEM: return LQ_END_ERROR;
    default: return LQ_END_RESET;
    }
}

/* The connection is gone. */
static void lose(lq_session *s, int err)
{
    set_end(s, end_of(err), 0);
    let_go(s);
    s->cfg->on_over(s);
}

void lq_session_finish(lq_session *s, lq_session_end end, int code,
                       lq_str reason)
{
    if (s->state != LQ_SESSION_OPEN) return;
    lq_audience_settle(&s->all->audience, s);
    if (s->state != LQ_SESSION_OPEN) return;
    set_end(s, end, code);
    s->state = LQ_SESSION_FINISHING;
    s->cfg->kind->finish(s, code, reason);
}

/* The worker goes. What was kept for later is handled before. */
static void leave(lq_session *s)
{
    s->is_leaving = true;
    if (!s->is_busy) lq_session_finish(s, LQ_END_STOP, 0, LQ_STR(""));
}

/* ---- messages that come -------------------------------------------------- */

/* Whether what comes is looked at: nothing is told any more to one that has
 * said good-bye, so that it need not be kept for later. */
static bool can_work(const lq_session *s)
{
    return !s->is_busy || s->state == LQ_SESSION_FINISHING;
}

/* Messages out of the bytes, until one keeps us busy. Returns how many bytes
 * were used. */
static size_t work(lq_session *s, char *bytes, size_t len)
{
    const lq_session_kind *kind = s->cfg->kind;
    lq_conn *c = s->conn;
    size_t at = 0, used;
    lq_str message;
    bool is_binary;

    while (s->conn && can_work(s)) {
        used = 0;
        if (!kind->next(s, bytes + at, len - at, &used, &message, &is_binary)) {
            at += used;
            break;
        }
        at += used;
        s->cfg->received++;
        s->is_busy = s->cfg->on_message(s, message, is_binary);
        if (s->conn && kind->on_taken) kind->on_taken(s);
    }
    if (!s->conn) return len;
    c->reads_stream = can_work(s);
    return at;
}

/* What has been kept. A callback may end the connection, so it is not its own
 * meanwhile. */
static void work_kept(lq_session *s)
{
    lq_conn *c = s->conn;
    lq_buf *in = c->in;

    c->in = NULL;
    lq_buf_consume(in, work(s, lq_buf_ptr(in), lq_buf_len(in)));
    if (s->conn && lq_buf_len(in) > 0)
        c->in = in;
    else
        lq_net_buf_release(c->net, in);
}

/* Bytes go one way or the other; WebSockets have pings instead. */
static void restart_quiet(lq_session *s)
{
    if (s->cfg->quiet_ms && s->encoding >= LQ_ENCODING_FRAMING)
        lq_session_set_due(s, s->cfg->quiet_ms);
}

static void on_heard(lq_session *s)
{
    s->is_pinged = false;
    s->has_heard = true;
    restart_quiet(s);
}

static lq_session *session_of(const lq_conn *c)
{
    return LQ_CONTAINER_OF(c->holder, lq_session, holder);
}

static size_t on_bytes(lq_conn *c, char *bytes, size_t len)
{
    lq_session *s = session_of(c);

    on_heard(s);
    return can_work(s) ? work(s, bytes, len) : 0;
}

/* What came before the end has been handled. */
static void on_eof(lq_session *s)
{
    set_end(s, LQ_END_EOF, 0);
    lq_session_part(s);
}

static void on_event(lq_conn *c)
{
    lq_session *s = session_of(c);

    if (c->state == LQ_CONN_CLOSING) {
        lose(s, c->error);
        return;
    }
    if (c->in && can_work(s)) work_kept(s);
    if (s->conn && c->has_eof && can_work(s)) on_eof(s);
    if (s->conn && s->is_leaving) leave(s);
    if (!s->conn || !s->wants_drain || lq_conn_unsent(c) > LQ_NET_LOW_WATER)
        return;
    s->wants_drain = false;
    s->cfg->on_drain(s);
}

static void on_due(lq_conn *c)
{
    lq_session *s = session_of(c);

    s->cfg->kind->on_due(s);
}

/* The handler that opened it. */
static void on_failure(lq_conn *c)
{
    lq_session *s = session_of(c);

    lq_session_finish(s, LQ_END_ERROR, 0, LQ_STR(""));
    lq_session_go_on(s);
}

static const lq_holder_ops ops = {
    .on_bytes = on_bytes,
    .on_event = on_event,
    .on_due = on_due,
    .on_failure = on_failure,
};

void lq_session_go_on(lq_session *s)
{
    s->is_busy = false;
    if (!s->conn) return;
    s->is_pinged = false; /* what it has said meanwhile has not been read */
    s->conn->reads_stream = true;
    lq_conn_flush_later(s->conn);
}

void lq_session_set_due(lq_session *s, uint64_t in_ms)
{
    lq_conn *c = s->conn;

    c->due_ms = in_ms ? lq_loop_now(c->net->loop) + in_ms : 0;
}

/* ---- messages that go ---------------------------------------------------- */

static bool is_much(const lq_session *s)
{
    size_t unsent = lq_conn_unsent(s->conn);

    return unsent > LQ_SESSION_FULL || unsent > s->cfg->max_buffered;
}

/* What stands unsent, once the socket has taken what it takes. */
static size_t settle(lq_session *s)
{
    lq_conn *c = s->conn;

    if (is_much(s) && !c->is_blocked) lq_conn_push(c);
    if (!s->conn) return 0;
    restart_quiet(s);
    if (lq_conn_unsent(c) > s->cfg->max_buffered) {
        lq_session_cut(s, LQ_END_SLOW);
        return 0;
    }
    if (lq_conn_unsent(c) > LQ_SESSION_FULL) s->wants_drain = true;
    lq_conn_flush_later(c);
    return lq_conn_unsent(c);
}

int lq_session_send(lq_session *s, lq_str message, bool is_binary)
{
    lq_buf *out;
    int err;

    if (s->state != LQ_SESSION_OPEN) return LQ_ECLOSED;
    lq_audience_settle(&s->all->audience, s);
    if (s->state != LQ_SESSION_OPEN) return LQ_ECLOSED;
    out = lq_conn_out(s->conn);
    if (!out) return -ENOMEM;
    err = s->cfg->kind->encode(s, message, is_binary, out);
    if (err < 0) {
        lq_conn_flush_later(s->conn); /* gives an empty buffer back */
        return err;
    }
    s->cfg->sent++;
    if (settle(s) > LQ_SESSION_FULL) return 0;
    return s->conn ? 1 : LQ_ECLOSED;
}

void lq_session_write(lq_session *s, lq_str bytes)
{
    if (s->cfg->kind->on_shared) s->cfg->kind->on_shared(s);
    if (lq_conn_write(s->conn, bytes) < 0)
        lq_session_cut(s, LQ_END_ERROR);
    else if (s->conn)
        settle(s);
}

/* ---- opening ------------------------------------------------------------- */

/* It leaves soon, but not without what its client has sent already. */
static void be_late(lq_session *s)
{
    lq_sessions *ss = s->all;

    s->is_late = true;
    if (lq_timer_is_set(&ss->leaving)) return;
    if (lq_timer_start(lq_loop_timers(ss->net->loop), &ss->leaving,
                       lq_loop_now(ss->net->loop) + LEAVE_TICK_MS) < 0)
        leave(s);
}

/* Those that open at the same time are not to be pinged at the same time. */
static uint64_t first_quiet(const lq_session *s)
{
    uint64_t half_ms = s->cfg->quiet_ms / 2;

    if (s->encoding >= LQ_ENCODING_FRAMING || half_ms == 0)
        return s->cfg->quiet_ms;
    return s->cfg->quiet_ms - s->id * 2654435761u % half_ms;
}

void lq_session_open(lq_session *s, lq_sessions *ss, lq_session_cfg *cfg,
                     lq_conn *c, bool is_busy)
{
    s->holder.ops = &ops;
    s->conn = c;
    s->all = ss;
    s->cfg = cfg;
    s->id = ++ss->net->last_id;
    s->peer = c->peer;
    s->is_busy = is_busy;
    lq_list_init(&s->subscriptions);
    lq_list_push_back(&ss->open, &s->link);
    ss->open_count++;
    ss->count++;
    cfg->opened++;
    c->holder = &s->holder;
    c->reads_stream = !is_busy;
    lq_session_set_due(s, first_quiet(s));
    if (ss->net->is_draining) be_late(s);
    lq_conn_update(c);
}

void lq_session_release(lq_session *s)
{
    lq_sessions *ss = s->all;

    lq_list_remove(&s->link);
    if (--ss->count == 0 && ss->on_idle) ss->on_idle(ss);
}

/* ---- all of a worker's --------------------------------------------------- */

/* Its first message may be under way: it has just been accepted. */
static bool is_new(const lq_session *s)
{
    return !s->has_heard && !s->conn->has_eof &&
           lq_loop_now(s->all->net->loop) < s->conn->since_ms + LQ_NET_NEW_MS;
}

/* What has come is still handled. Returns false for one that has more time. */
static bool leave_in_order(lq_session *s)
{
    lq_conn_look(s->conn);
    if (!s->conn) return true;
    if (is_new(s)) return false;
    leave(s);
    return true;
}

/* Takes the oldest one to the end of the list: others may end meanwhile. */
static lq_session *turn_over(lq_sessions *ss)
{
    lq_list *link = lq_list_pop_front(&ss->open);

    lq_list_push_back(&ss->open, link);
    return LQ_CONTAINER_OF(link, lq_session, link);
}

/* How many have to leave now, so that they do so evenly. */
static size_t due_to_leave(const lq_sessions *ss, uint64_t now)
{
    uint64_t span_ms = ss->leave_by_ms - ss->leave_from_ms;
    size_t due;

    if (now >= ss->leave_by_ms) return ss->open_count;
    due = (size_t)(ss->leave_count * (now - ss->leave_from_ms) / span_ms);
    return due > ss->left_count ? due - ss->left_count : 0;
}

/* Returns whether one of them has more time. */
static bool leave_late(lq_sessions *ss)
{
    size_t looks = ss->open_count;
    bool has_new = false;
    lq_session *s;

    for (; looks > 0 && ss->open_count > 0; looks--) {
        s = turn_over(ss);
        if (s->is_late && !s->is_leaving && !leave_in_order(s)) has_new = true;
    }
    return has_new;
}

/* The oldest first. */
static void leave_some(lq_sessions *ss)
{
    uint64_t now = lq_loop_now(ss->net->loop);
    bool has_new = leave_late(ss);
    size_t count = due_to_leave(ss, now), looks = ss->open_count;
    lq_session *s;

    for (; looks > 0 && count > 0 && ss->open_count > 0; looks--) {
        s = turn_over(ss);
        if (s->is_leaving) continue;
        if (leave_in_order(s))
            ss->left_count++;
        else
            has_new = true;
        count--;
    }
    if ((now >= ss->leave_by_ms && !has_new) || ss->open_count == 0) return;
    if (lq_timer_start(lq_loop_timers(ss->net->loop), &ss->leaving,
                       now + LEAVE_TICK_MS) < 0)
        lq_sessions_cut(ss);
}

static void on_leaving(lq_timer *timer)
{
    leave_some(LQ_CONTAINER_OF(timer, lq_sessions, leaving));
}

void lq_sessions_leave(lq_sessions *ss, uint64_t within_ms)
{
    ss->leave_from_ms = lq_loop_now(ss->net->loop);
    ss->leave_by_ms = ss->leave_from_ms + within_ms;
    ss->leave_count = ss->open_count;
    ss->left_count = 0;
    leave_some(ss);
}

void lq_sessions_cut(lq_sessions *ss)
{
    lq_timer_stop(lq_loop_timers(ss->net->loop), &ss->leaving);
    while (!lq_list_is_empty(&ss->open)) {
        lq_session *s = LQ_CONTAINER_OF(ss->open.next, lq_session, link);
        lq_session_finish(s, LQ_END_STOP, 0, LQ_STR(""));
        if (s->conn) lq_conn_push(s->conn);
        lq_session_cut(s, LQ_END_STOP);
    }
}

int lq_sessions_init(lq_sessions *ss, lq_net *net, const lq_audience_cfg *cfg)
{
    *ss = (lq_sessions){.net = net};
    lq_list_init(&ss->open);
    lq_list_init(&ss->over);
    lq_timer_init(&ss->leaving, on_leaving);
    return lq_audience_init(&ss->audience, ss, cfg);
}

void lq_sessions_fini(lq_sessions *ss)
{
    lq_timer_stop(lq_loop_timers(ss->net->loop), &ss->leaving);
    lq_audience_fini(&ss->audience);
    lq_encoder_fini(&ss->encoder);
    lq_ws_inflater_free(ss->inflater);
}

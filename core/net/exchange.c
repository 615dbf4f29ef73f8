/* exchange.c - see exchange.h. */
#include "net/exchange.h"

#include <errno.h>
#include <stdio.h>

#include "base/mem.h"
#include "http/method.h"
#include "net/access.h"
#include "net/conn.h"

enum {
    KEEP_EXCHANGES = 1024,
    KEEP_BODY_CAP = 16 * 1024,
    DISCARD_BYTES = 64 * 1024, /* of a body nobody wants: else the end */
    HEADER_FIELDS = 128,
    TARGET_BYTES = 8192,
};

/* ---- life ---------------------------------------------------------------- */

static void on_clock(lq_timer *clock);

static lq_exchange *alloc_exchange(lq_net *net)
{
    lq_list *link = lq_list_pop_front(&net->free_exchanges);
    lq_exchange *x;

    if (link) {
        net->free_exchange_count--;
        return LQ_CONTAINER_OF(link, lq_exchange, link);
    }
    x = lq_mem_zalloc(sizeof *x);
    if (!x) return NULL;
    x->net = net;
    lq_list_init(&x->link);
    lq_arena_init(&x->arena);
    lq_buf_init(&x->body);
    lq_buf_init(&x->out);
    lq_timer_init(&x->clock, on_clock);
    return x;
}

static void reset(lq_exchange *x)
{
    x->state = LQ_EXCHANGE_HEAD;
    x->body_received = 0;
    x->body_error = 0;
    x->has_head = x->request_done = x->wants_whole = false;
    x->sent_continue = x->discards = false;
    x->close = x->is_chunked = x->is_broken = x->waits_drain = false;
    x->handler = x->shell = NULL;
    x->is_writing = x->has_failed = x->lost_body = x->is_detached = false;
    x->handler_done = true;
    x->has_clock = x->is_timed_out = false;
    x->paused_ms = 0;
    x->detached = NULL;
    x->status = 0;
    x->body_sent = 0;
}

lq_exchange *lq_exchange_new(lq_conn *c)
{
    lq_net *net = c->net;
    lq_exchange *x = alloc_exchange(net);
    lq_parse_limits limits = {
        .head = net->cfg.header_limit ? (uint32_t)net->cfg.header_limit
                                      : UINT32_MAX / 2,
        .fields = HEADER_FIELDS,
        .target = TARGET_BYTES,
    };

    if (!x) return NULL;
    reset(x);
    x->conn = c;
    x->id = ++net->last_id;
    lq_access_begin(x);
    x->started_ms = lq_loop_now(net->loop);
    if (lq_parser_init(&x->parser, &x->arena, &limits) < 0) {
        lq_exchange_free(x);
        return NULL;
    }
    lq_list_push_back(&c->exchanges, &x->link);
    c->exchange_count++;
    return x;
}

size_t lq_exchange_id(const lq_exchange *x, char out[LQ_EXCHANGE_ID_CAP])
{
    static const char digits[] = "0123456789abcdef";
    char text[16];
    size_t at = sizeof text, len = x->net->id_len;
    uint64_t v = x->id;

    do text[--at] = digits[v & 15];
    while (v >>= 4);
    memcpy(out, x->net->id, len);
    memcpy(out + len, text + at, sizeof text - at);
    return len + sizeof text - at;
}

void lq_exchange_free(lq_exchange *x)
{
    lq_timer_stop(lq_loop_timers(x->net->loop), &x->clock);
    lq_arena_fini(&x->arena);
    lq_buf_fini(&x->body);
    lq_buf_fini(&x->out);
    lq_mem_free(x);
}

static void shrink(lq_buf *b)
{
    if (b->cap > KEEP_BODY_CAP)
        lq_buf_fini(b);
    else
        lq_buf_clear(b);
}

void lq_exchange_recycle(lq_exchange *x)
{
    lq_net *net = x->net;

    LQ_ASSERT(x->handler_done);
    if (x->has_clock) lq_timer_stop(lq_loop_timers(net->loop), &x->clock);
    if (net->on_closed || net->free_exchange_count >= KEEP_EXCHANGES) {
        lq_exchange_free(x);
        return;
    }
    x->conn = NULL;
    lq_arena_reset(&x->arena);
    shrink(&x->body);
    shrink(&x->out);
    lq_list_push_back(net->free_exchanges.next, &x->link);
    net->free_exchange_count++;
}

/* ---- the request's clock ------------------------------------------------- */

static void on_clock(lq_timer *clock)
{
    lq_exchange *x = LQ_CONTAINER_OF(clock, lq_exchange, clock);

    if (x->state != LQ_EXCHANGE_RUNNING || x->is_timed_out) return;
    x->is_timed_out = true;
    x->net->cfg.on_cancel(x, true);
}

static int start_clock(lq_exchange *x)
{
    if (!x->timeout_ms || x->state != LQ_EXCHANGE_RUNNING) return 0;
    x->has_clock = true;
    return lq_timer_start(lq_loop_timers(x->net->loop), &x->clock,
                          x->started_ms + x->timeout_ms);
}

/* The clock stands while the client's body is awaited. */
static void pause_clock(lq_exchange *x)
{
    if (x->paused_ms) return;
    x->paused_ms = lq_loop_now(x->net->loop);
    lq_timer_stop(lq_loop_timers(x->net->loop), &x->clock);
}

static void resume_clock(lq_exchange *x)
{
    if (!x->paused_ms) return;
    x->started_ms += lq_loop_now(x->net->loop) - x->paused_ms;
    x->paused_ms = 0;
    if (start_clock(x) < 0) x->has_clock = false;
}

/* ---- the answer ---------------------------------------------------------- */

static bool is_first(const lq_exchange *x)
{
    return x->conn && x->conn->exchanges.next == &x->link;
}

lq_buf *lq_exchange_out(lq_exchange *x)
{
    return is_first(x) ? lq_conn_out(x->conn) : &x->out;
}

bool lq_exchange_is_full(const lq_exchange *x)
{
    if (!x->conn) return false;
    return is_first(x) ? lq_conn_unsent(x->conn) > LQ_NET_HIGH_WATER
                       : lq_conn_queued(x->conn) > LQ_NET_LOW_WATER;
}

/* What is left of the body can be thrown away cheaply enough to keep the
 * connection. */
static bool is_rest_small(const lq_exchange *x)
{
    const lq_request *r = &x->parser.request;

    if (x->request_done) return true;
    if (r->expect_continue && !x->sent_continue && x->body_received == 0)
        return false;
    return !r->chunked && r->content_length - x->body_received <= DISCARD_BYTES;
}

/* Nothing is under way behind it that the client waits for. */
static bool is_last(const lq_exchange *x)
{
    const lq_conn *c = x->conn;

    return !c || (c->exchanges.prev == &x->link && !c->in && !c->has_more);
}

lq_response_opts lq_exchange_opts(lq_exchange *x, int status, int64_t length)
{
    const lq_request *r = &x->parser.request;
    bool is_framed = length >= 0 || r->minor > 0 || r->method == LQ_HEAD;

    x->close = x->close || !r->keep_alive || !is_rest_small(x) || !is_framed ||
               (x->net->is_draining && is_last(x));
    x->status = (uint16_t)status;
    x->body_sent = length > 0 && r->method != LQ_HEAD ? (uint64_t)length : 0;
    if (x->close && x->request_done && x->conn) lq_conn_refuse(x->conn);
    return (lq_response_opts){
        .minor = r->minor,
        .keep_alive = !x->close,
        .head_only = r->method == LQ_HEAD,
        .length = length,
    };
}

void lq_exchange_stream(lq_exchange *x, bool is_chunked)
{
    x->state = LQ_EXCHANGE_STREAMING;
    x->is_chunked = is_chunked;
    if (x->has_clock) lq_timer_stop(lq_loop_timers(x->net->loop), &x->clock);
    if (x->conn) lq_conn_flush_later(x->conn);
}

/* What nobody will read of the body. */
static void discard_body(lq_exchange *x)
{
    if (x->request_done) return;
    lq_buf_clear(&x->body);
    x->discards = true;
    x->discards_from = x->body_received;
    if (x->close && x->conn) lq_conn_refuse(x->conn);
}

static void leave_detached(lq_exchange *x)
{
    if (x->detached) x->detached->origin = NULL;
    x->detached = NULL;
}

void lq_exchange_end(lq_exchange *x)
{
    leave_detached(x);
    x->handler_done = true;
    x->state = LQ_EXCHANGE_ANSWERED;
    lq_access_end(x, 500);
    if (!x->conn) {
        lq_exchange_recycle(x);
        return;
    }
    discard_body(x);
    if (is_first(x)) lq_conn_advance(x->conn);
}

void lq_exchange_abandon(lq_exchange *x)
{
    x->close = x->is_broken = true;
    if (x->conn && x->request_done) lq_conn_refuse(x->conn);
    lq_exchange_end(x);
}

void lq_exchange_refuse(lq_exchange *x, int status)
{
    char text[80];
    int len = snprintf(text, sizeof text, "%d %s\n", status,
                       lq_status_reason(status));
    lq_response_opts opts = lq_exchange_opts(x, status, len);
    lq_buf *out = lq_exchange_out(x);

    if (!out || lq_response_plain(out, &x->net->date, status, &opts,
                                  LQ_STR("text/plain; charset=utf-8"),
                                  (lq_str){text, (size_t)len}) < 0)
        lq_exchange_abandon(x);
    else
        lq_exchange_end(x);
}

void lq_exchange_promote(lq_exchange *x)
{
    lq_buf *out;

    if (lq_buf_len(&x->out) > 0) {
        out = lq_conn_out(x->conn);
        if (!out ||
            lq_buf_append(out, lq_buf_ptr(&x->out), lq_buf_len(&x->out)) < 0) {
            lq_conn_cut(x->conn);
            return;
        }
        shrink(&x->out);
    }
    lq_conn_flush_later(x->conn);
}

void lq_exchange_part(lq_exchange *x)
{
    x->peer = x->conn->peer;
    if (x->state != LQ_EXCHANGE_HEAD) lq_access_end(x, LQ_STATUS_LEFT);
    x->conn = NULL;
}

void lq_exchange_leave(lq_exchange *x)
{
    x->request_done = true;
    if (x->handler_done)
        lq_exchange_recycle(x);
    else
        x->net->cfg.on_cancel(x, false);
}

/* ---- the head: route and limits ------------------------------------------ */

/* 204 or 405 with the methods that there are. */
static void answer_allow(lq_exchange *x, int status)
{
    char allow[96];
    size_t len = 0;
    lq_response_opts opts;
    lq_buf *out = lq_exchange_out(x);
    lq_str body =
        status == 405 ? LQ_STR("405 Method Not Allowed\n") : LQ_STR("");
    int m;

    for (m = 0; m < LQ_OTHER; m++) {
        if (!(x->match.allow & 1u << m)) continue;
        len += (size_t)snprintf(allow + len, sizeof allow - len, "%s%s",
                                len ? ", " : "", lq_method_name(m));
    }
    opts = lq_exchange_opts(x, status, (int64_t)body.len);
    if (!out || lq_response_begin(out, &x->net->date, status) < 0 ||
        lq_response_field(out, LQ_STR("Allow"), (lq_str){allow, len}) < 0 ||
        (body.len && lq_response_field(out, LQ_STR("Content-Type"),
                                       LQ_STR("text/plain; charset=utf-8"))) ||
        lq_response_end(out, &opts, status) < 0 ||
        (!opts.head_only && lq_buf_append(out, body.ptr, body.len) < 0))
        lq_exchange_abandon(x);
    else
        lq_exchange_end(x);
}

static uint64_t limit_of(int64_t route, uint64_t cfg)
{
    return route < 0 ? cfg : (uint64_t)route;
}

static void set_limits(lq_exchange *x)
{
    static const lq_limits none = {-1, -1, -1};
    const lq_limits *l = x->match.route ? &x->match.route->limits : &none;
    const lq_net_cfg *cfg = &x->net->cfg;

    x->body_limit = limit_of(l->body, cfg->body_limit);
    x->timeout_ms = limit_of(l->request_timeout_ms, cfg->request_timeout_ms);
    x->body_timeout_ms = limit_of(l->body_timeout_ms, cfg->body_timeout_ms);
}

static bool is_body_too_large(const lq_exchange *x)
{
    const lq_request *r = &x->parser.request;

    return x->body_limit && r->has_body && !r->chunked &&
           r->content_length > x->body_limit;
}

void lq_exchange_head(lq_exchange *x)
{
    const lq_request *r = &x->parser.request;

    x->has_head = true;
    x->started_ms = lq_loop_now(x->net->loop);
    lq_router_match(x->net->router, r->method, lq_request_path(r), &x->match);
    set_limits(x); /* a body that nobody wants has a deadline, too */
    switch (x->match.kind) {
    case LQ_MATCH_FOUND: break;
    case LQ_MATCH_NONE: lq_exchange_refuse(x, 404); return;
    case LQ_MATCH_METHOD: answer_allow(x, 405); return;
    case LQ_MATCH_OPTIONS: answer_allow(x, 204); return;
    case LQ_MATCH_BAD_PATH:
        x->close = true;
        lq_exchange_refuse(x, 400);
        return;
    }
    if (is_body_too_large(x)) {
        x->close = true;
        lq_exchange_refuse(x, 413);
        return;
    }
    if (x->request_done) lq_exchange_start(x);
}

void lq_exchange_start(lq_exchange *x)
{
    x->state = LQ_EXCHANGE_RUNNING;
    x->handler_done = false;
    x->net->cfg.on_request(x);
}

int lq_exchange_wait(lq_exchange *x)
{
    int err = lq_parser_keep(&x->parser);

    if (err < 0 || x->has_clock || x->paused_ms) return err;
    return start_clock(x);
}

/* ---- the body ------------------------------------------------------------ */

static void tell_body(lq_exchange *x)
{
    if (!x->handler_done) x->net->cfg.on_body(x);
}

void lq_exchange_body(lq_exchange *x, lq_str bytes)
{
    x->body_received += bytes.len;
    if (x->discards) {
        if (x->body_received - x->discards_from > DISCARD_BYTES && x->conn)
            lq_conn_cut(x->conn);
        return;
    }
    if (x->body_limit && x->body_received > x->body_limit) {
        lq_conn_refuse(x->conn);
        lq_exchange_body_fail(x, LQ_ETOOLARGE);
        return;
    }
    if (lq_buf_append(&x->body, bytes.ptr, bytes.len) < 0) {
        lq_conn_cut(x->conn);
        return;
    }
    tell_body(x);
}

void lq_exchange_body_end(lq_exchange *x)
{
    if (x->state == LQ_EXCHANGE_HEAD) {
        lq_exchange_start(x);
        return;
    }
    if (x->state == LQ_EXCHANGE_ANSWERED) {
        if (is_first(x)) lq_conn_advance(x->conn);
        return;
    }
    tell_body(x);
}

void lq_exchange_body_fail(lq_exchange *x, int err)
{
    x->body_error = err;
    x->request_done = true;
    x->close = true;
    if (x->state == LQ_EXCHANGE_HEAD) {
        lq_exchange_start(x);
        return;
    }
    if (x->state == LQ_EXCHANGE_ANSWERED) {
        if (is_first(x)) lq_conn_advance(x->conn);
        return;
    }
    tell_body(x);
}

/* 100 Continue waits until the answers before it are out: promote comes back
 * to it through lq_exchange_want_body. */
static void send_continue(lq_exchange *x)
{
    static const char line[] = "HTTP/1.1 100 Continue\r\n\r\n";
    lq_buf *out;

    if (!x->parser.request.expect_continue || x->sent_continue) return;
    x->sent_continue = true;
    if (x->body_received > 0 || x->state != LQ_EXCHANGE_RUNNING) return;
    out = lq_exchange_out(x);
    if (!out || lq_buf_append(out, line, sizeof line - 1) < 0)
        lq_conn_cut(x->conn);
    else
        lq_conn_flush_later(x->conn);
}

void lq_exchange_want_body(lq_exchange *x, bool is_whole)
{
    x->wants_whole = x->wants_whole || is_whole;
    pause_clock(x);
    if (!x->conn) return;
    x->conn->since_ms = lq_loop_now(x->net->loop);
    send_continue(x);
    if (x->conn) lq_conn_update(x->conn);
}

void lq_exchange_body_arrived(lq_exchange *x)
{
    resume_clock(x);
}

void lq_exchange_body_taken(lq_exchange *x, size_t len)
{
    lq_buf_consume(&x->body, len);
    if (x->conn && !x->request_done) lq_conn_update(x->conn);
}

/* ---- who asks ------------------------------------------------------------ */

const lq_address *lq_exchange_peer(const lq_exchange *x)
{
    return x->conn ? &x->conn->peer : &x->peer;
}

int lq_exchange_forwarded(const lq_exchange *x, lq_forwarded *out, lq_err *err)
{
    const lq_trust *trust = &x->net->cfg.trust;

    if (lq_trust_has(trust, lq_exchange_peer(x)))
        return lq_forwarded_read(out, &x->parser.request, trust, err);
    *out->address = *out->host = '\0';
    out->port = 0;
    out->scheme = NULL;
    return 0;
}

/* ---- detaching ----------------------------------------------------------- */

int lq_exchange_detach(lq_exchange *x, lq_conn **out)
{
    lq_conn *c = x->conn;

    if (!c) return LQ_ECLOSED;
    if (!is_first(x) || c->exchange_count > 1 || !x->request_done ||
        x->state != LQ_EXCHANGE_RUNNING)
        return LQ_EINVALID;
    lq_access_end(x, 101);
    lq_list_remove(&x->link);
    c->exchange_count--;
    c->parsing = NULL;
    lq_exchange_part(x);
    x->is_detached = true;
    /* Its time is the handler's own from now on. */
    if (x->has_clock) lq_timer_stop(lq_loop_timers(x->net->loop), &x->clock);
    x->timeout_ms = 0;
    c->state = LQ_CONN_DETACHED;
    c->origin = x;
    x->detached = c;
    *out = c;
    return 0;
}

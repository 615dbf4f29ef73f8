/* conn.c - see conn.h. */
#include "net/conn.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <unistd.h>

#include "base/mem.h"
#include "net/exchange.h"

enum {
    LINGER_QUIET_MS = 2000, /* for a client that neither sends nor closes */
    LINGER_MS = 30 * 1000,  /* for one that sends on and on */
};

static lq_exchange *first_exchange(const lq_conn *c)
{
    if (lq_list_is_empty(&c->exchanges)) return NULL;
    return LQ_CONTAINER_OF(c->exchanges.next, lq_exchange, link);
}

size_t lq_conn_unsent(const lq_conn *c)
{
    return c->out ? lq_buf_len(c->out) : 0;
}

size_t lq_conn_queued(const lq_conn *c)
{
    size_t len = lq_conn_unsent(c);
    const lq_list *link;

    if (c->exchange_count < 2) return len;
    for (link = c->exchanges.next; link != &c->exchanges; link = link->next)
        len += lq_buf_len(&LQ_CONTAINER_OF(link, lq_exchange, link)->out);
    return len;
}

lq_buf *lq_conn_out(lq_conn *c)
{
    if (!c->out) c->out = lq_net_buf(c->net);
    return c->out;
}

static void release_buf(lq_conn *c, lq_buf **b)
{
    if (*b) lq_net_buf_release(c->net, *b);
    *b = NULL;
}

/* ---- what the poll handle and the deadline wait for ---------------------- */

/* A client that does not read gets no further requests served; sooner so when
 * its handlers wait, as they may have more to say. */
static bool is_parsing_stopped(const lq_conn *c)
{
    size_t most = c->exchange_count ? LQ_NET_LOW_WATER : LQ_NET_HIGH_WATER;

    return c->is_refused || c->exchange_count >= LQ_NET_PIPELINE ||
           lq_conn_queued(c) > most;
}

/* What still comes is thrown away: the last answer is on its way. It is read
 * all the same, for a client may read only when it has sent everything. */
static bool is_ending(const lq_conn *c)
{
    return c->state == LQ_CONN_LINGER ||
           (c->state == LQ_CONN_HTTP && c->ends_when_sent);
}

static bool wants_read(const lq_conn *c)
{
    const lq_exchange *x = c->parsing;

    if (c->has_eof) return false;
    if (is_ending(c)) return true;
    if (c->state == LQ_CONN_DETACHED)
        return c->reads_stream || !c->in ||
               lq_buf_len(c->in) < LQ_NET_HIGH_WATER;
    if (x && x->state != LQ_EXCHANGE_HEAD && !x->discards && !x->wants_whole &&
        lq_buf_len(&x->body) >= LQ_NET_HIGH_WATER)
        return false;
    return !is_parsing_stopped(c) && (!c->in || lq_buf_len(c->in) == 0);
}

static void on_poll(uv_poll_t *handle, int status, int events);

/* Reading goes on: that it stood still is not held against a head. */
static void restart_head(lq_conn *c)
{
    lq_exchange *x = c->parsing;

    if (x && x->state == LQ_EXCHANGE_HEAD)
        x->started_ms = lq_loop_now(c->net->loop);
}

/* Nothing to read and nothing to write is UV_PRIORITIZED: the kernel then
 * still reports a reset. */
static void update_events(lq_conn *c)
{
    uint8_t events = 0;

    if (wants_read(c)) events |= UV_READABLE;
    if (lq_conn_unsent(c) > 0) events |= UV_WRITABLE;
    if (events == 0) events = UV_PRIORITIZED;
    if (events == c->events) return;
    if (events & ~c->events & UV_READABLE) restart_head(c);
    c->events = events;
    uv_poll_start(&c->poll, events, on_poll);
}

static uint64_t after(uint64_t since_ms, uint64_t timeout_ms)
{
    return timeout_ms ? since_ms + timeout_ms : 0;
}

/* The earlier of two deadlines; 0: none. */
static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a && (!b || a < b) ? a : b;
}

/* When the head that is arriving must be complete: its clock stands while
 * nothing is read. */
static uint64_t head_deadline(const lq_conn *c)
{
    const lq_exchange *x = c->parsing;

    if (!x || x->state != LQ_EXCHANGE_HEAD || !wants_read(c)) return 0;
    return after(x->started_ms, c->net->cfg.header_timeout_ms);
}

/* When something of what is unsent must have been taken. */
static uint64_t write_deadline(const lq_conn *c)
{
    if (lq_conn_unsent(c) == 0) return 0;
    return after(c->since_ms, c->net->cfg.write_timeout_ms);
}

/* The deadline that holds in the state the connection is in; 0: none.
 * since_ms is the time of the last progress in that state: of writing while
 * something is unsent, else of reading. */
static uint64_t deadline_of(const lq_conn *c)
{
    const lq_net_cfg *cfg = &c->net->cfg;
    const lq_exchange *x = c->parsing;

    if (c->state == LQ_CONN_LINGER)
        return earlier(c->since_ms + LINGER_QUIET_MS, c->linger_till_ms);
    if (lq_conn_unsent(c) > 0)
        return earlier(write_deadline(c), c->state == LQ_CONN_DETACHED
                                              ? c->due_ms
                                              : head_deadline(c));
    if (c->state == LQ_CONN_DETACHED) return c->due_ms;
    if (x && x->state == LQ_EXCHANGE_HEAD) return head_deadline(c);
    if (x) return wants_read(c) ? after(c->since_ms, x->body_timeout_ms) : 0;
    if (!lq_list_is_empty(&c->exchanges)) return 0;
    return after(c->since_ms,
                 c->is_kept ? cfg->idle_timeout_ms : cfg->header_timeout_ms);
}

static void update_deadline(lq_conn *c)
{
    uint64_t at_ms = deadline_of(c);
    lq_wheel *wheel = lq_loop_wheel(c->net->loop);

    if (at_ms)
        lq_wheel_set(wheel, &c->deadline, at_ms);
    else
        lq_wheel_remove(wheel, &c->deadline);
}

void lq_conn_update(lq_conn *c)
{
    if (c->state == LQ_CONN_CLOSING || c->is_corked) return;
    update_events(c);
    update_deadline(c);
}

/* ---- the end ------------------------------------------------------------- */

static void on_closed(uv_handle_t *handle)
{
    lq_conn *c = handle->data;
    lq_net *net = c->net;

    lq_net_forget(net, c);
    close(c->fd);
    lq_mem_free(c);
}

static void leave_exchanges(lq_conn *c)
{
    lq_list *link;

    c->parsing = NULL;
    c->exchange_count = 0;
    /* All of them first: one that ends may end another. */
    for (link = c->exchanges.next; link != &c->exchanges; link = link->next)
        lq_exchange_part(LQ_CONTAINER_OF(link, lq_exchange, link));
    while ((link = lq_list_pop_front(&c->exchanges)))
        lq_exchange_leave(LQ_CONTAINER_OF(link, lq_exchange, link));
}

/* Whether a close in order could be taken for the end of an answer: one that
 * has not been sent, or a stream that lasts as long as the connection. */
static bool is_cut_short(const lq_conn *c)
{
    const lq_exchange *x = first_exchange(c);

    return lq_conn_unsent(c) > 0 ||
           (x && x->state == LQ_EXCHANGE_STREAMING && !x->is_chunked);
}

static bool is_held(const lq_conn *c)
{
    return c->state == LQ_CONN_DETACHED && c->holder;
}

static void close_now(lq_conn *c, int err)
{
    lq_holder *holder = is_held(c) ? c->holder : NULL;

    if (c->state == LQ_CONN_CLOSING) return;
    if (is_cut_short(c)) c->transport->reset(c->fd);
    c->state = LQ_CONN_CLOSING;
    c->error = err;
    lq_wheel_remove(lq_loop_wheel(c->net->loop), &c->deadline);
    lq_list_remove(&c->dirty);
    release_buf(c, &c->in);
    release_buf(c, &c->out);
    uv_poll_stop(&c->poll);
    uv_close((uv_handle_t *)&c->poll, on_closed);
    leave_exchanges(c);
    if (c->origin) c->origin->detached = NULL;
    if (holder) holder->ops->on_event(c);
}

void lq_conn_cut(lq_conn *c)
{
    close_now(c, LQ_ECLOSED);
}

static void start_linger(lq_conn *c)
{
    c->ends_when_sent = false;
    if (c->has_eof || c->net->on_closed) {
        lq_conn_cut(c);
        return;
    }
    c->transport->finish(c->fd);
    c->state = LQ_CONN_LINGER;
    c->since_ms = lq_loop_now(c->net->loop);
    c->linger_till_ms = c->since_ms + LINGER_MS;
    release_buf(c, &c->in);
    lq_conn_update(c);
}

void lq_conn_refuse(lq_conn *c)
{
    c->is_refused = true;
    c->parsing = NULL;
    release_buf(c, &c->in);
}

void lq_conn_end(lq_conn *c)
{
    if (c->state == LQ_CONN_CLOSING) return;
    lq_conn_refuse(c);
    leave_exchanges(c); /* behind an answer that ends the connection */
    c->ends_when_sent = true;
    lq_conn_flush_later(c);
}

/* ---- writing ------------------------------------------------------------- */

static void tell_drained(lq_conn *c)
{
    lq_exchange *x = first_exchange(c);

    if (lq_conn_unsent(c) > LQ_NET_LOW_WATER) return;
    if (!x || !x->waits_drain) return;
    x->waits_drain = false;
    c->net->cfg.on_drain(x);
}

static void send_out(lq_conn *c)
{
    lq_buf *out = c->out;
    ssize_t n;

    n = c->transport->write(c->fd, lq_buf_ptr(out), lq_buf_len(out));
    if (n == -EAGAIN) {
        /* The client's time begins now, not with what came before. */
        if (!c->is_blocked) c->since_ms = lq_loop_now(c->net->loop);
        c->is_blocked = true;
        return;
    }
    if (n < 0) {
        close_now(c, (int)n);
        return;
    }
    c->is_blocked = false;
    lq_buf_consume(out, (size_t)n);
    c->since_ms = lq_loop_now(c->net->loop);
    if (lq_buf_len(out) == 0) release_buf(c, &c->out);
}

/* What its holder writes meanwhile is sent at the end of the turn. */
static void tell_holder(lq_conn *c)
{
    size_t unsent = lq_conn_unsent(c);
    bool was_corked = c->is_corked;

    c->is_corked = true;
    c->holder->ops->on_event(c);
    c->is_corked = was_corked;
    if (lq_conn_unsent(c) > unsent || c->ends_when_sent) lq_conn_flush_later(c);
}

void lq_conn_flush(lq_conn *c)
{
    bool was_full;

    if (c->state == LQ_CONN_CLOSING) return;
    lq_list_remove(&c->dirty);
    was_full = is_parsing_stopped(c);
    if (lq_conn_unsent(c) > 0) send_out(c);
    if (c->state == LQ_CONN_CLOSING) return;
    if (lq_conn_unsent(c) == 0 && c->ends_when_sent) {
        start_linger(c);
        return;
    }
    if (is_held(c)) {
        tell_holder(c);
    } else {
        tell_drained(c);
        if (was_full || c->in) lq_conn_resume(c);
    }
    lq_conn_update(c);
}

int lq_conn_write(lq_conn *c, lq_str bytes)
{
    ssize_t n = 0;
    lq_buf *out;

    if (lq_conn_unsent(c) == 0 && !c->is_corked)
        n = c->transport->write(c->fd, bytes.ptr, bytes.len);
    if (n < 0 && n != -EAGAIN) {
        close_now(c, (int)n);
        return 0;
    }
    if (n > 0 && (size_t)n == bytes.len) return 0;
    if (n < 0) n = 0;
    out = lq_conn_out(c);
    if (!out || lq_buf_append(out, bytes.ptr + n, bytes.len - (size_t)n) < 0)
        return -ENOMEM;
    lq_conn_flush_later(c);
    return 0;
}

void lq_conn_push(lq_conn *c)
{
    if (c->state != LQ_CONN_CLOSING && lq_conn_unsent(c) > 0) send_out(c);
}

void lq_conn_flush_later(lq_conn *c)
{
    if (c->is_corked || c->state == LQ_CONN_CLOSING) return;
    if (lq_list_is_empty(&c->dirty))
        lq_list_push_back(&c->net->dirty, &c->dirty);
}

/* ---- reading ------------------------------------------------------------- */

static void refuse_request(lq_conn *c, lq_exchange *x, int status)
{
    lq_conn_refuse(c);
    x->close = true;
    x->request_done = true;
    lq_exchange_refuse(x, status);
}

/* The head was refused, or the body's framing is broken. */
static void on_parse_error(lq_conn *c, lq_exchange *x, int err)
{
    if (x->state == LQ_EXCHANGE_HEAD) {
        refuse_request(c, x, -err);
        return;
    }
    c->is_refused = true;
    c->parsing = NULL;
    lq_exchange_body_fail(x, err == -431 ? LQ_ETOOLARGE : LQ_EINVALID);
}

/* The whole request is there. It is taken off `parsing` before the handler
 * runs, so that nothing asks its parser again. */
static void on_request_done(lq_conn *c, lq_exchange *x)
{
    c->parsing = NULL;
    x->request_done = true;
    if (!x->parser.request.keep_alive) c->is_refused = true;
    if (!x->has_head)
        lq_exchange_head(x);
    else
        lq_exchange_body_end(x);
}

/* One event of the parser. Returns false when it wants more bytes. */
static bool parse_step(lq_conn *c, lq_exchange *x, const char **at, size_t *len)
{
    size_t used = 0;
    int event = lq_parser_feed(&x->parser, *at, *len, &used);

    *at += used;
    *len -= used;
    if (event < 0) {
        on_parse_error(c, x, event);
        return false;
    }
    switch ((lq_parse_event)event) {
    case LQ_PARSE_MORE: return false;
    case LQ_PARSE_HEAD: lq_exchange_head(x); return true;
    case LQ_PARSE_BODY: lq_exchange_body(x, x->parser.body); return true;
    case LQ_PARSE_DONE:
        c->has_more = *len > 0;
        on_request_done(c, x);
        c->has_more = false;
        return true;
    }
    return false;
}

/* A request whose body will come with later reads starts now. */
static void start_waiting(lq_conn *c)
{
    lq_exchange *x = c->parsing;

    if (x && x->state == LQ_EXCHANGE_HEAD && x->has_head) lq_exchange_start(x);
}

/* A handler has the only request, the connection's last: what is behind it is
 * nothing, unless the handler detaches. */
static bool may_detach(const lq_conn *c)
{
    const lq_exchange *x = first_exchange(c);

    return c->exchange_count == 1 && x->request_done &&
           x->state == LQ_EXCHANGE_RUNNING;
}

/* Parses what it can of the bytes; returns how many are left. */
static size_t parse(lq_conn *c, const char *at, size_t len)
{
    /* The end of a body is told by a feed of its own, which needs no byte. */
    while ((len > 0 || c->parsing) && c->state == LQ_CONN_HTTP) {
        if (!c->parsing) {
            if (is_parsing_stopped(c)) break;
            c->parsing = lq_exchange_new(c);
            if (!c->parsing) {
                lq_conn_cut(c);
                return 0;
            }
        }
        if (!parse_step(c, c->parsing, &at, &len)) break;
    }
    if (c->state == LQ_CONN_HTTP) start_waiting(c);
    if (c->state == LQ_CONN_DETACHED || may_detach(c)) return len;
    return c->is_refused && !c->parsing ? 0 : len;
}

/* Keeps what was not parsed. */
static void keep(lq_conn *c, const char *at, size_t len)
{
    if (len == 0 || c->state == LQ_CONN_CLOSING) return;
    if (!c->in)
        c->in = c->state == LQ_CONN_DETACHED ? lq_net_buf(c->net)
                                             : lq_net_buf_small();
    if (!c->in || lq_buf_append(c->in, at, len) < 0) lq_conn_cut(c);
}

void lq_conn_resume(lq_conn *c)
{
    size_t len, left;
    bool was_corked = c->is_corked;
    lq_buf *in = c->in;

    if (c->state != LQ_CONN_HTTP || is_parsing_stopped(c) || !in) return;
    c->is_corked = true;
    c->in = NULL; /* a handler may cut or refuse the connection meanwhile */
    len = lq_buf_len(in);
    left = parse(c, lq_buf_ptr(in), len);
    if (left < len && c->parsing && lq_parser_keep(&c->parsing->parser) < 0)
        lq_conn_cut(c);
    lq_buf_consume(in, len - left);
    if (left > 0 && c->state != LQ_CONN_CLOSING && !c->in)
        c->in = in;
    else
        lq_net_buf_release(c->net, in);
    c->is_corked = was_corked;
    if (!was_corked) lq_conn_flush_later(c);
}

/* Of a detached connection. */
static void on_raw_bytes(lq_conn *c, char *bytes, size_t len)
{
    size_t used = 0;

    if (is_held(c) && c->holder->ops->on_bytes && !c->in)
        used = c->holder->ops->on_bytes(c, bytes, len);
    if (used == len || c->state != LQ_CONN_DETACHED) return;
    keep(c, bytes + used, len - used);
    if (used == 0 && is_held(c)) c->holder->ops->on_event(c);
}

static void on_bytes(lq_conn *c, char *bytes, size_t len)
{
    size_t left;

    if (lq_conn_unsent(c) == 0) c->since_ms = lq_loop_now(c->net->loop);
    if (is_ending(c)) return;
    if (c->state == LQ_CONN_DETACHED) {
        on_raw_bytes(c, bytes, len);
        return;
    }
    if (c->in) {
        keep(c, bytes, len);
        lq_conn_resume(c);
        return;
    }
    left = parse(c, bytes, len);
    if (c->parsing && lq_parser_keep(&c->parsing->parser) < 0) lq_conn_cut(c);
    keep(c, bytes + (len - left), left);
}

/* The peer sends nothing more; what it asked for is still answered. */
static void on_eof(lq_conn *c)
{
    lq_exchange *x = c->parsing;

    c->has_eof = true;
    if (c->state == LQ_CONN_LINGER) {
        lq_conn_cut(c);
        return;
    }
    if (c->state == LQ_CONN_DETACHED) {
        if (is_held(c)) c->holder->ops->on_event(c);
        return;
    }
    if (x && x->state != LQ_EXCHANGE_HEAD) {
        c->is_refused = true;
        c->parsing = NULL;
        lq_exchange_body_fail(x, LQ_EEOF);
    } else if (x) {
        lq_conn_refuse(c);
        lq_list_remove(&x->link);
        c->exchange_count--;
        lq_exchange_recycle(x);
    }
    if (c->state != LQ_CONN_HTTP || c->in) return;
    c->is_refused = true;
    if (lq_list_is_empty(&c->exchanges)) lq_conn_end(c);
}

/* How much to read: what does not belong to a body may have to be kept while
 * the client does not read its answers. */
static size_t read_size(const lq_conn *c)
{
    bool is_body = c->parsing && c->parsing->has_head;

    return is_body || c->state != LQ_CONN_HTTP ? LQ_NET_READ_SIZE
                                               : LQ_NET_READ_AHEAD;
}

static void read_some(lq_conn *c)
{
    ssize_t n = c->transport->read(c->fd, c->net->read_buf, read_size(c));

    if (n == -EAGAIN) return;
    if (n < 0)
        close_now(c, (int)n);
    else if (n == 0)
        on_eof(c);
    else
        on_bytes(c, c->net->read_buf, (size_t)n);
}

/* Only a reset or urgent data can have woken us. Urgent data is thrown away,
 * or it would wake us for ever. */
static void check_reset(lq_conn *c)
{
    struct pollfd p = {.fd = c->fd};
    char byte;

    if (poll(&p, 1, 0) > 0 && (p.revents & (POLLERR | POLLHUP)))
        close_now(c, -ECONNRESET);
    else if (recv(c->fd, &byte, 1, MSG_OOB | MSG_DONTWAIT) < 0)
        return;
}

static void on_poll(uv_poll_t *handle, int status, int events)
{
    lq_conn *c = handle->data;

    if (status < 0) {
        close_now(c, -ECONNRESET);
        return;
    }
    c->is_corked = true;
    if (events & UV_READABLE)
        read_some(c);
    else if (events & UV_PRIORITIZED)
        check_reset(c);
    c->is_corked = false;
    lq_conn_flush(c);
}

/* ---- draining ------------------------------------------------------------ */

static bool is_idle(const lq_conn *c)
{
    return c->state == LQ_CONN_HTTP && lq_list_is_empty(&c->exchanges) &&
           !c->in && lq_conn_unsent(c) == 0;
}

/* The client sends its first request right behind the handshake. */
static bool is_new(const lq_conn *c)
{
    return !c->is_kept && !c->has_eof &&
           lq_loop_now(c->net->loop) < c->since_ms + LQ_NET_NEW_MS;
}

/* A request that is on its way already is still answered: nothing is left
 * unread. */
bool lq_conn_drain(lq_conn *c)
{
    if (!is_idle(c)) return true;
    c->is_corked = true;
    read_some(c);
    c->is_corked = false;
    if (!is_idle(c))
        lq_conn_flush(c);
    else if (is_new(c))
        return false;
    else
        lq_conn_cut(c);
    return true;
}

void lq_conn_look(lq_conn *c)
{
    if (c->is_corked || !wants_read(c)) return;
    c->is_corked = true;
    read_some(c);
    c->is_corked = false;
    lq_conn_flush(c);
}

/* ---- deadlines ----------------------------------------------------------- */

static bool is_due(const lq_conn *c, uint64_t at_ms)
{
    return at_ms && at_ms <= lq_loop_now(c->net->loop);
}

void lq_conn_on_deadline(lq_wheel_entry *entry)
{
    lq_conn *c = LQ_CONTAINER_OF(entry, lq_conn, deadline);
    lq_exchange *x = c->parsing;
    bool is_stuck = is_due(c, write_deadline(c));
    bool is_holders = is_held(c) && is_due(c, c->due_ms);

    if (is_stuck || !(is_holders || (c->state == LQ_CONN_HTTP && x))) {
        close_now(c, LQ_ETIMEOUT);
        return;
    }
    c->is_corked = true;
    if (is_holders) {
        c->due_ms = 0;
        c->holder->ops->on_due(c);
    } else if (x->state == LQ_EXCHANGE_HEAD) {
        refuse_request(c, x, 408);
    } else {
        c->is_refused = true;
        c->parsing = NULL;
        lq_exchange_body_fail(x, LQ_ETIMEOUT);
    }
    c->is_corked = false;
    lq_conn_flush(c);
}

/* ---- exchanges ----------------------------------------------------------- */

/* The connection ends behind x, the first exchange. A stream in chunks that
 * is not whole needs no more than that to be known as such. */
static void end_behind(lq_conn *c, lq_exchange *x)
{
    bool is_cut = x->is_broken && !x->is_chunked;

    x->conn = NULL;
    lq_list_remove(&x->link);
    c->exchange_count--;
    if (c->parsing == x) c->parsing = NULL;
    lq_exchange_recycle(x);
    if (is_cut) {
        c->transport->reset(c->fd);
        lq_conn_cut(c);
    } else {
        lq_conn_end(c);
    }
}

void lq_conn_advance(lq_conn *c)
{
    lq_exchange *x;

    while ((x = first_exchange(c)) && x->state == LQ_EXCHANGE_ANSWERED) {
        if (x->close) {
            end_behind(c, x);
            return;
        }
        if (!x->request_done) return;
        lq_list_remove(&x->link);
        c->exchange_count--;
        c->is_kept = true;
        c->since_ms = lq_loop_now(c->net->loop);
        lq_exchange_recycle(x);
        if ((x = first_exchange(c))) lq_exchange_promote(x);
    }
    if ((c->has_eof || c->net->ends_idle) && !x && !c->in)
        lq_conn_end(c);
    else
        lq_conn_flush_later(c);
}

/* ---- opening ------------------------------------------------------------- */

static void set_peer(lq_address *a, const struct sockaddr_storage *peer)
{
    const struct sockaddr_in *in = (const void *)peer;
    const struct sockaddr_in6 *in6 = (const void *)peer;

    switch (peer->ss_family) {
    case AF_INET:
        lq_address_set_v4(a, &in->sin_addr, ntohs(in->sin_port));
        break;
    case AF_INET6:
        lq_address_set_v6(a, &in6->sin6_addr, ntohs(in6->sin6_port));
        break;
    case AF_UNIX: a->kind = LQ_ADDRESS_UNIX; break;
    }
}

static int open_conn(lq_conn **out, lq_net *net, int fd,
                     const struct sockaddr_storage *peer)
{
    lq_conn *c = lq_mem_zalloc(sizeof *c);
    int err;

    if (!c) {
        close(fd);
        return -ENOMEM;
    }
    err = uv_poll_init(lq_loop_uv(net->loop), &c->poll, fd);
    if (err < 0) {
        close(fd);
        lq_mem_free(c);
        return err;
    }
    c->poll.data = c;
    c->net = net;
    c->transport = &lq_transport_plain;
    c->fd = fd;
    c->since_ms = lq_loop_now(net->loop);
    lq_list_init(&c->dirty);
    lq_list_init(&c->exchanges);
    lq_wheel_entry_init(&c->deadline);
    lq_list_push_back(&net->conns, &c->link);
    net->conn_count++;
    set_peer(&c->peer, peer);
    *out = c;
    return 0;
}

int lq_conn_open(lq_net *net, int fd, const struct sockaddr_storage *peer)
{
    lq_conn *c;
    int err = open_conn(&c, net, fd, peer);

    if (err == 0) lq_conn_update(c);
    return err;
}

int lq_conn_open_raw(lq_conn **out, lq_net *net, int fd,
                     const struct sockaddr_storage *peer)
{
    int err = open_conn(out, net, fd, peer);

    if (err == 0) (*out)->state = LQ_CONN_DETACHED;
    return err;
}

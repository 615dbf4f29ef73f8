/* wire.c - see wire.h. */
#include "net/wire.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mem.h"
#include "net/dial.h"
#include "net/net.h"

enum {
    LINGER_QUIET_MS = 2000, /* for a peer that neither sends nor closes */
    END_MS = 30 * 1000,     /* from the end to the close, at most */
    KEEP_CAP = 4 * 1024,    /* bytes of memory that an empty buffer keeps */
};

static void shrink(lq_buf *b)
{
    if (lq_buf_len(b) == 0 && b->cap > KEEP_CAP) lq_buf_fini(b);
}

/* ---- the end ------------------------------------------------------------- */

static void on_closed(uv_handle_t *handle)
{
    lq_wire *w = handle->data;

    close(w->fd);
    lq_mem_free(w);
}

void lq_wire_cut(lq_wire *w)
{
    if (w->state == LQ_WIRE_CLOSING) return;
    if (lq_wire_unsent(w) > 0) w->transport->reset(w->fd);
    w->state = LQ_WIRE_CLOSING;
    w->on_event = NULL;
    lq_timer_stop(lq_loop_timers(w->all->loop), &w->timer);
    lq_list_remove(&w->link);
    lq_list_remove(&w->dirty);
    lq_buf_fini(&w->in);
    lq_buf_fini(&w->out);
    uv_poll_stop(&w->poll);
    uv_close((uv_handle_t *)&w->poll, on_closed);
}

static void on_due(lq_timer *timer)
{
    lq_wire_cut(LQ_CONTAINER_OF(timer, lq_wire, timer));
}

/* The time that an ending wire still has. */
static void allow(lq_wire *w, uint64_t ms)
{
    uint64_t at_ms = lq_loop_now(w->all->loop) + ms;

    if (at_ms > w->end_by_ms) at_ms = w->end_by_ms;
    if (lq_timer_start(lq_loop_timers(w->all->loop), &w->timer, at_ms) < 0)
        lq_wire_cut(w);
}

/* ---- what the poll handle waits for -------------------------------------- */

static bool wants_read(const lq_wire *w)
{
    if (w->state == LQ_WIRE_CONNECTING || w->read_error) return false;
    return w->state != LQ_WIRE_OPEN || w->wants_more ||
           lq_buf_len(&w->in) < LQ_NET_HIGH_WATER;
}

static void on_poll(uv_poll_t *handle, int status, int events);

/* With nothing to wait for it does not look: what happens meanwhile is found
 * by the next read or write. What is dirty is sent before it waits. */
static void update(lq_wire *w)
{
    uint8_t events = 0;

    if (w->state == LQ_WIRE_CLOSING) return;
    if (wants_read(w)) events |= UV_READABLE;
    if (w->state == LQ_WIRE_CONNECTING ||
        (lq_wire_unsent(w) > 0 && lq_list_is_empty(&w->dirty)))
        events |= UV_WRITABLE;
    if (events == w->events) return;
    w->events = events;
    if (events)
        uv_poll_start(&w->poll, events, on_poll);
    else
        uv_poll_stop(&w->poll);
}

/* ---- events -------------------------------------------------------------- */

/* A port of one's own range may connect to itself: nobody listens there. */
static bool is_own(int fd)
{
    lq_socket_address from = {0}, to = {0};
    socklen_t from_len = sizeof from, to_len = sizeof to;

    return getsockname(fd, &from.any, &from_len) == 0 &&
           getpeername(fd, &to.any, &to_len) == 0 && from_len == to_len &&
           memcmp(&from, &to, from_len) == 0;
}

static void on_connected(lq_wire *w)
{
    int err = 0, on = 1;
    socklen_t len = sizeof err;

    getsockopt(w->fd, SOL_SOCKET, SO_ERROR, &err, &len);
    if (err == 0 && is_own(w->fd)) err = ECONNREFUSED;
    if (err) {
        w->read_error = w->write_error = -err;
        return;
    }
    setsockopt(w->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    w->state = LQ_WIRE_OPEN;
}

static void read_some(lq_wire *w)
{
    char *bytes = w->all->read_buf;
    ssize_t n = w->transport->read(w->fd, bytes, LQ_NET_READ_SIZE);

    if (n == -EAGAIN) return;
    if (n <= 0) {
        w->read_error = n == 0 ? LQ_EEOF : (int)n;
    } else if (w->state != LQ_WIRE_OPEN) {
        allow(w, lq_wire_unsent(w) ? END_MS : LINGER_QUIET_MS);
    } else if (lq_buf_append(&w->in, bytes, (size_t)n) < 0) {
        w->read_error = -ENOMEM;
    }
}

static void send_out(lq_wire *w)
{
    lq_buf *out = &w->out;
    ssize_t n = w->transport->write(w->fd, lq_buf_ptr(out), lq_buf_len(out));

    if (n == -EAGAIN) return;
    if (n < 0) {
        w->write_error = (int)n;
        lq_buf_clear(out);
    } else {
        w->has_written = true;
        lq_buf_consume(out, (size_t)n);
    }
    shrink(out);
}

/* ENDING and LINGER: whether there is nothing left to do. */
static void go_on_ending(lq_wire *w)
{
    if (lq_wire_unsent(w) > 0) return;
    if (w->read_error || w->write_error || !w->has_written) {
        lq_wire_cut(w);
    } else if (w->state == LQ_WIRE_ENDING) {
        w->transport->finish(w->fd);
        w->state = LQ_WIRE_LINGER;
        allow(w, LINGER_QUIET_MS);
    }
}

static void settle(lq_wire *w)
{
    if (w->state == LQ_WIRE_ENDING || w->state == LQ_WIRE_LINGER)
        go_on_ending(w);
    else if (w->on_event)
        w->on_event(w);
    update(w);
}

/* After an error of the socket libuv has stopped the handle; a read or a write
 * says which it was. */
static void on_poll(uv_poll_t *handle, int status, int events)
{
    lq_wire *w = handle->data;

    if (status < 0) {
        w->events = 0;
        events = UV_READABLE | UV_WRITABLE;
    }
    if (w->state == LQ_WIRE_CONNECTING) {
        on_connected(w);
    } else {
        if ((events & UV_READABLE) && wants_read(w)) read_some(w);
        if ((events & UV_WRITABLE) && lq_wire_unsent(w) > 0) send_out(w);
    }
    if (w->state != LQ_WIRE_CLOSING) settle(w);
}

static void flush_dirty(lq_turn *turn)
{
    lq_wires *ws = LQ_CONTAINER_OF(turn, lq_wires, turn);
    lq_list *link;
    lq_wire *w;

    while ((link = lq_list_pop_front(&ws->dirty))) {
        w = LQ_CONTAINER_OF(link, lq_wire, dirty);
        if (lq_wire_unsent(w) > 0) send_out(w);
        settle(w);
    }
}

/* ---- for the holder ------------------------------------------------------ */

void lq_wire_take(lq_wire *w, size_t len)
{
    lq_buf_consume(&w->in, len);
    shrink(&w->in);
    update(w);
}

void lq_wire_want(lq_wire *w, bool wants_more)
{
    w->wants_more = wants_more;
    update(w);
}

static void flush_later(lq_wire *w)
{
    if (lq_list_is_empty(&w->dirty))
        lq_list_push_back(&w->all->dirty, &w->dirty);
}

int lq_wire_write(lq_wire *w, const void *bytes, size_t len)
{
    LQ_ASSERT(w->state == LQ_WIRE_OPEN);
    if (w->write_error) return w->write_error;
    if (lq_buf_append(&w->out, bytes, len) < 0) return -ENOMEM;
    flush_later(w);
    return 0;
}

void lq_wire_end(lq_wire *w)
{
    LQ_ASSERT(w->state == LQ_WIRE_OPEN);
    w->on_event = NULL;
    w->state = LQ_WIRE_ENDING;
    w->end_by_ms = lq_loop_now(w->all->loop) + END_MS;
    lq_buf_fini(&w->in);
    allow(w, END_MS);
    if (w->state == LQ_WIRE_ENDING) flush_later(w);
}

/* ---- opening ------------------------------------------------------------- */

static int open_socket(const lq_socket_address *to)
{
    int fd = socket(to->any.sa_family,
                    SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    socklen_t len =
        to->any.sa_family == AF_INET6 ? sizeof to->v6 : sizeof to->v4;
    int err;

    if (fd < 0) return -errno;
    do err = connect(fd, &to->any, len);
    while (err < 0 && errno == EINTR);
    if (err == 0 || errno == EINPROGRESS) return fd;
    err = -errno;
    close(fd);
    return err;
}

int lq_wire_connect(lq_wire **out, lq_wires *ws, const lq_socket_address *to,
                    void (*on_event)(lq_wire *), void *holder)
{
    lq_wire *w = lq_mem_zalloc(sizeof *w);
    int err;

    if (!w) return -ENOMEM;
    if ((err = w->fd = open_socket(to)) < 0) goto fail;
    err = uv_poll_init(lq_loop_uv(ws->loop), &w->poll, w->fd);
    if (err < 0) {
        close(w->fd);
        goto fail;
    }
    w->poll.data = w;
    w->all = ws;
    w->transport = &lq_transport_plain;
    w->on_event = on_event;
    w->holder = holder;
    lq_list_init(&w->dirty);
    lq_timer_init(&w->timer, on_due);
    lq_list_push_back(&ws->wires, &w->link);
    update(w);
    *out = w;
    return 0;

fail:
    lq_mem_free(w);
    return err;
}

/* ---- all of a thread's --------------------------------------------------- */

lq_wires *lq_wires_new(lq_loop *loop)
{
    lq_wires *ws = lq_mem_zalloc(sizeof *ws);

    if (!ws) return NULL;
    ws->read_buf = lq_mem_alloc(LQ_NET_READ_SIZE);
    if (!ws->read_buf) {
        lq_mem_free(ws);
        return NULL;
    }
    ws->loop = loop;
    lq_list_init(&ws->wires);
    lq_list_init(&ws->dirty);
    lq_list_init(&ws->lookups);
    ws->turn.run = flush_dirty;
    lq_loop_on_turn(loop, &ws->turn);
    return ws;
}

void lq_wires_shut(const lq_wires *ws)
{
    const lq_list *link;

    if (!ws) return;
    for (link = ws->wires.next; link != &ws->wires; link = link->next)
        shutdown(LQ_CONTAINER_OF(link, lq_wire, link)->fd, SHUT_RDWR);
}

void lq_wires_close(lq_wires *ws)
{
    if (!ws) return;
    flush_dirty(&ws->turn); /* as much as the sockets take */
    while (!lq_list_is_empty(&ws->wires))
        lq_wire_cut(LQ_CONTAINER_OF(ws->wires.next, lq_wire, link));
    lq_dial_await_lookups(ws);
    lq_list_remove(&ws->turn.link);
    lq_mem_free(ws->read_buf);
    lq_mem_free(ws);
}

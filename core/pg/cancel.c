/* cancel.c - see cancel.h. */
#include "pg/cancel.h"

#include <arpa/inet.h>
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"

enum {
    CANCEL_CODE = 1234 << 16 | 5678,
    LEFT_MS = 500, /* for one that nobody waits for */
};

struct lq_pg_cancel {
    uv_poll_t poll;
    int fd;
    bool is_sent;
    uint32_t request[4]; /* in the byte order of the network */
    void (*on_done)(void *);
    void *data;
    lq_loop *loop;
    lq_timer timer;  /* of one that nobody waits for */
    size_t *pending; /* ... where that is counted; NULL: it is not one */
};

static void on_closed(uv_handle_t *handle)
{
    lq_pg_cancel *c = handle->data;

    close(c->fd);
    if (c->pending) --*c->pending;
    lq_mem_free(c);
}

void lq_pg_cancel_stop(lq_pg_cancel *c)
{
    if (!c) return;
    c->on_done = NULL;
    lq_timer_stop(lq_loop_timers(c->loop), &c->timer);
    uv_close((uv_handle_t *)&c->poll, on_closed);
}

static void finish(lq_pg_cancel *c)
{
    void (*on_done)(void *) = c->on_done;
    void *data = c->data;

    lq_pg_cancel_stop(c);
    if (on_done) on_done(data);
}

static void on_due(lq_timer *timer)
{
    lq_pg_cancel_stop(LQ_CONTAINER_OF(timer, lq_pg_cancel, timer));
}

static void on_poll(uv_poll_t *handle, int status, int events)
{
    lq_pg_cancel *c = handle->data;
    char byte;
    ssize_t n;

    (void)events;
    if (status == 0 && !c->is_sent) {
        n = send(c->fd, c->request, sizeof c->request, MSG_NOSIGNAL);
        if (n < 0 && errno == EAGAIN) return;
        c->is_sent = n == (ssize_t)sizeof c->request;
        if (c->is_sent && uv_poll_start(handle, UV_READABLE, on_poll) == 0)
            return;
    } else if (status == 0) {
        n = recv(c->fd, &byte, sizeof byte, 0);
        if (n < 0 && errno == EAGAIN) return;
    }
    finish(c);
}

static int connect_beside(int fd)
{
    struct sockaddr_storage to;
    socklen_t len = sizeof to;
    int made, err;

    if (getpeername(fd, (struct sockaddr *)&to, &len) < 0) return -errno;
    made = socket(to.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (made < 0) return -errno;
    do err = connect(made, (struct sockaddr *)&to, len);
    while (err < 0 && errno == EINTR);
    if (err == 0 || errno == EINPROGRESS) return made;
    err = -errno;
    close(made);
    return err;
}

int lq_pg_cancel_start(lq_pg_cancel **out, lq_loop *loop, int fd,
                       const uint32_t key[2], void (*on_done)(void *),
                       void *data)
{
    lq_pg_cancel *c = lq_mem_zalloc(sizeof *c);
    int err;

    if (!c) return -ENOMEM;
    if ((err = c->fd = connect_beside(fd)) < 0) goto fail;
    if ((err = uv_poll_init(lq_loop_uv(loop), &c->poll, c->fd)) < 0) {
        close(c->fd);
        goto fail;
    }
    c->poll.data = c;
    c->loop = loop;
    lq_timer_init(&c->timer, on_due);
    c->request[0] = htonl(sizeof c->request);
    c->request[1] = htonl(CANCEL_CODE);
    c->request[2] = htonl(key[0]);
    c->request[3] = htonl(key[1]);
    c->on_done = on_done;
    c->data = data;
    if ((err = uv_poll_start(&c->poll, UV_WRITABLE, on_poll)) < 0) {
        lq_pg_cancel_stop(c);
        return err;
    }
    *out = c;
    return 0;

fail:
    lq_mem_free(c);
    return err;
}

void lq_pg_cancel_leave(lq_loop *loop, int fd, const uint32_t key[2],
                        size_t *pending)
{
    lq_pg_cancel *c;

    if (lq_pg_cancel_start(&c, loop, fd, key, NULL, NULL) < 0) return;
    if (lq_timer_start(lq_loop_timers(loop), &c->timer,
                       lq_loop_update(loop) + LEFT_MS) < 0) {
        lq_pg_cancel_stop(c);
        return;
    }
    c->pending = pending;
    ++*pending;
}

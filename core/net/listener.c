/* listener.c - see listener.h. */
#include "net/listener.h"

#include <errno.h>

enum {
    ACCEPTS_A_TURN = 64, /* then the connections have their turn */
    SWEEPS = 128,        /* of so many, before a stop: more than can wait */
    RETRY_MS = 50,       /* when there is no descriptor left */
};

static void on_readable(uv_poll_t *handle, int status, int events);

static void resume(lq_listener *l)
{
    uv_poll_start(&l->poll, UV_READABLE, on_readable);
}

static void on_retry(lq_timer *timer)
{
    lq_listener *l = LQ_CONTAINER_OF(timer, lq_listener, retry);

    if (l->is_started) resume(l);
}

/* What waits stays in the kernel's queue for RETRY_MS. */
static void take_a_break(lq_listener *l)
{
    uint64_t at_ms = lq_loop_now(l->loop) + RETRY_MS;

    if (lq_timer_start(lq_loop_timers(l->loop), &l->retry, at_ms) == 0)
        uv_poll_stop(&l->poll);
}

/* Returns false when nothing waits any more, or nothing can be accepted. */
static bool accept_some(lq_listener *l)
{
    struct sockaddr_storage peer;
    socklen_t len;
    int i, fd;

    for (i = 0; i < ACCEPTS_A_TURN && uv_is_active((uv_handle_t *)&l->poll);
         i++) {
        if (l->can_accept && !l->can_accept(l)) {
            take_a_break(l);
            return false;
        }
        len = sizeof peer;
        peer.ss_family = AF_UNSPEC;
        fd = accept4(l->fd, (struct sockaddr *)&peer, &len,
                     SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            l->on_accept(l, fd, &peer);
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS ||
                   errno == ENOMEM) {
            if (l->on_pause) l->on_pause(l, -errno);
            take_a_break(l);
            return false;
        } else if (errno != EINTR && errno != ECONNABORTED) {
            return false;
        }
    }
    return true;
}

static void on_readable(uv_poll_t *handle, int status, int events)
{
    (void)status;
    (void)events;
    accept_some(handle->data);
}

void lq_listener_sweep(lq_listener *l)
{
    int i = 0;

    while (l->is_started && i < SWEEPS && accept_some(l)) i++;
}

int lq_listener_open(lq_listener *l, lq_loop *loop, int fd,
                     void (*on_accept)(lq_listener *, int,
                                       const struct sockaddr_storage *),
                     void *data)
{
    int err;

    *l = (lq_listener){
        .loop = loop, .fd = fd, .on_accept = on_accept, .data = data};
    err = uv_poll_init(lq_loop_uv(loop), &l->poll, fd);
    if (err < 0) return err;
    l->poll.data = l;
    lq_timer_init(&l->retry, on_retry);
    return 0;
}

int lq_listener_start(lq_listener *l)
{
    if (l->is_started) return 0;
    l->is_started = true;
    return uv_poll_start(&l->poll, UV_READABLE, on_readable);
}

void lq_listener_stop(lq_listener *l)
{
    if (!l->is_started) return;
    l->is_started = false;
    lq_timer_stop(lq_loop_timers(l->loop), &l->retry);
    uv_poll_stop(&l->poll);
}

static void on_closed(uv_handle_t *handle)
{
    lq_listener *l = handle->data;

    l->on_closed(l);
}

void lq_listener_close(lq_listener *l, void (*closed)(lq_listener *))
{
    lq_listener_stop(l);
    l->on_closed = closed;
    uv_close((uv_handle_t *)&l->poll, on_closed);
}

/* relief.c - see relief.h. */
#include "run/relief.h"

#include <errno.h>
#include <unistd.h>

#include "base/mem.h"
#include "net/listener.h"

/* One socket of one worker. */
typedef struct post {
    lq_listener listener;
    lq_relief *relief;
    int worker; /* index */
    int fd;
} post;

struct lq_relief {
    lq_spread *spread;
    lq_roster *roster;
    int count;
    size_t post_count;
    size_t open_count;
    void (*on_closed)(void *);
    void *data;
    post posts[];
};

static void on_accept(lq_listener *l, int fd,
                      const struct sockaddr_storage *peer)
{
    post *p = l->data;
    lq_relief *r = p->relief;
    const lq_arrival a = {.fd = fd, .peer = *peer};

    if (lq_roster_give(r->roster, r->spread, &a) == 0) return;
    close(fd);
    lq_listener_stop(l);
}

static bool is_anyone_fresh(const lq_relief *r)
{
    int i;

    for (i = 0; i < r->count; i++)
        if (lq_spread_is_fresh(r->spread, i) &&
            !lq_spread_is_full(r->spread, i))
            return true;
    return false;
}

static bool can_accept(const lq_listener *l)
{
    const post *p = l->data;

    return is_anyone_fresh(p->relief);
}

/* Without anyone to hand to, connections wait in the kernel's queue. */
void lq_relief_check(lq_relief *r)
{
    bool can_help = is_anyone_fresh(r);
    size_t i;
    post *p;

    for (i = 0; i < r->post_count; i++) {
        p = &r->posts[i];
        if (can_help && !lq_spread_is_fresh(r->spread, p->worker))
            lq_listener_start(&p->listener);
        else
            lq_listener_stop(&p->listener);
    }
}

static int open_post(lq_relief *r, lq_loop *loop, int fd, int worker)
{
    post *p = &r->posts[r->post_count];
    int err;

    /* A descriptor of its own: epoll knows a descriptor once. */
    p->fd = dup(fd);
    if (p->fd < 0) return -errno;
    p->relief = r;
    p->worker = worker;
    err = lq_listener_open(&p->listener, loop, p->fd, on_accept, p);
    if (err < 0) {
        close(p->fd);
        return err;
    }
    p->listener.can_accept = can_accept;
    r->post_count++;
    r->open_count++;
    return 0;
}

int lq_relief_open(lq_relief **out, lq_loop *loop, lq_sockets *sockets,
                   lq_spread *spread, lq_roster *roster, int count)
{
    size_t n = lq_sockets_count(sockets), i;
    lq_relief *r = lq_mem_zalloc(sizeof *r + n * (size_t)count * sizeof(post));
    int w, err;

    if (!r) return -ENOMEM;
    r->spread = spread;
    r->roster = roster;
    r->count = count;
    *out = r;
    for (i = 0; i < n; i++) {
        /* A socket that all workers share needs no help. */
        for (w = 0; w < count && !lq_sockets_is_shared(sockets, i); w++) {
            err = open_post(r, loop, lq_sockets_fd(sockets, i, w), w);
            if (err < 0) return err;
        }
    }
    return 0;
}

static void finish_close(lq_relief *r)
{
    void (*on_closed)(void *) = r->on_closed;
    void *data = r->data;

    lq_mem_free(r);
    on_closed(data);
}

static void on_post_closed(lq_listener *l)
{
    post *p = l->data;
    lq_relief *r = p->relief;

    close(p->fd);
    if (--r->open_count == 0) finish_close(r);
}

void lq_relief_close(lq_relief *r, void (*on_closed)(void *), void *data)
{
    size_t i;

    r->on_closed = on_closed;
    r->data = data;
    for (i = 0; i < r->post_count; i++)
        lq_listener_close(&r->posts[i].listener, on_post_closed);
    if (r->post_count == 0) finish_close(r);
}

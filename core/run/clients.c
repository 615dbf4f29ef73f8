/* clients.c - see clients.h. */
#include "run/clients.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mem.h"

enum { FIRST_CAP = 1024 };

int lq_clients_init(lq_clients *c)
{
    *c = (lq_clients){0};
    return uv_mutex_init(&c->lock);
}

void lq_clients_fini(lq_clients *c)
{
    uv_mutex_destroy(&c->lock);
    lq_mem_free(c->has);
}

static int grow(lq_clients *c, int fd)
{
    int cap = c->cap ? c->cap : FIRST_CAP;
    uint8_t *has;

    while (cap <= fd) cap *= 2;
    has = lq_mem_realloc(c->has, (size_t)cap / 8);
    if (!has) return -ENOMEM;
    memset(has + c->cap / 8, 0, (size_t)(cap - c->cap) / 8);
    c->has = has;
    c->cap = cap;
    return 0;
}

int lq_clients_add(lq_clients *c, int fd)
{
    int err = 0;

    uv_mutex_lock(&c->lock);
    if (c->is_abandoned)
        err = LQ_ECLOSED;
    else if (fd >= c->cap)
        err = grow(c, fd);
    if (err == 0) {
        c->has[fd / 8] |= (uint8_t)(1u << fd % 8);
        c->count++;
    }
    uv_mutex_unlock(&c->lock);
    return err;
}

bool lq_clients_remove(lq_clients *c, int fd)
{
    bool is_counted;

    uv_mutex_lock(&c->lock);
    is_counted = !c->is_abandoned;
    if (is_counted) {
        c->has[fd / 8] &= (uint8_t) ~(1u << fd % 8);
        c->count--;
    }
    uv_mutex_unlock(&c->lock);
    return is_counted;
}

bool lq_clients_is_abandoned(lq_clients *c)
{
    bool is_abandoned;

    uv_mutex_lock(&c->lock);
    is_abandoned = c->is_abandoned;
    uv_mutex_unlock(&c->lock);
    return is_abandoned;
}

int lq_clients_abandon(lq_clients *c)
{
    int fd, count = 0;

    uv_mutex_lock(&c->lock);
    if (!c->is_abandoned) {
        c->is_abandoned = true;
        count = c->count;
        for (fd = 0; fd < c->cap; fd++)
            if (c->has[fd / 8] & 1u << fd % 8) shutdown(fd, SHUT_RDWR);
    }
    uv_mutex_unlock(&c->lock);
    return count;
}

void lq_clients_close(lq_clients *c)
{
    int fd;

    for (fd = 0; fd < c->cap; fd++)
        if (c->has[fd / 8] & 1u << fd % 8) close(fd);
    c->count = 0;
}

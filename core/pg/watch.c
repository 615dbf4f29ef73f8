/* watch.c - see watch.h. */
#include "pg/watch.h"

#include <errno.h>
#include <libpq-fe.h>

#include "base/mem.h"

static void on_closed(uv_handle_t *handle)
{
    lq_pg_poll *p = LQ_CONTAINER_OF(handle, lq_pg_poll, handle);
    lq_pg_conn *c = handle->data;

    lq_mem_free(p);
    if (--c->polls == 0 && c->state == LQ_PG_CLOSING) c->cfg->on_freed(c);
}

static int open_handle(lq_pg_conn *c, int fd)
{
    lq_pg_poll *p = lq_mem_zalloc(sizeof *p);
    int err;

    if (!p) return -ENOMEM;
    err = uv_poll_init(lq_loop_uv(c->cfg->loop), &p->handle, fd);
    if (err < 0) {
        lq_mem_free(p);
        return err;
    }
    p->handle.data = c;
    p->conn = c;
    p->fd = fd;
    c->poll = p;
    c->polls++;
    return 0;
}

int lq_pg_watch(lq_pg_conn *c, int events, uv_poll_cb on_poll)
{
    int fd = PQsocket(c->pg), err;

    if (c->poll && c->poll->fd != fd) lq_pg_watch_close(c);
    if (!c->poll && (err = open_handle(c, fd)) < 0) return err;
    if (c->poll->events == events) return 0;
    c->poll->events = (uint8_t)events;
    return events ? uv_poll_start(&c->poll->handle, events, on_poll)
                  : uv_poll_stop(&c->poll->handle);
}

void lq_pg_watch_pause(lq_pg_conn *c)
{
    if (!c->poll || !c->poll->events) return;
    c->poll->events = 0;
    uv_poll_stop(&c->poll->handle);
}

void lq_pg_watch_close(lq_pg_conn *c)
{
    if (!c->poll) return;
    c->poll->conn = NULL;
    uv_close((uv_handle_t *)&c->poll->handle, on_closed);
    c->poll = NULL;
}

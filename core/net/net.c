/* net.c - see net.h. */
#include "net/net.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>

#include "base/mem.h"
#include "net/conn.h"
#include "net/exchange.h"

enum { KEEP_BUFS = 64, KEEP_BUF_CAP = 64 * 1024 };

/* A pooled buffer: the link stands in front of the buffer it carries. */
typedef struct pooled_buf {
    lq_list link;
    lq_buf buf;
} pooled_buf;

lq_buf *lq_net_buf_small(void)
{
    pooled_buf *p = lq_mem_alloc(sizeof *p);

    if (!p) return NULL;
    lq_list_init(&p->link);
    lq_buf_init(&p->buf);
    return &p->buf;
}

lq_buf *lq_net_buf(lq_net *net)
{
    lq_list *link = lq_list_pop_front(&net->free_bufs);

    if (!link) return lq_net_buf_small();
    net->free_buf_count--;
    return &LQ_CONTAINER_OF(link, pooled_buf, link)->buf;
}

static void free_buf(lq_buf *b)
{
    lq_buf_fini(b);
    lq_mem_free(LQ_CONTAINER_OF(b, pooled_buf, buf));
}

void lq_net_buf_release(lq_net *net, lq_buf *b)
{
    pooled_buf *p = LQ_CONTAINER_OF(b, pooled_buf, buf);

    if (net->free_buf_count >= KEEP_BUFS || b->cap > KEEP_BUF_CAP) {
        free_buf(b);
        return;
    }
    lq_buf_clear(b);
    /* In front: the buffer used last is the one still in the cache. */
    lq_list_push_back(net->free_bufs.next, &p->link);
    net->free_buf_count++;
}

void lq_net_flush(lq_net *net)
{
    lq_list *link;

    while ((link = lq_list_pop_front(&net->dirty)))
        lq_conn_flush(LQ_CONTAINER_OF(link, lq_conn, dirty));
}

static void on_turn(lq_turn *turn)
{
    lq_net_flush(LQ_CONTAINER_OF(turn, lq_net, turn));
}

/* The time of the start in ms, and the worker: a worker that is started again
 * repeats no id. */
static void set_id(lq_net *net)
{
    struct timespec now;
    long long ms;

    clock_gettime(CLOCK_REALTIME, &now);
    ms = (long long)now.tv_sec * 1000 + now.tv_nsec / 1000000;
    net->id_len =
        (size_t)snprintf(net->id, sizeof net->id, "%llx-%x-",
                         (unsigned long long)ms, (unsigned)net->cfg.worker);
}

int lq_net_open(lq_net *net, lq_loop *loop, const lq_net_cfg *cfg)
{
    *net = (lq_net){.cfg = *cfg, .loop = loop};
    set_id(net);
    net->read_buf = lq_mem_alloc(LQ_NET_READ_SIZE);
    if (!net->read_buf) return -ENOMEM;
    lq_list_init(&net->conns);
    lq_list_init(&net->dirty);
    lq_list_init(&net->free_exchanges);
    lq_list_init(&net->free_bufs);
    lq_loop_on_deadline(loop, lq_conn_on_deadline);
    net->turn.run = on_turn;
    lq_loop_on_turn(loop, &net->turn);
    return 0;
}

void lq_net_retire(lq_net *net)
{
    net->is_draining = true;
}

bool lq_net_drain(lq_net *net)
{
    lq_list *link, *next;
    bool has_new = false;

    lq_net_retire(net);
    net->ends_idle = true;
    for (link = net->conns.next; link != &net->conns; link = next) {
        next = link->next;
        if (!lq_conn_drain(LQ_CONTAINER_OF(link, lq_conn, link)))
            has_new = true;
    }
    return has_new;
}

static void free_pools(lq_net *net)
{
    lq_list *link;

    while ((link = lq_list_pop_front(&net->free_exchanges)))
        lq_exchange_free(LQ_CONTAINER_OF(link, lq_exchange, link));
    while ((link = lq_list_pop_front(&net->free_bufs)))
        free_buf(&LQ_CONTAINER_OF(link, pooled_buf, link)->buf);
    lq_mem_free(net->read_buf);
    net->read_buf = NULL;
}

static void finish_close(lq_net *net)
{
    void (*on_closed)(lq_net *) = net->on_closed;

    net->on_closed = NULL;
    lq_list_remove(&net->turn.link);
    free_pools(net);
    on_closed(net);
}

/* The answer that ends it goes out, as far as the socket takes it: it stands
 * in the access log. */
static void cut(lq_conn *c)
{
    if (c->ends_when_sent) lq_conn_flush(c);
    lq_conn_cut(c);
}

void lq_net_close(lq_net *net, void (*on_closed)(lq_net *))
{
    lq_list *link, *next;

    net->is_draining = net->ends_idle = true;
    net->on_closed = on_closed;
    for (link = net->conns.next; link != &net->conns; link = next) {
        next = link->next;
        cut(LQ_CONTAINER_OF(link, lq_conn, link));
    }
    if (net->conn_count == 0) finish_close(net);
}

void lq_net_forget(lq_net *net, lq_conn *c)
{
    lq_list_remove(&c->link);
    net->conn_count--;
    net->cfg.on_gone(net, c->fd);
    if (net->on_closed && net->conn_count == 0) finish_close(net);
}

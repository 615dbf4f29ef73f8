/* dial.c - see dial.h. */
#include "net/dial.h"

#include <errno.h>
#include <netdb.h>
#include <strings.h>

#include "base/address.h"
#include "base/err.h"
#include "base/mem.h"

enum { ADDRESSES = 16 /* tried at most */ };

/* It outlives the dial that has begun it: libuv cannot take it back. */
typedef struct lookup {
    uv_getaddrinfo_t req;
    lq_list link;  /* of lq_wires.lookups */
    lq_dial *dial; /* NULL: nobody waits */
} lookup;

struct lq_dial {
    lq_dial_cfg cfg;
    lq_wires *all;
    lq_timer timer; /* of the look-up, or of the address at hand */
    uint64_t end_ms;
    lookup *lookup;
    lq_wire *wire; /* connecting */
    int err;       /* of the last address */
    size_t count;
    size_t next;
    lq_socket_address addresses[ADDRESSES];
};

/* ---- the end ------------------------------------------------------------- */

static void free_dial(lq_dial *d)
{
    lq_timer_stop(lq_loop_timers(d->all->loop), &d->timer);
    if (d->wire) lq_wire_cut(d->wire);
    if (d->lookup) {
        d->lookup->dial = NULL;
        uv_cancel((uv_req_t *)&d->lookup->req);
    }
    lq_mem_free(d);
}

void lq_dial_abandon(lq_dial *d)
{
    free_dial(d);
}

static void finish(lq_dial *d, lq_wire *w, int err)
{
    lq_dial_cfg cfg = d->cfg;

    d->wire = w ? NULL : d->wire;
    free_dial(d);
    cfg.on_done(cfg.data, w, err);
}

/* ---- addresses ----------------------------------------------------------- */

static void add_address(lq_dial *d, const struct sockaddr *from)
{
    lq_socket_address *a = &d->addresses[d->count];

    if (d->count == ADDRESSES) return;
    if (from->sa_family == AF_INET)
        memcpy(&a->v4, from, sizeof a->v4);
    else if (from->sa_family == AF_INET6)
        memcpy(&a->v6, from, sizeof a->v6);
    else
        return;
    if (from->sa_family == AF_INET)
        a->v4.sin_port = htons(d->cfg.port);
    else
        a->v6.sin6_port = htons(d->cfg.port);
    d->count++;
}

static void add_v4(lq_dial *d, const void *bytes)
{
    struct sockaddr_in in = {.sin_family = AF_INET};

    memcpy(&in.sin_addr, bytes, sizeof in.sin_addr);
    add_address(d, (const struct sockaddr *)&in);
}

static void add_v6(lq_dial *d, const void *bytes)
{
    struct sockaddr_in6 in = {.sin6_family = AF_INET6};

    memcpy(&in.sin6_addr, bytes, sizeof in.sin6_addr);
    add_address(d, (const struct sockaddr *)&in);
}

static bool is_localhost(lq_str host)
{
    return host.len == sizeof "localhost" - 1 &&
           strncasecmp(host.ptr, "localhost", host.len) == 0;
}

/* Whether the host needs no resolver. */
static bool read_host(lq_dial *d, lq_str host)
{
    static const unsigned char v4[4] = {127, 0, 0, 1}, v6[16] = {[15] = 1};
    lq_address a;

    if (is_localhost(host)) {
        add_v4(d, v4);
        add_v6(d, v6);
        return true;
    }
    if (!lq_address_read(&a, host)) return false;
    if (a.kind == LQ_ADDRESS_V4)
        add_v4(d, a.bytes);
    else
        add_v6(d, a.bytes);
    return true;
}

/* ---- one after another --------------------------------------------------- */

static void on_wire(lq_wire *w);

/* Begins with the next address. Returns what the last one failed with when
 * there is none that can be begun with. */
static int try_next(lq_dial *d)
{
    lq_loop *loop = d->all->loop;
    uint64_t now_ms = lq_loop_update(loop), left_ms;
    int err;

    while (d->next < d->count && now_ms < d->end_ms) {
        left_ms = (d->end_ms - now_ms) / (d->count - d->next);
        err = lq_wire_connect(&d->wire, d->all, &d->addresses[d->next++],
                              on_wire, d);
        if (err == 0)
            err = lq_timer_start(lq_loop_timers(loop), &d->timer,
                                 now_ms + left_ms);
        if (err == 0) return 0;
        d->err = err;
        if (d->wire) lq_wire_cut(d->wire);
        d->wire = NULL;
    }
    return d->err;
}

static void drop_wire(lq_dial *d, int err)
{
    lq_wire_cut(d->wire);
    d->wire = NULL;
    d->err = err;
    if ((err = try_next(d)) < 0) finish(d, NULL, err);
}

static void on_wire(lq_wire *w)
{
    lq_dial *d = w->holder;

    if (w->state != LQ_WIRE_OPEN) {
        drop_wire(d, w->write_error);
        return;
    }
    w->on_event = NULL;
    w->holder = NULL;
    finish(d, w, 0);
}

static void on_due(lq_timer *timer)
{
    lq_dial *d = LQ_CONTAINER_OF(timer, lq_dial, timer);

    if (d->wire)
        drop_wire(d, LQ_ETIMEOUT);
    else
        finish(d, NULL, LQ_ETIMEOUT);
}

/* ---- names --------------------------------------------------------------- */

static void on_looked_up(uv_getaddrinfo_t *req, int status,
                         struct addrinfo *list)
{
    lookup *l = LQ_CONTAINER_OF(req, lookup, req);
    lq_dial *d = l->dial;
    const struct addrinfo *at;

    lq_list_remove(&l->link);
    lq_mem_free(l);
    if (d) {
        d->lookup = NULL;
        for (at = list; at; at = at->ai_next) add_address(d, at->ai_addr);
        if (d->count == 0) d->err = status < 0 ? status : UV_EAI_NODATA;
        if ((status = try_next(d)) < 0) finish(d, NULL, status);
    }
    uv_freeaddrinfo(list);
}

static int look_up(lq_dial *d, lq_str host)
{
    static const struct addrinfo hints = {.ai_family = AF_UNSPEC,
                                          .ai_socktype = SOCK_STREAM};
    char name[LQ_DIAL_HOST_MAX + 1];
    lookup *l;
    int err;

    if (host.len > LQ_DIAL_HOST_MAX) return -ENAMETOOLONG;
    l = lq_mem_zalloc(sizeof *l);
    if (!l) return -ENOMEM;
    memcpy(name, host.ptr, host.len);
    name[host.len] = '\0';
    err = lq_timer_start(lq_loop_timers(d->all->loop), &d->timer, d->end_ms);
    if (err == 0)
        err = uv_getaddrinfo(lq_loop_uv(d->all->loop), &l->req, on_looked_up,
                             name, NULL, &hints);
    if (err < 0) {
        lq_mem_free(l);
        return err;
    }
    l->dial = d;
    d->lookup = l;
    lq_list_push_back(&d->all->lookups, &l->link);
    return 0;
}

void lq_dial_await_lookups(lq_wires *ws)
{
    while (!lq_list_is_empty(&ws->lookups))
        uv_run(lq_loop_uv(ws->loop), UV_RUN_ONCE);
}

int lq_dial_start(lq_dial **out, lq_wires *ws, const lq_dial_cfg *cfg)
{
    lq_dial *d = lq_mem_zalloc(sizeof *d);
    int err;

    if (!d) return -ENOMEM;
    d->cfg = *cfg;
    d->all = ws;
    d->err = LQ_ETIMEOUT;
    d->end_ms = lq_loop_update(ws->loop) + cfg->timeout_ms;
    lq_timer_init(&d->timer, on_due);
    err = read_host(d, cfg->host) ? try_next(d) : look_up(d, cfg->host);
    if (err < 0) {
        free_dial(d);
        return err;
    }
    d->cfg.host = (lq_str){NULL, 0};
    *out = d;
    return 0;
}

/* front.c - see front.h. */
#include "run/front.h"

#include <errno.h>
#include <unistd.h>

#include "base/mem.h"
#include "lua/listening.h"
#include "net/conn.h"

static int index_of(const lq_front *f)
{
    return f->cfg.id - 1;
}

static lq_front *front_of(lq_net *net)
{
    return net->cfg.data;
}

/* ---- connections --------------------------------------------------------- */

static void forget_client(lq_front *f, int fd)
{
    if (lq_clients_remove(&f->clients, fd))
        lq_spread_leave(f->cfg.spread, index_of(f));
}

/* Takes the socket, also on failure. */
static int open_conn(lq_front *f, const lq_arrival *a)
{
    if (a->number == 0) return lq_conn_open(&f->net, a->fd, &a->peer);
    return lq_listening_open(f->cfg.vm, a->number, &f->net, a->fd, &a->peer);
}

static void open_here(lq_front *f, const lq_arrival *a)
{
    if (lq_clients_add(&f->clients, a->fd) < 0) {
        close(a->fd);
        lq_spread_leave(f->cfg.spread, index_of(f));
    } else if (open_conn(f, a) < 0) {
        forget_client(f, a->fd);
    }
}

/* Nobody else takes it: better late, or as the last of a worker that goes, than
 * not at all. */
static void serve_anyway(lq_front *f, const lq_arrival *a)
{
    bool can = f->state == LQ_FRONT_ACCEPTING || f->state == LQ_FRONT_DRAINING;

    if (can && !lq_spread_is_full(f->cfg.spread, index_of(f))) {
        lq_spread_count_in(f->cfg.spread, index_of(f));
        open_here(f, a);
    } else {
        close(a->fd);
    }
}

/* The index by which the worker chooses: its own while it takes connections
 * itself. */
static int chooser(const lq_front *f)
{
    return f->state == LQ_FRONT_ACCEPTING ? index_of(f) : -1;
}

/* Gives the socket to the worker it is counted for, or to any that takes it. A
 * place may be empty just now: then another choice is made. */
static void hand_on(lq_front *f, int to, const lq_arrival *a)
{
    int tries = f->cfg.options->workers + 1;

    for (; to >= 0 && tries > 0; tries--) {
        if (to == chooser(f)) {
            open_here(f, a);
            return;
        }
        if (lq_roster_hand(f->cfg.roster, to, a) == 0) return;
        lq_spread_leave(f->cfg.spread, to);
        to = lq_spread_choose(f->cfg.spread, chooser(f));
    }
    if (to >= 0) lq_spread_leave(f->cfg.spread, to);
    serve_anyway(f, a);
}

bool lq_front_has(const lq_front *f, int number)
{
    return number == 0 || lq_doors_has(&f->doors, number);
}

void lq_front_take(lq_front *f, const lq_arrival *a)
{
    if (f->state == LQ_FRONT_ACCEPTING && lq_front_has(f, a->number)) {
        open_here(f, a);
        return;
    }
    lq_spread_leave(f->cfg.spread, index_of(f));
    if (f->is_last || lq_roster_give(f->cfg.roster, f->cfg.spread, a) < 0)
        serve_anyway(f, a);
}

/* ---- accepting ----------------------------------------------------------- */

static bool has_room(lq_front *f)
{
    return !lq_clients_is_abandoned(&f->clients) &&
           !lq_spread_is_full(f->cfg.spread, index_of(f));
}

static void tell_pause(lq_front *f, int err)
{
    char buf[96];

    if (lq_spread_may_tell(f->cfg.spread, lq_loop_now(f->cfg.loop)))
        lq_log_printf(f->cfg.log, LQ_LOG_WARN,
                      "no connection can be accepted for now: %s",
                      lq_strerror(err, buf, sizeof buf));
}

static void place(lq_front *f, const lq_arrival *a)
{
    if (f->is_last)
        serve_anyway(f, a);
    else
        hand_on(f, lq_spread_choose(f->cfg.spread, index_of(f)), a);
}

static bool can_accept(const lq_listener *l)
{
    return has_room(l->data);
}

static void on_pause(lq_listener *l, int err)
{
    tell_pause(l->data, err);
}

static void on_accept(lq_listener *l, int fd,
                      const struct sockaddr_storage *peer)
{
    const lq_arrival a = {.fd = fd, .peer = *peer};

    place(l->data, &a);
}

static int open_listeners(lq_front *f)
{
    size_t i, n = lq_sockets_count(f->cfg.sockets);
    int err, fd;

    f->listeners = lq_mem_zalloc(n * sizeof *f->listeners);
    if (!f->listeners) return -ENOMEM;
    for (i = 0; i < n; i++) {
        fd = lq_sockets_fd(f->cfg.sockets, i, index_of(f));
        err = lq_listener_open(&f->listeners[i], f->cfg.loop, fd, on_accept, f);
        if (err < 0) return err;
        f->listeners[i].can_accept = can_accept;
        f->listeners[i].on_pause = on_pause;
        f->listener_count++;
    }
    return 0;
}

/* ---- what the app listens on --------------------------------------------- */

static lq_front *front_of_door(const lq_listener *l)
{
    const lq_door *door = l->data;

    return door->doors->cfg.data;
}

static bool door_can_accept(const lq_listener *l)
{
    return has_room(front_of_door(l));
}

static void on_door_pause(lq_listener *l, int err)
{
    tell_pause(front_of_door(l), err);
}

static void on_door_accept(lq_listener *l, int fd,
                           const struct sockaddr_storage *peer)
{
    const lq_door *door = l->data;
    const lq_arrival a = {.fd = fd, .number = door->number, .peer = *peer};

    place(front_of_door(l), &a);
}

static void init_doors(lq_front *f)
{
    const lq_doors_cfg cfg = {
        .loop = f->cfg.loop,
        .ports = f->cfg.ports,
        .user = {f->cfg.crew, index_of(f), f->cfg.restarts},
        .on_accept = on_door_accept,
        .can_accept = door_can_accept,
        .on_pause = on_door_pause,
        .data = f,
    };

    lq_doors_init(&f->doors, &cfg);
}

int lq_front_listen(lq_front *f, const lq_listen_spec *spec, int *number,
                    uint16_t *port, lq_err *err)
{
    int code;

    if (f->state > LQ_FRONT_ACCEPTING)
        return lq_err_set(err, LQ_ECLOSED, "the worker comes to its end");
    code = lq_doors_open(&f->doors, spec, number, port, err);
    if (code < 0 || f->state == LQ_FRONT_SHUT) return code;
    code = lq_doors_start_one(&f->doors, *number, err);
    if (code < 0) lq_doors_shut(&f->doors, *number);
    return code;
}

/* What one that drains does not want any more is its successor's. */
void lq_front_unlisten(lq_front *f, int number)
{
    if (f->state <= LQ_FRONT_ACCEPTING) lq_doors_shut(&f->doors, number);
}

/* ---- the net ------------------------------------------------------------- */

static void on_request(lq_exchange *x)
{
    lq_dispatch_request(front_of(x->net)->dispatch, x);
}

static void on_gone(lq_net *net, int fd)
{
    lq_front *f = front_of(net);

    forget_client(f, fd);
    f->cfg.on_gone(f->cfg.data);
}

static int open_net(lq_front *f)
{
    const lq_options *o = f->cfg.options;
    lq_net_cfg cfg = {
        .header_timeout_ms = lq_ms_of(o->header_timeout),
        .idle_timeout_ms = lq_ms_of(o->idle_timeout),
        .body_timeout_ms = lq_ms_of(o->body_timeout),
        .write_timeout_ms = lq_ms_of(o->write_timeout),
        .request_timeout_ms = lq_ms_of(o->request_timeout),
        .trust = {o->trusted, o->trusted_count},
        .header_limit = o->header_limit,
        .body_limit = o->body_limit,
        .on_request = on_request,
        .on_body = lq_dispatch_body,
        .on_drain = lq_dispatch_drain,
        .on_cancel = lq_dispatch_cancel,
        .on_gone = on_gone,
        .worker = f->cfg.id,
        .access_log = o->access_log ? f->cfg.log : NULL,
        .data = f,
    };
    int err = lq_net_open(&f->net, f->cfg.loop, &cfg);

    f->is_net_open = err == 0;
    return err;
}

int lq_front_open(lq_front *f, lq_dispatch *dispatch)
{
    int err;

    f->dispatch = dispatch;
    if ((err = open_net(f)) < 0) return err;
    return open_listeners(f);
}

/* The first workers' sockets listen already. */
static void start_doors(lq_front *f)
{
    lq_err err;

    if (lq_doors_start(&f->doors, &err) < 0)
        lq_log_printf(f->cfg.log, LQ_LOG_ERROR, "%s", err.text);
}

void lq_front_start(lq_front *f, const lq_router *router)
{
    size_t i;

    f->state = LQ_FRONT_ACCEPTING;
    f->net.router = router;
    lq_spread_join(f->cfg.spread, index_of(f), f->cfg.pulse);
    for (i = 0; i < f->listener_count; i++) lq_listener_start(&f->listeners[i]);
    start_doors(f);
}

/* ---- the end ------------------------------------------------------------- */

/* Takes no connections any more. From now on another one may have the place. */
static void part(lq_front *f)
{
    if (f->state == LQ_FRONT_ACCEPTING)
        lq_spread_part(f->cfg.spread, index_of(f), f->cfg.pulse);
}

void lq_front_be_last(lq_front *f)
{
    f->is_last = true;
}

void lq_front_stop(lq_front *f)
{
    size_t i;

    for (i = 0; i < f->listener_count; i++) {
        lq_listener_sweep(&f->listeners[i]);
        lq_listener_stop(&f->listeners[i]);
    }
    lq_doors_sweep(&f->doors);
    part(f);
    f->state = LQ_FRONT_DRAINING;
    if (f->is_net_open) lq_net_retire(&f->net);
}

bool lq_front_end_idle(lq_front *f)
{
    return f->is_net_open && lq_net_drain(&f->net);
}

void lq_front_refuse(lq_front *f)
{
    part(f);
    f->state = LQ_FRONT_REFUSING;
}

bool lq_front_is_idle(const lq_front *f)
{
    return f->net.conn_count == 0;
}

static void closed_one(lq_front *f)
{
    if (--f->closing == 0) f->on_closed(f->cfg.data);
}

static void on_listener_closed(lq_listener *l)
{
    closed_one(l->data);
}

static void on_doors_closed(void *data)
{
    closed_one(data);
}

static void on_net_closed(lq_net *net)
{
    closed_one(front_of(net));
}

void lq_front_close(lq_front *f, void (*on_closed)(void *data))
{
    size_t i;

    lq_front_refuse(f);
    f->on_closed = on_closed;
    f->closing = f->listener_count + f->is_net_open + 2;
    for (i = 0; i < f->listener_count; i++)
        lq_listener_close(&f->listeners[i], on_listener_closed);
    lq_doors_close(&f->doors, on_doors_closed, f);
    if (f->is_net_open) lq_net_close(&f->net, on_net_closed);
    closed_one(f);
}

/* ---- from the main thread ------------------------------------------------ */

void lq_front_abandon(lq_front *f)
{
    int count = lq_clients_abandon(&f->clients);

    if (!f->cfg.sockets) return; /* a service */
    lq_spread_part(f->cfg.spread, index_of(f), f->cfg.pulse);
    while (count-- > 0) lq_spread_leave(f->cfg.spread, index_of(f));
}

void lq_front_bury(lq_front *f)
{
    lq_clients_close(&f->clients);
}

int lq_front_init(lq_front *f, const lq_front_cfg *cfg)
{
    *f = (lq_front){.cfg = *cfg};
    init_doors(f);
    return lq_clients_init(&f->clients);
}

void lq_front_fini(lq_front *f)
{
    lq_clients_fini(&f->clients);
    lq_doors_fini(&f->doors);
    lq_mem_free(f->listeners);
}

/* front.h - the side of a worker that faces the network.
 *
 * It accepts on the worker's listening sockets and on what its app listens on,
 * gives each connection to the worker that the spread names, and opens those
 * that are this one's.
 *
 * Owns:    the listeners, the connections. The sockets that it listens on are
 *          the main thread's.
 * Thread:  init, abandon, bury, fini - main thread. has - any. Everything else
 *          the worker's.
 * Life:    init -> open -> start -> (take)* -> stop -> refuse -> close ->
 *          on_closed -> fini; close may come at any point. A service has one
 *          that is never opened.
 * Knows:   sockets, doors, spread, roster, clients; net; lua's dispatch and
 *          listening.
 */
#ifndef LQ_FRONT_H
#define LQ_FRONT_H

#include "log/log.h"
#include "lua/dispatch.h"
#include "net/listener.h"
#include "net/net.h"
#include "run/arrival.h"
#include "run/clients.h"
#include "run/doors.h"
#include "run/options.h"
#include "run/roster.h"
#include "run/sockets.h"
#include "run/spread.h"

typedef enum lq_front_state {
    LQ_FRONT_SHUT, /* before start */
    LQ_FRONT_ACCEPTING,
    LQ_FRONT_DRAINING, /* accepts none, serves what it has */
    LQ_FRONT_REFUSING, /* and nothing that comes late */
} lq_front_state;

typedef struct lq_front_cfg {
    int id; /* of the worker, from 1 */
    int restarts;
    const struct lq_crew *crew;
    /* Borrowed until fini. */
    const lq_options *options;
    lq_loop *loop;
    lq_sockets *sockets; /* NULL: it is a service */
    lq_ports *ports;
    lq_spread *spread;
    lq_roster *roster;
    lq_pulse *pulse;
    const lq_log *log;
    lq_vm *vm;
    void (*on_gone)(void *data); /* a connection is gone */
    void *data;
} lq_front_cfg;

typedef struct lq_front {
    lq_front_cfg cfg;
    lq_clients clients; /* any thread */

    /* Owner loop. */
    lq_net net;
    lq_dispatch *dispatch;
    lq_listener *listeners;
    size_t listener_count;
    lq_doors doors;
    size_t closing; /* listeners, doors and net that still close */
    lq_front_state state;
    bool is_net_open;
    bool is_last; /* everybody stops: what comes now is served here */
    void (*on_closed)(void *data);
} lq_front;

/* Copies cfg. Returns libuv's codes. */
int lq_front_init(lq_front *f, const lq_front_cfg *cfg) LQ_MUST_CHECK;
void lq_front_fini(lq_front *f);

/* Makes all that start needs; `dispatch` takes the requests. Returns libuv's
 * codes: to be followed by close. */
int lq_front_open(lq_front *f, lq_dispatch *dispatch) LQ_MUST_CHECK;

/* Connections are accepted from now on, and matched by `router`. */
void lq_front_start(lq_front *f, const lq_router *router);

/* For on_listen and on_unlisten of lq_vm_cfg. */
int lq_front_listen(lq_front *f, const lq_listen_spec *spec, int *number,
                    uint16_t *port, lq_err *err) LQ_MUST_CHECK;
void lq_front_unlisten(lq_front *f, int number);

/* Whether connections with that number may be handed to it. */
LQ_ANY_THREAD bool lq_front_has(const lq_front *f, int number);

/* A connection that another thread has accepted, counted for this worker. While
 * this one drains, or does not listen on that any more, it goes to another
 * one. */
void lq_front_take(lq_front *f, const lq_arrival *a);

/* Before stop: everybody stops. What comes now cannot go to another one. */
void lq_front_be_last(lq_front *f);

/* Accepts what waits and then nothing more; another worker may have the place.
 * Connections go on, idle ones for one more request. */
void lq_front_stop(lq_front *f);

/* Idle connections end. Returns whether it is to be called again, after
 * LQ_NET_NEW_MS. */
bool lq_front_end_idle(lq_front *f);

/* What is handed over from now on goes to others or is closed. */
void lq_front_refuse(lq_front *f);

/* Whether no connection is open. */
bool lq_front_is_idle(const lq_front *f);

/* Cuts what is open; on_closed follows, at once when nothing is. */
void lq_front_close(lq_front *f, void (*on_closed)(void *data));

/* The worker is stuck: its clients are cut and counted no more, nobody chooses
 * it. */
void lq_front_abandon(lq_front *f);
/* After abandon: its thread has ended and left the clients' sockets. */
void lq_front_bury(lq_front *f);

#endif

/* worker.h - one worker: a thread with its own loop, Lua state, listeners and
 * connections.
 *
 * Owns:    all of these. The sockets it listens on are the main thread's.
 * Thread:  start, tell, join - main thread. Everything else its own.
 * Life:    start -> PREPARED | FAILED -> tell(ACCEPT) -> ACCEPTING -> READY |
 *          FAILED -> tell(DRAIN) -> ENDED -> join -> free. FAILED is followed
 *          by ENDED after tell(DRAIN) or tell(STOP).
 * Knows:   everything below.
 */
#ifndef LQ_WORKER_H
#define LQ_WORKER_H

#include <pthread.h>

#include "base/str.h"
#include "hub/hub.h"
#include "log/log.h"
#include "lua/code.h"
#include "lua/vm.h"
#include "run/arrival.h"
#include "run/options.h"
#include "run/pools.h"
#include "run/ports.h"
#include "run/report.h"
#include "run/roster.h"
#include "run/paths.h"
#include "run/sockets.h"
#include "run/spread.h"

typedef struct lq_worker lq_worker;

/* Orders, from the main thread. */
enum {
    LQ_WORKER_ACCEPT = 1, /* start accepting */
    LQ_WORKER_RETIRE,     /* no new connections; idle ones have one request
                           * more, within the drain's time; then end */
    LQ_WORKER_DRAIN,      /* the same without waiting for idle ones; the end
                           * waits for LEAVE */
    LQ_WORKER_LEAVE,      /* behind DRAIN: nobody accepts any more, so nobody
                           * hands over a connection */
    LQ_WORKER_STOP,       /* end without waiting */
    LQ_WORKER_CONN,       /* a connection; lq_worker_hand */
};

typedef struct lq_worker_cfg {
    int id;                    /* 1 ... workers */
    int restarts;              /* how often it has been replaced */
    int generation;            /* of the code, from 1 */
    const lq_options *options; /* all borrowed until join */
    const lq_paths *paths;
    lq_sockets *sockets; /* NULL, as ports: it is a service */
    lq_ports *ports;
    lq_pools *pools;
    lq_spread *spread;
    lq_str context; /* packed by initialize */
    lq_code *code;
    lq_hub *hub;
    const lq_service_spec *service; /* NULL: it is a worker, with sockets */
    struct lq_crew *crew;           /* what the reports name */
    lq_mailbox *to_main;            /* ... and where they go */
    lq_roster *roster;              /* the way to the others */
    lq_pulse *pulse;                /* where its loop keeps it: the spread's */
    const lq_log *log; /* of the main thread: the worker's is like it */
} lq_worker_cfg;

/* Gives a worker whose thread runs and loads the app. Returns libuv's codes. */
int lq_worker_start(lq_worker **out, const lq_worker_cfg *cfg) LQ_MUST_CHECK;

/* Gives an order, if it is not on its way already; needs no memory. After the
 * end: LQ_ECLOSED. */
LQ_ANY_THREAD int lq_worker_tell(lq_worker *w, int order);

/* Hands over an accepted socket that lq_spread counts for w. Returns -ENOMEM or
 * LQ_ECLOSED, also when w does not listen on that: the socket is still the
 * caller's. */
LQ_ANY_THREAD int lq_worker_hand(lq_worker *w, const lq_arrival *a);

/* Looks whether it comes back to its loop; interrupts Lua code after
 * --busy-timeout. now_ms: of the loops' clock. Returns whether its thread is
 * stuck in a C function. Not before ACCEPTING. */
bool lq_worker_watch(lq_worker *w, uint64_t now_ms);

/* Its clients are cut, nobody hands it a connection any more. Should the thread
 * ever come back it stops, and reports ENDED. It must be in no roster. */
void lq_worker_give_up(lq_worker *w);

/* Whether it is this thread that it runs in. */
bool lq_worker_is(const lq_worker *w, pthread_t thread);

/* After give_up: its thread has broken (base/broken.h). Joins it, closes its
 * clients' sockets and tells the log why; its memory stays. */
void lq_worker_bury(lq_worker *w, const char *why);

/* After ENDED: waits for the thread. Orders are refused from then on. */
void lq_worker_join(lq_worker *w);

/* When it has been joined and is in no roster. NULL is allowed. */
void lq_worker_free(lq_worker *w);

#endif

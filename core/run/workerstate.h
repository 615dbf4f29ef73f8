/* workerstate.h - what the files of a worker have in common: worker.c (its
 * thread, and what others ask of it), ending.c (how it comes to an end). Nobody
 * else includes it.
 *
 * Owns:    nothing of its own.
 * Thread:  as worker.h; the struct says which part is whose.
 * Knows:   worker, front, watchdog; lua's state.
 */
#ifndef LQ_WORKERSTATE_H
#define LQ_WORKERSTATE_H

#include <stdatomic.h>

#include "lua/app.h"
#include "run/front.h"
#include "run/watchdog.h"
#include "run/worker.h"

typedef enum lq_worker_state {
    LQ_WORKER_LOADING,  /* load, prepare, entry_point */
    LQ_WORKER_PREPARED, /* waits for its orders; or has failed */
    LQ_WORKER_ACCEPTING,
    LQ_WORKER_DRAINING, /* connections finish */
    LQ_WORKER_LEAVING,  /* App:close() runs */
    LQ_WORKER_CLOSING,  /* everything closes */
} lq_worker_state;

/* An order: type is one of the enum; a connection has its socket, and memory of
 * its own. */
typedef struct lq_worker_order {
    lq_msg msg;
    _Atomic bool is_told; /* in the mailbox; not of a connection */
    lq_arrival arrival;
} lq_worker_order;

struct lq_worker {
    /* Constant once the thread runs. */
    lq_worker_cfg cfg;
    lq_log log;
    char who[64];
    lq_thread thread;

    /* Any thread. */
    _Atomic(lq_hub_member *) member; /* vm.hub, once it is there */
    lq_mailbox mailbox;
    lq_watch watch;

    /* Owner loop. */
    lq_front front;
    lq_loop loop;
    lq_vm vm;
    lq_dispatch *dispatch;
    lq_app app;
    size_t closing;    /* front, hub and mailbox that still close */
    lq_timer deadline; /* of the drain */
    lq_timer over;     /* the last call of a service has been answered */
    lq_timer again;    /* the drain looks once more at idle connections */
    lq_worker_state state;
    bool has_started; /* App:close() is due */
    bool is_stopping; /* everybody is: what comes now is served here */
    bool is_alone;    /* nobody hands over any more */
    bool is_full;     /* for good: it has been told to retire */

    /* What may not fail for want of memory is there from the start. */
    lq_pg_notice *notice; /* for the shared pools; NULL: sent */
    lq_worker_order orders[LQ_WORKER_CONN];  /* by type */
    lq_report *reports[LQ_REPORT_ENDED + 1]; /* NULL: made */
};

/* Tells the main thread; each type once in a worker's life. `text` is copied,
 * or NULL. */
void lq_worker_report(lq_worker *w, int type, const char *text);

#endif

/* doors.h - what the app of one worker listens on: the worker's listeners on
 * what run/ports has.
 *
 * Owns:    the listeners.
 * Thread:  owner loop; has - any thread.
 * Life:    init -> (open | shut)*, start, sweep, stop -> close -> on_closed ->
 *          fini.
 * Knows:   ports; net's listener.
 */
#ifndef LQ_DOORS_H
#define LQ_DOORS_H

#include <stdatomic.h>

#include "base/list.h"
#include "net/listener.h"
#include "run/ports.h"

enum { LQ_DOORS_MAX = 64 }; /* that are open at a time */

typedef struct lq_doors_cfg {
    lq_loop *loop;
    lq_ports *ports;
    lq_ports_user user;
    /* Those of lq_listener; its data is a lq_door. */
    void (*on_accept)(lq_listener *l, int fd, const struct sockaddr_storage *);
    bool (*can_accept)(const lq_listener *l);
    void (*on_pause)(lq_listener *l, int err);
    void *data;
} lq_doors_cfg;

typedef struct lq_doors {
    lq_doors_cfg cfg;
    lq_list open;
    lq_list ordinals; /* how often a free port of an address was asked for */
    size_t count;     /* also of those that still close */
    bool is_closing;
    void (*on_closed)(void *data);
    void *closed_data;
    _Atomic int numbers[LQ_DOORS_MAX]; /* 0: free */
} lq_doors;

typedef struct lq_door {
    lq_list link;
    lq_listener listener;
    lq_doors *doors;
    lq_port *port;
    int number;
} lq_door;

/* Copies cfg. */
void lq_doors_init(lq_doors *d, const lq_doors_cfg *cfg);
void lq_doors_fini(lq_doors *d);

/* Gives a listener's number and the real port; it does not accept yet. Waits
 * for the guard, LQ_ASK_MS at most. */
int lq_doors_open(lq_doors *d, const lq_listen_spec *spec, int *number,
                  uint16_t *port, lq_err *err) LQ_MUST_CHECK;

/* Nothing more is accepted on it, and the port is not wanted any more. */
void lq_doors_shut(lq_doors *d, int number);

/* Whether a listener is open that has the number. */
LQ_ANY_THREAD bool lq_doors_has(const lq_doors *d, int number);

/* All that are open accept from now on, or `number` alone. Returns the first
 * failure; the others go on. */
int lq_doors_start(lq_doors *d, lq_err *err) LQ_MUST_CHECK;
int lq_doors_start_one(lq_doors *d, int number, lq_err *err) LQ_MUST_CHECK;

/* Accept all that waits, and then nothing more. The ports are still wanted:
 * others may have them. */
void lq_doors_sweep(lq_doors *d);

/* Everything closes; on_closed follows, at once when nothing is open. */
void lq_doors_close(lq_doors *d, void (*on_closed)(void *data), void *data);

#endif

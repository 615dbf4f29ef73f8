/* watchdog.h - sees a worker that does not come back to its loop.
 *
 * The main thread looks at the pulse of each worker. When the same beat has
 * lasted for the limit, a signal to that thread interrupts the Lua code that
 * runs; when it has lasted for three times the limit, the thread is stuck in a
 * C function, and lost.
 *
 * Owns:    the signal SIGURG of the process.
 * Thread:  look, install - main thread; allow - the thread that is watched.
 * Life:    install once; a watch: init -> look* while the thread runs.
 * Knows:   loop, interrupt.
 */
#ifndef LQ_WATCHDOG_H
#define LQ_WATCHDOG_H

#include "loop/loop.h"
#include "lua/interrupt.h"

typedef struct lq_watch {
    lq_running *running;
    const lq_pulse *pulse;
    _Atomic uint64_t stuck_beat; /* the one to be interrupted */
    /* Main thread. */
    uint64_t beat; /* seen at the last look */
    uint64_t since_ms;
    bool is_signalled; /* in this beat */
} lq_watch;

/* Returns -errno. */
int lq_watchdog_install(void) LQ_MUST_CHECK;

void lq_watch_init(lq_watch *w, lq_running *running, const lq_pulse *pulse);

/* In the thread that is watched: it takes the signal, or no more, as before it
 * ends. */
void lq_watch_allow(bool allow);

/* At `now_ms` of the loop's clock. Returns whether the thread is lost. limit_ms
 * is not 0. */
bool lq_watch_look(lq_watch *w, uv_thread_t thread, uint64_t now_ms,
                   uint64_t limit_ms);

#endif

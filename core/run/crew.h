/* crew.h - the workers of one generation of code: start, replacement, end.
 *
 * A worker that begins to drain by itself gets a successor at once; one that
 * dies young gets it later and later (lq_crew_delay). The successor takes the
 * place in the roster, and with it the listening socket, when it is prepared.
 *
 * Owns:    the workers, and the way of each place.
 * Thread:  main thread.
 * Life:    new -> start -> (report)* -> end -> on_ended -> free.
 * Knows:   worker, roster, spread, sockets.
 */
#ifndef LQ_CREW_H
#define LQ_CREW_H

#include "base/broken.h"
#include "run/worker.h"

typedef struct lq_crew lq_crew;

typedef struct lq_crew_cfg {
    lq_loop *loop;
    const lq_log *log;
    lq_worker_cfg worker; /* id, restarts and pulse are the crew's to set */
    int count;            /* of workers, or of a service's instances */
    bool is_first;        /* not one of a reload: nobody may fail at first */

    void (*on_prepared)(void *data);  /* everybody; once */
    void (*on_accepting)(void *data); /* everybody; once */
    /* Somebody cannot: before lq_crew_open, or, among the first ones, before
     * everybody accepts. */
    void (*on_failed)(void *data, const char *text);
    /* After end: nobody accepts any more; maybe more than once. */
    void (*on_quiet)(void *data);
    /* After end: everybody is gone. Without respawning also before it: the
     * last one has gone by itself. */
    void (*on_ended)(void *data);
    void *data;
} lq_crew_cfg;

/* Copies cfg; what it points to is borrowed. -ENOMEM, or libuv's codes. */
int lq_crew_new(lq_crew **out, const lq_crew_cfg *cfg) LQ_MUST_CHECK;
/* Nobody may be alive or lost. NULL is allowed. */
void lq_crew_free(lq_crew *crew);

/* Starts all workers side by side. On failure those that run are still to be
 * ended. */
int lq_crew_start(lq_crew *crew) LQ_MUST_CHECK;

/* After on_prepared: everybody accepts. */
void lq_crew_open(lq_crew *crew);

/* LQ_WORKER_RETIRE, _DRAIN or _STOP for everybody; nobody is replaced any
 * more. on_ended follows, at once when nobody is alive. A sterner order may
 * come later. */
void lq_crew_end(lq_crew *crew, int order);

/* A report of a worker that is of this crew. */
void lq_crew_report(lq_crew *crew, const lq_report *report);

/* Every LQ_SPREAD_BUSY_MS or so: looks whether all workers come back to their
 * loops, and replaces one that does not. */
void lq_crew_watch(lq_crew *crew);

/* A thread has broken: when it is that of a worker, it is replaced. */
void lq_crew_bury(lq_crew *crew, const lq_broken *broken);

/* Workers whose threads are stuck and cannot be joined, or have broken and left
 * everything behind: the process must end with _exit. */
int lq_crew_lost(const lq_crew *crew);

int lq_crew_prepared(const lq_crew *crew);

/* Milliseconds until a place is filled again, after `quick` deaths in a row
 * within LQ_CREW_QUICK_MS of their start: none, 100, 200 ... 10,000. */
enum { LQ_CREW_QUICK_MS = 10000 };
uint64_t lq_crew_delay(int quick);

#endif

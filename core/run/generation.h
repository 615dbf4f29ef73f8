/* generation.h - one generation of the app's code: initialize on a thread of
 * its own, then the crew of workers that runs it.
 *
 * A reload makes the next one beside the one that serves. Both have the same
 * sockets, spread and roster; a generation that is opened takes the places in
 * the roster.
 *
 * Owns:    the code, the packed context, the crew, the thread of initialize.
 * Thread:  main thread.
 * Life:    new -> start -> on_prepared | on_failed -> open -> on_accepting ->
 *          end -> on_ended -> free. end may come at any point; on_failed is to
 *          be followed by it.
 * Knows:   initialize, crew.
 */
#ifndef LQ_GENERATION_H
#define LQ_GENERATION_H

#include "base/buf.h"
#include "base/list.h"
#include "lua/code.h"
#include "run/crew.h"
#include "run/report.h"
#include "run/services.h"

typedef struct lq_generation lq_generation;

typedef struct lq_generation_cfg {
    lq_loop *loop;
    lq_worker_cfg worker;  /* without context, code and what is the crew's */
    lq_services *services; /* of the runtime */
    bool is_first;         /* of the runtime: all of it has to succeed */

    void (*on_prepared)(lq_generation *g);  /* every worker; once */
    void (*on_accepting)(lq_generation *g); /* every worker; once */
    void (*on_failed)(lq_generation *g, const char *text);
    /* After end: nobody accepts any more; once, if it was opened. */
    void (*on_quiet)(lq_generation *g);
    /* After end: everybody is gone, or given up. Without respawning also
     * before it: the last worker has gone by itself. */
    void (*on_ended)(lq_generation *g);
    void *data;
} lq_generation_cfg;

struct lq_generation {
    lq_list link; /* the owner's */
    lq_generation_cfg cfg;
    lq_code *code;
    /* The rest is its own. */
    struct lq_initialize *initialize; /* NULL: not begun, or over */
    lq_thread thread;                 /* runs it */
    lq_report *initialized;           /* what it reports */
    lq_timer deadline;                /* --start-timeout */
    lq_buf context;
    lq_declarations declared;
    lq_crew *crew; /* NULL: not yet */
    bool is_ending;
    bool has_ended;
    bool is_quiet;
    bool is_thread_lost;   /* that of initialize ... */
    bool is_thread_buried; /* ... as it has broken */
    bool has_failed;
    bool has_served; /* it has been opened */
};

/* Copies cfg; what it points to is borrowed. -ENOMEM. */
int lq_generation_new(lq_generation **out,
                      const lq_generation_cfg *cfg) LQ_MUST_CHECK;
/* It must have ended, or never have been started, and have no thread that is
 * lost. NULL is allowed. */
void lq_generation_free(lq_generation *g);

/* Loads the app. -ENOMEM, or libuv's codes: nothing has begun. */
int lq_generation_start(lq_generation *g) LQ_MUST_CHECK;

/* After on_prepared: everybody accepts. */
void lq_generation_open(lq_generation *g);

/* LQ_WORKER_RETIRE, _DRAIN or _STOP for everybody; a sterner one may follow.
 * Nobody is replaced any more. */
void lq_generation_end(lq_generation *g, int order);

/* A report to the generation that it names. */
void lq_generation_report(const lq_report *report);

/* Every LQ_SPREAD_BUSY_MS or so: looks for threads that hang. */
void lq_generation_watch(lq_generation *g);

/* A thread has broken: when it is one of this generation, it is replaced, or
 * the generation fails. */
void lq_generation_bury(lq_generation *g, const lq_broken *broken);

/* Threads that are stuck or have broken, and cannot be joined. */
int lq_generation_lost(const lq_generation *g);

#endif

/* report.h - what the main thread is told by the threads that it has started.
 *
 * Owns:    its text.
 * Thread:  made by the thread that reports, taken by the main thread.
 * Life:    made -> pushed to the main thread's mailbox -> free.
 * Knows:   loop.
 */
#ifndef LQ_REPORT_H
#define LQ_REPORT_H

#include "loop/mailbox.h"

struct lq_crew;
struct lq_generation;
struct lq_worker;

enum {
    LQ_REPORT_INITIALIZED = 1, /* of no worker: that thread can be joined */
    LQ_REPORT_PREPARED,
    LQ_REPORT_FAILED, /* with a text; the worker waits for its orders */
    LQ_REPORT_ACCEPTING,
    LQ_REPORT_DRAINING, /* accepts no more; what waited has been accepted */
    LQ_REPORT_ENDED,    /* the last one: it can be joined */
};

typedef struct lq_report {
    lq_msg msg;                       /* its type is one of the above */
    struct lq_crew *crew;             /* NULL: of no worker */
    struct lq_generation *generation; /* ... but of its initialize */
    struct lq_worker *worker;         /* whose it is: until join it is there */
    int id;                           /* ... its place, from 1 */
    char *text;                       /* lq_mem; NULL: none */
} lq_report;

#endif

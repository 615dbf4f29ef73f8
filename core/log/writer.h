/* writer.h - the log thread: records out of the queue, as lines into the sink.
 *
 * The first thread to start and the last to stop. Nobody else waits for a disk
 * or a terminal: what the sink does not take fills the queue, and then records
 * are dropped and counted. Each count is told as a record of its own as soon
 * as there is room for it.
 *
 * Owns:    the queue, the sink, the thread.
 * Thread:  start and stop - main thread. The rest is its own.
 * Life:    start -> stop, which writes what is left within LQ_WRITER_GRACE_MS
 *          and frees it.
 * Knows:   base, thread, queue, render, sink.
 */
#ifndef LQ_WRITER_H
#define LQ_WRITER_H

#include "base/err.h"
#include "log/log.h"

enum { LQ_WRITER_GRACE_MS = 5000 };

typedef struct lq_writer lq_writer;

typedef struct lq_writer_cfg {
    lq_log_format format;
    const char *path;     /* borrowed; NULL: standard error */
    uint64_t rotate_size; /* bytes; 0: never */
    int rotate_keep;
} lq_writer_cfg;

/* Opens the sink and starts the thread. Copies cfg. Returns -errno or -ENOMEM,
 * with a sentence in err. */
int lq_writer_start(lq_writer **out, const lq_writer_cfg *cfg,
                    lq_err *err) LQ_MUST_CHECK;

lq_log_queue *lq_writer_queue(lq_writer *w);

/* The file is to be opened anew. */
LQ_ANY_THREAD void lq_writer_reopen(lq_writer *w);

/* Writes what is left and ends the thread; says on standard error how many
 * records were lost in the end. A thread that is stuck in a system call is
 * left behind, and the process is to end. NULL is allowed. */
void lq_writer_stop(lq_writer *w);

#endif

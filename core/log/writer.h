/* writer.h - the log thread: records out of the queue, as lines into the sink.
 *
 * The first thread to start and the last to stop. Nobody else waits for a disk
 * or a terminal: what the sink does not take fills the queue, and then records
 * are dropped and counted. Each count is told as a record of its own as soon
 * as there is room for it.
 *
 * Owns:    the queue, the sink, the thread.
 * Thread:  start, finish, free - main thread. The rest is its own.
 * Life:    start -> finish, which writes what is left within
 *          its grace -> free, or the end of the process.
 * Knows:   base, thread, queue, render, sink.
 */
#ifndef LQ_WRITER_H
#define LQ_WRITER_H

#include "base/err.h"
#include "log/log.h"

enum { LQ_WRITER_GRACE_MS = 5000 }; /* of a stop */

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

/* Writes what is left within grace_ms and ends the thread; says on standard
 * error what was lost in the end. Who logs from now on writes by himself.
 * `goes_on` is asked many times a second: false ends the wait at once. Returns
 * false when the thread still runs: it is stuck in a system call, or was not to
 * be waited for. Then the process is to end with _exit. */
bool lq_writer_finish(lq_writer *w, uint64_t grace_ms,
                      bool (*goes_on)(void *data), void *data) LQ_MUST_CHECK;

/* After a finish that returned true, when nobody logs any more. */
void lq_writer_free(lq_writer *w);

#endif

/* log.h - what a thread logs with.
 *
 * The level is checked before anything is formatted. A record goes into the
 * queue of the log thread; without a queue, and after the queue is closed, it
 * is written by the thread that makes it, into the file or else to standard
 * error, if that takes it soon.
 *
 * Owns:    its place among the sources of the queue.
 * Thread:  init, fini and what is written with it - the thread it is for, or
 *          one that starts or has joined that thread.
 * Life:    init -> (write | printf | record)* -> fini. All zero but for `who`
 *          and `level` is one without a queue, which needs no fini.
 * Knows:   base, record, cut, render, queue, sink.
 */
#ifndef LQ_LOG_H
#define LQ_LOG_H

#include "base/defs.h"
#include "log/level.h"
#include "log/queue.h"
#include "log/record.h"
#include "log/render.h"

/* Bytes of a message, a traceback or another part: a record with more of them
 * would take the place of many, and one above the quota would be dropped. */
enum { LQ_LOG_LONGEST = 256 * 1024 };

typedef struct lq_log {
    const char *who;    /* "w3"; borrowed */
    lq_log_level level; /* the least that counts */
    lq_log_format format;
    int worker;          /* its id; 0: main and initialize */
    const char *path;    /* of its file, borrowed; NULL: standard error */
    lq_log_queue *queue; /* NULL: none */
    lq_log_source *source;
} lq_log;

/* A log for another thread with level, format and queue of `parent`; borrows
 * `who`. Returns -ENOMEM. */
int lq_log_init(lq_log *log, const lq_log *parent, const char *who,
                int worker) LQ_MUST_CHECK;
void lq_log_fini(lq_log *log);

static inline bool lq_log_enabled(const lq_log *log, lq_log_level level)
{
    return level >= log->level;
}

/* A record of `len` bytes of text, if the level counts. Newlines at its end do
 * not belong to it. */
void lq_log_write(const lq_log *log, lq_log_level level, const char *text,
                  size_t len);

/* The same with a printf format. Without memory it is cut at 4 KiB. */
void lq_log_printf(const lq_log *log, lq_log_level level, const char *format,
                   ...) __attribute__((format(printf, 3, 4)));

/* A record whatever its level; time and origin are filled in. Parts above
 * LQ_LOG_LONGEST are cut, and say so at their end. */
void lq_log_record(const lq_log *log, lq_record *r);

/* Waits, at most timeout_ms, until what was logged up to now is out. Returns
 * whether it is. */
bool lq_log_flush(const lq_log *log, uint64_t timeout_ms);

#endif

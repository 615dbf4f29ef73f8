/* log.h - one record, one line on standard error.
 *
 * The level is checked before anything is formatted. A record is written with
 * one system call by the thread that makes it.
 *
 * Owns:    nothing.
 * Thread:  any thread.
 * Knows:   base.
 */
#ifndef LQ_LOG_H
#define LQ_LOG_H

#include "base/defs.h"

typedef enum lq_log_level {
    LQ_LOG_DEBUG,
    LQ_LOG_INFO,
    LQ_LOG_WARN,
    LQ_LOG_ERROR,
} lq_log_level;

/* What a thread logs with: its name ("w3") and the least level that counts. */
typedef struct lq_log {
    const char *who;
    lq_log_level level;
} lq_log;

static inline bool lq_log_enabled(const lq_log *log, lq_log_level level)
{
    return level >= log->level;
}

/* Writes `len` bytes of text as one record. Further lines of it (a traceback)
 * are indented; other control bytes are escaped. */
LQ_ANY_THREAD void lq_log_write(const lq_log *log, lq_log_level level,
                                const char *text, size_t len);

/* The same with a printf format; what is longer than 4 KiB is cut. */
LQ_ANY_THREAD void lq_log_printf(const lq_log *log, lq_log_level level,
                                 const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* "debug" ... "error"; -1 for another name. */
int lq_log_level_from(const char *name);

#endif

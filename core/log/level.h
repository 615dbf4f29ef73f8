/* level.h - how much a record matters.
 *
 * Owns:    nothing.
 * Thread:  none.
 * Knows:   nothing.
 */
#ifndef LQ_LOG_LEVEL_H
#define LQ_LOG_LEVEL_H

typedef enum lq_log_level {
    LQ_LOG_DEBUG,
    LQ_LOG_INFO,
    LQ_LOG_WARN,
    LQ_LOG_ERROR,
} lq_log_level;

/* "debug" ... "error"; -1 for another name. */
int lq_log_level_from(const char *name);

/* The name; lends a constant. */
const char *lq_log_level_name(lq_log_level level);

#endif

/* err.h - error codes and their texts.
 *
 * A function that can fail returns 0 or a negative code: -errno, or one of the
 * codes below, which lie under every errno.
 *
 * Owns:    nothing.
 * Thread:  none.
 * Knows:   libc.
 */
#ifndef LQ_ERR_H
#define LQ_ERR_H

#include <stddef.h>

#include "base/defs.h"

/* X(enum name, value, code as Lua sees it, text) */
#define LQ_ERR_LIST(X)                                                         \
    X(LQ_ETIMEOUT, -4001, "timeout", "the time is up")                         \
    X(LQ_ECLOSED, -4002, "closed", "the connection is closed")                 \
    X(LQ_EREFUSED, -4003, "refused", "refused")                                \
    X(LQ_EEOF, -4004, "eof", "the other side has ended")                       \
    X(LQ_EOVERLOADED, -4005, "overloaded", "too much is waiting")              \
    X(LQ_ETOOLARGE, -4006, "too_large", "larger than the limit")               \
    X(LQ_EINVALID, -4007, "invalid", "invalid input")                          \
    X(LQ_ECANCELLED, -4008, "cancelled", "cancelled")                          \
    X(LQ_ENORECEIVER, -4009, "no_receiver", "nobody receives it")              \
    X(LQ_ESERVICEDOWN, -4010, "service_down", "the service is down")           \
    X(LQ_ENOMETHOD, -4011, "no_method", "the service has no such method")      \
    X(LQ_EPOOLTIMEOUT, -4012, "pool_timeout",                                  \
      "no connection to the database became free in time")                     \
    X(LQ_EQUERYTIMEOUT, -4013, "query_timeout", "the query took too long")     \
    X(LQ_ELOST, -4014, "connection_lost",                                      \
      "the connection to the database was lost")

enum {
#define X(name, value, code, text) name = value,
    LQ_ERR_LIST(X)
#undef X
};

/* A code with words, for where the other side explains itself. */
typedef struct lq_err {
    int code;
    char text[240];
} lq_err;

/* Sets `err` (may be NULL) from a printf format; returns `code`. */
int lq_err_set(lq_err *err, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* A sentence for `code`; lends a constant, or `buf` filled. */
const char *lq_strerror(int code, char *buf, size_t cap);

/* The code as Lua sees it: "timeout", or the system's "ECONNREFUSED".
 * Lends a constant. */
const char *lq_err_name(int code);

#endif

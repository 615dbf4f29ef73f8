/* notify.h - tells systemd how the service is doing (sd_notify(3)).
 *
 * Where to stands in NOTIFY_SOCKET, how often it wants to hear that all is well
 * in WATCHDOG_USEC. Without them every call does nothing. That systemd cannot
 * be told is logged once; nothing else depends on it.
 *
 * Owns:    a datagram socket.
 * Thread:  main thread of the process that systemd has started.
 * Life:    open -> any of the others -> close. A call waits for a second at
 *          most.
 * Knows:   base, log, option_value, libc.
 */
#ifndef LQ_NOTIFY_H
#define LQ_NOTIFY_H

#include <sys/socket.h>
#include <sys/un.h>

#include "log/log.h"

/* Embedded by value. */
typedef struct lq_notify {
    const lq_log *log;
    int fd; /* -1: nobody is told */
    socklen_t to_len;
    struct sockaddr_un to;
    uint64_t watchdog_ms; /* half of the time that systemd waits; 0: no limit */
    bool is_reloading;
    bool is_stopping;
    bool is_unheard; /* it has been logged */
} lq_notify;

/* Reads the variables and takes them out of the environment: they are not for
 * our children. Borrows the log. */
void lq_notify_open(lq_notify *n, const lq_log *log);

/* READY=1: it serves, or serves again. Of a status the first line counts. */
void lq_notify_ready(lq_notify *n, const char *status);

/* RELOADING=1, with the time. lq_notify_ready is its end. */
void lq_notify_reloading(lq_notify *n);

/* STOPPING=1. What is said of reloads behind it is not passed on. */
void lq_notify_stopping(lq_notify *n);

/* It has died and is started again: none of the above holds. */
void lq_notify_died(lq_notify *n, const char *status);

/* WATCHDOG=1, wanted every watchdog_ms. */
void lq_notify_alive(lq_notify *n);

void lq_notify_close(lq_notify *n);

#endif

/* activation.h - listening sockets that systemd hands over (sd_listen_fds(3)).
 *
 * LISTEN_FDS says how many there are, from descriptor 3 on; LISTEN_PID for
 * which process; LISTEN_FDNAMES what their units call them.
 *
 * Owns:    nothing: the sockets are the caller's.
 * Thread:  main thread, before any other.
 * Knows:   base, option_value, libc.
 */
#ifndef LQ_ACTIVATION_H
#define LQ_ACTIVATION_H

#include "base/err.h"

enum { LQ_ACTIVATION_MAX = 64 };

typedef struct lq_activation {
    int fds[LQ_ACTIVATION_MAX];
    size_t count; /* 0: systemd has handed over none */
} lq_activation;

/* Takes those that are for this process, and the variables out of the
 * environment. Each of them listens, and is from now on closed on exec and
 * does not block. Returns LQ_EINVALID when one of them is none that can be
 * served on; err names it. */
int lq_activation_take(lq_activation *a, lq_err *err) LQ_MUST_CHECK;

#endif

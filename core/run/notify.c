/* notify.c - see notify.h. */
#include "run/notify.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"
#include "run/option_value.h"

enum { MESSAGE_BYTES = 2048 };

/* A path, or '@' and a name that stands in no file system. */
static int set_address(lq_notify *n, const char *where)
{
    size_t len = strlen(where);

    if ((*where != '/' && *where != '@') || !where[1]) return -EAFNOSUPPORT;
    if (len >= sizeof n->to.sun_path) return -ENAMETOOLONG;
    n->to.sun_family = AF_UNIX;
    memcpy(n->to.sun_path, where, len);
    if (*where == '@') n->to.sun_path[0] = '\0';
    n->to_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
    return 0;
}

static bool read_number(const char *name, uint64_t *out)
{
    const char *text = getenv(name);

    return text && lq_option_read_count((lq_str){text, strlen(text)},
                                        UINT64_MAX / 2, out);
}

/* WATCHDOG_PID names the process that is to answer, if there are several. */
static uint64_t read_watchdog_ms(void)
{
    uint64_t usec, pid;

    if (getenv("WATCHDOG_PID") &&
        (!read_number("WATCHDOG_PID", &pid) || pid != (uint64_t)getpid()))
        return 0;
    if (!read_number("WATCHDOG_USEC", &usec) || usec == 0) return 0;
    return usec < 2000 ? 1 : usec / 2000;
}

/* It may be slow to read, but is not to hold us up for ever. */
static int open_socket(lq_notify *n)
{
    const struct timeval second = {.tv_sec = 1};

    n->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (n->fd < 0) return -errno;
    setsockopt(n->fd, SOL_SOCKET, SO_SNDTIMEO, &second, sizeof second);
    return 0;
}

static void complain(lq_notify *n, const char *what, int err)
{
    char buf[96];

    if (n->is_unheard) return;
    n->is_unheard = true;
    lq_log_printf(n->log, LQ_LOG_WARN, "systemd cannot be told%s: %s", what,
                  lq_strerror(err, buf, sizeof buf));
}

void lq_notify_open(lq_notify *n, const lq_log *log)
{
    const char *where = getenv("NOTIFY_SOCKET");
    int err = 0;

    *n = (lq_notify){.log = log, .fd = -1};
    if (where) {
        err = set_address(n, where);
        if (err == 0) err = open_socket(n);
        if (err == 0) n->watchdog_ms = read_watchdog_ms();
    }
    if (err < 0) complain(n, " by NOTIFY_SOCKET", err);
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
}

static void send_text(lq_notify *n, const char *text, size_t len, int flags)
{
    if (sendto(n->fd, text, len, MSG_NOSIGNAL | flags, (const void *)&n->to,
               n->to_len) < 0)
        complain(n, "", -errno);
}

/* `what` is lines like READY=1, or ""; `status` may be NULL. */
static void tell(lq_notify *n, const char *what, const char *status)
{
    char text[MESSAGE_BYTES];
    int len;

    if (n->fd < 0) return;
    if (status)
        len = snprintf(text, sizeof text, "%s%sSTATUS=%.*s", what,
                       *what ? "\n" : "", (int)strcspn(status, "\n"), status);
    else
        len = snprintf(text, sizeof text, "%s", what);
    if ((size_t)len >= sizeof text) len = sizeof text - 1;
    send_text(n, text, (size_t)len, 0);
}

void lq_notify_ready(lq_notify *n, const char *status)
{
    if (n->is_stopping) return;
    n->is_reloading = false;
    tell(n, "READY=1", status);
}

void lq_notify_reloading(lq_notify *n)
{
    struct timespec now;
    char what[64];

    if (n->is_stopping) return;
    n->is_reloading = true;
    clock_gettime(CLOCK_MONOTONIC, &now);
    snprintf(what, sizeof what, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64,
             (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000);
    tell(n, what, "reloading");
}

void lq_notify_stopping(lq_notify *n)
{
    if (n->is_stopping) return;
    n->is_stopping = true;
    tell(n, "STOPPING=1", "stopping");
}

void lq_notify_died(lq_notify *n, const char *status)
{
    n->is_reloading = n->is_stopping = false;
    tell(n, "", status);
}

/* It comes again soon: to wait for a reader who is late would hold up the
 * rest. */
void lq_notify_alive(lq_notify *n)
{
    if (n->fd >= 0) send_text(n, "WATCHDOG=1", 10, MSG_DONTWAIT);
}

void lq_notify_close(lq_notify *n)
{
    if (n->fd >= 0) close(n->fd);
    n->fd = -1;
}

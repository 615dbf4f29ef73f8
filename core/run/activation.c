/* activation.c - see activation.h. */
#include "run/activation.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "run/option_value.h"

enum { FIRST_FD = 3 };

/* The value of a variable as a number; false when it is none. */
static bool read_number(const char *name, uint64_t most, uint64_t *out)
{
    const char *text = getenv(name);

    return text &&
           lq_option_read_count((lq_str){text, strlen(text)}, most, out);
}

static bool is_for_us(void)
{
    uint64_t pid;

    return read_number("LISTEN_PID", INT32_MAX, &pid) &&
           pid == (uint64_t)getpid();
}

/* How its unit calls the socket; "" when nobody said. */
static lq_str name_of(size_t i)
{
    const char *names = getenv("LISTEN_FDNAMES");

    while (names && i-- > 0) {
        names = strchr(names, ':');
        if (names) names++;
    }
    return (lq_str){names ? names : "", names ? strcspn(names, ":") : 0};
}

/* -1 when it cannot be asked. */
static int option_of(int fd, int name)
{
    int value = -1;
    socklen_t len = sizeof value;

    getsockopt(fd, SOL_SOCKET, name, &value, &len);
    return value;
}

static bool can_be_served_on(int fd)
{
    int domain = option_of(fd, SO_DOMAIN);

    return option_of(fd, SO_TYPE) == SOCK_STREAM &&
           option_of(fd, SO_ACCEPTCONN) == 1 &&
           (domain == AF_INET || domain == AF_INET6 || domain == AF_UNIX);
}

static int take_one(lq_activation *a, lq_err *err)
{
    int fd = FIRST_FD + (int)a->count;
    lq_str name = name_of(a->count);

    if (!can_be_served_on(fd))
        return lq_err_set(err, LQ_EINVALID,
                          "LISTEN_FDS: descriptor %d%s%.*s: expected a stream "
                          "socket that listens, over IPv4, IPv6 or unix",
                          fd, name.len ? ", " : "",
                          name.len < 60 ? (int)name.len : 60, name.ptr);
    if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 ||
        fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) < 0)
        return lq_err_set(err, LQ_EINVALID,
                          "LISTEN_FDS: descriptor %d cannot be set up", fd);
    a->fds[a->count++] = fd;
    return 0;
}

static int take_all(lq_activation *a, lq_err *err)
{
    uint64_t count;
    int code = 0;

    if (!getenv("LISTEN_FDS") || !is_for_us()) return 0;
    if (!read_number("LISTEN_FDS", LQ_ACTIVATION_MAX, &count))
        return lq_err_set(err, LQ_EINVALID,
                          "LISTEN_FDS: expected a number up to %d, not '%.60s'",
                          LQ_ACTIVATION_MAX, getenv("LISTEN_FDS"));
    while (code == 0 && a->count < count) code = take_one(a, err);
    return code;
}

int lq_activation_take(lq_activation *a, lq_err *err)
{
    int code;

    *a = (lq_activation){.count = 0};
    code = take_all(a, err);
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDNAMES");
    return code;
}

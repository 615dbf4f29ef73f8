/* transport.c - see transport.h. */
#include "net/transport.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* In a process with threads the C library's recv and send are points of
 * cancellation: locked instructions around each, some 20 ns, of the 600 that a
 * small request has. No thread of ours is cancelled. Sanitizers see
 * only the library's functions. */
#if defined(SYS_recvfrom) && defined(SYS_sendto) && !defined(LQ_DEBUG)
static ssize_t receive(int fd, void *bytes, size_t len)
{
    return syscall(SYS_recvfrom, fd, bytes, len, 0, NULL, NULL);
}

static ssize_t transmit(int fd, const void *bytes, size_t len)
{
    return syscall(SYS_sendto, fd, bytes, len, MSG_NOSIGNAL, NULL, 0);
}
#else
static ssize_t receive(int fd, void *bytes, size_t len)
{
    return recv(fd, bytes, len, 0);
}

static ssize_t transmit(int fd, const void *bytes, size_t len)
{
    return send(fd, bytes, len, MSG_NOSIGNAL);
}
#endif

static ssize_t plain_read(int fd, void *bytes, size_t len)
{
    ssize_t n;

    do n = receive(fd, bytes, len);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

static ssize_t plain_write(int fd, const void *bytes, size_t len)
{
    ssize_t n;

    do n = transmit(fd, bytes, len);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

static void plain_finish(int fd)
{
    shutdown(fd, SHUT_WR);
}

static void plain_reset(int fd)
{
    static const struct linger none = {.l_onoff = 1, .l_linger = 0};

    setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
}

const lq_transport lq_transport_plain = {
    .read = plain_read,
    .write = plain_write,
    .finish = plain_finish,
    .reset = plain_reset,
};

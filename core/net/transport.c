/* transport.c - see transport.h. */
#include "net/transport.h"

#include <errno.h>
#include <sys/socket.h>

static ssize_t plain_read(int fd, void *bytes, size_t len)
{
    ssize_t n;

    do n = recv(fd, bytes, len, 0);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

static ssize_t plain_write(int fd, const void *bytes, size_t len)
{
    ssize_t n;

    do n = send(fd, bytes, len, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

static void plain_finish(int fd)
{
    shutdown(fd, SHUT_WR);
}

const lq_transport lq_transport_plain = {
    .read = plain_read,
    .write = plain_write,
    .finish = plain_finish,
};

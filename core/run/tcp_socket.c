/* tcp_socket.c - see tcp_socket.h. */
#include "run/tcp_socket.h"

#include <errno.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

enum { NOT_SENT_BYTES = 128 * 1024 }; /* that the kernel holds for each */

static int set_int(int fd, int level, int name, int value)
{
    int err = setsockopt(fd, level, name, &value, sizeof value);

    return err < 0 ? -errno : 0;
}

/* The kernel would take megabytes for a client that reads nothing; what is
 * under way to it is not bounded by this. */
int lq_tcp_socket_prepare(int fd)
{
    int err = set_int(fd, IPPROTO_TCP, TCP_NODELAY, 1);

    if (!err) err = set_int(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, NOT_SENT_BYTES);
    return err;
}

int lq_tcp_socket_share(int fd)
{
    return set_int(fd, SOL_SOCKET, SO_REUSEPORT, 1);
}

int lq_tcp_socket_new(int family)
{
    int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int err = 0;

    if (fd < 0) return -errno;
    if (family == AF_INET6) err = set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
    if (!err) err = set_int(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    if (!err) err = lq_tcp_socket_prepare(fd);
    if (!err) return fd;
    close(fd);
    return err;
}

int lq_tcp_socket_bind(int fd, const struct sockaddr_storage *address,
                       socklen_t len)
{
    return bind(fd, (const void *)address, len) < 0 ? -errno : 0;
}

int lq_tcp_socket_listen(int fd)
{
    return listen(fd, LQ_TCP_SOCKET_BACKLOG) < 0 ? -errno : 0;
}

/* Without SO_REUSEPORT the kernel tells when somebody listens. The socket
 * itself never listens, so no connection is taken by it. */
int lq_tcp_socket_probe(const struct sockaddr_storage *address, socklen_t len)
{
    int fd = lq_tcp_socket_new(address->ss_family), err;

    if (fd < 0) return fd;
    err = lq_tcp_socket_bind(fd, address, len);
    close(fd);
    return err;
}

bool lq_tcp_socket_listens(int fd)
{
    int value = 0;
    socklen_t len = sizeof value;

    getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &value, &len);
    return value;
}

void lq_tcp_socket_gate(int fd)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 13), /* the flags */
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 0x02, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, 0),
        BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
    };
    const struct sock_fprog program = {LQ_COUNT_OF(code), code};

    (void)setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program,
                     sizeof program);
}

void lq_tcp_socket_ungate(int fd)
{
    (void)!set_int(fd, SOL_SOCKET, SO_DETACH_FILTER, 0);
}

const char *lq_tcp_socket_explain(int code, char *buf, size_t cap)
{
    switch (code) {
    case -EADDRINUSE: return "address already in use";
    case -EADDRNOTAVAIL: return "this machine has no such address";
    case -EAFNOSUPPORT: return "this machine has no IPv6";
    case -EACCES:
        return "permission denied (ports below 1024 need root or "
               "CAP_NET_BIND_SERVICE)";
    default: return lq_strerror(code, buf, cap);
    }
}

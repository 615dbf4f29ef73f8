/* news.c - see news.h: one byte for what it is, then the text. */
#include "run/news.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

int lq_news_pair(int fds[2])
{
    const int type = SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC;

    return socketpair(AF_UNIX, type, 0, fds) < 0 ? -errno : 0;
}

void lq_news_send(int fd, lq_news what, const char *text)
{
    unsigned char kind = (unsigned char)what;
    size_t len = text ? strnlen(text, LQ_NEWS_BYTES - 1) : 0;
    struct iovec parts[2] = {{&kind, 1}, {(void *)(uintptr_t)text, len}};
    struct msghdr msg = {.msg_iov = parts, .msg_iovlen = 2};

    (void)!sendmsg(fd, &msg, MSG_NOSIGNAL);
}

int lq_news_receive(int fd, char *text)
{
    unsigned char kind = 0;
    struct iovec parts[2] = {{&kind, 1}, {text, LQ_NEWS_BYTES - 1}};
    struct msghdr msg = {.msg_iov = parts, .msg_iovlen = 2};
    ssize_t len = recvmsg(fd, &msg, 0);

    if (len < 0) return errno == EAGAIN || errno == EINTR ? 0 : -EPIPE;
    if (len == 0) return -EPIPE;
    text[len - 1] = '\0';
    return kind;
}

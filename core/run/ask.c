/* ask.c - see ask.h. */
#include "run/ask.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

typedef struct question {
    int number; /* 0: it is to be dropped, nobody waits for an answer */
    lq_keep_key key;
} question;

typedef struct answer {
    int number; /* of the question */
    int err;    /* 0: a socket comes with it */
} answer;

/* One descriptor beside a message. */
typedef union beside {
    struct cmsghdr header; /* for its alignment */
    char bytes[CMSG_SPACE(sizeof(int))];
} beside;

int lq_ask_pair(int fds[2])
{
    const int type = SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC;

    return socketpair(AF_UNIX, type, 0, fds) < 0 ? -errno : 0;
}

/* ---- the runtime --------------------------------------------------------- */

static int ask(int fd, const lq_keep_key *key, int number)
{
    question q;

    memset(&q, 0, sizeof q);
    q.number = number;
    q.key = *key;
    return send(fd, &q, sizeof q, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

static int take_fd(struct msghdr *msg)
{
    struct cmsghdr *c = CMSG_FIRSTHDR(msg);
    int fd;

    if (!c || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
        return -EMFILE; /* the kernel had no room for it here */
    memcpy(&fd, CMSG_DATA(c), sizeof fd);
    return fd;
}

/* Returns -EAGAIN when there is no answer yet, or one to another question,
 * which came too late. */
static int receive(int fd, int number)
{
    answer a;
    beside room;
    struct iovec part = {&a, sizeof a};
    struct msghdr msg = {
        .msg_iov = &part,
        .msg_iovlen = 1,
        .msg_control = room.bytes,
        .msg_controllen = sizeof room.bytes,
    };
    ssize_t len = recvmsg(fd, &msg, MSG_CMSG_CLOEXEC);
    int got;

    if (len < 0) return errno == EINTR ? -EAGAIN : -errno;
    if (len != sizeof a) return -EPIPE;
    got = a.err < 0 ? a.err : take_fd(&msg);
    if (a.number == number) return got;
    if (got >= 0) close(got);
    return -EAGAIN;
}

static uint64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

int lq_ask_port(int fd, const lq_keep_key *key, int number)
{
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    uint64_t end_ms = now_ms() + LQ_ASK_MS, now;
    int got = ask(fd, key, number);

    if (got < 0) return got;
    while ((got = receive(fd, number)) == -EAGAIN) {
        now = now_ms();
        if (now >= end_ms) return LQ_ETIMEOUT;
        (void)!poll(&wait, 1, (int)(end_ms - now));
    }
    return got == -ECONNRESET ? -EPIPE : got;
}

void lq_ask_drop(int fd, const lq_keep_key *key)
{
    (void)!ask(fd, key, 0);
}

/* ---- the guard ----------------------------------------------------------- */

static void put_fd(struct msghdr *msg, beside *room, int fd)
{
    struct cmsghdr *c;

    memset(room, 0, sizeof *room);
    msg->msg_control = room->bytes;
    msg->msg_controllen = sizeof room->bytes;
    c = CMSG_FIRSTHDR(msg);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof fd);
    memcpy(CMSG_DATA(c), &fd, sizeof fd);
}

/* One that cannot be sent is missed by whoever has asked, who does not wait for
 * ever. */
static void answer_one(int fd, int number, int got)
{
    answer a = {.number = number, .err = got < 0 ? got : 0};
    beside room;
    struct iovec part = {&a, sizeof a};
    struct msghdr msg = {.msg_iov = &part, .msg_iovlen = 1};

    if (got >= 0) put_fd(&msg, &room, got);
    (void)!sendmsg(fd, &msg, MSG_NOSIGNAL);
}

int lq_ask_answer(int fd, lq_keep *keep)
{
    question q;
    ssize_t len;

    while ((len = recv(fd, &q, sizeof q, 0)) == sizeof q) {
        if (q.number == 0)
            lq_keep_drop(keep, &q.key);
        else
            answer_one(fd, q.number, lq_keep_get(keep, &q.key));
    }
    return len < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -EPIPE;
}

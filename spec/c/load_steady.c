/* load_steady.c - a client that connects 200 times a second, come what may.
 *
 * Each connection sends one request and waits for its answer, however long the
 * others take. An end without an answer is told apart from a refusal.
 *
 * Owns:    its sockets.
 * Thread:  main.
 * Life:    until SIGTERM and until nobody waits any more; then it prints what
 *          it counted.
 * Knows:   load.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "load.h"

enum { PERIOD_MS = 5, AT_ONCE = 4096, ANSWER_S = 15 };

#define GET "GET / HTTP/1.1\r\nHost: steady\r\nConnection: close\r\n\r\n"

typedef struct caller {
    double begun;
    size_t len;
    bool is_connected;
    char bytes[512];
} caller;

typedef struct steady {
    struct sockaddr_in to;
    struct pollfd fds[1 + AT_ONCE]; /* the first: SIGTERM */
    caller callers[AT_ONCE];        /* that of fds[i + 1] */
    unsigned count;
    bool is_ending;
    /* Results. */
    unsigned connects, answered, refused, cut, late;
    double slowest;
} steady;

/* Readable when SIGTERM has come. */
static int open_signal(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, NULL);
    return signalfd(-1, &set, SFD_CLOEXEC);
}

static void open_caller(steady *s)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    s->connects++;
    if (fd < 0 || s->count == AT_ONCE ||
        (connect(fd, (struct sockaddr *)&s->to, sizeof s->to) < 0 &&
         errno != EINPROGRESS)) {
        s->refused++;
        if (fd >= 0) close(fd);
        return;
    }
    s->callers[s->count] = (caller){.begun = load_now()};
    s->fds[++s->count] = (struct pollfd){.fd = fd, .events = POLLOUT};
}

/* The last one takes its place. */
static void drop(steady *s, unsigned i)
{
    close(s->fds[i + 1].fd);
    s->callers[i] = s->callers[--s->count];
    s->fds[i + 1] = s->fds[s->count + 1];
}

/* Connected, or refused. Returns whether it is over. */
static bool begin(steady *s, unsigned i)
{
    int fd = s->fds[i + 1].fd, err = 0;
    socklen_t len = sizeof err;

    getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len);
    if (err != 0) {
        s->refused++;
        return true;
    }
    s->callers[i].is_connected = true;
    s->fds[i + 1].events = POLLIN;
    if (send(fd, GET, sizeof GET - 1, MSG_NOSIGNAL) == sizeof GET - 1)
        return false;
    s->cut++;
    return true;
}

/* Returns whether it is over. */
static bool read_answer(steady *s, unsigned i)
{
    caller *c = &s->callers[i];
    load_answer a;
    ssize_t n =
        recv(s->fds[i + 1].fd, c->bytes + c->len, sizeof c->bytes - c->len, 0);
    double took = (load_now() - c->begun) * 1000;

    if (n > 0) c->len += (size_t)n;
    if (n > 0 && load_read_answer(c->bytes, c->len, &a) == 0) return false;
    if (n <= 0 || a.status != 200) {
        s->cut++;
        return true;
    }
    s->answered++;
    if (took > s->slowest) s->slowest = took;
    return true;
}

/* Returns whether it is over. */
static bool go_on(steady *s, unsigned i)
{
    if (s->fds[i + 1].revents)
        return s->callers[i].is_connected ? read_answer(s, i) : begin(s, i);
    if (load_now() - s->callers[i].begun < ANSWER_S) return false;
    s->late++;
    return true;
}

int load_steady(const char *address, int port)
{
    static steady s;
    double next = load_now();
    unsigned i;
    int left_ms = 0;

    s.to = (struct sockaddr_in){.sin_family = AF_INET,
                                .sin_port = htons((uint16_t)port)};
    inet_pton(AF_INET, address, &s.to.sin_addr);
    s.fds[0] = (struct pollfd){.fd = open_signal(), .events = POLLIN};
    while (!s.is_ending || s.count > 0) {
        poll(s.fds, 1 + s.count, left_ms > 0 ? left_ms : 0);
        if (s.fds[0].revents) {
            s.is_ending = true;
            s.fds[0].fd = -1;
            s.fds[0].revents = 0;
        }
        for (i = s.count; i-- > 0;)
            if (go_on(&s, i)) drop(&s, i);
        if (load_now() >= next && !s.is_ending) {
            open_caller(&s);
            next += PERIOD_MS / 1000.0;
        }
        left_ms = s.is_ending ? PERIOD_MS : (int)((next - load_now()) * 1000);
    }
    printf("connects %u\nanswered %u\nrefused %u\ncut %u\nlate %u\n"
           "slowest %.3f\n",
           s.connects, s.answered, s.refused, s.cut, s.late, s.slowest);
    return 0;
}

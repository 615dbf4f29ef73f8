/* load_busy.c - clients that ask without a pause, on kept and on new
 * connections, for specs in which no request may fail.
 *
 * Every other client keeps its connection for as long as the server does; the
 * rest makes a new one for each request. A connection that ends between two
 * requests, as an answer has announced, is no failure. Everything else is: a
 * refused or reset connection, an end instead of an answer, a status other
 * than 200.
 *
 * `till-stop` is for a server that is told to stop meanwhile: a refused
 * connection is the end of that client, and so it is when a kept connection
 * ends between two requests without a word, as nobody can see that coming. A
 * request on a new connection, or an answer that has begun, may not fail.
 *
 * Owns:    the sockets.
 * Thread:  main.
 * Life:    until SIGTERM; then it ends the requests under way and prints.
 * Knows:   load, Linux.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "load.h"

enum { IN_CAP = 8192, TOLD = 10, ANSWER_S = 20, WARM = 1000 };

#define KEPT "GET / HTTP/1.1\r\nHost: busy\r\n\r\n"
#define NEW "GET / HTTP/1.1\r\nHost: busy\r\nConnection: close\r\n\r\n"

/* Counts of latencies: a step of the table is 0.1 ms, the last one is open. */
enum { STEPS = 100000 };

typedef struct client {
    int fd; /* -1: none */
    bool is_kept;
    bool is_connecting;
    bool is_waiting; /* for an answer */
    bool is_used;    /* it has got one on this connection */
    bool is_over;    /* the server has stopped */
    double since;
    size_t in_len;
    char in[IN_CAP];
} client;

typedef struct busy {
    struct sockaddr_in to;
    int epoll;
    int count;
    bool is_ending;
    bool may_stop; /* the server may */
    int over;      /* clients that have seen it */
    int open;      /* requests under way */
    uint64_t answered, failed, refused, reset, cut, wrong, connects, announced,
        closed;
    double longest;
    uint64_t *steps;
    client *clients;
} busy;

static void begin(busy *b, client *c);

static void forget(client *c)
{
    if (c->fd >= 0) close(c->fd);
    c->fd = -1;
    c->is_connecting = false;
    c->in_len = 0;
    c->is_used = false;
}

static void end_client(busy *b, client *c)
{
    forget(c);
    c->is_over = true;
    b->over++;
}

static void fail(busy *b, client *c, uint64_t *kind, const char *what)
{
    b->failed++;
    ++*kind;
    if (b->failed <= TOLD)
        fprintf(stderr, "request %llu: %s\n",
                (unsigned long long)(b->answered + b->failed), what);
    if (c->is_waiting) b->open--;
    c->is_waiting = false;
    forget(c);
    begin(b, c);
}

/* Begins it; on_connected follows. */
static int connect_client(busy *b, client *c)
{
    struct epoll_event event = {.events = EPOLLOUT, .data.ptr = c};
    int on = 1;

    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (c->fd < 0) return -errno;
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (connect(c->fd, (struct sockaddr *)&b->to, sizeof b->to) < 0 &&
        errno != EINPROGRESS)
        return -errno;
    c->is_connecting = true;
    epoll_ctl(b->epoll, EPOLL_CTL_ADD, c->fd, &event);
    return 0;
}

static void ask(busy *b, client *c)
{
    const char *text = c->is_kept ? KEPT : NEW;

    if (send(c->fd, text, strlen(text), MSG_NOSIGNAL) < 0 && !b->may_stop)
        fail(b, c, &b->reset, strerror(errno));
}

static void on_refused(busy *b, client *c, int err)
{
    if (err == ECONNREFUSED && b->may_stop) {
        b->open--;
        c->is_waiting = false;
        end_client(b, c);
    } else {
        fail(b, c, &b->refused, strerror(err));
    }
}

static void on_connected(busy *b, client *c)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP, .data.ptr = c};
    int err = 0;
    socklen_t len = sizeof err;

    getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &err, &len);
    c->is_connecting = false;
    if (err) {
        on_refused(b, c, err);
        return;
    }
    b->connects++;
    epoll_ctl(b->epoll, EPOLL_CTL_MOD, c->fd, &event);
    ask(b, c);
}

/* A request, on a new connection if there is none. */
static void begin(busy *b, client *c)
{
    int err = 0;

    if (b->is_ending || b->failed > 1000) return;
    c->since = load_now();
    c->is_waiting = true;
    b->open++;
    if (c->fd >= 0)
        ask(b, c);
    else if ((err = connect_client(b, c)) < 0)
        on_refused(b, c, -err);
}

static void count_latency(busy *b, double seconds)
{
    size_t step = (size_t)(seconds * 10000);

    if (seconds > b->longest) b->longest = seconds;
    b->steps[step < STEPS ? step : STEPS - 1]++;
}

static void on_answer(busy *b, client *c, const load_answer *a)
{
    if (a->status != 200) {
        fail(b, c, &b->wrong, c->in);
        return;
    }
    b->answered++;
    if (b->answered == WARM) { /* all are at it */
        printf("held %d\n", b->count);
        fflush(stdout);
    }
    b->open--;
    c->is_waiting = false;
    c->is_used = true;
    c->in_len = 0;
    count_latency(b, load_now() - c->since);
    if (c->is_kept && a->ends) b->announced++;
    if (a->ends) forget(c);
    begin(b, c);
}

static void on_readable(busy *b, client *c)
{
    ssize_t n = recv(c->fd, c->in + c->in_len, IN_CAP - 1 - c->in_len, 0);
    load_answer a;

    if (n < 0 && errno == EAGAIN) return;
    if (!c->is_waiting) {
        forget(c);
        return;
    }
    if (n <= 0 && b->may_stop && c->is_used && c->in_len == 0) {
        b->closed++;
        b->open--;
        c->is_waiting = false;
        end_client(b, c);
        return;
    }
    if (n <= 0) {
        if (n < 0)
            fail(b, c, &b->reset, strerror(errno));
        else
            fail(b, c, &b->cut, "the connection ended instead of an answer");
        return;
    }
    c->in_len += (size_t)n;
    c->in[c->in_len] = '\0';
    if (load_read_answer(c->in, c->in_len, &a) > 0) on_answer(b, c, &a);
}

/* Answers that do not come at all. */
static void check_overdue(busy *b)
{
    double now = load_now();
    int i;

    for (i = 0; i < b->count; i++)
        if (b->clients[i].is_waiting && now - b->clients[i].since > ANSWER_S)
            fail(b, &b->clients[i], &b->cut, "no answer within 20 s");
}

static double percentile(const busy *b, double part)
{
    uint64_t below = 0;
    size_t i;

    for (i = 0; i < STEPS - 1; i++) {
        below += b->steps[i];
        if ((double)below >= part * (double)b->answered) break;
    }
    return (double)(i + 1) / 10;
}

static void print(const busy *b)
{
#define LINE(name) printf(#name " %llu\n", (unsigned long long)b->name)
    LINE(answered);
    LINE(failed);
    LINE(refused);
    LINE(reset);
    LINE(cut);
    LINE(wrong);
    LINE(connects);
    LINE(announced);
    LINE(closed);
#undef LINE
    printf("p50 %.1f\np99 %.1f\np999 %.1f\nmax %.1f\n", percentile(b, 0.5),
           percentile(b, 0.99), percentile(b, 0.999), b->longest * 1000);
}

static int open_signal(int epoll)
{
    struct epoll_event event = {.events = EPOLLIN};
    sigset_t set;
    int fd;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, NULL);
    fd = signalfd(-1, &set, SFD_CLOEXEC);
    epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
    return fd;
}

/* NULL: the signal. */
static void on_event(busy *b, client *c)
{
    if (!c)
        b->is_ending = true;
    else if (c->is_connecting)
        on_connected(b, c);
    else
        on_readable(b, c);
}

static void run(busy *b)
{
    struct epoll_event events[64];
    int i, n;

    for (i = 0; i < b->count; i++) begin(b, &b->clients[i]);
    while (b->over < b->count && (!b->is_ending || b->open > 0)) {
        n = epoll_wait(b->epoll, events, 64, 1000);
        for (i = 0; i < n; i++) {
            on_event(b, events[i].data.ptr);
        }
        check_overdue(b);
    }
}

int load_busy(const char *address, int port, int count, bool may_stop)
{
    busy b = {
        .to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)},
        .epoll = epoll_create1(EPOLL_CLOEXEC),
        .count = count,
        .may_stop = may_stop,
        .steps = calloc(STEPS, sizeof *b.steps),
        .clients = calloc((size_t)count, sizeof *b.clients),
    };
    int i, signal_fd;

    if (!b.steps || !b.clients || b.epoll < 0) return 2;
    inet_pton(AF_INET, address, &b.to.sin_addr);
    signal_fd = open_signal(b.epoll);
    for (i = 0; i < count; i++) {
        b.clients[i].fd = -1;
        b.clients[i].is_kept = i % 2 == 0;
    }
    run(&b);
    print(&b);
    for (i = 0; i < count; i++) forget(&b.clients[i]);
    close(signal_fd);
    close(b.epoll);
    free(b.steps);
    free(b.clients);
    return b.failed ? 1 : 0;
}

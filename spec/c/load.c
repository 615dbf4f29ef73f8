/* load.c - see load.h. Usage: load COMMAND PORT [COUNT [AT_ONCE [SEED]]]
 *
 * Commands: storm, garbage, mixed, leave, half; plain, streams, waits, whose
 * peers never read; pulse; steady; busy PORT CLIENTS; till-stop PORT CLIENTS;
 * soak PORT CLIENTS SEED. The last lines of standard output are the results,
 * "name value" each; status 1 when a peer failed.
 */
#include "load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { EVENTS = 256, SHOWN_FAILURES = 5, SOURCES = 100 };

typedef struct loop {
    load *load;
    load_peer *peers;
    unsigned peer_count, active;
    int epoll;
    bool has_told;
} loop;

/* ---- for the plans ------------------------------------------------------- */

double load_now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

uint64_t load_random(load *l, uint64_t below)
{
    uint64_t x = l->random;

    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    l->random = x;
    return (x >> 11) % below;
}

void load_add(load_peer *p, const void *bytes, size_t len)
{
    if (!p->room) p->room = malloc(LOAD_OUT_CAP);
    if (!p->room) abort();
    if (len > LOAD_OUT_CAP - p->out_len) len = LOAD_OUT_CAP - p->out_len;
    memcpy(p->room + p->out_len, bytes, len);
    p->out = p->room;
    p->out_len += len;
}

void load_print(load_peer *p, const char *format, ...)
{
    char text[512];
    va_list args;
    int len;

    va_start(args, format);
    len = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    load_add(p, text, (size_t)len);
}

/* ---- failures ------------------------------------------------------------ */

static void show(const char *what, const char *bytes, size_t len)
{
    size_t i;

    fprintf(stderr, "  %s: \"", what);
    for (i = 0; i < len && i < 2000; i++) {
        if (bytes[i] >= ' ' && bytes[i] < 0x7f && bytes[i] != '"')
            fputc(bytes[i], stderr);
        else
            fprintf(stderr, "\\x%02x", (unsigned char)bytes[i]);
    }
    fprintf(stderr, "\"\n");
}

static void fail(loop *lp, load_peer *p, const char *why)
{
    if (lp->load->failed++ >= SHOWN_FAILURES) return;
    fprintf(stderr, "peer %llu: %s\n", (unsigned long long)p->number, why);
    show("sent", p->out, p->sent < p->out_len ? p->sent : p->out_len);
    show("came", p->in ? p->in : "", p->in_len);
}

/* ---- one peer ------------------------------------------------------------ */

static void watch(loop *lp, load_peer *p, int how, uint32_t events)
{
    struct epoll_event e = {.events = events, .data.ptr = p};

    epoll_ctl(lp->epoll, how, p->fd, &e);
}

static void set_linger_reset(int fd)
{
    struct linger reset = {.l_onoff = 1, .l_linger = 0};

    setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
}

/* The peer is over; `why` tells what went wrong, or is NULL. */
static void finish(loop *lp, load_peer *p, const char *why)
{
    load *l = lp->load;
    double held = load_now() - p->since;

    if (!why && l->check) why = l->check(l, p);
    if (why) fail(lp, p, why);
    if (p->was_reset) l->resets++;
    if (p->action == LOAD_HOLD || p->action == LOAD_FLOOD) {
        if (l->first_end == 0 || held < l->first_end) l->first_end = held;
        if (held > l->last_end) l->last_end = held;
    }
    close(p->fd);
    p->fd = -1;
    p->is_over = true;
    lp->active--;
    l->done++;
}

static void reset_now(loop *lp, load_peer *p)
{
    set_linger_reset(p->fd);
    finish(lp, p, NULL);
}

static void on_all_sent(loop *lp, load_peer *p)
{
    load *l = lp->load;

    p->is_sent = true;
    p->since = load_now();
    l->held++;
    switch (p->action) {
    case LOAD_CLOSE: finish(lp, p, NULL); return;
    case LOAD_RESET:
        if (p->wait_ms == 0)
            reset_now(lp, p);
        else
            watch(lp, p, EPOLL_CTL_MOD, EPOLLRDHUP);
        return;
    case LOAD_HALF_CLOSE: shutdown(p->fd, SHUT_WR); break;
    case LOAD_HOLD: watch(lp, p, EPOLL_CTL_MOD, EPOLLRDHUP); return;
    case LOAD_READ:
    case LOAD_FLOOD: break;
    }
    watch(lp, p, EPOLL_CTL_MOD, EPOLLIN);
}

/* A flood begins again when it has sent a round. */
static bool goes_round(load_peer *p)
{
    if (p->action != LOAD_FLOOD || p->sent < p->out_len) return false;
    p->sent = 0;
    return true;
}

/* Nothing more is taken: that is what a flood is after. */
static void on_full(loop *lp, load_peer *p)
{
    if (p->action != LOAD_FLOOD || p->is_sent) return;
    p->is_sent = true;
    p->since = load_now();
    lp->load->held++;
}

static void send_some(loop *lp, load_peer *p)
{
    size_t len;
    ssize_t n;

    do {
        len = p->sent < p->cut ? p->cut - p->sent : p->out_len - p->sent;
        if (len == 0) break;
        n = send(p->fd, p->out + p->sent, len, MSG_NOSIGNAL);
        if (n < 0 && errno == EAGAIN) {
            on_full(lp, p);
            return;
        }
        if (n < 0) {
            p->was_reset = true;
            finish(lp, p, p->action >= LOAD_HOLD ? NULL : strerror(errno));
            return;
        }
        p->sent += (size_t)n;
        if (p->sent == p->cut) return; /* the rest is a packet of its own */
    } while (p->sent < p->out_len || goes_round(p));
    if (!p->is_sent) on_all_sent(lp, p);
}

static void read_some(loop *lp, load_peer *p)
{
    ssize_t n;

    if (!p->in) p->in = malloc(LOAD_IN_CAP);
    if (!p->in || p->in_len == LOAD_IN_CAP) {
        finish(lp, p, "more came than there is room for");
        return;
    }
    n = recv(p->fd, p->in + p->in_len, LOAD_IN_CAP - p->in_len, 0);
    if (n < 0 && errno == EAGAIN) return;
    if (n < 0) {
        p->was_reset = true;
        finish(lp, p, p->action >= LOAD_HOLD ? NULL : strerror(errno));
    } else if (n == 0) {
        finish(lp, p, NULL);
    } else {
        p->in_len += (size_t)n;
    }
}

static void on_event(loop *lp, load_peer *p, uint32_t events)
{
    if (p->fd < 0) return;
    if (p->action == LOAD_FLOOD || p->action == LOAD_HOLD) {
        if (events & (EPOLLERR | EPOLLHUP | EPOLLRDHUP)) {
            p->was_reset = (events & EPOLLERR) != 0;
            finish(lp, p, NULL);
            return;
        }
    } else if (events & EPOLLIN && p->is_sent) {
        read_some(lp, p);
        return;
    } else if (events & (EPOLLERR | EPOLLHUP)) {
        finish(lp, p, p->is_connected ? "the server ended" : "no connection");
        return;
    }
    if (events & EPOLLOUT) {
        p->is_connected = true;
        send_some(lp, p);
    }
}

/* Sources take turns, so that the ports of one are never used up. */
void load_bind_source(int fd, uint64_t number)
{
    struct sockaddr_in from = {.sin_family = AF_INET};
    int on = 1;

    from.sin_addr.s_addr = htonl(0x7f000001U + (uint32_t)(number % SOURCES));
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    if (bind(fd, (struct sockaddr *)&from, sizeof from) < 0) return;
}

static int open_socket(const load *l, uint64_t number)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)l->port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int on = 1;

    if (fd < 0) return -1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (l->buffer) {
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &l->buffer, sizeof l->buffer);
        setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &l->buffer, sizeof l->buffer);
    }
    load_bind_source(fd, number);
    inet_pton(AF_INET, l->address, &to.sin_addr);
    if (connect(fd, (struct sockaddr *)&to, sizeof to) == 0 ||
        errno == EINPROGRESS)
        return fd;
    close(fd);
    return -1;
}

static void start_peer(loop *lp, load_peer *p)
{
    load *l = lp->load;
    char *in = p->in, *room = p->room;

    *p = (load_peer){.number = ++l->started, .in = in, .room = room};
    lp->active++;
    p->since = load_now();
    p->fd = open_socket(l, p->number);
    l->plan(l, p);
    if (p->fd < 0) {
        finish(lp, p, "no socket");
        return;
    }
    watch(lp, p, EPOLL_CTL_ADD, EPOLLOUT | EPOLLRDHUP);
}

/* ---- all of them --------------------------------------------------------- */

/* Peers that wait to reset, and those whose time is up. */
static void look_at_clocks(loop *lp)
{
    double now = load_now();
    unsigned i;

    for (i = 0; i < lp->peer_count; i++) {
        load_peer *p = &lp->peers[i];

        if (p->fd < 0) continue;
        if (p->action == LOAD_RESET && p->is_sent &&
            now - p->since >= p->wait_ms / 1000.0)
            reset_now(lp, p);
        else if (now - p->since > lp->load->timeout)
            finish(lp, p, "it takes too long");
    }
}

static void start_free(loop *lp)
{
    load *l = lp->load;
    unsigned i;

    if (lp->active == lp->peer_count || l->started == l->count) return;
    for (i = 0; i < lp->peer_count && l->started < l->count; i++)
        if (lp->peers[i].fd < 0) start_peer(lp, &lp->peers[i]);
}

/* Once, when all have sent: whoever started this may measure now. */
static void tell_held(loop *lp)
{
    load *l = lp->load;

    if (lp->has_told || l->held < l->count) return;
    lp->has_told = true;
    printf("held %llu\n", (unsigned long long)(l->count - l->done));
    fflush(stdout);
}

static void turn(loop *lp)
{
    struct epoll_event events[EVENTS];
    int i, n = epoll_wait(lp->epoll, events, EVENTS, 5);

    for (i = 0; i < n; i++) on_event(lp, events[i].data.ptr, events[i].events);
}

void load_run(load *l)
{
    loop lp = {.load = l, .peer_count = l->at_once};
    double begun = load_now(), looked = begun;
    unsigned i;

    lp.epoll = epoll_create1(EPOLL_CLOEXEC);
    lp.peers = calloc(lp.peer_count, sizeof *lp.peers);
    if (!lp.peers || lp.epoll < 0) abort();
    for (i = 0; i < lp.peer_count; i++) lp.peers[i].fd = -1;
    while (l->done < l->count) {
        start_free(&lp);
        turn(&lp);
        tell_held(&lp);
        if (load_now() - looked < (lp.peer_count > 1000 ? 0.1 : 0.002))
            continue;
        look_at_clocks(&lp);
        looked = load_now();
    }
    for (i = 0; i < lp.peer_count; i++) {
        free(lp.peers[i].in);
        free(lp.peers[i].room);
    }
    free(lp.peers);
    close(lp.epoll);
    l->seconds = load_now() - begun;
}

/* ---- the program --------------------------------------------------------- */

typedef struct command {
    const char *name;
    void (*plan)(load *, load_peer *);
    const char *(*check)(load *, const load_peer *);
    double timeout;
    int buffer;
} command;

static const command commands[] = {
    {"storm", load_plan_storm, load_check_storm, 20, 0},
    {"garbage", load_plan_garbage, load_check_garbage, 20, 0},
    {"mixed", load_plan_mixed, load_check_mixed, 60, 0},
    {"leave", load_plan_leave, load_check_leave, 20, 0},
    {"half", load_plan_half, NULL, 120, 0},
    {"plain", load_plan_plain, NULL, 300, 4096},
    {"streams", load_plan_streams, NULL, 300, 4096},
    {"waits", load_plan_waits, NULL, 300, 4096},
};

static void print_results(const load *l)
{
    printf("peers %llu\nfailed %llu\nresets %llu\n",
           (unsigned long long)l->done, (unsigned long long)l->failed,
           (unsigned long long)l->resets);
    printf("first_end %.3f\nlast_end %.3f\nseconds %.3f\n", l->first_end,
           l->last_end, l->seconds);
}

static unsigned long argument(char **argv, int argc, int i, unsigned long other)
{
    return argc > i ? strtoul(argv[i], NULL, 10) : other;
}

static int run(const command *c, int argc, char **argv)
{
    load l = {.address = "127.0.0.1",
              .plan = c->plan,
              .check = c->check,
              .timeout = c->timeout,
              .buffer = c->buffer};

    l.port = (int)argument(argv, argc, 2, 0);
    l.count = argument(argv, argc, 3, 1);
    l.at_once = (unsigned)argument(argv, argc, 4, 64);
    l.random = argument(argv, argc, 5, 1) * 0x9e3779b97f4a7c15U | 1;
    if (l.at_once > l.count) l.at_once = (unsigned)l.count;
    load_run(&l);
    print_results(&l);
    return l.failed ? 1 : 0;
}

static void raise_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0) return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

int main(int argc, char **argv)
{
    size_t i;

    signal(SIGPIPE, SIG_IGN);
    raise_limit();
    if (argc == 3 && strcmp(argv[1], "pulse") == 0)
        return load_pulse("127.0.0.1", atoi(argv[2]));
    if (argc > 3 && strcmp(argv[1], "busy") == 0)
        return load_busy("127.0.0.1", atoi(argv[2]), atoi(argv[3]), false);
    if (argc > 3 && strcmp(argv[1], "till-stop") == 0)
        return load_busy("127.0.0.1", atoi(argv[2]), atoi(argv[3]), true);
    if (argc == 3 && strcmp(argv[1], "steady") == 0)
        return load_steady("127.0.0.1", atoi(argv[2]));
    if (argc > 4 && strcmp(argv[1], "soak") == 0)
        return load_soak("127.0.0.1", atoi(argv[2]), atoi(argv[3]),
                         strtoull(argv[4], NULL, 10));
    for (i = 0; argc > 2 && i < sizeof commands / sizeof *commands; i++)
        if (strcmp(argv[1], commands[i].name) == 0)
            return run(&commands[i], argc, argv);
    fprintf(stderr, "usage: load COMMAND PORT [COUNT [AT_ONCE [SEED]]]\n");
    return 2;
}

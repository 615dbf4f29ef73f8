/* clients.c - many connections that stay, and messages of 64 bytes on them.
 *
 * Kinds: `tcp` (two bytes of length in front), `ws` (upgraded at PATH, masked),
 * `raw` (the masked frame, given back as it is). Opens COUNT of them, prints
 * "held COUNT" and keeps them idle, with pings answered. Each SIGUSR1 then has
 * them work for SECONDS, and what came of it is printed, a name and a number a
 * line, and "done":
 *
 *   talk    each sends a message every EVERY seconds, one after the other;
 *           what is not back 5 s after the last one is lost
 *   echo    each sends the next message when the last one is back
 *   fanout  the first one sends BURST messages, all get them; then the next
 *           ones. It leaves the CPU to whom is measured: it looks once in a
 *           ms; a connection is read when it has the whole burst, and of single
 *           messages, when sixteen have been seen to arrive. No pings, then
 *
 *   clients WORK KIND PORT PATH COUNT SECONDS EVERY BURST SOURCE
 *
 * They come from eight addresses of loopback from 127.0.0.SOURCE on, since one
 * has too few ports.
 *
 * Owns:    the connections.
 * Thread:  main thread.
 * Life:    until a signal ends the process, half an hour at most.
 * Knows:   Linux.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    SOURCES = 8,
    PATIENCE_S = 20, /* of a connect and an upgrade */
    GRACE_S = 5,     /* for what is not back when the work ends */
    LIFE_S = 1800,
    EVENTS = 4096,
    BURST_MAX = 64,
    GATHER_US = 1000, /* fanout */
    UNREAD_MAX = 16,  /* fanout: messages that are only seen to be there */
    IN_CAP = 64 * 1024,
    MESSAGE_LEN = 64,
    FRAME_CAP = MESSAGE_LEN + 6,
    PING_CAP = 125,
};

typedef enum kind { KIND_TCP, KIND_WS, KIND_RAW } kind;
typedef enum work { WORK_TALK, WORK_ECHO, WORK_FANOUT } work;
enum { OP_CLOSE = 8, OP_PING = 9, OP_PONG = 10 };

typedef struct conn {
    int fd; /* -1: it was closed */
    bool awaits;
    bool in_body;
    uint8_t unread; /* fanout, burst of one */
    uint8_t head_len;
    uint8_t head[4];
    uint8_t ping_len;
    uint8_t ping[PING_CAP];
    uint32_t left; /* bytes of the body that are still to come */
    double sent_at;
} conn;

typedef struct clients {
    /* Of the command line. */
    work work;
    kind kind;
    int port, count, burst, source;
    const char *path;
    double seconds, every;

    conn *conns;
    int epoll, signals, open;
    uint8_t frame[BURST_MAX * FRAME_CAP]; /* one after the other */
    size_t frame_len;

    /* Of the work in progress. */
    bool works;
    double since, ends;
    uint64_t turns; /* talk: how many messages there will be */
    uint64_t sent, got, skipped;
    double round_since; /* fanout */
    float *ms;          /* a sample each answer (fanout: each round) */
    size_t ms_len, ms_cap;

    uint8_t in[IN_CAP];
} clients;

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void __attribute__((format(printf, 1, 2), noreturn))
fail(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fputs("clients: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    exit(1);
}

/* ---- figures ------------------------------------------------------------- */

static void add_sample(clients *s, double seconds)
{
    if (s->ms_len == s->ms_cap) {
        s->ms_cap = s->ms_cap ? s->ms_cap * 2 : 65536;
        s->ms = realloc(s->ms, s->ms_cap * sizeof *s->ms);
        if (!s->ms) fail("no memory");
    }
    s->ms[s->ms_len++] = (float)(seconds * 1000);
}

static int compare(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;

    return (x > y) - (x < y);
}

static double sample_at(const clients *s, double part)
{
    return s->ms_len ? (double)s->ms[(size_t)((double)(s->ms_len - 1) * part)]
                     : 0;
}

static void finish(clients *s)
{
    double took = now() - s->since;
    uint64_t due = s->work == WORK_FANOUT ? s->sent * (uint64_t)s->count
                                          : s->sent + s->skipped;

    s->works = false;
    qsort(s->ms, s->ms_len, sizeof *s->ms, compare);
    printf("sent %llu\ngot %llu\nlost %llu\nclosed %d\nseconds %.6f\n"
           "median %.3f\np99 %.3f\nmax %.3f\ndone\n",
           (unsigned long long)due, (unsigned long long)s->got,
           (unsigned long long)(due - s->got), s->count - s->open, took,
           sample_at(s, 0.5), sample_at(s, 0.99), sample_at(s, 1));
    fflush(stdout);
}

/* ---- one connection ------------------------------------------------------ */

static void drop(clients *s, conn *c)
{
    if (c->fd < 0) return;
    close(c->fd);
    c->fd = -1;
    s->open--;
}

/* No connection has more than one message under way: it fits, or is broken. */
static void send_all(clients *s, conn *c, const uint8_t *bytes, size_t len)
{
    if (c->fd < 0) return;
    if (send(c->fd, bytes, len, MSG_NOSIGNAL) != (ssize_t)len) drop(s, c);
}

static void send_message(clients *s, conn *c)
{
    c->awaits = true;
    c->sent_at = now();
    s->sent++;
    send_all(s, c, s->frame, s->frame_len);
}

static void send_pong(clients *s, conn *c)
{
    /* A mask of nothing leaves the bytes as they are. */
    uint8_t frame[6 + PING_CAP] = {0x80 | OP_PONG, 0x80 | c->ping_len};

    memcpy(frame + 6, c->ping, c->ping_len);
    send_all(s, c, frame, 6u + c->ping_len);
}

static void start_round(clients *s)
{
    s->round_since = now();
    s->sent += (uint64_t)s->burst;
    send_all(s, &s->conns[0], s->frame, (size_t)s->burst * s->frame_len);
}

static void on_delivered(clients *s)
{
    double t;

    if (s->got != s->sent * (uint64_t)s->count) return;
    t = now();
    add_sample(s, t - s->round_since);
    if (t < s->ends)
        start_round(s);
    else
        finish(s);
}

static bool sees_only(const clients *s)
{
    return s->work == WORK_FANOUT && s->burst == 1;
}

static void on_echoed(clients *s, conn *c)
{
    double t = now();

    if (!c->awaits) fail("a message came that nobody sent");
    c->awaits = false;
    add_sample(s, t - c->sent_at);
    if (s->work == WORK_ECHO && t < s->ends) send_message(s, c);
}

static void on_message(clients *s, conn *c)
{
    int op = s->kind == KIND_WS ? c->head[0] & 15 : 0;

    if (op == OP_PING) {
        send_pong(s, c);
    } else if (op == OP_CLOSE) {
        drop(s, c);
    } else if (op != OP_PONG && sees_only(s)) {
        if (c->unread-- == 0) fail("a message came unseen");
    } else if (op != OP_PONG && s->works) {
        s->got++;
        if (s->work == WORK_FANOUT)
            on_delivered(s);
        else
            on_echoed(s, c);
    }
}

/* ---- what arrives -------------------------------------------------------- */

static void await_frame(const clients *s, conn *c)
{
    c->head_len = c->ping_len = 0;
    c->in_body = s->kind == KIND_RAW;
    c->left = c->in_body ? (uint32_t)s->frame_len : 0;
}

static size_t take_body(clients *s, conn *c, const uint8_t *p, size_t len)
{
    size_t n = len < c->left ? len : c->left;

    if (s->kind == KIND_WS && (c->head[0] & 15) == OP_PING) {
        if (c->ping_len + n > PING_CAP) fail("a ping is too long");
        memcpy(c->ping + c->ping_len, p, n);
        c->ping_len = (uint8_t)(c->ping_len + n);
    }
    c->left -= (uint32_t)n;
    return n;
}

/* Whole when the length is known. */
static bool read_head(clients *s, conn *c)
{
    uint32_t len = c->head[1] & 127;

    if (c->head_len < 2) return false;
    if (s->kind == KIND_TCP) {
        c->left = (uint32_t)c->head[0] << 8 | c->head[1];
        return true;
    }
    if (c->head[1] > 126) fail("a frame is masked or too long");
    if (len == 126 && c->head_len < 4) return false;
    c->left = len < 126 ? len : (uint32_t)c->head[2] << 8 | c->head[3];
    return true;
}

static void on_bytes(clients *s, conn *c, const uint8_t *p, size_t len)
{
    while (len > 0 && c->fd >= 0) {
        size_t took = 1;

        if (c->in_body) {
            took = take_body(s, c, p, len);
        } else {
            c->head[c->head_len++] = *p;
            c->in_body = read_head(s, c);
        }
        p += took;
        len -= took;
        if (c->in_body && c->left == 0) {
            on_message(s, c);
            await_frame(s, c);
        }
    }
}

/* What is less than asked for was all: told of each arrival once, it need not
 * look again. Behind the end there is nothing, so it looks up to that. */
static void on_readable(clients *s, conn *c, bool has_ended)
{
    ssize_t len = sizeof s->in;

    while (c->fd >= 0 && (has_ended || len == sizeof s->in)) {
        len = recv(c->fd, s->in, sizeof s->in, MSG_DONTWAIT);
        if (len > 0)
            on_bytes(s, c, s->in, (size_t)len);
        else if (len == 0 || errno != EAGAIN)
            drop(s, c);
    }
}

/* The next message comes when all have this one: each arrival is one. */
static void on_seen(clients *s, conn *c)
{
    if (++c->unread == UNREAD_MAX) {
        on_readable(s, c, false);
        if (c->unread > 0) fail("what arrived is no message");
    }
    s->got++;
    on_delivered(s);
}

/* ---- opening ------------------------------------------------------------- */

static struct sockaddr_in loopback(int last, int port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)port),
        .sin_addr.s_addr = htonl(0x7f000000u + (uint32_t)last),
    };

    return address;
}

static int connect_from(int source, int port)
{
    struct sockaddr_in from = loopback(source, 0);
    struct sockaddr_in to = loopback(1, port);
    struct timeval patience = {.tv_sec = PATIENCE_S};
    int on = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0) fail("socket: %m (ulimit -n?)");
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    if (bind(fd, (struct sockaddr *)&from, sizeof from) < 0 ||
        connect(fd, (struct sockaddr *)&to, sizeof to) < 0) {
        fail("connect: %m");
    }
    return fd;
}

/* What comes behind the head of the answer is given on. */
static void upgrade(clients *s, conn *c)
{
    char head[512];
    uint8_t *end;
    size_t got = 0;
    int len = snprintf(head, sizeof head,
                       "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n"
                       "Upgrade: websocket\r\nConnection: Upgrade\r\n"
                       "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                       "Sec-WebSocket-Version: 13\r\n\r\n",
                       s->path, s->port);

    send_all(s, c, (const uint8_t *)head, (size_t)len);
    do {
        ssize_t n = recv(c->fd, s->in + got, sizeof s->in - got, 0);

        if (n <= 0) fail("no answer to the upgrade: %m");
        got += (size_t)n;
        end = memmem(s->in, got, "\r\n\r\n", 4);
    } while (!end);
    if (memcmp(s->in, "HTTP/1.1 101 ", 13) != 0) {
        fail("refused: %.*s", (int)(end - s->in), (char *)s->in);
    }
    on_bytes(s, c, end + 4, got - (size_t)(end + 4 - s->in));
}

/* It is readable when a whole burst is there. */
static void await_burst(const clients *s, const conn *c)
{
    int len = s->burst * (2 + MESSAGE_LEN);

    if (setsockopt(c->fd, SOL_SOCKET, SO_RCVLOWAT, &len, sizeof len) < 0) {
        fail("setsockopt: %m");
    }
}

static void open_conn(clients *s, int i)
{
    conn *c = &s->conns[i];
    struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP | EPOLLET,
                                .data.ptr = c};

    c->fd = connect_from(s->source + i % SOURCES, s->port);
    s->open++;
    await_frame(s, c);
    if (s->kind == KIND_WS) upgrade(s, c);
    if (s->work == WORK_FANOUT) await_burst(s, c);
    if (epoll_ctl(s->epoll, EPOLL_CTL_ADD, c->fd, &event) < 0) {
        fail("epoll: %m");
    }
}

static void make_frame(clients *s)
{
    static const uint8_t mask[4] = {0x37, 0xfa, 0x21, 0x3d};
    uint8_t *p = s->frame;
    int i;

    if (s->kind == KIND_TCP) {
        *p++ = 0;
        *p++ = MESSAGE_LEN;
        memset(p, 'x', MESSAGE_LEN);
        s->frame_len = 2 + MESSAGE_LEN;
        return;
    }
    *p++ = 0x81;
    *p++ = 0x80 | MESSAGE_LEN;
    for (i = 0; i < 4; i++) *p++ = mask[i];
    for (i = 0; i < MESSAGE_LEN; i++) *p++ = 'x' ^ mask[i % 4];
    s->frame_len = 6 + MESSAGE_LEN;
    for (i = 1; i < s->burst; i++) {
        memcpy(s->frame + (size_t)i * s->frame_len, s->frame, s->frame_len);
    }
}

/* ---- the loop ------------------------------------------------------------ */

static void start_work(clients *s)
{
    int i;

    if (s->works) fail("told to work while at work");
    s->works = true;
    s->since = now();
    s->ends = s->since + s->seconds;
    s->sent = s->got = s->skipped = s->ms_len = 0;
    s->turns = (uint64_t)(s->count * s->seconds / s->every);
    if (s->work == WORK_FANOUT) start_round(s);
    if (s->work != WORK_ECHO) return;
    for (i = 0; i < s->count; i++) send_message(s, &s->conns[i]);
}

/* Sends what is due. A connection whose last message is not back has lost it
 * or will: its turn counts as a message that does not come back. Returns when
 * the next one is due. */
static double take_turns(clients *s)
{
    uint64_t turn = s->sent + s->skipped;
    double due = s->since, t = now();

    for (; turn < s->turns; turn++) {
        conn *c = &s->conns[turn % (uint64_t)s->count];

        due = s->since + (double)turn * s->every / s->count;
        if (due > t) return due;
        if (c->awaits || c->fd < 0)
            s->skipped++;
        else
            send_message(s, c);
    }
    return s->ends + GRACE_S;
}

/* Ends the work when it is done. Returns how many ms nothing is to be done. */
static int step(clients *s)
{
    double next = s->ends + GRACE_S;

    if (!s->works) return -1;
    if (s->work == WORK_TALK) {
        next = take_turns(s);
        if (s->got == s->turns) s->ends = 0;
    } else if (s->work == WORK_ECHO && s->got == s->sent) {
        s->ends = 0;
    }
    if (now() >= s->ends + GRACE_S) {
        finish(s);
        return -1;
    }
    return (int)fmax(0, ceil((next - now()) * 1000));
}

static void on_signal(clients *s)
{
    struct signalfd_siginfo info;

    if (read(s->signals, &info, sizeof info) == sizeof info) start_work(s);
}

static void on_event(clients *s, conn *c, uint32_t events)
{
    if (events != EPOLLIN)
        on_readable(s, c, true);
    else if (sees_only(s) && s->works)
        on_seen(s, c);
    else
        on_readable(s, c, false);
}

static void __attribute__((noreturn)) run(clients *s)
{
    struct epoll_event events[EVENTS];
    int i, count = 0;

    for (;;) {
        if (s->works && s->work == WORK_FANOUT && count < EVENTS) {
            usleep(GATHER_US);
        }
        count = epoll_wait(s->epoll, events, EVENTS, step(s));

        for (i = 0; i < count; i++) {
            if (events[i].data.ptr)
                on_event(s, events[i].data.ptr, events[i].events);
            else
                on_signal(s);
        }
    }
}

static void watch_signals(clients *s)
{
    struct epoll_event event = {.events = EPOLLIN};
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, NULL);
    s->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (epoll_ctl(s->epoll, EPOLL_CTL_ADD, s->signals, &event) < 0) {
        fail("signals: %m");
    }
}

static void raise_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0) return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

static int place_of(const char *word, const char *const *words)
{
    int i;

    for (i = 0; words[i]; i++) {
        if (strcmp(word, words[i]) == 0) return i;
    }
    fail("what is %s?", word);
}

int main(int argc, char **argv)
{
    static const char *const works[] = {"talk", "echo", "fanout", NULL};
    static const char *const kinds[] = {"tcp", "ws", "raw", NULL};
    clients *s = calloc(1, sizeof *s);
    int i;

    if (argc != 10 || !s) {
        fputs("usage: clients WORK KIND PORT PATH COUNT SECONDS EVERY BURST "
              "SOURCE\n",
              stderr);
        return 2;
    }
    alarm(LIFE_S);
    s->work = (work)place_of(argv[1], works);
    s->kind = (kind)place_of(argv[2], kinds);
    s->port = atoi(argv[3]);
    s->path = argv[4];
    s->count = atoi(argv[5]);
    s->seconds = atof(argv[6]);
    s->every = atof(argv[7]);
    s->burst = atoi(argv[8]);
    s->source = atoi(argv[9]);
    s->conns = calloc((size_t)s->count, sizeof *s->conns);
    s->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (s->count < 1 || s->burst < 1 || s->burst > BURST_MAX || !s->conns ||
        s->epoll < 0) {
        fail("%m");
    }
    raise_limit();
    watch_signals(s);
    make_frame(s);
    for (i = 0; i < s->count; i++) open_conn(s, i);
    printf("held %d\n", s->count);
    fflush(stdout);
    run(s);
}

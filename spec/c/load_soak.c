/* load_soak.c - clients of every kind for as long as faults go on around them.
 *
 * Every other client keeps its connection for as long as the server does; the
 * rest makes a new one for each request. One request in a hundred is a fault:
 * an error, a heap that is full, a deadline, a body too large, a stream that
 * fails, a client that leaves. Each has its own right answer. The app is
 * spec/soak/app.lua; its answers name the worker that gave them (field By).
 *
 * What a death of a worker or of the runtime may do to its connections is not
 * judged here: each such end is printed with the worker's name, and whoever
 * caused the deaths looks whether it was one of them. Lines of output:
 *
 *   by NAME TIME                  a worker that has not answered before
 *   at TIME SENT ANSWERED         twice a second
 *   end TIME SINCE NAME COUNT WHAT  requests that a connection took along;
 *                                 NAME is - when it had no answer before
 *   wrong TIME SINCE NAME 1 WHAT  an answer that is not the right one
 *
 * and, after SIGTERM, the counts: sent = answered + torn + left + announced +
 * died + wrong.
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

enum {
    IN_CAP = 32 * 1024,
    OUT_CAP = 16 * 1024,
    NAME_CAP = 64,
    BURST = 4,
    ANSWER_S = 30,
    PER_FAULT = 70, /* most others are one request, some are four */
    REFUSED_MOST = 1000,
};

typedef enum outcome { ANSWER, TORN, LEAVE } outcome;

/* A kind of request: %s is a number of its own. The body is `body` with the
 * same number, or not looked at when NULL. */
typedef struct kind {
    const char *name, *text, *body;
    int status, copies;
    outcome outcome;
} kind;

#define HEAD " HTTP/1.1\r\nHost: soak\r\n"
#define GET(path) "GET " path HEAD

static const kind good[] = {
    {"echo", GET("/echo/%s"), "%s", 200, 1, ANSWER},
    {"echo", GET("/echo/%s"), "%s", 200, 1, ANSWER},
    {"pipeline", GET("/echo/%s"), "%s", 200, BURST, ANSWER},
    {"json", "POST /json" HEAD "Content-Length: 20\r\n", "{\"n\":\"%s\"}", 200,
     1, ANSWER},
    {"wait", GET("/wait/%s"), "%s", 200, 1, ANSWER},
    {"waits", GET("/wait/%s"), "%s", 200, BURST, ANSWER},
    {"stream", GET("/stream/%s"), NULL, 200, 1, ANSWER},
    {"head", "HEAD /echo/%s" HEAD, NULL, 200, 1, ANSWER},
    {"absent", GET("/nowhere/%s"), NULL, 404, 1, ANSWER},
};

static const kind faults[] = {
    {"error", GET("/boom/0/%s"), NULL, 500, 1, ANSWER},
    {"error of a table", GET("/boom/1/%s"), NULL, 500, 1, ANSWER},
    {"error of nil", GET("/boom/2/%s"), NULL, 500, 1, ANSWER},
    {"late error", GET("/boom/3/%s"), NULL, 500, 1, ANSWER},
    {"error in a coroutine", GET("/boom/4/%s"), NULL, 500, 1, ANSWER},
    {"no answer", GET("/boom/5/%s"), NULL, 500, 1, ANSWER},
    {"long string", GET("/memory/string/%s"), NULL, 503, 1, ANSWER},
    {"long table", GET("/memory/table/%s"), NULL, 503, 1, ANSWER},
    {"request timeout", GET("/late/%s"), NULL, 503, 1, ANSWER},
    {"large body", "POST /json?%s" HEAD "Content-Length: 99999999\r\n", NULL,
     413, 1, ANSWER},
    {"broken JSON", "POST /json?%s" HEAD "Content-Length: 0\r\n", NULL, 422, 1,
     ANSWER},
    {"garbage", "GET /%s HTTP/1.1\r\nHost: soak\r\n: garbage\r\n", NULL, 400, 1,
     ANSWER},
    {"torn stream", GET("/torn/%s"), NULL, 200, 1, TORN},
    {"leaving", GET("/wait/%s"), NULL, 200, 1, LEAVE},
};

enum { GOOD = sizeof good / sizeof *good };
enum { FAULTS = sizeof faults / sizeof *faults };

typedef struct client {
    int fd; /* -1: none */
    bool is_kept;
    int open;         /* requests that wait for their answers */
    const kind *kind; /* of the burst under way */
    uint64_t number;  /* of the next answer */
    double since;
    char by[NAME_CAP]; /* the worker that has the connection; "": unknown */
    size_t in_len;
    char in[IN_CAP];
} client;

typedef struct soak {
    load load; /* for its random numbers */
    struct sockaddr_in to;
    int epoll, count;
    bool is_ending;
    int under_way;
    double told;
    uint64_t numbers, sent, answered, torn, left, announced, died, wrong;
    uint64_t refused, faults, connects;
    size_t name_count, name_cap;
    char (*names)[NAME_CAP];
    client *clients;
} soak;

static void begin(soak *s, client *c);

/* ---- what is told -------------------------------------------------------- */

static void tell_end(const client *c, const char *word, int count,
                     const char *why)
{
    printf("%s %.4f %.4f %s %d %s: %s\n", word, load_now(), c->since,
           c->by[0] ? c->by : "-", count, c->kind->name, why);
    fflush(stdout);
}

/* Workers are few and the newest ones answer. */
static void meet(soak *s, const char *by)
{
    size_t i = s->name_count;

    while (i-- > 0)
        if (strcmp(s->names[i], by) == 0) return;
    if (s->name_count == s->name_cap) {
        s->name_cap = s->name_cap ? 2 * s->name_cap : 64;
        s->names = realloc(s->names, s->name_cap * sizeof *s->names);
        if (!s->names) abort();
    }
    memcpy(s->names[s->name_count++], by, NAME_CAP);
    printf("by %s %.4f\n", by, load_now());
    fflush(stdout);
}

static void tell_progress(soak *s)
{
    if (load_now() - s->told < 0.5) return;
    s->told = load_now();
    printf("at %.4f %llu %llu\n", s->told, (unsigned long long)s->sent,
           (unsigned long long)s->answered);
    fflush(stdout);
}

static void print(const soak *s)
{
#define LINE(name) printf(#name " %llu\n", (unsigned long long)s->name)
    LINE(sent);
    LINE(answered);
    LINE(torn);
    LINE(left);
    LINE(announced);
    LINE(died);
    LINE(wrong);
    LINE(refused);
    LINE(faults);
    LINE(connects);
#undef LINE
}

/* ---- the end of a connection, or of what it was asked -------------------- */

static void forget(client *c)
{
    if (c->fd >= 0) close(c->fd);
    c->fd = -1;
    c->in_len = 0;
    c->by[0] = '\0';
}

/* The open requests are over, whatever became of them. */
static void finish(soak *s, client *c, uint64_t *counter)
{
    *counter += (uint64_t)c->open;
    s->under_way -= c->open;
    c->open = 0;
}

static void on_end(soak *s, client *c, const char *why)
{
    if (c->open > 0 && c->kind->outcome == TORN && c->in_len > 0) {
        finish(s, c, &s->torn);
    } else if (c->open > 0) {
        tell_end(c, "end", c->open, why);
        finish(s, c, &s->died);
    }
    forget(c);
    begin(s, c);
}

static void on_wrong(soak *s, client *c, const char *why)
{
    tell_end(c, "wrong", c->open, why);
    finish(s, c, &s->wrong);
    forget(c);
    begin(s, c);
}

static void leave(soak *s, client *c)
{
    struct linger reset = {.l_onoff = 1, .l_linger = 0};

    setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    finish(s, c, &s->left);
    forget(c);
}

/* ---- asking -------------------------------------------------------------- */

/* A few have left each time, so this ends. */
static int connect_client(soak *s, client *c)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP, .data.ptr = c};
    int on = 1;

    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0) return -errno;
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    load_bind_source(c->fd, ++s->connects);
    if (connect(c->fd, (struct sockaddr *)&s->to, sizeof s->to) < 0)
        return -errno;
    epoll_ctl(s->epoll, EPOLL_CTL_ADD, c->fd, &event);
    return 0;
}

static void choose(soak *s, client *c)
{
    bool is_fault = load_random(&s->load, PER_FAULT) == 0;

    c->kind = is_fault ? &faults[load_random(&s->load, FAULTS)]
                       : &good[load_random(&s->load, GOOD)];
    if (is_fault) s->faults++;
}

static size_t write_one(const client *c, uint64_t number, char *out, bool ends)
{
    char text[24];
    size_t len;

    snprintf(text, sizeof text, "%012llu", (unsigned long long)number);
    len = (size_t)snprintf(out, OUT_CAP / BURST, c->kind->text, text);
    if (ends) len += (size_t)sprintf(out + len, "Connection: close\r\n");
    len += (size_t)sprintf(out + len, "\r\n");
    if (c->kind->body && strncmp(c->kind->text, "POST", 4) == 0)
        len += (size_t)sprintf(out + len, c->kind->body, text);
    return len;
}

static int send_burst(soak *s, client *c)
{
    char out[OUT_CAP];
    size_t len = 0;
    int i, copies = c->is_kept ? c->kind->copies : 1;

    c->number = s->numbers;
    for (i = 0; i < copies; i++)
        len += write_one(c, s->numbers++, out + len, !c->is_kept);
    s->sent += (uint64_t)copies;
    c->open = copies;
    s->under_way += copies;
    return send(c->fd, out, len, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

/* A burst, on a new connection if there is none. Never calls itself. */
static void begin(soak *s, client *c)
{
    int err = 0;

    if (s->is_ending || s->refused > REFUSED_MOST) return;
    choose(s, c);
    c->since = load_now();
    if (c->fd < 0) err = connect_client(s, c);
    if (err < 0) {
        s->refused++;
        tell_end(c, "wrong", 0, strerror(-err));
        forget(c);
        return;
    }
    err = send_burst(s, c);
    if (err < 0) {
        tell_end(c, "end", c->open, strerror(-err));
        finish(s, c, &s->died);
        forget(c);
    } else if (c->kind->outcome == LEAVE) {
        leave(s, c);
    }
}

/* ---- answers ------------------------------------------------------------- */

static void read_name(client *c, size_t head_len)
{
    const char *at = memmem(c->in, head_len, "\r\nBy: ", 6);
    size_t len;

    if (!at) return;
    at += 6;
    len = strcspn(at, "\r");
    if (len >= NAME_CAP) return;
    memset(c->by, 0, NAME_CAP);
    memcpy(c->by, at, len);
}

static bool is_right(const client *c, const load_answer *a)
{
    char number[24], body[128];

    if (a->status != c->kind->status || c->kind->outcome == TORN) return false;
    snprintf(number, sizeof number, "%012llu", (unsigned long long)c->number);
    if (strcmp(c->kind->name, "stream") == 0)
        return memmem(a->body, a->body_len, number, 12) != NULL;
    if (!c->kind->body) return true;
    snprintf(body, sizeof body, c->kind->body, number);
    return a->body_len == strlen(body) &&
           memcmp(a->body, body, a->body_len) == 0;
}

/* One answer of the burst; false when the connection is over with it. */
static bool take(soak *s, client *c, const load_answer *a, size_t len)
{
    char why[80];

    read_name(c, (size_t)(a->body - c->in));
    if (c->by[0]) meet(s, c->by);
    if (!is_right(c, a)) {
        snprintf(why, sizeof why, "status %d, %zu bytes", a->status,
                 a->body_len);
        on_wrong(s, c, why);
        return false;
    }
    s->answered++;
    s->under_way--;
    c->open--;
    c->number++;
    memmove(c->in, c->in + len, c->in_len - len);
    c->in_len -= len;
    if (!a->ends) return true;
    finish(s, c, &s->announced);
    forget(c);
    begin(s, c);
    return false;
}

/* An answer to HEAD has no body, whatever length it says. */
static size_t read_answer(const client *c, load_answer *a)
{
    const char *end;
    size_t len = load_read_answer(c->in, c->in_len, a);

    if (!c->kind || strcmp(c->kind->name, "head") != 0) return len;
    end = memmem(c->in, c->in_len, "\r\n\r\n", 4);
    if (!end) return 0;
    a->body = end + 4;
    a->body_len = 0;
    a->status = atoi(c->in + 9);
    a->ends = memmem(c->in, (size_t)(end - c->in), "Connection: close", 17);
    return (size_t)(a->body - c->in);
}

static void on_readable(soak *s, client *c)
{
    load_answer a;
    ssize_t n;
    size_t len;

    if (c->fd < 0) return;
    n = recv(c->fd, c->in + c->in_len, IN_CAP - c->in_len, 0);
    if (n <= 0) {
        on_end(s, c, n < 0 ? strerror(errno) : "the connection has ended");
        return;
    }
    c->in_len += (size_t)n;
    while (c->open > 0 && (len = read_answer(c, &a)) > 0)
        if (!take(s, c, &a, len)) return;
    if (c->in_len == IN_CAP || (c->open == 0 && c->in_len > 0))
        on_wrong(s, c, "more came than was asked for");
    else if (c->open == 0)
        begin(s, c);
}

/* ---- the whole ----------------------------------------------------------- */

/* Answers that do not come at all; clients that could not begin. */
static void look_at_clocks(soak *s)
{
    double now = load_now();
    int i;

    for (i = 0; i < s->count; i++) {
        client *c = &s->clients[i];

        if (c->open > 0 && now - c->since > ANSWER_S)
            on_wrong(s, c, "no answer within 30 s");
        else if (c->open == 0)
            begin(s, c);
    }
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

static void run(soak *s)
{
    struct epoll_event events[64];
    double looked = 0;
    int i, n;

    while (!s->is_ending || s->under_way > 0) {
        if (load_now() - looked > 0.05) {
            look_at_clocks(s);
            looked = load_now();
        }
        tell_progress(s);
        n = epoll_wait(s->epoll, events, 64, 50);
        for (i = 0; i < n; i++) {
            if (events[i].data.ptr)
                on_readable(s, events[i].data.ptr);
            else
                s->is_ending = true;
        }
    }
}

int load_soak(const char *address, int port, int count, uint64_t seed)
{
    soak s = {
        .load = {.random = seed * 0x9e3779b97f4a7c15U | 1},
        .to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)},
        .epoll = epoll_create1(EPOLL_CLOEXEC),
        .count = count,
        .clients = calloc((size_t)count, sizeof *s.clients),
    };
    int i, signal_fd;

    if (!s.clients || s.epoll < 0) return 2;
    inet_pton(AF_INET, address, &s.to.sin_addr);
    signal_fd = open_signal(s.epoll);
    for (i = 0; i < count; i++) {
        s.clients[i].fd = -1;
        s.clients[i].is_kept = i % 2 == 0;
    }
    run(&s);
    print(&s);
    for (i = 0; i < count; i++) forget(&s.clients[i]);
    close(signal_fd);
    close(s.epoll);
    free(s.names);
    free(s.clients);
    return s.refused > 0 || s.wrong > 0 ? 1 : 0;
}

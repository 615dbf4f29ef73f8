/* raw.c - the limit: an epoll loop that parses nothing.
 *
 * Every empty line that arrives is taken for the end of a request and gets
 * the same answer; what one read brought is answered with one write. Not a
 * server for use: no methods, no bodies, no time limits, and a client that
 * does not read is dropped.
 *
 *   raw PORT CONTENT-TYPE BODY
 *
 * Owns:    the listening socket, the connections, the answers' buffer.
 * Thread:  main thread.
 * Life:    until a signal ends the process.
 * Knows:   Linux.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    IN_CAP = 64 * 1024,
    ANSWER_CAP = 512,
    BATCH = 256, /* answers a write */
    EVENTS = 256,
    MAX_FDS = 1 << 20
};

typedef struct server {
    int epoll, listener;
    const char *type, *body;
    time_t date; /* the second that the batch shows */
    size_t answer_len;
    uint8_t *line_len; /* by descriptor: of the line in progress, 2 at most */
    char in[IN_CAP];
    char batch[BATCH * ANSWER_CAP];
} server;

/* The batch holds BATCH answers with the present date. */
static void refresh(server *s)
{
    time_t now = time(NULL);
    struct tm tm;
    char date[64];
    int len, i;

    if (now == s->date) return;
    s->date = now;
    gmtime_r(&now, &tm);
    strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", &tm);
    len = snprintf(s->batch, ANSWER_CAP,
                   "HTTP/1.1 200 OK\r\nServer: raw\r\nDate: %s\r\n"
                   "Content-Type: %s\r\nContent-Length: %zu\r\n\r\n%s",
                   date, s->type, strlen(s->body), s->body);
    if (len < 0 || len >= ANSWER_CAP) exit(2);
    s->answer_len = (size_t)len;
    for (i = 1; i < BATCH; i++) {
        memcpy(s->batch + (size_t)i * s->answer_len, s->batch, s->answer_len);
    }
}

/* How many lines of "\r\n" alone end in these bytes. */
static size_t count_heads(uint8_t *line_len, const char *p, size_t len)
{
    const char *end = p + len, *newline;
    size_t heads = 0;

    while ((newline = memchr(p, '\n', (size_t)(end - p)))) {
        heads += *line_len + (newline - p) == 1;
        *line_len = 0;
        p = newline + 1;
    }
    if (end - p > 0) *line_len = end - p == 1 && *line_len == 0 ? 1 : 2;
    return heads;
}

static bool answer(server *s, int fd, size_t heads)
{
    refresh(s);
    while (heads > 0) {
        size_t count = heads < BATCH ? heads : BATCH;
        size_t len = count * s->answer_len;

        if (write(fd, s->batch, len) != (ssize_t)len) return false;
        heads -= count;
    }
    return true;
}

static void on_readable(server *s, int fd)
{
    ssize_t len = read(fd, s->in, sizeof s->in);

    if (len <= 0 ||
        !answer(s, fd, count_heads(&s->line_len[fd], s->in, (size_t)len))) {
        close(fd);
    }
}

static void watch(server *s, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

    if (epoll_ctl(s->epoll, EPOLL_CTL_ADD, fd, &event) < 0) close(fd);
}

static void on_connection(server *s)
{
    int fd;

    while ((fd = accept4(s->listener, NULL, NULL,
                         SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        if (fd >= MAX_FDS) exit(2);
        s->line_len[fd] = 0;
        watch(s, fd);
    }
}

/* Accepted sockets inherit TCP_NODELAY. */
static int listen_on(int port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    int on = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0 ||
        listen(fd, 4096) < 0) {
        perror("raw");
        exit(1);
    }
    return fd;
}

static void serve(server *s)
{
    struct epoll_event events[EVENTS];

    for (;;) {
        int i, count = epoll_wait(s->epoll, events, EVENTS, -1);

        for (i = 0; i < count; i++) {
            if (events[i].data.fd == s->listener)
                on_connection(s);
            else
                on_readable(s, events[i].data.fd);
        }
    }
}

int main(int argc, char **argv)
{
    server *s = calloc(1, sizeof *s);

    if (argc != 4 || !s) {
        fputs("usage: raw PORT CONTENT-TYPE BODY\n", stderr);
        return 2;
    }
    s->type = argv[2];
    s->body = argv[3];
    s->line_len = calloc(MAX_FDS, 1);
    s->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (!s->line_len || s->epoll < 0) return 1;
    signal(SIGPIPE, SIG_IGN);
    s->listener = listen_on(atoi(argv[1]));
    watch(s, s->listener);
    serve(s);
    return 0;
}

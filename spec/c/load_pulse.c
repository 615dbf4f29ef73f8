/* load_pulse.c - a steady client: 20 requests a second on one connection.
 *
 * Owns:    its socket.
 * Thread:  main.
 * Life:    until SIGTERM; then it prints what it measured.
 * Knows:   load.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "load.h"

enum { PERIOD_MS = 50, MOST = 1 << 20, ANSWER_S = 10 };

#define GET "GET / HTTP/1.1\r\nHost: pulse\r\n\r\n"

static int open_connection(const char *address, int port)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port)};
    struct timeval limit = {.tv_sec = ANSWER_S};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

    inet_pton(AF_INET, address, &to.sin_addr);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    if (connect(fd, (struct sockaddr *)&to, sizeof to) == 0) return fd;
    close(fd);
    return -1;
}

/* One request; milliseconds, negative when it failed. */
static double beat(int fd)
{
    char bytes[4096];
    size_t len = 0;
    load_answer a;
    ssize_t n;
    double begun = load_now();

    if (send(fd, GET, sizeof GET - 1, MSG_NOSIGNAL) < 0) return -1;
    do {
        n = recv(fd, bytes + len, sizeof bytes - len, 0);
        if (n <= 0) return -1;
        len += (size_t)n;
    } while (load_read_answer(bytes, len, &a) < len || a.body_len == 0);
    return a.status == 200 ? (load_now() - begun) * 1000 : -1;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static void print(double *ms, size_t count, size_t failed)
{
    qsort(ms, count, sizeof *ms, compare);
    printf("beats %zu\nfailed %zu\n", count, failed);
    if (count == 0) return;
    printf("p50 %.3f\np99 %.3f\nmax %.3f\n", ms[count / 2],
           ms[(count * 99 + 99) / 100 - 1], ms[count - 1]);
}

/* Readable when SIGTERM has come. */
static int open_signal(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, NULL);
    return signalfd(-1, &set, SFD_CLOEXEC);
}

int load_pulse(const char *address, int port)
{
    struct pollfd end = {.fd = open_signal(), .events = POLLIN};
    double *ms = malloc(MOST * sizeof *ms), next = load_now(), took;
    size_t count = 0, failed = 0;
    int fd = open_connection(address, port), left_ms = 0;

    if (fd < 0 || !ms) return 2;
    while (count < MOST && poll(&end, 1, left_ms > 0 ? left_ms : 0) == 0) {
        took = beat(fd);
        if (took < 0) {
            failed++;
            break;
        }
        ms[count++] = took;
        next += PERIOD_MS / 1000.0;
        left_ms = (int)((next - load_now()) * 1000);
    }
    print(ms, count, failed);
    free(ms);
    close(fd);
    close(end.fd);
    return failed ? 1 : 0;
}

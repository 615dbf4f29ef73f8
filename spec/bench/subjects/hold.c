/* hold.c - opens many connections, asks once on each, then keeps them idle.
 *
 * They come from eight addresses of loopback, since one has too few ports.
 * Prints "held COUNT" when each had its answer; they stay until the process
 * is ended.
 *
 *   hold PORT PATH COUNT
 *
 * Owns:    the connections.
 * Thread:  main thread.
 * Life:    until a signal ends the process.
 * Knows:   Linux.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SOURCES = 8, ANSWER_CAP = 2048, PATIENCE_S = 20 };

static const char body[] = "Hello, World!";

static struct sockaddr_in loopback(int last, int port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)port),
        .sin_addr.s_addr = htonl(0x7f000000u + (uint32_t)last),
    };

    return address;
}

static int open_connection(int number, int port)
{
    struct sockaddr_in from = loopback(2 + number % SOURCES, 0);
    struct sockaddr_in to = loopback(1, port);
    struct timeval patience = {.tv_sec = PATIENCE_S};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0) return -1;
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (bind(fd, (struct sockaddr *)&from, sizeof from) < 0 ||
        connect(fd, (struct sockaddr *)&to, sizeof to) < 0) {
        close(fd);
        return -1;
    }
    return fd;
}

/* Sends the request and reads until the body has come. */
static bool ask(int fd, const char *request)
{
    size_t len = strlen(request), got = 0;
    char answer[ANSWER_CAP];

    if (send(fd, request, len, MSG_NOSIGNAL) != (ssize_t)len) return false;
    do {
        ssize_t n = recv(fd, answer + got, sizeof answer - got, 0);

        if (n <= 0) return false;
        got += (size_t)n;
    } while (!memmem(answer, got, body, sizeof body - 1));
    return memmem(answer, got, " 200 ", 5) != NULL;
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
    char request[512];
    int i, port, count;

    if (argc != 4) {
        fputs("usage: hold PORT PATH COUNT\n", stderr);
        return 2;
    }
    port = atoi(argv[1]);
    count = atoi(argv[3]);
    raise_limit();
    snprintf(request, sizeof request,
             "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: hold\r\n"
             "Accept: */*\r\n\r\n",
             argv[2]);
    for (i = 0; i < count; i++) {
        int fd = open_connection(i, port);

        if (fd < 0 || !ask(fd, request)) {
            fprintf(stderr, "hold: connection %d of %d: %m\n", i + 1, count);
            return 1;
        }
    }
    printf("held %d\n", count);
    fflush(stdout);
    for (;;) pause();
}

/* echo.c - the limit of an echo: an epoll loop that gives back what it reads.
 *
 * It looks at no byte: neither frames nor masks. A client that does not read
 * is dropped.
 *
 *   echo PORT
 *
 * Owns:    the listening socket, the connections.
 * Thread:  main thread.
 * Life:    until a signal ends the process.
 * Knows:   Linux.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { IN_CAP = 64 * 1024, EVENTS = 256 };

static void watch(int epoll, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0) close(fd);
}

static void on_connection(int epoll, int listener)
{
    int fd;

    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >=
           0) {
        watch(epoll, fd);
    }
}

static void on_readable(int fd)
{
    char in[IN_CAP];
    ssize_t len = read(fd, in, sizeof in);

    if (len <= 0 || write(fd, in, (size_t)len) != len) close(fd);
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
        perror("echo");
        exit(1);
    }
    return fd;
}

static void __attribute__((noreturn)) serve(int epoll, int listener)
{
    struct epoll_event events[EVENTS];

    for (;;) {
        int i, count = epoll_wait(epoll, events, EVENTS, -1);

        for (i = 0; i < count; i++) {
            if (events[i].data.fd == listener)
                on_connection(epoll, listener);
            else
                on_readable(events[i].data.fd);
        }
    }
}

int main(int argc, char **argv)
{
    int epoll = epoll_create1(EPOLL_CLOEXEC), listener;

    if (argc != 2 || epoll < 0) {
        fputs("usage: echo PORT\n", stderr);
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    listener = listen_on(atoi(argv[1]));
    watch(epoll, listener);
    serve(epoll, listener);
}

/* sockets.c - see sockets.h. */
#include "run/sockets.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/mem.h"

enum { BACKLOG = 4096, URL_BYTES = 320 };

typedef struct listener {
    char url[URL_BYTES];
    struct sockaddr_storage address;
    socklen_t address_len;
    int *fds;
    int fd_count;
    ino_t inode; /* of a unix socket's file */
    dev_t device;
    bool has_file;
} listener;

struct lq_sockets {
    size_t count;
    int workers;
    listener listeners[];
};

/* ---- URLs
 * -------------------------------------------------------------------------------
 */

static int refuse(lq_err *err, const char *url, const char *why)
{
    return lq_err_set(err, LQ_EINVALID, "--listen %.150s: %s", url, why);
}

static int fail(lq_err *err, const char *url, int code)
{
    char text[96];
    const char *why = lq_strerror(code, text, sizeof text);

    if (code == -EADDRINUSE) why = "the address is already in use";
    if (code == -EACCES)
        why = "permission denied (ports below 1024 need root or "
              "CAP_NET_BIND_SERVICE)";
    return lq_err_set(err, code, "--listen %.100s: %s", url, why);
}

/* HOST:PORT or [HOST]:PORT, perhaps with a / behind. */
static bool split_host(const char *text, char *host, size_t cap,
                       const char **port)
{
    const char *end;
    size_t len;

    if (*text == '[') {
        end = strchr(++text, ']');
        if (!end || end[1] != ':') return false;
        *port = end + 2;
    } else {
        end = strchr(text, ':');
        if (!end) return false;
        *port = end + 1;
    }
    len = (size_t)(end - text);
    if (len == 0 || len >= cap) return false;
    memcpy(host, text, len);
    host[len] = '\0';
    return true;
}

static bool check_port(const char *port, char *out, size_t cap)
{
    size_t len = strspn(port, "0123456789");

    if (len == 0 || len > 5 || len >= cap) return false;
    if (port[len] && strcmp(port + len, "/") != 0) return false;
    memcpy(out, port, len);
    out[len] = '\0';
    return atoi(out) <= 65535;
}

static int parse_tcp(listener *l, const char *url, lq_err *err)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *found;
    char host[256], digits[8];
    const char *port;
    int code;

    if (!split_host(url + 7, host, sizeof host, &port) ||
        !check_port(port, digits, sizeof digits))
        return refuse(err, url, "expected http://HOST:PORT");
    code = getaddrinfo(host, digits, &hints, &found);
    if (code != 0) return refuse(err, url, gai_strerror(code));
    memcpy(&l->address, found->ai_addr, found->ai_addrlen);
    l->address_len = found->ai_addrlen;
    freeaddrinfo(found);
    return 0;
}

static int parse_unix(listener *l, const char *url, lq_err *err)
{
    struct sockaddr_un *un = (struct sockaddr_un *)(void *)&l->address;
    const char *path = url + 5;
    size_t len = strlen(path);

    if (len == 0) return refuse(err, url, "a path is needed");
    if (len >= sizeof un->sun_path)
        return refuse(err, url,
                      "the path is too long for a unix socket (107 "
                      "bytes)");
    un->sun_family = AF_UNIX;
    memcpy(un->sun_path, path, len + 1);
    l->address_len =
        (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + 1);
    return 0;
}

static int parse(listener *l, const char *url, lq_err *err)
{
    snprintf(l->url, sizeof l->url, "%s", url);
    if (strncmp(url, "http://", 7) == 0) return parse_tcp(l, url, err);
    if (strncmp(url, "unix:", 5) == 0) return parse_unix(l, url, err);
    if (strncmp(url, "https://", 8) == 0)
        return refuse(err, url, "TLS is not available in this version");
    return refuse(err, url, "expected http://HOST:PORT or unix:/PATH");
}

int lq_sockets_check(const char *url, lq_err *err)
{
    listener l = {.fd_count = 0};

    return parse(&l, url, err);
}

/* ---- TCP
 * ----------------------------------------------------------------------------------
 */

static bool is_unix(const listener *l)
{
    return l->address.ss_family == AF_UNIX;
}

static int set_on(int fd, int level, int name)
{
    int on = 1;

    return setsockopt(fd, level, name, &on, sizeof on) < 0 ? -errno : 0;
}

static int bind_fd(const listener *l, int fd)
{
    const struct sockaddr *at = (const void *)&l->address;

    return bind(fd, at, l->address_len) < 0 ? -errno : 0;
}

static int new_socket(const listener *l)
{
    int family = l->address.ss_family, err = 0;
    int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0) return -errno;
    if (family == AF_INET6) err = set_on(fd, IPPROTO_IPV6, IPV6_V6ONLY);
    if (!err && !is_unix(l)) err = set_on(fd, SOL_SOCKET, SO_REUSEADDR);
    if (!err && !is_unix(l)) err = set_on(fd, IPPROTO_TCP, TCP_NODELAY);
    if (!err) return fd;
    close(fd);
    return err;
}

/* Without SO_REUSEPORT the kernel tells when somebody else listens. */
static int probe(const listener *l)
{
    int fd = new_socket(l), err;

    if (fd < 0) return fd;
    err = bind_fd(l, fd);
    close(fd);
    return err;
}

static void take_port(listener *l, int fd)
{
    char host[64];
    struct sockaddr_in *in = (void *)&l->address;
    struct sockaddr_in6 *in6 = (void *)&l->address;

    l->address_len = sizeof l->address;
    getsockname(fd, (struct sockaddr *)&l->address, &l->address_len);
    if (l->address.ss_family == AF_INET6) {
        inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof host);
        snprintf(l->url, sizeof l->url, "http://[%s]:%d", host,
                 ntohs(in6->sin6_port));
    } else {
        inet_ntop(AF_INET, &in->sin_addr, host, sizeof host);
        snprintf(l->url, sizeof l->url, "http://%s:%d", host,
                 ntohs(in->sin_port));
    }
}

static int bind_tcp(listener *l, int count, bool share_port)
{
    int err = share_port ? 0 : probe(l), fd;

    while (!err && l->fd_count < count) {
        fd = new_socket(l);
        if (fd < 0) return fd;
        l->fds[l->fd_count++] = fd;
        err = set_on(fd, SOL_SOCKET, SO_REUSEPORT);
        if (!err) err = bind_fd(l, fd);
        if (!err && l->fd_count == 1) take_port(l, fd);
    }
    return err;
}

/* ---- unix
 * ---------------------------------------------------------------------------------
 */

static const char *path_of(const listener *l)
{
    return ((const struct sockaddr_un *)(const void *)&l->address)->sun_path;
}

/* A socket file that nobody listens on is taken away. */
static int remove_stale(const listener *l)
{
    struct stat st;
    int fd, err;

    if (lstat(path_of(l), &st) < 0) return 0;
    if (!S_ISSOCK(st.st_mode)) return -EEXIST;
    fd = new_socket(l);
    if (fd < 0) return fd;
    err =
        connect(fd, (const void *)&l->address, l->address_len) < 0 ? errno : 0;
    close(fd);
    if (err != ECONNREFUSED) return -EADDRINUSE;
    return unlink(path_of(l)) < 0 ? -errno : 0;
}

static int bind_unix(listener *l)
{
    struct stat st;
    int err = remove_stale(l), fd;

    if (err) return err;
    fd = new_socket(l);
    if (fd < 0) return fd;
    l->fds[l->fd_count++] = fd;
    if ((err = bind_fd(l, fd)) < 0) return err;
    if (lstat(path_of(l), &st) < 0) return -errno;
    l->inode = st.st_ino;
    l->device = st.st_dev;
    l->has_file = true;
    return 0;
}

static void remove_file(const listener *l)
{
    struct stat st;

    if (!l->has_file || lstat(path_of(l), &st) < 0) return;
    if (st.st_ino == l->inode && st.st_dev == l->device) unlink(path_of(l));
}

/* ---- all of them
 * -----------------------------------------------------------------------------
 */

static int open_one(lq_sockets *s, const char *url, bool share_port,
                    lq_err *err)
{
    listener *l = &s->listeners[s->count++];
    int code = parse(l, url, err);

    if (code < 0) return code;
    l->fds = lq_mem_zalloc((size_t)s->workers * sizeof *l->fds);
    if (!l->fds) return fail(err, url, -ENOMEM);
    code = is_unix(l) ? bind_unix(l) : bind_tcp(l, s->workers, share_port);
    return code < 0 ? fail(err, url, code) : 0;
}

int lq_sockets_open(lq_sockets **out, const char *const *urls, size_t n,
                    int workers, bool share_port, lq_err *err)
{
    lq_sockets *s = lq_mem_zalloc(sizeof *s + n * sizeof s->listeners[0]);
    size_t i;
    int code;

    if (!s) return lq_err_set(err, -ENOMEM, "not enough memory");
    s->workers = workers;
    for (i = 0; i < n; i++) {
        code = open_one(s, urls[i], share_port, err);
        if (code < 0) {
            lq_sockets_close(s);
            return code;
        }
    }
    *out = s;
    return 0;
}

int lq_sockets_listen(lq_sockets *s, lq_err *err)
{
    size_t i;
    int k;

    for (i = 0; i < s->count; i++)
        for (k = 0; k < s->listeners[i].fd_count; k++)
            if (listen(s->listeners[i].fds[k], BACKLOG) < 0)
                return fail(err, s->listeners[i].url, -errno);
    return 0;
}

void lq_sockets_shut(lq_sockets *s)
{
    size_t i;
    int k;

    for (i = 0; i < s->count; i++)
        for (k = 0; k < s->listeners[i].fd_count; k++)
            shutdown(s->listeners[i].fds[k], SHUT_RDWR);
}

size_t lq_sockets_count(const lq_sockets *s)
{
    return s->count;
}

int lq_sockets_fd(const lq_sockets *s, size_t i, int worker)
{
    const listener *l = &s->listeners[i];

    return l->fds[is_unix(l) ? 0 : worker];
}

bool lq_sockets_is_shared(const lq_sockets *s, size_t i)
{
    return is_unix(&s->listeners[i]);
}

const char *lq_sockets_url(const lq_sockets *s, size_t i)
{
    return s->listeners[i].url;
}

void lq_sockets_close(lq_sockets *s)
{
    size_t i;
    int k;

    if (!s) return;
    for (i = 0; i < s->count; i++) {
        for (k = 0; k < s->listeners[i].fd_count; k++)
            close(s->listeners[i].fds[k]);
        remove_file(&s->listeners[i]);
        lq_mem_free(s->listeners[i].fds);
    }
    lq_mem_free(s);
}

/* sockets.c - see sockets.h. */
#include "run/sockets.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/mem.h"
#include "run/listen_url.h"
#include "run/tcp_socket.h"

enum { URL_BYTES = 320 };

typedef struct listener {
    char url[URL_BYTES];
    struct sockaddr_storage address;
    socklen_t address_len;
    int *fds;
    int fd_count;
    ino_t inode; /* of a unix socket's file */
    dev_t device;
    bool has_file;
    bool is_given; /* somebody else listens on it, too */
} listener;

struct lq_sockets {
    size_t count;
    int workers;
    bool is_port_shared;
    listener listeners[];
};

/* ---- addresses ----------------------------------------------------------- */

static bool is_unix(const listener *l)
{
    return l->address.ss_family == AF_UNIX;
}

static bool is_shared(const listener *l)
{
    return is_unix(l) || l->is_given;
}

/* Where the port stands; the same for IPv4 and IPv6. */
static in_port_t *port_of(listener *l)
{
    return l->address.ss_family == AF_INET6
               ? &((struct sockaddr_in6 *)(void *)&l->address)->sin6_port
               : &((struct sockaddr_in *)(void *)&l->address)->sin_port;
}

static void put_url(listener *l, const lq_listen_url *p)
{
    if (p->path)
        snprintf(l->url, sizeof l->url, "unix:%s", p->path);
    else
        snprintf(l->url, sizeof l->url, "http://%s%s%s:%d", p->is_v6 ? "[" : "",
                 p->host, p->is_v6 ? "]" : "", p->port);
}

static void set_path(listener *l, const char *path)
{
    struct sockaddr_un *un = (void *)&l->address;
    size_t len = strlen(path);

    un->sun_family = AF_UNIX;
    memcpy(un->sun_path, path, len + 1);
    l->address_len =
        (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + 1);
}

/* localhost, or a name below it, perhaps with the dot of the root behind. */
static bool is_localhost(const char *host)
{
    static const char name[] = "localhost";
    size_t len = strlen(host), name_len = sizeof name - 1;

    if (len > 0 && host[len - 1] == '.') len--;
    if (len < name_len) return false;
    host += len - name_len;
    return strncasecmp(host, name, name_len) == 0 &&
           (len == name_len || host[-1] == '.');
}

/* A name that has addresses of both kinds means the IPv4 one. For `localhost`
 * nobody is asked, it is 127.0.0.1 on every machine (RFC 6761 section 6.3). */
static int resolve(listener *l, const lq_listen_url *p, lq_err *err)
{
    bool is_local = is_localhost(p->host);
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                             .ai_flags =
                                 p->is_v6 || is_local ? AI_NUMERICHOST : 0};
    struct addrinfo *found, *at;
    int code =
        getaddrinfo(is_local ? "127.0.0.1" : p->host, NULL, &hints, &found);

    if (code != 0)
        return lq_listen_url_refuse(err, l->url,
                                    code == EAI_SYSTEM ? strerror(errno)
                                                       : gai_strerror(code));
    for (at = found; at && at->ai_family != AF_INET;) at = at->ai_next;
    if (!at) at = found;
    memcpy(&l->address, at->ai_addr, at->ai_addrlen);
    l->address_len = at->ai_addrlen;
    freeaddrinfo(found);
    *port_of(l) = htons((uint16_t)p->port);
    return 0;
}

/* ---- sockets ------------------------------------------------------------- */

static int bind_fd(const listener *l, int fd)
{
    return lq_tcp_socket_bind(fd, &l->address, l->address_len);
}

static int new_socket(const listener *l)
{
    int fd;

    if (!is_unix(l)) return lq_tcp_socket_new(l->address.ss_family);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    return fd < 0 ? -errno : fd;
}

/* ---- TCP ----------------------------------------------------------------- */

static int probe(const listener *l)
{
    return lq_tcp_socket_probe(&l->address, l->address_len);
}

static int take_port(listener *l, int fd, lq_listen_url *p)
{
    l->address_len = sizeof l->address;
    if (getsockname(fd, (void *)&l->address, &l->address_len) < 0)
        return -errno;
    p->port = ntohs(*port_of(l));
    put_url(l, p);
    return 0;
}

/* The first bind picks where the port is 0, the others take the same. */
static int bind_tcp(listener *l, lq_listen_url *p, int count, bool share_port)
{
    int err = share_port || p->port == 0 ? 0 : probe(l), fd;

    while (!err && l->fd_count < count) {
        fd = new_socket(l);
        if (fd < 0) return fd;
        l->fds[l->fd_count++] = fd;
        err = lq_tcp_socket_share(fd);
        if (!err) err = bind_fd(l, fd);
        if (!err && p->port == 0) err = take_port(l, fd, p);
    }
    return err;
}

/* ---- unix ---------------------------------------------------------------- */

static const char *path_of(const listener *l)
{
    return ((const struct sockaddr_un *)(const void *)&l->address)->sun_path;
}

/* A socket file that nobody listens on is taken away; any other file stays. */
static int remove_stale(const listener *l)
{
    struct stat st;
    int fd, err;

    if (lstat(path_of(l), &st) < 0) return errno == ENOENT ? 0 : -errno;
    if (!S_ISSOCK(st.st_mode)) return -EEXIST;
    fd = new_socket(l);
    if (fd < 0) return fd;
    err =
        connect(fd, (const void *)&l->address, l->address_len) < 0 ? errno : 0;
    close(fd);
    if (err == EACCES || err == EPERM) return -err;
    if (err == ENOENT) return 0;
    if (err != ECONNREFUSED) return -EADDRINUSE;
    return unlink(path_of(l)) < 0 && errno != ENOENT ? -errno : 0;
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

/* While our socket is open, no other file can get its inode. */
static bool has_own_file(const listener *l)
{
    struct stat st;

    return l->has_file && lstat(path_of(l), &st) == 0 &&
           st.st_ino == l->inode && st.st_dev == l->device;
}

/* ---- one URL ------------------------------------------------------------- */

static const char *explain(const listener *l, int code, char *buf, size_t cap)
{
    if (code == -EACCES && is_unix(l)) return "permission denied";
    switch (code) {
    case -EEXIST: return "there is a file that is no socket";
    case -ESTALE: return "another process took the file away";
    case -EMFILE: return "too many open files: it takes one for each worker";
    default: return lq_tcp_socket_explain(code, buf, cap);
    }
}

static int fail(lq_err *err, const listener *l, int code)
{
    char buf[96];

    return lq_err_set(err, code, "--listen %.120s: %s", l->url,
                      explain(l, code, buf, sizeof buf));
}

/* Whether an earlier listener has the address already: the kernel would not
 * mind, as these sockets share their port. */
static bool is_double(const lq_sockets *s, const listener *l)
{
    const listener *other = s->listeners;

    for (; other < l; other++)
        if (other->address_len == l->address_len &&
            memcmp(&other->address, &l->address, l->address_len) == 0)
            return true;
    return false;
}

static int open_one(lq_sockets *s, const char *url, lq_err *err)
{
    listener *l = &s->listeners[s->count++];
    lq_listen_url p;
    int code = lq_listen_url_parse(&p, url, err);

    if (code < 0) return code;
    put_url(l, &p);
    if (p.path)
        set_path(l, p.path);
    else
        code = resolve(l, &p, err);
    if (code < 0) return code;
    if ((p.path || p.port) && is_double(s, l))
        return lq_listen_url_refuse(err, l->url, "it is given twice");
    l->fds = lq_mem_zalloc((size_t)s->workers * sizeof *l->fds);
    if (!l->fds) return fail(err, l, -ENOMEM);
    code =
        p.path ? bind_unix(l) : bind_tcp(l, &p, s->workers, s->is_port_shared);
    return code < 0 ? fail(err, l, code) : 0;
}

/* ---- given --------------------------------------------------------------- */

/* A path, or '@' and a name that has no file; a line cannot be broken by it. */
static void put_unix_url(listener *l)
{
    const size_t begin = offsetof(struct sockaddr_un, sun_path);
    char *at;
    int len = l->address_len > begin ? (int)(l->address_len - begin) : 0;
    bool is_abstract = len > 0 && !path_of(l)[0];

    snprintf(l->url, sizeof l->url, "unix:%s%.*s", is_abstract ? "@" : "",
             len - is_abstract, path_of(l) + is_abstract);
    for (at = l->url; *at; at++)
        if ((unsigned char)*at < ' ' || *at == 0x7f) *at = '?';
}

static int put_given_url(listener *l)
{
    const struct sockaddr *at = (const void *)&l->address;
    bool is_v6 = l->address.ss_family == AF_INET6;
    char host[INET6_ADDRSTRLEN + IF_NAMESIZE + 1], port[8];

    if (is_unix(l)) {
        put_unix_url(l);
        return 0;
    }
    if (getnameinfo(at, l->address_len, host, sizeof host, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        return -EINVAL;
    snprintf(l->url, sizeof l->url, "http://%s%s%s:%s", is_v6 ? "[" : "", host,
             is_v6 ? "]" : "", port);
    return 0;
}

static int adopt(lq_sockets *s, int fd, lq_err *err)
{
    listener *l = &s->listeners[s->count++];
    int code = 0;

    l->is_given = true;
    l->fds = lq_mem_zalloc(sizeof *l->fds);
    if (!l->fds) {
        close(fd);
        return fail(err, l, -ENOMEM);
    }
    l->fds[l->fd_count++] = fd;
    l->address_len = sizeof l->address;
    if (getsockname(fd, (void *)&l->address, &l->address_len) < 0)
        code = -errno;
    if (code == 0) code = put_given_url(l);
    if (code == 0 && !is_unix(l)) code = lq_tcp_socket_prepare(fd);
    return code < 0 ? fail(err, l, code) : 0;
}

/* ---- all of them --------------------------------------------------------- */

static int open_all(lq_sockets *s, const lq_sockets_cfg *cfg, lq_err *err)
{
    int code = 0, given;
    size_t i;

    for (i = 0; i < cfg->given_count; i++) {
        given = adopt(s, cfg->given[i], err);
        if (code == 0) code = given;
    }
    for (i = 0; i < cfg->url_count && code == 0; i++)
        code = open_one(s, cfg->urls[i], err);
    return code;
}

int lq_sockets_open(lq_sockets **out, const lq_sockets_cfg *cfg, lq_err *err)
{
    size_t most = cfg->given_count + cfg->url_count;
    lq_sockets *s = lq_mem_zalloc(sizeof *s + most * sizeof s->listeners[0]);
    int code;

    if (!s) return lq_err_set(err, -ENOMEM, "not enough memory");
    s->workers = cfg->workers;
    s->is_port_shared = cfg->share_port;
    code = open_all(s, cfg, err);
    if (code < 0) {
        lq_sockets_close(s);
        return code;
    }
    *out = s;
    return 0;
}

/* Whether the address is still ours alone. Two that are bound and do not
 * listen yet do not see each other: the first to listen has it. */
static int check_again(const lq_sockets *s, const listener *l)
{
    if (l->is_given) return 0;
    if (is_unix(l)) return has_own_file(l) ? 0 : -ESTALE;
    return s->is_port_shared ? 0 : probe(l);
}

static int listen_on(const listener *l)
{
    int i, err = 0;

    for (i = 0; i < l->fd_count && !l->is_given && err == 0; i++)
        err = lq_tcp_socket_listen(l->fds[i]);
    return err;
}

/* Whether all do: the last one is told last, and is not given if any is not. */
static bool is_listening(const lq_sockets *s)
{
    const listener *l = &s->listeners[s->count - 1];

    return lq_tcp_socket_listens(l->fds[l->fd_count - 1]);
}

int lq_sockets_listen(lq_sockets *s, lq_err *err)
{
    size_t i;
    int code = 0;

    if (is_listening(s)) return 0; /* a runtime before this one has begun */
    for (i = 0; i < s->count; i++) {
        code = check_again(s, &s->listeners[i]);
        if (code < 0) return fail(err, &s->listeners[i], code);
    }
    for (i = 0; i < s->count; i++) {
        code = listen_on(&s->listeners[i]);
        if (code < 0) return fail(err, &s->listeners[i], code);
    }
    return 0;
}

void lq_sockets_gate(lq_sockets *s)
{
    const listener *l;
    size_t i;
    int k;

    lq_sockets_unlink(s);
    for (i = 0; i < s->count; i++) {
        l = &s->listeners[i];
        for (k = 0; k < l->fd_count && !is_shared(l); k++)
            lq_tcp_socket_gate(l->fds[k]);
    }
}

void lq_sockets_shut(lq_sockets *s)
{
    size_t i;
    int k;

    for (i = 0; i < s->count; i++)
        for (k = 0; k < s->listeners[i].fd_count; k++)
            if (!s->listeners[i].is_given)
                shutdown(s->listeners[i].fds[k], SHUT_RDWR);
}

size_t lq_sockets_count(const lq_sockets *s)
{
    return s->count;
}

int lq_sockets_fd(const lq_sockets *s, size_t i, int worker)
{
    const listener *l = &s->listeners[i];

    return l->fds[is_shared(l) ? 0 : worker];
}

bool lq_sockets_is_shared(const lq_sockets *s, size_t i)
{
    return is_shared(&s->listeners[i]);
}

bool lq_sockets_have(const lq_sockets *s,
                     const struct sockaddr_storage *address, socklen_t len)
{
    const listener *l = s->listeners;

    while (l < s->listeners + s->count &&
           (l->address_len != len || memcmp(&l->address, address, len) != 0))
        l++;
    return l < s->listeners + s->count;
}

const char *lq_sockets_url(const lq_sockets *s, size_t i)
{
    return s->listeners[i].url;
}

void lq_sockets_unlink(const lq_sockets *s)
{
    size_t i;

    for (i = 0; i < s->count; i++)
        if (has_own_file(&s->listeners[i])) unlink(path_of(&s->listeners[i]));
}

void lq_sockets_leave_files(lq_sockets *s)
{
    size_t i;

    for (i = 0; i < s->count; i++) s->listeners[i].has_file = false;
}

void lq_sockets_close(lq_sockets *s)
{
    listener *l;
    size_t i;
    int k;

    if (!s) return;
    lq_sockets_unlink(s);
    for (i = 0; i < s->count; i++) {
        l = &s->listeners[i];
        for (k = 0; k < l->fd_count; k++) close(l->fds[k]);
        lq_mem_free(l->fds);
    }
    lq_mem_free(s);
}

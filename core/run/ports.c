/* ports.c - see ports.h. */
#include "run/ports.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "base/mem.h"
#include "run/ask.h"
#include "run/tcp_socket.h"

enum { NAME_BYTES = 64 };

/* What the workers of one generation want with a port. */
typedef struct hold {
    lq_list link;
    const struct lq_crew *crew;
    char *options;
    int wants[]; /* by place, the worker's number of restarts and one; 0: not */
} hold;

struct lq_port {
    /* Set before anybody else sees it, then constant. */
    lq_keep_key key;
    char name[NAME_BYTES]; /* as it was asked for: "127.0.0.1:7000" */
    int fd;
    int number;
    uint16_t tcp_port;

    /* Guarded by the lock. */
    lq_list link; /* in no list: nobody wants it any more */
    lq_list holds;
    int users;
    bool is_gated;
};

struct lq_ports {
    lq_ports_cfg cfg;

    uv_mutex_t asking; /* one at a time; never taken under the lock */
    int questions;     /* guarded by it */

    uv_mutex_t lock; /* never held for long; of the rest */
    lq_keep keep;    /* without a guard */
    lq_list ports;
    int last_number;
    bool is_over;
    bool is_handed_over;
};

/* ---- addresses ----------------------------------------------------------- */

static uint16_t tcp_port_of(const struct sockaddr_storage *address)
{
    return ntohs(
        address->ss_family == AF_INET6
            ? ((const struct sockaddr_in6 *)(const void *)address)->sin6_port
            : ((const struct sockaddr_in *)(const void *)address)->sin_port);
}

static void put_name(const lq_listen_spec *spec, char *out)
{
    bool is_v6 = strchr(spec->address, ':') != NULL;

    snprintf(out, NAME_BYTES, "%s%.48s%s:%u", is_v6 ? "[" : "", spec->address,
             is_v6 ? "]" : "", (unsigned)spec->port);
}

static int refuse(lq_err *err, int code, const char *name, const char *why)
{
    return lq_err_set(err, code, "cannot listen on %s: %s", name, why);
}

static int refuse_for(lq_err *err, int code, const char *name)
{
    char buf[96];

    if (code == LQ_ETIMEOUT) return refuse(err, code, name, "no answer");
    if (code == -EPIPE) return refuse(err, code, name, "the guard has gone");
    return refuse(err, code, name,
                  lq_tcp_socket_explain(code, buf, sizeof buf));
}

/* A numeric address; nobody is asked for a name. */
static int make_key(const lq_listen_spec *spec, int ordinal, lq_keep_key *key)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                                   .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};
    struct addrinfo *found;
    char port[8];

    snprintf(port, sizeof port, "%u", (unsigned)spec->port);
    if (getaddrinfo(spec->address, port, &hints, &found) != 0)
        return LQ_EINVALID;
    memset(key, 0, sizeof *key);
    memcpy(&key->address, found->ai_addr, found->ai_addrlen);
    key->len = found->ai_addrlen;
    key->ordinal = ordinal;
    freeaddrinfo(found);
    return 0;
}

/* ---- ports --------------------------------------------------------------- */

static lq_port *port_at(const lq_list *link)
{
    return LQ_CONTAINER_OF(link, lq_port, link);
}

static hold *hold_at(const lq_list *link)
{
    return LQ_CONTAINER_OF(link, hold, link);
}

static lq_port *find_port(const lq_ports *p, const lq_keep_key *key)
{
    const lq_list *link = p->ports.next;

    while (link != &p->ports &&
           memcmp(&port_at(link)->key, key, sizeof *key) != 0)
        link = link->next;
    return link == &p->ports ? NULL : port_at(link);
}

static hold *find_hold(const lq_port *port, const struct lq_crew *crew)
{
    const lq_list *link = port->holds.next;

    while (link != &port->holds && hold_at(link)->crew != crew)
        link = link->next;
    return link == &port->holds ? NULL : hold_at(link);
}

static void free_port(lq_port *port)
{
    close(port->fd);
    lq_mem_free(port);
}

static void drop_from_keep(lq_ports *p, const lq_port *port)
{
    if (p->cfg.guard_fd >= 0)
        lq_ask_drop(p->cfg.guard_fd, &port->key);
    else
        lq_keep_drop(&p->keep, &port->key);
}

/* Nobody wants it any more: it refuses, and is freed by who releases it last.
 * The lock is held. */
static void close_if_unwanted(lq_ports *p, lq_port *port)
{
    if (!lq_list_is_empty(&port->holds)) return;
    if (!p->is_handed_over) {
        shutdown(port->fd, SHUT_RDWR);
        drop_from_keep(p, port);
    }
    lq_list_remove(&port->link);
    if (port->users == 0) free_port(port);
}

static void free_hold(hold *h)
{
    lq_list_remove(&h->link);
    lq_mem_free(h->options);
    lq_mem_free(h);
}

static int new_hold(const lq_ports *p, lq_port *port, const char *options,
                    const struct lq_crew *crew, hold **out)
{
    size_t count = (size_t)p->cfg.workers;
    hold *h = lq_mem_zalloc(sizeof *h + count * sizeof h->wants[0]);

    if (h) h->options = lq_mem_strndup(options, strlen(options));
    if (!h || !h->options) {
        lq_mem_free(h);
        return -ENOMEM;
    }
    h->crew = crew;
    lq_list_push_back(&port->holds, &h->link);
    *out = h;
    return 0;
}

/* The lock is held. */
static int want(lq_ports *p, lq_port *port, const lq_listen_spec *spec,
                const lq_ports_user *user, lq_err *err)
{
    hold *h = find_hold(port, user->crew);

    if (h && h->wants[user->index] == user->restarts + 1)
        return refuse(err, LQ_EINVALID, port->name,
                      "this worker does so already");
    if (h && strcmp(h->options, spec->options) != 0)
        return lq_err_set(err, LQ_EINVALID,
                          "cannot listen on %s: another worker does with other "
                          "options (%.76s, not %.76s)",
                          port->name, h->options, spec->options);
    if (!h && new_hold(p, port, spec->options, user->crew, &h) < 0)
        return refuse_for(err, -ENOMEM, port->name);
    h->wants[user->index] = user->restarts + 1;
    port->users++;
    if (port->is_gated) lq_tcp_socket_ungate(port->fd);
    port->is_gated = false;
    return 0;
}

/* ---- taking -------------------------------------------------------------- */

/* A descriptor of its own for a socket that is kept here. */
static int get_kept(lq_ports *p, const lq_keep_key *key)
{
    int fd, copy;

    uv_mutex_lock(&p->lock);
    fd = lq_keep_get(&p->keep, key);
    copy = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (fd >= 0) fd = copy < 0 ? -errno : copy;
    uv_mutex_unlock(&p->lock);
    return fd;
}

static int get_socket(lq_ports *p, const lq_keep_key *key)
{
    return p->cfg.guard_fd < 0
               ? get_kept(p, key)
               : lq_ask_port(p->cfg.guard_fd, key, ++p->questions);
}

static int read_tcp_port(lq_port *port)
{
    struct sockaddr_storage real;
    socklen_t len = sizeof real;

    if (getsockname(port->fd, (void *)&real, &len) < 0) return -errno;
    port->tcp_port = tcp_port_of(&real);
    return 0;
}

static int make_port(lq_ports *p, const lq_keep_key *key, const char *name,
                     lq_port **out)
{
    lq_port *port = lq_mem_zalloc(sizeof *port);
    int err;

    if (!port) return -ENOMEM;
    lq_list_init(&port->link);
    lq_list_init(&port->holds);
    port->key = *key;
    snprintf(port->name, sizeof port->name, "%s", name);
    port->fd = get_socket(p, key);
    err = port->fd < 0 ? port->fd : read_tcp_port(port);
    if (err == 0) {
        *out = port;
        return 0;
    }
    if (port->fd >= 0) close(port->fd);
    lq_mem_free(port);
    return err;
}

/* Returns -EAGAIN when there is no such port yet. */
static int take_known(lq_ports *p, const lq_keep_key *key,
                      const lq_listen_spec *spec, const lq_ports_user *user,
                      lq_port **out, lq_err *err)
{
    lq_port *port;
    int code = -EAGAIN;

    uv_mutex_lock(&p->lock);
    port = find_port(p, key);
    if (p->is_over)
        code = lq_err_set(err, LQ_ECLOSED, "the runtime comes to its end");
    else if (port)
        code = want(p, port, spec, user, err);
    uv_mutex_unlock(&p->lock);
    if (code == 0) *out = port;
    return code;
}

static int take_new(lq_ports *p, lq_port *port, const lq_listen_spec *spec,
                    const lq_ports_user *user, lq_err *err)
{
    int code;

    uv_mutex_lock(&p->lock);
    port->number = ++p->last_number;
    lq_list_push_back(&p->ports, &port->link);
    code = want(p, port, spec, user, err);
    if (code < 0) close_if_unwanted(p, port);
    uv_mutex_unlock(&p->lock);
    return code;
}

/* Those of --listen may share their ports, with these, too. */
static int make_unless_taken(lq_ports *p, const lq_keep_key *key,
                             const char *name, lq_port **out)
{
    return lq_sockets_have(p->cfg.sockets, &key->address, key->len)
               ? -EADDRINUSE
               : make_port(p, key, name, out);
}

static int take(lq_ports *p, const lq_keep_key *key, const lq_listen_spec *spec,
                const lq_ports_user *user, lq_port **out, lq_err *err)
{
    char name[NAME_BYTES];
    lq_port *port;
    int code = take_known(p, key, spec, user, out, err);

    if (code != -EAGAIN) return code;
    put_name(spec, name);
    code = make_unless_taken(p, key, name, &port);
    if (code < 0) return refuse_for(err, code, name);
    code = take_new(p, port, spec, user, err);
    if (code == 0) *out = port;
    return code;
}

int lq_ports_take(lq_ports *p, const lq_listen_spec *spec, int ordinal,
                  const lq_ports_user *user, lq_port **out, lq_err *err)
{
    char name[NAME_BYTES];
    lq_keep_key key;
    int code = make_key(spec, ordinal, &key);

    if (code < 0) {
        put_name(spec, name);
        return refuse(err, code, name, "the address is not numeric");
    }
    uv_mutex_lock(&p->asking);
    code = take(p, &key, spec, user, out, err);
    uv_mutex_unlock(&p->asking);
    return code;
}

/* ---- giving back --------------------------------------------------------- */

static bool is_wanted(const lq_ports *p, const hold *h)
{
    int i;

    for (i = 0; i < p->cfg.workers; i++)
        if (h->wants[i]) return true;
    return false;
}

void lq_ports_leave(lq_ports *p, lq_port *port, const lq_ports_user *user)
{
    hold *h;

    uv_mutex_lock(&p->lock);
    h = find_hold(port, user->crew);
    if (h && h->wants[user->index] == user->restarts + 1) {
        h->wants[user->index] = 0;
        if (!is_wanted(p, h)) free_hold(h);
        close_if_unwanted(p, port);
    }
    uv_mutex_unlock(&p->lock);
}

void lq_ports_release(lq_ports *p, lq_port *port)
{
    uv_mutex_lock(&p->lock);
    if (--port->users == 0 && lq_list_is_empty(&port->holds)) free_port(port);
    uv_mutex_unlock(&p->lock);
}

void lq_ports_forget(lq_ports *p, const struct lq_crew *crew)
{
    lq_list *link, *next;
    lq_port *port;
    hold *h;

    uv_mutex_lock(&p->lock);
    for (link = p->ports.next; link != &p->ports; link = next) {
        next = link->next;
        port = port_at(link);
        h = find_hold(port, crew);
        if (!h) continue;
        free_hold(h);
        close_if_unwanted(p, port);
    }
    uv_mutex_unlock(&p->lock);
}

/* ---- listening ----------------------------------------------------------- */

int lq_ports_listen_on(const lq_port *port, lq_err *err)
{
    int code =
        lq_tcp_socket_listens(port->fd) ? 0 : lq_tcp_socket_listen(port->fd);

    return code < 0 ? refuse_for(err, code, port->name) : 0;
}

int lq_ports_listen(lq_ports *p, const struct lq_crew *crew, lq_err *err)
{
    const lq_list *link;
    int code = 0;

    uv_mutex_lock(&p->lock);
    for (link = p->ports.next; link != &p->ports && code == 0;
         link = link->next)
        if (find_hold(port_at(link), crew))
            code = lq_ports_listen_on(port_at(link), err);
    uv_mutex_unlock(&p->lock);
    return code;
}

/* The lock is held. */
static void gate_but(lq_ports *p, const struct lq_crew *crew)
{
    const lq_list *link;
    lq_port *port;

    if (p->is_handed_over) return;
    for (link = p->ports.next; link != &p->ports; link = link->next) {
        port = port_at(link);
        if (crew && find_hold(port, crew)) continue;
        port->is_gated = true;
        lq_tcp_socket_gate(port->fd);
    }
}

void lq_ports_gate(lq_ports *p, const struct lq_crew *crew)
{
    uv_mutex_lock(&p->lock);
    gate_but(p, crew);
    uv_mutex_unlock(&p->lock);
}

void lq_ports_end(lq_ports *p)
{
    uv_mutex_lock(&p->lock);
    p->is_over = true;
    gate_but(p, NULL);
    uv_mutex_unlock(&p->lock);
}

void lq_ports_hand_over(lq_ports *p)
{
    uv_mutex_lock(&p->lock);
    p->is_over = p->is_handed_over = true;
    uv_mutex_unlock(&p->lock);
}

/* ---- the whole ----------------------------------------------------------- */

int lq_port_fd(const lq_port *port)
{
    return port->fd;
}

int lq_port_number(const lq_port *port)
{
    return port->number;
}

uint16_t lq_port_real(const lq_port *port)
{
    return port->tcp_port;
}

int lq_ports_new(lq_ports **out, const lq_ports_cfg *cfg)
{
    lq_ports *p = lq_mem_zalloc(sizeof *p);
    int err;

    if (!p) return -ENOMEM;
    p->cfg = *cfg;
    lq_list_init(&p->ports);
    lq_keep_init(&p->keep, cfg->share_port);
    if ((err = uv_mutex_init(&p->asking)) < 0) goto fail;
    if ((err = uv_mutex_init(&p->lock)) < 0) goto fail_lock;
    *out = p;
    return 0;

fail_lock:
    uv_mutex_destroy(&p->asking);
fail:
    lq_mem_free(p);
    return err;
}

void lq_ports_free(lq_ports *p)
{
    if (!p) return;
    LQ_ASSERT(lq_list_is_empty(&p->ports));
    lq_keep_fini(&p->keep);
    uv_mutex_destroy(&p->asking);
    uv_mutex_destroy(&p->lock);
    if (p->cfg.guard_fd >= 0) close(p->cfg.guard_fd);
    lq_mem_free(p);
}

/* lookup.c - see lookup.h. */
#include "pg/lookup.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <strings.h>

#include "base/buf.h"
#include "base/mem.h"

enum { ADDRESSES_MAX = 64 };

struct lq_pg_lookup {
    uv_getaddrinfo_t req;
    lq_loop *loop;
    const lq_pg_url *url;
    size_t *under_way;
    void (*on_done)(void *, const lq_pg_hosts *, int); /* NULL: abandoned */
    void *data;
    int next; /* host */
    int count;
    int err;
    lq_buf names;
    lq_buf addresses;
    lq_buf ports;
};

static void free_lookup(lq_pg_lookup *l)
{
    lq_buf_fini(&l->names);
    lq_buf_fini(&l->addresses);
    lq_buf_fini(&l->ports);
    lq_mem_free(l);
}

/* Puts `text` and a comma or, at the end of the list, a NUL behind it. */
static int put(lq_buf *list, const char *text)
{
    size_t len = strlen(text);

    if (lq_buf_reserve(list, len + 2) < 0) return -ENOMEM;
    if (lq_buf_len(list) > 0) list->data[list->tail - 1] = ',';
    lq_buf_put(list, text, len + 1);
    return 0;
}

static void add(lq_pg_lookup *l, const lq_pg_host *h, const char *address)
{
    if (l->count == ADDRESSES_MAX) return;
    if (put(&l->names, h->name) < 0 || put(&l->addresses, address) < 0 ||
        put(&l->ports, h->port) < 0)
        l->err = -ENOMEM;
    l->count++;
}

static bool is_numeric(const char *name)
{
    struct in6_addr any;

    return inet_pton(AF_INET, name, &any) == 1 ||
           inet_pton(AF_INET6, name, &any) == 1;
}

/* Whether the host needs no resolver. */
static bool add_known(lq_pg_lookup *l, const lq_pg_host *h)
{
    bool is_local = *h->name == '\0' || *h->name == '/' || *h->name == '@';

    if (*h->address || is_local) {
        add(l, h, h->address);
    } else if (is_numeric(h->name)) {
        add(l, h, h->name);
    } else if (strcasecmp(h->name, "localhost") == 0) {
        add(l, h, "127.0.0.1");
        add(l, h, "::1");
    } else {
        return false;
    }
    return true;
}

static void finish(lq_pg_lookup *l)
{
    lq_pg_hosts hosts = {lq_buf_ptr(&l->names), lq_buf_ptr(&l->addresses),
                         lq_buf_ptr(&l->ports)};
    int err = l->err == -ENOMEM || l->count == 0 ? l->err : 0;

    if (l->on_done) l->on_done(l->data, err ? NULL : &hosts, err);
    free_lookup(l);
}

static int go_on(lq_pg_lookup *l);

static void add_found(lq_pg_lookup *l, const struct addrinfo *at)
{
    const lq_pg_host *h;
    char text[INET6_ADDRSTRLEN];
    int n;

    h = &lq_pg_url_hosts(l->url, &n)[l->next - 1];
    for (; at; at = at->ai_next) {
        n = at->ai_family == AF_INET
                ? uv_ip4_name((const void *)at->ai_addr, text, sizeof text)
                : uv_ip6_name((const void *)at->ai_addr, text, sizeof text);
        if (n == 0) add(l, h, text);
    }
}

static void on_found(uv_getaddrinfo_t *req, int status, struct addrinfo *list)
{
    lq_pg_lookup *l = LQ_CONTAINER_OF(req, lq_pg_lookup, req);

    --*l->under_way;
    if (!l->on_done) {
        free_lookup(l);
    } else {
        if (status < 0)
            l->err = status;
        else
            add_found(l, list);
        if ((status = go_on(l)) < 0) {
            l->err = status;
            finish(l);
        }
    }
    uv_freeaddrinfo(list);
}

/* Ends it, or begins with the next name. */
static int go_on(lq_pg_lookup *l)
{
    static const struct addrinfo hints = {.ai_family = AF_UNSPEC,
                                          .ai_socktype = SOCK_STREAM};
    const lq_pg_host *hosts;
    int count, err;

    hosts = lq_pg_url_hosts(l->url, &count);
    while (l->next < count && add_known(l, &hosts[l->next])) l->next++;
    if (l->next == count || l->err == -ENOMEM) {
        finish(l);
        return 0;
    }
    err = uv_getaddrinfo(lq_loop_uv(l->loop), &l->req, on_found,
                         hosts[l->next++].name, NULL, &hints);
    if (err == 0) ++*l->under_way;
    return err;
}

int lq_pg_lookup_start(lq_pg_lookup **out, lq_loop *loop, const lq_pg_url *url,
                       size_t *under_way,
                       void (*on_done)(void *, const lq_pg_hosts *, int err),
                       void *data)
{
    lq_pg_lookup *l = lq_mem_zalloc(sizeof *l);
    int err;

    if (!l) return -ENOMEM;
    l->loop = loop;
    l->url = url;
    l->under_way = under_way;
    l->on_done = on_done;
    l->data = data;
    l->err = UV_EAI_NODATA;
    *out = l;
    if ((err = go_on(l)) < 0) free_lookup(l);
    return err;
}

void lq_pg_lookup_abandon(lq_pg_lookup *l)
{
    if (!l) return;
    l->on_done = NULL;
    uv_cancel((uv_req_t *)&l->req);
}

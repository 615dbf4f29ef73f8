/* keep.c - see keep.h. */
#include "run/keep.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "run/tcp_socket.h"

typedef struct kept {
    lq_list link;
    lq_keep_key key;
    int fd;
    int round; /* in which it was asked for last */
} kept;

void lq_keep_init(lq_keep *k, bool share)
{
    *k = (lq_keep){.is_shared = share};
    lq_list_init(&k->sockets);
}

static void close_kept(kept *s)
{
    lq_list_remove(&s->link);
    close(s->fd);
    lq_mem_free(s);
}

static kept *find(lq_keep *k, const lq_keep_key *key)
{
    lq_list *link;
    kept *s;

    for (link = k->sockets.next; link != &k->sockets; link = link->next) {
        s = LQ_CONTAINER_OF(link, kept, link);
        if (memcmp(&s->key, key, sizeof *key) == 0) return s;
    }
    return NULL;
}

static int bind_new(const lq_keep *k, const lq_keep_key *key)
{
    int fd = lq_tcp_socket_new(key->address.ss_family), err = 0;

    if (fd < 0) return fd;
    if (k->is_shared) err = lq_tcp_socket_share(fd);
    if (!err) err = lq_tcp_socket_bind(fd, &key->address, key->len);
    if (!err) return fd;
    close(fd);
    return err;
}

static int make(lq_keep *k, const lq_keep_key *key, kept **out)
{
    kept *s = lq_mem_zalloc(sizeof *s);

    if (!s) return -ENOMEM;
    s->fd = bind_new(k, key);
    if (s->fd < 0) {
        int err = s->fd;

        lq_mem_free(s);
        return err;
    }
    s->key = *key;
    lq_list_push_back(&k->sockets, &s->link);
    *out = s;
    return 0;
}

int lq_keep_get(lq_keep *k, const lq_keep_key *key)
{
    kept *s = find(k, key);
    int err = s ? 0 : make(k, key, &s);

    if (err < 0) return err;
    s->round = k->round;
    return s->fd;
}

void lq_keep_drop(lq_keep *k, const lq_keep_key *key)
{
    kept *s = find(k, key);

    if (s) close_kept(s);
}

void lq_keep_begin(lq_keep *k)
{
    k->round++;
}

static void close_before(lq_keep *k, int round)
{
    lq_list *link, *next;
    kept *s;

    for (link = k->sockets.next; link != &k->sockets; link = next) {
        next = link->next;
        s = LQ_CONTAINER_OF(link, kept, link);
        if (s->round < round) close_kept(s);
    }
}

void lq_keep_settle(lq_keep *k)
{
    close_before(k, k->round);
}

void lq_keep_fini(lq_keep *k)
{
    close_before(k, k->round + 1);
}

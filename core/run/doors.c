/* doors.c - see doors.h. */
#include "run/doors.h"

#include <errno.h>
#include <string.h>

#include "base/mem.h"

typedef struct ordinal {
    lq_list link;
    int count;
    char address[];
} ordinal;

static lq_door *door_at(lq_list *link)
{
    return LQ_CONTAINER_OF(link, lq_door, link);
}

static lq_door *find(lq_doors *d, int number)
{
    lq_list *link = d->open.next;

    while (link != &d->open && door_at(link)->number != number)
        link = link->next;
    return link == &d->open ? NULL : door_at(link);
}

/* Puts `to` where `from` is. Returns false when it is nowhere. */
static bool replace_number(lq_doors *d, int from, int to)
{
    size_t i = 0;

    while (i < LQ_DOORS_MAX && atomic_load(&d->numbers[i]) != from) i++;
    if (i < LQ_DOORS_MAX) atomic_store(&d->numbers[i], to);
    return i < LQ_DOORS_MAX;
}

bool lq_doors_has(const lq_doors *d, int number)
{
    size_t i = 0;

    while (i < LQ_DOORS_MAX && atomic_load(&d->numbers[i]) != number) i++;
    return i < LQ_DOORS_MAX;
}

/* ---- opening ------------------------------------------------------------- */

/* NULL: no memory. */
static ordinal *find_ordinal(lq_doors *d, const char *address)
{
    size_t size = strlen(address) + 1;
    lq_list *link;
    ordinal *o;

    for (link = d->ordinals.next; link != &d->ordinals; link = link->next) {
        o = LQ_CONTAINER_OF(link, ordinal, link);
        if (strcmp(o->address, address) == 0) return o;
    }
    o = lq_mem_zalloc(sizeof *o + size);
    if (!o) return NULL;
    memcpy(o->address, address, size);
    lq_list_push_back(&d->ordinals, &o->link);
    return o;
}

static int take(lq_doors *d, const lq_listen_spec *spec, lq_port **port,
                lq_err *err)
{
    ordinal *o;
    int code;

    if (spec->port)
        return lq_ports_take(d->cfg.ports, spec, 0, &d->cfg.user, port, err);
    o = find_ordinal(d, spec->address);
    if (!o) return lq_err_set(err, -ENOMEM, "not enough memory");
    code = lq_ports_take(d->cfg.ports, spec, o->count, &d->cfg.user, port, err);
    if (code == 0) o->count++;
    return code;
}

static int open_listener(lq_doors *d, lq_door *door)
{
    int err = lq_listener_open(&door->listener, d->cfg.loop,
                               lq_port_fd(door->port), d->cfg.on_accept, door);

    if (err < 0) return err;
    door->listener.can_accept = d->cfg.can_accept;
    door->listener.on_pause = d->cfg.on_pause;
    return 0;
}

static void give_back(lq_doors *d, lq_door *door)
{
    lq_ports_leave(d->cfg.ports, door->port, &d->cfg.user);
    lq_ports_release(d->cfg.ports, door->port);
    lq_mem_free(door);
}

int lq_doors_open(lq_doors *d, const lq_listen_spec *spec, int *number,
                  uint16_t *port, lq_err *err)
{
    lq_door *door;
    char buf[96];
    int code;

    if (!lq_doors_has(d, 0))
        return lq_err_set(err, LQ_EINVALID,
                          "a worker cannot listen on more than %d ports",
                          LQ_DOORS_MAX);
    door = lq_mem_zalloc(sizeof *door);
    if (!door) return lq_err_set(err, -ENOMEM, "not enough memory");
    code = take(d, spec, &door->port, err);
    if (code < 0) {
        lq_mem_free(door);
        return code;
    }
    code = open_listener(d, door);
    if (code < 0) {
        give_back(d, door);
        return lq_err_set(err, code, "%s", lq_strerror(code, buf, sizeof buf));
    }
    door->doors = d;
    door->number = lq_port_number(door->port);
    lq_list_push_back(&d->open, &door->link);
    d->count++;
    (void)replace_number(d, 0, door->number);
    *number = door->number;
    *port = lq_port_real(door->port);
    return 0;
}

/* ---- accepting ----------------------------------------------------------- */

static int start(lq_door *door, lq_err *err)
{
    int code = lq_ports_listen_on(door->port, err);
    char buf[96];

    if (code < 0) return code;
    code = lq_listener_start(&door->listener);
    return code < 0
               ? lq_err_set(err, code, "%s", lq_strerror(code, buf, sizeof buf))
               : 0;
}

int lq_doors_start(lq_doors *d, lq_err *err)
{
    lq_list *link;
    lq_err other;
    int code = 0;

    for (link = d->open.next; link != &d->open; link = link->next)
        if (start(door_at(link), &other) < 0 && code == 0) {
            *err = other;
            code = other.code;
        }
    return code;
}

int lq_doors_start_one(lq_doors *d, int number, lq_err *err)
{
    return start(find(d, number), err);
}

void lq_doors_sweep(lq_doors *d)
{
    lq_list *link, *next;

    for (link = d->open.next; link != &d->open; link = next) {
        next = link->next;
        lq_listener_sweep(&door_at(link)->listener);
        lq_listener_stop(&door_at(link)->listener);
    }
}

/* ---- closing ------------------------------------------------------------- */

static void check_closed(lq_doors *d)
{
    if (d->is_closing && d->count == 0) d->on_closed(d->closed_data);
}

static void on_listener_closed(lq_listener *l)
{
    lq_door *door = l->data;
    lq_doors *d = door->doors;

    lq_ports_release(d->cfg.ports, door->port);
    lq_mem_free(door);
    d->count--;
    check_closed(d);
}

static void close_door(lq_door *door)
{
    lq_list_remove(&door->link);
    (void)replace_number(door->doors, door->number, 0);
    lq_listener_close(&door->listener, on_listener_closed);
}

void lq_doors_shut(lq_doors *d, int number)
{
    lq_door *door = find(d, number);

    if (!door) return;
    lq_ports_leave(d->cfg.ports, door->port, &d->cfg.user);
    close_door(door);
}

void lq_doors_close(lq_doors *d, void (*on_closed)(void *data), void *data)
{
    d->on_closed = on_closed;
    d->closed_data = data;
    while (!lq_list_is_empty(&d->open)) close_door(door_at(d->open.next));
    d->is_closing = true;
    check_closed(d);
}

/* ---- the whole ----------------------------------------------------------- */

void lq_doors_init(lq_doors *d, const lq_doors_cfg *cfg)
{
    *d = (lq_doors){.cfg = *cfg};
    lq_list_init(&d->open);
    lq_list_init(&d->ordinals);
}

void lq_doors_fini(lq_doors *d)
{
    lq_list *link;

    while ((link = lq_list_pop_front(&d->ordinals)))
        lq_mem_free(LQ_CONTAINER_OF(link, ordinal, link));
}

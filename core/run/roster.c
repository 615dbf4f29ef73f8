/* roster.c - see roster.h. */
#include "run/roster.h"

#include <errno.h>
#include <uv.h>

#include "base/err.h"
#include "base/mem.h"
#include "run/spread.h"
#include "run/worker.h"

typedef struct place {
    uv_mutex_t lock;
    lq_worker *worker; /* guarded by lock */
} place;

struct lq_roster {
    int count;
    place places[];
};

int lq_roster_new(lq_roster **out, int workers)
{
    lq_roster *r = lq_mem_zalloc(sizeof *r + (size_t)workers * sizeof(place));
    int err;

    if (!r) return -ENOMEM;
    for (; r->count < workers; r->count++) {
        err = uv_mutex_init(&r->places[r->count].lock);
        if (err == 0) continue;
        lq_roster_free(r);
        return err;
    }
    *out = r;
    return 0;
}

void lq_roster_free(lq_roster *r)
{
    int i;

    if (!r) return;
    for (i = 0; i < r->count; i++) uv_mutex_destroy(&r->places[i].lock);
    lq_mem_free(r);
}

void lq_roster_set(lq_roster *r, int i, lq_worker *w)
{
    uv_mutex_lock(&r->places[i].lock);
    r->places[i].worker = w;
    uv_mutex_unlock(&r->places[i].lock);
}

void lq_roster_clear(lq_roster *r, int i, const lq_worker *w)
{
    uv_mutex_lock(&r->places[i].lock);
    if (r->places[i].worker == w) r->places[i].worker = NULL;
    uv_mutex_unlock(&r->places[i].lock);
}

LQ_ANY_THREAD int lq_roster_hand(lq_roster *r, int i, const lq_arrival *a)
{
    place *p = &r->places[i];
    int err;

    uv_mutex_lock(&p->lock);
    err = p->worker ? lq_worker_hand(p->worker, a) : LQ_ECLOSED;
    uv_mutex_unlock(&p->lock);
    return err;
}

/* A place may be empty just now: then another choice is made. */
LQ_ANY_THREAD int lq_roster_give(lq_roster *r, lq_spread *spread,
                                 const lq_arrival *a)
{
    int tries, to, err = LQ_ECLOSED;

    for (tries = r->count + 1; tries > 0; tries--) {
        to = lq_spread_choose(spread, -1);
        if (to < 0) to = lq_spread_choose_any(spread);
        if (to < 0) return LQ_ECLOSED;
        err = lq_roster_hand(r, to, a);
        if (err == 0) return 0;
        lq_spread_leave(spread, to);
    }
    return err;
}

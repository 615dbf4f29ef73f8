/* queue.c - see queue.h. */
#include "log/queue.h"

#include <errno.h>
#include <stdio.h>
#include <uv.h>

#include "base/err.h"
#include "base/list.h"
#include "base/mem.h"

enum {
    BLOCK_SIZE = 64 * 1024, /* with its header */
    BLOCK_CAP = BLOCK_SIZE - sizeof(lq_log_block),
    SPARE_BLOCKS = 16,
    READY_BLOCKS = 4, /* of them always there, so that few pushes allocate */
    HURRY_BYTES = LQ_LOG_QUOTA / 4, /* of one source: no pause any more */
    NS_PER_MS = 1000000,
};

struct lq_log_source {
    lq_origin origin; /* constant */

    /* Guarded by the queue's lock. */
    lq_list link;
    size_t queued; /* bytes in the list */
    uint64_t dropped;
    bool has_left;

    /* Log thread only. */
    uint64_t lost; /* dropped or not written, and not yet told of */
    lq_log_source *next_told;
    bool is_over; /* has_left, as it was at the last take */
};

/* What the log thread does. */
typedef enum doing {
    WORKS,  /* it will look again by itself */
    PAUSES, /* lets records gather; woken only when it is urgent */
    SLEEPS,
} doing;

struct lq_log_queue {
    uv_mutex_t lock;
    uv_cond_t wake;    /* the log thread's */
    uv_cond_t settled; /* a batch is done */

    /* Guarded by lock. */
    lq_log_block *first, *last;
    lq_log_block *spare;
    int spare_count;
    lq_list sources;
    doing doing;
    uint64_t taken; /* batches */
    uint64_t done;
    uint64_t late_ns; /* when the grace is over */
    bool hurries;     /* somebody waits for a flush */
    bool reopens;
    bool is_closed;
    bool is_over; /* end was called */
};

/* ---- blocks -------------------------------------------------------------- */

static lq_log_block *alloc_block(size_t cap)
{
    lq_log_block *b = lq_mem_alloc(sizeof *b + cap);

    if (b) b->cap = cap;
    return b;
}

static void push_spare(lq_log_queue *q, lq_log_block *b)
{
    b->next = q->spare;
    q->spare = b;
    q->spare_count++;
}

static lq_log_block *new_block(lq_log_queue *q, size_t len)
{
    lq_log_block *b = q->spare;

    if (!b || len > BLOCK_CAP)
        return alloc_block(len > BLOCK_CAP ? len : BLOCK_CAP);
    q->spare = b->next;
    q->spare_count--;
    return b;
}

static bool fits(const lq_log_queue *q, size_t len)
{
    return q->last && q->last->cap - q->last->len >= len;
}

/* What `len` more bytes cost: with them goes what stays unused of a block. */
static size_t cost(const lq_log_queue *q, size_t len)
{
    if (!q->last || fits(q, len)) return len;
    return len + q->last->cap - q->last->len;
}

/* `len` bytes at the end of the list, or NULL. */
static char *room(lq_log_queue *q, size_t len)
{
    lq_log_block *b = q->last;

    if (!fits(q, len)) {
        b = new_block(q, len);
        if (!b) return NULL;
        b->next = NULL;
        b->len = 0;
        if (q->last)
            q->last->next = b;
        else
            q->first = b;
        q->last = b;
    }
    b->len += len;
    return b->bytes + b->len - len;
}

static void free_blocks(lq_log_block *b)
{
    lq_log_block *next;

    for (; b; b = next) {
        next = b->next;
        lq_mem_free(b);
    }
}

/* Puts blocks of the usual size aside; returns the others. */
static lq_log_block *keep_spare(lq_log_queue *q, lq_log_block *b)
{
    lq_log_block *next, *rest = NULL;

    for (; b; b = next) {
        next = b->next;
        if (b->cap == BLOCK_CAP && q->spare_count < SPARE_BLOCKS) {
            push_spare(q, b);
        } else {
            b->next = rest;
            rest = b;
        }
    }
    return rest;
}

/* Outside the lock. */
static void fill_spare(lq_log_queue *q, int missing)
{
    lq_log_block *b;

    for (; missing > 0 && (b = alloc_block(BLOCK_CAP)); missing--) {
        uv_mutex_lock(&q->lock);
        push_spare(q, b);
        uv_mutex_unlock(&q->lock);
    }
}

/* ---- life ---------------------------------------------------------------- */

int lq_log_queue_new(lq_log_queue **out)
{
    lq_log_queue *q = lq_mem_zalloc(sizeof *q);
    int err;

    if (!q) return -ENOMEM;
    lq_list_init(&q->sources);
    err = uv_mutex_init(&q->lock);
    if (err < 0) goto fail;
    err = uv_cond_init(&q->wake);
    if (err < 0) {
        uv_mutex_destroy(&q->lock);
        goto fail;
    }
    err = uv_cond_init(&q->settled);
    if (err < 0) {
        uv_cond_destroy(&q->wake);
        uv_mutex_destroy(&q->lock);
        goto fail;
    }
    fill_spare(q, READY_BLOCKS);
    *out = q;
    return 0;

fail:
    lq_mem_free(q);
    return err;
}

void lq_log_queue_free(lq_log_queue *q)
{
    lq_list *link;

    if (!q) return;
    while ((link = lq_list_pop_front(&q->sources)))
        lq_mem_free(LQ_CONTAINER_OF(link, lq_log_source, link));
    free_blocks(q->first);
    free_blocks(q->spare);
    uv_cond_destroy(&q->settled);
    uv_cond_destroy(&q->wake);
    uv_mutex_destroy(&q->lock);
    lq_mem_free(q);
}

/* ---- any thread ---------------------------------------------------------- */

lq_log_source *lq_log_queue_join(lq_log_queue *q, const char *who, int worker)
{
    lq_log_source *s = lq_mem_zalloc(sizeof *s);

    if (!s) return NULL;
    snprintf(s->origin.who, sizeof s->origin.who, "%s", who);
    s->origin.worker = worker;
    uv_mutex_lock(&q->lock);
    lq_list_push_back(&q->sources, &s->link);
    uv_mutex_unlock(&q->lock);
    return s;
}

void lq_log_queue_leave(lq_log_queue *q, lq_log_source *s)
{
    uv_mutex_lock(&q->lock);
    s->has_left = true;
    uv_mutex_unlock(&q->lock);
}

static int append(lq_log_queue *q, lq_log_source *s, lq_record *r, size_t size)
{
    size_t price;
    char *at;

    if (q->is_closed) return LQ_ECLOSED;
    price = size < LQ_LOG_QUOTA ? cost(q, size) : size;
    if (price > LQ_LOG_QUOTA - s->queued) {
        s->dropped++;
        return LQ_EOVERLOADED;
    }
    at = room(q, size);
    if (!at) {
        s->dropped++;
        return -ENOMEM;
    }
    r->at_ns = lq_record_now_ns();
    lq_record_pack(r, at);
    s->queued += price;
    return 0;
}

/* Whether the log thread is to be woken; it is told at most once. */
static bool rouse(lq_log_queue *q, bool is_urgent)
{
    bool wakes = q->doing == SLEEPS || (q->doing == PAUSES && is_urgent);

    if (wakes) q->doing = WORKS;
    return wakes;
}

int lq_log_queue_push(lq_log_queue *q, lq_log_source *s, lq_record *r)
{
    size_t size;
    bool wakes;
    int err;

    r->origin = &s->origin;
    size = lq_record_size(r);
    uv_mutex_lock(&q->lock);
    err = append(q, s, r, size);
    wakes = err != LQ_ECLOSED && rouse(q, s->queued > HURRY_BYTES);
    uv_mutex_unlock(&q->lock);
    if (wakes) uv_cond_signal(&q->wake);
    return err;
}

int lq_log_queue_flush(lq_log_queue *q, uint64_t timeout_ms)
{
    uint64_t until = uv_hrtime() + timeout_ms * NS_PER_MS, target, now;
    int err = 0;

    uv_mutex_lock(&q->lock);
    target = q->taken + (q->first != NULL);
    while (q->done < target && !err) {
        q->hurries = true;
        if (rouse(q, true)) uv_cond_signal(&q->wake);
        now = uv_hrtime();
        if (now >= until ||
            uv_cond_timedwait(&q->settled, &q->lock, until - now) < 0)
            err = q->done < target ? LQ_ETIMEOUT : 0;
    }
    uv_mutex_unlock(&q->lock);
    return err;
}

void lq_log_queue_ask_reopen(lq_log_queue *q)
{
    uv_mutex_lock(&q->lock);
    q->reopens = true;
    rouse(q, true);
    uv_cond_signal(&q->wake);
    uv_mutex_unlock(&q->lock);
}

void lq_log_queue_close(lq_log_queue *q, uint64_t grace_ms)
{
    uv_mutex_lock(&q->lock);
    q->is_closed = true;
    q->late_ns = uv_hrtime() + grace_ms * NS_PER_MS;
    rouse(q, true);
    uv_cond_signal(&q->wake);
    uv_mutex_unlock(&q->lock);
}

int lq_log_queue_await_end(lq_log_queue *q, uint64_t timeout_ms)
{
    uint64_t until = uv_hrtime() + timeout_ms * NS_PER_MS, now;
    bool is_over;

    uv_mutex_lock(&q->lock);
    while (!q->is_over && (now = uv_hrtime()) < until)
        if (uv_cond_timedwait(&q->settled, &q->lock, until - now) < 0) break;
    is_over = q->is_over;
    uv_mutex_unlock(&q->lock);
    return is_over ? 0 : LQ_ETIMEOUT;
}

/* ---- the log thread ------------------------------------------------------ */

static bool is_urgent(const lq_log_queue *q)
{
    return q->reopens || q->is_closed || q->hurries;
}

/* Until it is roused, or the time is up. */
static void rest(lq_log_queue *q, doing how, uint64_t ms)
{
    uint64_t until = uv_hrtime() + ms * NS_PER_MS, now;

    q->doing = how;
    while (q->doing == how && (now = uv_hrtime()) < until)
        if (uv_cond_timedwait(&q->wake, &q->lock, until - now) < 0) break;
    q->doing = WORKS;
}

/* Adds what the source has to tell. */
static void take_source(lq_log_source *s, lq_log_batch *b)
{
    s->queued = 0;
    s->lost += s->dropped;
    s->dropped = 0;
    s->is_over = s->has_left;
    if (!s->lost && !s->is_over) return;
    s->next_told = b->told;
    b->told = s;
}

void lq_log_queue_take(lq_log_queue *q, lq_log_batch *b, bool is_paced,
                       uint64_t idle_ms)
{
    lq_list *link;

    uv_mutex_lock(&q->lock);
    if (is_paced && !is_urgent(q)) rest(q, PAUSES, LQ_LOG_PACE_MS);
    if (!q->first && !is_urgent(q)) rest(q, SLEEPS, idle_ms);
    *b = (lq_log_batch){
        .blocks = q->first,
        .reopens = q->reopens,
        .is_last = q->is_closed,
    };
    q->first = q->last = NULL;
    q->reopens = q->hurries = false;
    q->taken++;
    for (link = q->sources.next; link != &q->sources; link = link->next)
        take_source(LQ_CONTAINER_OF(link, lq_log_source, link), b);
    uv_mutex_unlock(&q->lock);
}

/* Takes the sources that are over off the list; returns them, by next_told. */
static lq_log_source *remove_over(lq_log_source *s)
{
    lq_log_source *next, *over = NULL;

    for (; s; s = next) {
        next = s->next_told;
        if (!s->is_over || s->lost) continue;
        lq_list_remove(&s->link);
        s->next_told = over;
        over = s;
    }
    return over;
}

void lq_log_queue_settle(lq_log_queue *q, lq_log_batch *b)
{
    lq_log_source *s, *next;
    lq_log_block *rest;
    int missing;

    uv_mutex_lock(&q->lock);
    rest = keep_spare(q, b->blocks);
    missing = READY_BLOCKS - q->spare_count;
    s = remove_over(b->told);
    q->done = q->taken;
    uv_cond_broadcast(&q->settled);
    uv_mutex_unlock(&q->lock);
    free_blocks(rest);
    fill_spare(q, missing);
    for (; s; s = next) {
        next = s->next_told;
        lq_mem_free(s);
    }
    *b = (lq_log_batch){0};
}

void lq_log_queue_end(lq_log_queue *q)
{
    uv_mutex_lock(&q->lock);
    q->is_over = true;
    uv_cond_broadcast(&q->settled);
    uv_mutex_unlock(&q->lock);
}

lq_log_source *lq_log_queue_next_told(lq_log_source *s)
{
    return s->next_told;
}

bool lq_log_queue_has_order(lq_log_queue *q)
{
    bool has;

    uv_mutex_lock(&q->lock);
    has = q->reopens;
    uv_mutex_unlock(&q->lock);
    return has;
}

bool lq_log_queue_is_late(lq_log_queue *q)
{
    bool is_late;

    uv_mutex_lock(&q->lock);
    is_late = q->is_closed && uv_hrtime() >= q->late_ns;
    uv_mutex_unlock(&q->lock);
    return is_late;
}

/* ---- sources ------------------------------------------------------------- */

uint64_t *lq_log_source_lost(lq_log_source *s)
{
    return &s->lost;
}

const lq_origin *lq_log_source_origin(const lq_log_source *s)
{
    return &s->origin;
}

lq_log_source *lq_log_source_of(const lq_origin *origin)
{
    return LQ_CONTAINER_OF(origin, lq_log_source, origin);
}

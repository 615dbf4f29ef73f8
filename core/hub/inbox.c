/* inbox.c - see inbox.h. */
#include "hub/inbox.h"

#include <errno.h>

#include "base/err.h"
#include "base/mem.h"

enum { FEWEST = 16, KEEP = 1024 /* places */ };

static void on_wake(uv_async_t *handle)
{
    lq_inbox *in = handle->data;

    in->on_filled(in);
}

int lq_inbox_open(lq_inbox *in, uv_loop_t *loop,
                  void (*on_filled)(lq_inbox *in), void *data)
{
    int err = uv_mutex_init(&in->lock);

    if (err < 0) return err;
    in->on_filled = on_filled;
    in->data = data;
    err = uv_async_init(loop, &in->wake, on_wake);
    if (err < 0) {
        uv_mutex_destroy(&in->lock);
        return err;
    }
    in->wake.data = in;
    return 0;
}

/* The place of those taken is used again before there is more. */
static int reserve(lq_inbox *in)
{
    size_t cap = in->cap ? 2 * in->cap : FEWEST;
    lq_inbox_entry *entries;

    if (in->count < in->cap) return 0;
    if (in->first >= in->cap / 2 && in->cap > 0) {
        in->count -= in->first;
        memmove(in->entries, in->entries + in->first,
                in->count * sizeof *in->entries);
        in->first = 0;
        return 0;
    }
    entries = lq_mem_realloc(in->entries, cap * sizeof *entries);
    if (!entries) return -ENOMEM;
    in->entries = entries;
    in->cap = cap;
    return 0;
}

/* Under the lock, behind the new entry. */
static void signal_owner(lq_inbox *in)
{
    atomic_store_explicit(&in->is_filled, true, memory_order_release);
    if (in->count == 1 && !in->is_watched) uv_async_send(&in->wake);
}

/* Room has been reserved. */
static void put(lq_inbox *in, const lq_inbox_entry *e)
{
    lq_batch_ref(e->batch);
    in->messages += e->messages;
    in->bytes += e->bytes;
    in->entries[in->count++] = *e;
    signal_owner(in);
}

static size_t min_size(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* When the bytes do not fit, as many as would if all were as long. */
static size_t room_for(const lq_inbox *in, size_t messages, size_t bytes)
{
    size_t used = in->messages + in->held,
           used_bytes = in->bytes + in->held_bytes;
    size_t left = in->max_messages - min_size(used, in->max_messages);
    size_t left_bytes = in->max_bytes - min_size(used_bytes, in->max_bytes);

    if (bytes > left_bytes) messages = messages * left_bytes / bytes;
    return min_size(messages, left);
}

/* Under the lock. */
static size_t push(lq_inbox *in, lq_batch *batch, size_t messages, size_t bytes)
{
    size_t take = in->is_closed ? 0 : room_for(in, messages, bytes);

    if (take > 0 && reserve(in) < 0) take = 0;
    in->dropped += messages - take;
    if (take == 0) return 0;
    put(in, &(lq_inbox_entry){
                .batch = batch,
                .take = take < messages ? take : SIZE_MAX,
                .messages = take,
                .bytes = bytes * take / messages,
            });
    return take;
}

LQ_ANY_THREAD size_t lq_inbox_push(lq_inbox *in, lq_batch *batch,
                                   size_t messages, size_t bytes)
{
    size_t taken;

    uv_mutex_lock(&in->lock);
    taken = push(in, batch, messages, bytes);
    uv_mutex_unlock(&in->lock);
    return taken;
}

LQ_ANY_THREAD int lq_inbox_force(lq_inbox *in, lq_batch *batch)
{
    int err;

    uv_mutex_lock(&in->lock);
    err = in->is_closed ? LQ_ECLOSED : reserve(in);
    if (err == 0) put(in, &(lq_inbox_entry){.batch = batch, .take = 1});
    uv_mutex_unlock(&in->lock);
    return err;
}

LQ_ANY_THREAD bool lq_inbox_has_room(lq_inbox *in, size_t bytes)
{
    bool has;

    uv_mutex_lock(&in->lock);
    has = !in->is_closed && room_for(in, 1, bytes) == 1;
    uv_mutex_unlock(&in->lock);
    return has;
}

/* What a peak has left is given back. */
static void begin_anew(lq_inbox *in)
{
    in->first = in->count = 0;
    if (in->cap <= KEEP) return;
    lq_mem_free(in->entries);
    in->entries = NULL;
    in->cap = 0;
}

bool lq_inbox_take(lq_inbox *in, lq_inbox_entry *out)
{
    bool is_there;

    uv_mutex_lock(&in->lock);
    is_there = in->first < in->count;
    if (is_there) {
        *out = in->entries[in->first++];
        in->messages -= out->messages;
        in->bytes -= out->bytes;
        in->held += out->messages;
        in->held_bytes += out->bytes;
    } else {
        begin_anew(in);
    }
    atomic_store_explicit(&in->is_filled, in->first < in->count,
                          memory_order_relaxed);
    uv_mutex_unlock(&in->lock);
    return is_there;
}

static bool watch(lq_inbox *in, bool on)
{
    bool is_filled;

    uv_mutex_lock(&in->lock);
    in->is_watched = on;
    is_filled = in->count > 0;
    uv_mutex_unlock(&in->lock);
    return is_filled;
}

bool lq_inbox_begin_watch(lq_inbox *in)
{
    return watch(in, true);
}

bool lq_inbox_end_watch(lq_inbox *in)
{
    return watch(in, false);
}

void lq_inbox_hold(lq_inbox *in, size_t messages, size_t bytes)
{
    uv_mutex_lock(&in->lock);
    in->held = messages;
    in->held_bytes = bytes;
    uv_mutex_unlock(&in->lock);
}

LQ_ANY_THREAD void lq_inbox_stats(lq_inbox *in, size_t *queued,
                                  uint64_t *dropped)
{
    uv_mutex_lock(&in->lock);
    *queued = in->messages + in->held;
    *dropped = in->dropped;
    uv_mutex_unlock(&in->lock);
}

static void on_wake_closed(uv_handle_t *handle)
{
    lq_inbox *in = handle->data;

    if (in->on_closed) in->on_closed(in);
}

void lq_inbox_close(lq_inbox *in, void (*on_closed)(lq_inbox *in))
{
    uv_mutex_lock(&in->lock);
    in->is_closed = true;
    uv_mutex_unlock(&in->lock);
    in->on_closed = on_closed;
    uv_close((uv_handle_t *)&in->wake, on_wake_closed);
}

void lq_inbox_fini(lq_inbox *in)
{
    size_t i;

    for (i = in->first; i < in->count; i++)
        lq_batch_unref(in->entries[i].batch);
    lq_mem_free(in->entries);
    uv_mutex_destroy(&in->lock);
}

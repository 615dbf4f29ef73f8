/* outbox.c - what a member of the hub sends: see hub.h.
 *
 * A message goes the way of a route: who subscribes, out of a cache that holds
 * while the hub's version stands still. Messages of one turn gather in a batch,
 * and each receiver's share of it is counted, as that is what its inbox has
 * room for or not.
 */
#include <errno.h>
#include <stdio.h>

#include "base/mem.h"
#include "hub/hub.h"
#include "hub/state.h"

enum {
    BATCH_BYTES = 16 * 1024, /* a larger one leaves before the turn's end */
    SMALL_BATCH = 256,       /* bytes of the first one */
    EVERYBODY = -1,          /* a route's id: to all that subscribe */
};

/* ---- who gets how much --------------------------------------------------- */

static int grow_share_of(lq_hub_member *m, int slot)
{
    int cap = m->share_of_cap, *share_of;

    if (slot < cap) return 0;
    share_of = lq_mem_realloc(m->share_of, (size_t)(slot + 8) * sizeof(int));
    if (!share_of) return -ENOMEM;
    memset(share_of + cap, 0, (size_t)(slot + 8 - cap) * sizeof(int));
    m->share_of = share_of;
    m->share_of_cap = slot + 8;
    return 0;
}

/* NULL: no memory. */
static lq_hub_share *share_of(lq_hub_member *m, const lq_subscriber *to)
{
    size_t cap = m->share_cap ? 2 * m->share_cap : 8;
    lq_hub_share *s;

    if (grow_share_of(m, to->slot) < 0) return NULL;
    if (m->share_of[to->slot]) {
        s = &m->shares[m->share_of[to->slot] - 1];
        if (s->serial == to->serial) return s;
        s->serial = to->serial; /* the one before has gone */
        s->messages = s->bytes = 0;
        return s;
    }
    if (m->share_count == m->share_cap) {
        s = lq_mem_realloc(m->shares, cap * sizeof *s);
        if (!s) return NULL;
        m->shares = s;
        m->share_cap = cap;
    }
    s = &m->shares[m->share_count++];
    *s = (lq_hub_share){.slot = to->slot, .serial = to->serial};
    m->share_of[to->slot] = (int)m->share_count;
    return s;
}

static void clear_shares(lq_hub_member *m)
{
    size_t i;

    for (i = 0; i < m->share_count; i++) m->share_of[m->shares[i].slot] = 0;
    m->share_count = 0;
}

/* Whether a message on the route is for `to`. */
static bool is_meant(const lq_hub_member *m, const lq_subscriber *to,
                     bool with_sender)
{
    return with_sender || to->serial != m->self.serial;
}

static void end_streak(lq_hub_member *m)
{
    const lq_hub_route *r = m->streak.route;
    const lq_subscriber *to;
    lq_hub_share *s;
    size_t i;

    for (i = 0; r && i < r->count; i++) {
        to = &r->to[i];
        if (!is_meant(m, to, m->streak.with_sender)) continue;
        s = &m->shares[m->share_of[to->slot] - 1];
        s->messages += m->streak.messages;
        s->bytes += m->streak.bytes;
    }
    m->streak = (lq_hub_streak){0};
}

/* -ENOMEM. */
static int begin_streak(lq_hub_member *m, const lq_hub_route *r,
                        bool with_sender)
{
    int receivers = 0;
    size_t i;

    if (m->streak.route == r && m->streak.with_sender == with_sender) return 0;
    end_streak(m);
    for (i = 0; i < r->count; i++) {
        if (!is_meant(m, &r->to[i], with_sender)) continue;
        if (!share_of(m, &r->to[i])) return -ENOMEM;
        receivers++;
    }
    m->streak = (lq_hub_streak){r, with_sender, receivers, 0, 0};
    return 0;
}

/* ---- routes -------------------------------------------------------------- */

/* Under the lock: the newest one that is open, as a subscriber of `topic`. */
static const lq_subscriber *find_receiver(const lq_hub *hub,
                                          const lq_topic *topic, int id,
                                          const char *name)
{
    const lq_subscriber *best = NULL;
    const lq_hub_member *m;
    size_t i;

    for (i = 0; i < topic->count; i++) {
        m = hub->slots[topic->subscribers[i].slot];
        if (!m->is_open || m->self.id != id || strcmp(m->self.name, name) != 0)
            continue;
        if (!best || m->self.serial > best->serial)
            best = &topic->subscribers[i];
    }
    return best;
}

static size_t hash_of(int id, lq_str topic)
{
    uint64_t hash = 0xcbf29ce484222325 + (uint64_t)(unsigned)id;
    size_t i;

    for (i = 0; i < topic.len; i++)
        hash = (hash ^ (unsigned char)topic.ptr[i]) * 0x100000001b3;
    return (size_t)(hash ^ hash >> 32);
}

static bool is_route(const lq_hub_route *r, int id, const char *name,
                     lq_str topic)
{
    return r->id == id && r->topic_len == topic.len &&
           memcmp(r->topic, topic.ptr, topic.len) == 0 &&
           strcmp(r->name, name) == 0;
}

static int put_receivers(lq_hub_route *r, const lq_subscriber *from,
                         size_t count)
{
    lq_subscriber *to;

    if (count > r->cap) {
        to = lq_mem_realloc(r->to, count * sizeof *to);
        if (!to) return -ENOMEM;
        r->to = to;
        r->cap = count;
    }
    if (count) memcpy(r->to, from, count * sizeof *from);
    r->count = count;
    return 0;
}

/* Under the lock. */
static int fill(const lq_hub *hub, lq_hub_route *r, lq_str topic)
{
    const lq_topic *t = lq_topics_find(&hub->topics, topic);
    const lq_subscriber *one;

    r->number = t ? t->number : 0;
    if (!t) return put_receivers(r, NULL, 0);
    if (r->id == EVERYBODY) return put_receivers(r, t->subscribers, t->count);
    one = find_receiver(hub, t, r->id, r->name);
    return put_receivers(r, one, one ? 1 : 0);
}

/* NULL: no memory. */
static lq_hub_route *route_to(lq_hub_member *m, int id, const char *name,
                              lq_str topic)
{
    lq_hub_route *r = &m->routes[hash_of(id, topic) % LQ_HUB_ROUTES];
    int err;

    if (is_route(r, id, name, topic) &&
        r->version ==
            atomic_load_explicit(&m->hub->version, memory_order_acquire))
        return r;
    if (m->streak.route == r) end_streak(m);
    r->version = 0;
    r->id = id;
    snprintf(r->name, sizeof r->name, "%s", name);
    memcpy(r->topic, topic.ptr, topic.len);
    r->topic_len = topic.len;
    uv_rwlock_rdlock(&m->hub->lock);
    err = fill(m->hub, r, topic);
    if (err == 0) r->version = atomic_load(&m->hub->version);
    uv_rwlock_rdunlock(&m->hub->lock);
    return err < 0 ? NULL : r;
}

/* ---- sending ------------------------------------------------------------- */

void lq_hub_flush(lq_hub_member *m)
{
    lq_hub *hub = m->hub;
    lq_hub_member *to;
    const lq_hub_share *s;

    if (!m->batch) return;
    end_streak(m);
    uv_rwlock_rdlock(&hub->lock);
    for (s = m->shares; s < m->shares + m->share_count; s++) {
        to = s->slot < hub->slot_count ? hub->slots[s->slot] : NULL;
        if (to && to->self.serial == s->serial)
            lq_inbox_push(&to->inbox, m->batch, s->messages, s->bytes);
    }
    uv_rwlock_rdunlock(&hub->lock);
    clear_shares(m);
    m->batch_hint = lq_batch_bytes(m->batch);
    if (m->batch_hint > 2 * BATCH_BYTES) m->batch_hint = 2 * BATCH_BYTES;
    lq_batch_unref(m->batch);
    m->batch = NULL;
}

static int put_note(lq_hub_member *m, const lq_note *note)
{
    size_t len = m->batch_hint > SMALL_BATCH ? m->batch_hint : SMALL_BATCH;

    if (len < note->bytes.len) len = note->bytes.len;
    if (!m->batch) m->batch = lq_batch_new(&m->self, len);
    return m->batch ? lq_batch_add(&m->batch, note) : -ENOMEM;
}

/* Returns for how many; LQ_ENORECEIVER or -ENOMEM. */
static int transmit(lq_hub_member *m, const lq_hub_route *r, lq_str bytes,
                    unsigned how)
{
    lq_note note = {.topic = r->number,
                    .with_sender = how & LQ_HUB_WITH_SENDER,
                    .is_binary = how & LQ_HUB_BINARY,
                    .bytes = bytes};
    int count;

    if (r->id != EVERYBODY && r->count == 0) return LQ_ENORECEIVER;
    if (r->id != EVERYBODY) note.to = r->to[0].serial;
    if (begin_streak(m, r, note.with_sender) < 0) return -ENOMEM;
    count = m->streak.receivers;
    if (count == 0) return 0;
    if (put_note(m, &note) < 0) return -ENOMEM;
    m->streak.messages++;
    m->streak.bytes += bytes.len;
    m->sent += (uint64_t)count;
    if (lq_batch_bytes(m->batch) >= BATCH_BYTES) lq_hub_flush(m);
    return count;
}

/* ---- before it is open --------------------------------------------------- */

static int keep(lq_hub_member *m, const lq_hub_route *r, lq_str bytes,
                unsigned how)
{
    lq_hub_kept *k;

    if (m->kept_count >= m->hub->max_messages ||
        bytes.len > m->hub->max_bytes - m->kept_bytes)
        return LQ_EOVERLOADED;
    k = lq_mem_zalloc(sizeof *k + r->topic_len + bytes.len);
    if (!k) return -ENOMEM;
    k->id = r->id;
    k->how = how;
    k->topic_len = r->topic_len;
    k->len = bytes.len;
    memcpy(k->name, r->name, sizeof k->name);
    memcpy(k->bytes, r->topic, r->topic_len);
    memcpy(k->bytes + r->topic_len, bytes.ptr, bytes.len);
    *m->last_kept = k;
    m->last_kept = &k->next;
    m->kept_count++;
    m->kept_bytes += bytes.len;
    return (int)r->count;
}

static lq_hub_kept *pop_kept(lq_hub_member *m)
{
    lq_hub_kept *k = m->first_kept;

    if (!k) return NULL;
    m->first_kept = k->next;
    if (!m->first_kept) m->last_kept = &m->first_kept;
    m->kept_count--;
    m->kept_bytes -= k->len;
    return k;
}

void lq_hub_send_kept(lq_hub_member *m)
{
    const lq_hub_route *r;
    lq_hub_kept *k;

    while ((k = pop_kept(m))) {
        r = route_to(m, k->id, k->name, (lq_str){k->bytes, k->topic_len});
        if (r)
            (void)!transmit(m, r, (lq_str){k->bytes + k->topic_len, k->len},
                            k->how);
        lq_mem_free(k);
    }
}

/* ---- a member sends ------------------------------------------------------ */

static int dispatch(lq_hub_member *m, int id, const char *name, lq_str topic,
                    lq_str bytes, unsigned how)
{
    const lq_hub_route *r;

    LQ_ASSERT(topic.len <= LQ_HUB_TOPIC_MAX);
    r = route_to(m, id, name, topic);
    if (!r) return -ENOMEM;
    return m->is_open ? transmit(m, r, bytes, how) : keep(m, r, bytes, how);
}

int lq_hub_publish(lq_hub_member *m, lq_str topic, lq_str bytes, unsigned how)
{
    return dispatch(m, EVERYBODY, "", topic, bytes, how);
}

int lq_hub_send(lq_hub_member *m, int id, lq_str name, lq_str topic,
                lq_str bytes)
{
    char text[sizeof m->self.name];
    int count;

    if (name.len >= sizeof text || memchr(name.ptr, '\0', name.len))
        return LQ_ENORECEIVER;
    memcpy(text, name.ptr, name.len);
    text[name.len] = '\0';
    count = dispatch(m, id, text, topic, bytes, LQ_HUB_WITH_SENDER);
    return count < 0 ? count : 0;
}

/* What was sent before arrives before. */
int lq_hub_tell(lq_hub_member *m, lq_hub_address to, lq_str bytes, bool is_due)
{
    lq_note note = {.to = to.serial, .with_sender = true, .bytes = bytes};
    lq_batch *batch = lq_batch_new(&m->self, bytes.len);
    lq_hub_member *at;
    int err;

    if (!batch) return -ENOMEM;
    lq_hub_flush(m);
    err = lq_batch_add(&batch, &note);
    uv_rwlock_rdlock(&m->hub->lock);
    at = lq_hub_member_at(m->hub, to);
    if (err == 0 && !at) err = LQ_ECLOSED;
    if (err == 0 && is_due) err = lq_inbox_force(&at->inbox, batch);
    if (err == 0 && !is_due &&
        lq_inbox_push(&at->inbox, batch, 1, bytes.len) == 0)
        err = LQ_EOVERLOADED;
    uv_rwlock_rdunlock(&m->hub->lock);
    lq_batch_unref(batch);
    return err;
}

void lq_hub_free_outbox(lq_hub_member *m)
{
    lq_hub_kept *k;
    size_t i;

    while ((k = pop_kept(m))) lq_mem_free(k);
    for (i = 0; i < LQ_HUB_ROUTES; i++) lq_mem_free(m->routes[i].to);
    lq_batch_unref(m->batch);
    lq_mem_free(m->shares);
    lq_mem_free(m->share_of);
}

/* hub.c - see hub.h. */
#include "hub/hub.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <uv.h>

#include "base/mem.h"
#include "hub/inbox.h"
#include "hub/topics.h"

enum {
    ROUTES = 64,             /* in a member's cache */
    BATCH_BYTES = 16 * 1024, /* a larger one leaves before the turn's end */
    SMALL_BATCH = 256,       /* bytes of the first one */
    SPIN_MOST_NS = 2000000,  /* without a look at sockets and timers */
    A_TURN = 256,            /* messages taken */
    EVERYBODY = -1,          /* a route's id: to all that subscribe */
};

struct lq_hub {
    size_t max_messages;
    size_t max_bytes;
    /* One more with every change of what the lock guards: members look at it
     * to know whether their routes still hold. */
    _Atomic uint64_t version;
    uv_rwlock_t lock;
    lq_hub_member **slots; /* guarded by lock; NULL: free */
    int slot_count;
    uint32_t serial; /* the newest */
    lq_topics topics;
    struct known *names; /* guarded by lock */
};

/* A service that has been declared. */
typedef struct known {
    struct known *next;
    bool is_awaited;
    char text[sizeof((lq_sender *)0)->name];
} known;

/* Where messages of one kind go, as of `version`. */
typedef struct route {
    uint64_t version; /* 0: unused */
    int id;           /* of a worker; EVERYBODY; 0: a service */
    char name[sizeof((lq_sender *)0)->name];
    char topic[LQ_HUB_TOPIC_MAX];
    size_t topic_len;
    uint32_t number; /* of the topic; 0: nobody subscribes */
    size_t count;
    size_t cap;
    lq_subscriber *to;
} route;

/* What of the batch at hand is for one member. */
typedef struct share {
    int slot;
    uint32_t serial;
    size_t messages;
    size_t bytes;
} share;

/* What goes the same way one after another is counted together. */
typedef struct streak {
    const route *route; /* NULL: nothing */
    bool with_sender;
    int receivers; /* each has a share */
    size_t messages;
    size_t bytes;
} streak;

/* Sent before the member was opened. */
typedef struct kept {
    struct kept *next;
    int id;
    unsigned how;
    size_t topic_len;
    size_t len;
    char name[sizeof((lq_sender *)0)->name];
    char bytes[]; /* the topic, the value */
} kept;

struct lq_hub_member {
    lq_hub *hub;
    lq_hub_member_cfg cfg;
    lq_sender self;
    int slot;
    int last_found; /* the slot of the service told last */
    lq_inbox inbox;
    bool is_open;   /* guarded by the hub's lock; its own thread may read it */
    bool is_hidden; /* the same */
    bool is_parted; /* the same */
    bool has_more;  /* in its inbox */
    void (*on_closed)(void *data);
    void *closed_data;

    lq_turn turn;
    lq_batch *batch; /* not sent yet; NULL: nothing */
    size_t batch_hint;
    streak streak; /* not in shares yet */
    share *shares;
    size_t share_count;
    size_t share_cap;
    int *share_of; /* slot -> index in shares + 1 */
    int share_of_cap;
    kept *first_kept;
    kept **last_kept;
    size_t kept_count;
    size_t kept_bytes;
    uint64_t sent;
    uint64_t received;
    route routes[ROUTES];
};

/* ---- the hub ------------------------------------------------------------ */

lq_hub *lq_hub_new(size_t max_messages, size_t max_bytes)
{
    lq_hub *hub = lq_mem_zalloc(sizeof *hub);

    if (!hub) return NULL;
    if (uv_rwlock_init(&hub->lock) < 0) {
        lq_mem_free(hub);
        return NULL;
    }
    hub->max_messages = max_messages;
    hub->max_bytes = max_bytes;
    atomic_init(&hub->version, 1);
    return hub;
}

void lq_hub_free(lq_hub *hub)
{
    known *n;

    if (!hub) return;
    while ((n = hub->names)) {
        hub->names = n->next;
        lq_mem_free(n);
    }
    lq_topics_fini(&hub->topics);
    lq_mem_free(hub->slots);
    uv_rwlock_destroy(&hub->lock);
    lq_mem_free(hub);
}

/* Under the lock. */
static void change(lq_hub *hub)
{
    atomic_fetch_add(&hub->version, 1);
}

/* Under the lock. -ENOMEM. */
static int take_slot(lq_hub *hub, lq_hub_member *m)
{
    lq_hub_member **slots;
    int i = 0;

    while (i < hub->slot_count && hub->slots[i]) i++;
    if (i == hub->slot_count) {
        slots = lq_mem_realloc(hub->slots, ((size_t)i + 8) * sizeof *slots);
        if (!slots) return -ENOMEM;
        memset(slots + i, 0, 8 * sizeof *slots);
        hub->slots = slots;
        hub->slot_count = i + 8;
    }
    hub->slots[i] = m;
    m->slot = i;
    m->self.serial = ++hub->serial;
    change(hub);
    return 0;
}

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
static share *share_of(lq_hub_member *m, const lq_subscriber *to)
{
    size_t cap = m->share_cap ? 2 * m->share_cap : 8;
    share *s;

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
    *s = (share){.slot = to->slot, .serial = to->serial};
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
    const route *r = m->streak.route;
    const lq_subscriber *to;
    share *s;
    size_t i;

    for (i = 0; r && i < r->count; i++) {
        to = &r->to[i];
        if (!is_meant(m, to, m->streak.with_sender)) continue;
        s = &m->shares[m->share_of[to->slot] - 1];
        s->messages += m->streak.messages;
        s->bytes += m->streak.bytes;
    }
    m->streak = (streak){0};
}

/* -ENOMEM. */
static int begin_streak(lq_hub_member *m, const route *r, bool with_sender)
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
    m->streak = (streak){r, with_sender, receivers, 0, 0};
    return 0;
}

/* ---- routes ------------------------------------------------------------- */

static size_t hash_of(int id, lq_str topic)
{
    uint64_t hash = 0xcbf29ce484222325 + (uint64_t)(unsigned)id;
    size_t i;

    for (i = 0; i < topic.len; i++)
        hash = (hash ^ (unsigned char)topic.ptr[i]) * 0x100000001b3;
    return (size_t)(hash ^ hash >> 32);
}

static bool is_route(const route *r, int id, const char *name, lq_str topic)
{
    return r->id == id && r->topic_len == topic.len &&
           memcmp(r->topic, topic.ptr, topic.len) == 0 &&
           strcmp(r->name, name) == 0;
}

static int put_receivers(route *r, const lq_subscriber *from, size_t count)
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
static int fill(const lq_hub *hub, route *r, lq_str topic)
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
static route *route_to(lq_hub_member *m, int id, const char *name, lq_str topic)
{
    route *r = &m->routes[hash_of(id, topic) % ROUTES];
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

/* ---- sending ------------------------------------------------------------ */

static void flush(lq_hub_member *m)
{
    lq_hub *hub = m->hub;
    lq_hub_member *to;
    const share *s;

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
static int transmit(lq_hub_member *m, const route *r, lq_str bytes,
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
    if (lq_batch_bytes(m->batch) >= BATCH_BYTES) flush(m);
    return count;
}

/* ---- before it is open -------------------------------------------------- */

static int keep(lq_hub_member *m, const route *r, lq_str bytes, unsigned how)
{
    kept *k;

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

static kept *pop_kept(lq_hub_member *m)
{
    kept *k = m->first_kept;

    if (!k) return NULL;
    m->first_kept = k->next;
    if (!m->first_kept) m->last_kept = &m->first_kept;
    m->kept_count--;
    m->kept_bytes -= k->len;
    return k;
}

static void send_kept(lq_hub_member *m)
{
    const route *r;
    kept *k;

    while ((k = pop_kept(m))) {
        r = route_to(m, k->id, k->name, (lq_str){k->bytes, k->topic_len});
        if (r)
            (void)!transmit(m, r, (lq_str){k->bytes + k->topic_len, k->len},
                            k->how);
        lq_mem_free(k);
    }
}

/* ---- a member sends ----------------------------------------------------- */

static int dispatch(lq_hub_member *m, int id, const char *name, lq_str topic,
                    lq_str bytes, unsigned how)
{
    const route *r;

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

/* ---- a member receives -------------------------------------------------- */

static bool is_for(const lq_hub_member *m, const lq_sender *from,
                   const lq_note *note)
{
    if (note->to) return note->to == m->self.serial;
    return note->with_sender || from->serial != m->self.serial;
}

static void read_batch(lq_hub_member *m, const lq_inbox_entry *e)
{
    const lq_sender *from = lq_batch_sender(e->batch);
    size_t at = 0, taken = 0;
    lq_note note;

    while (taken < e->take && lq_batch_next(e->batch, &at, &note))
        if (is_for(m, from, &note) &&
            m->cfg.on_message(m->cfg.data, from, &note))
            taken++;
    m->received += taken;
}

/* Some of what waits: the rest has the next turn, so that what is taken is not
 * much more than what is worked off. */
static void receive(lq_hub_member *m)
{
    lq_inbox_entry e;
    size_t taken = 0;

    while (taken < A_TURN && lq_inbox_take(&m->inbox, &e)) {
        read_batch(m, &e);
        lq_batch_unref(e.batch);
        taken += e.messages ? e.messages : 1;
    }
    m->has_more = taken >= A_TURN;
    if (m->has_more) lq_loop_again(m->cfg.loop);
    if (taken > 0 && m->is_open) m->cfg.on_messages(m->cfg.data);
}

static void on_filled(lq_inbox *in)
{
    receive(in->data);
}

/* What has come is worked off and answered without a look at anything else. */
static void answer(lq_hub_member *m)
{
    receive(m);
    m->cfg.run(m->cfg.data);
    flush(m);
}

static void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#endif
}

/* Others see that nobody sleeps here. Sockets and timers wait for it. */
static void spin(lq_hub_member *m)
{
    uint64_t begun = uv_hrtime(), span = m->cfg.spin_us * 1000, now = begun,
             until = begun + span;

    if (lq_inbox_begin_watch(&m->inbox)) answer(m);
    while (now < until && now - begun < SPIN_MOST_NS) {
        relax();
        now = uv_hrtime();
        if (!lq_inbox_is_filled(&m->inbox)) continue;
        answer(m);
        until = uv_hrtime() + span;
    }
    if (lq_inbox_end_watch(&m->inbox)) answer(m);
}

static void on_turn(lq_turn *turn)
{
    lq_hub_member *m = LQ_CONTAINER_OF(turn, lq_hub_member, turn);

    if (m->has_more) receive(m);
    flush(m);
    if (m->cfg.spin_us && m->is_open && !lq_loop_is_wanted(m->cfg.loop))
        spin(m);
}

int lq_hub_subscribe(lq_hub_member *m, lq_str topic, uint32_t *number)
{
    int err = LQ_ECLOSED;

    *number = 0;
    uv_rwlock_wrlock(&m->hub->lock);
    if (!m->is_parted) {
        *number =
            lq_topics_add(&m->hub->topics, topic, m->slot, m->self.serial);
        err = *number ? 0 : -ENOMEM;
        change(m->hub);
    }
    uv_rwlock_wrunlock(&m->hub->lock);
    return err;
}

void lq_hub_unsubscribe(lq_hub_member *m, lq_str topic)
{
    uv_rwlock_wrlock(&m->hub->lock);
    if (!m->is_parted) lq_topics_remove(&m->hub->topics, topic, m->self.serial);
    change(m->hub);
    uv_rwlock_wrunlock(&m->hub->lock);
}

void lq_hub_hold(lq_hub_member *m, size_t messages, size_t bytes)
{
    lq_inbox_hold(&m->inbox, messages, bytes);
}

void lq_hub_member_stats(lq_hub_member *m, lq_hub_stats *out)
{
    out->sent = m->sent;
    out->received = m->received;
    lq_inbox_stats(&m->inbox, &out->queued, &out->dropped);
}

/* ---- services ----------------------------------------------------------- */

lq_hub_address lq_hub_address_of(const lq_hub_member *m)
{
    return (lq_hub_address){m->slot, m->self.serial};
}

/* Under the lock. NULL: it has gone. */
static lq_hub_member *member_at(const lq_hub *hub, lq_hub_address a)
{
    lq_hub_member *m = a.slot < hub->slot_count ? hub->slots[a.slot] : NULL;

    return m && m->self.serial == a.serial ? m : NULL;
}

bool lq_hub_is_there(lq_hub_member *m, lq_hub_address a)
{
    bool is_there;

    uv_rwlock_rdlock(&m->hub->lock);
    is_there = member_at(m->hub, a) != NULL;
    uv_rwlock_rdunlock(&m->hub->lock);
    return is_there;
}

/* What was sent before arrives before. */
int lq_hub_tell(lq_hub_member *m, lq_hub_address to, lq_str bytes, bool is_due)
{
    lq_note note = {.to = to.serial, .with_sender = true, .bytes = bytes};
    lq_batch *batch = lq_batch_new(&m->self, bytes.len);
    lq_hub_member *at;
    int err;

    if (!batch) return -ENOMEM;
    flush(m);
    err = lq_batch_add(&batch, &note);
    uv_rwlock_rdlock(&m->hub->lock);
    at = member_at(m->hub, to);
    if (err == 0 && !at) err = LQ_ECLOSED;
    if (err == 0 && is_due) err = lq_inbox_force(&at->inbox, batch);
    if (err == 0 && !is_due &&
        lq_inbox_push(&at->inbox, batch, 1, bytes.len) == 0)
        err = LQ_EOVERLOADED;
    uv_rwlock_rdunlock(&m->hub->lock);
    lq_batch_unref(batch);
    return err;
}

/* Under the lock: every member looks again at who is there. Without memory they
 * do so with the next change. */
static void tell_change(lq_hub *hub)
{
    static const lq_sender nobody = {.serial = UINT32_MAX};
    lq_note note = {.with_sender = true};
    lq_batch *batch = lq_batch_new(&nobody, 0);
    int i;

    if (!batch) return;
    if (lq_batch_add(&batch, &note) == 0)
        for (i = 0; i < hub->slot_count; i++)
            if (hub->slots[i])
                (void)!lq_inbox_force(&hub->slots[i]->inbox, batch);
    lq_batch_unref(batch);
}

/* Under the lock. */
static known **find_name(lq_hub *hub, const char *text)
{
    known **at = &hub->names;

    while (*at && strcmp((*at)->text, text) != 0) at = &(*at)->next;
    return at;
}

static int set_name(lq_hub *hub, const char *text, lq_hub_name_state state)
{
    known **at = find_name(hub, text), *n = *at;

    if (state == LQ_HUB_UNKNOWN) {
        if (n) *at = n->next;
        lq_mem_free(n);
        return 0;
    }
    if (!n) {
        n = lq_mem_zalloc(sizeof *n);
        if (!n) return -ENOMEM;
        snprintf(n->text, sizeof n->text, "%s", text);
        *at = n;
    }
    n->is_awaited = state == LQ_HUB_AWAITED;
    return 0;
}

LQ_ANY_THREAD int lq_hub_set_name(lq_hub *hub, const char *text,
                                  lq_hub_name_state state)
{
    int err;

    uv_rwlock_wrlock(&hub->lock);
    err = set_name(hub, text, state);
    tell_change(hub);
    uv_rwlock_wrunlock(&hub->lock);
    return err;
}

/* Under the lock. */
static bool find_open(lq_hub_member *m, const char *text, lq_hub_address *out)
{
    const lq_hub *hub = m->hub;
    const lq_hub_member *other;
    int i, at;

    for (i = 1; i <= hub->slot_count; i++) {
        at = (m->last_found + i) % hub->slot_count;
        other = hub->slots[at];
        if (!other || !other->is_open || other->is_hidden ||
            strcmp(other->self.name, text) != 0)
            continue;
        m->last_found = at;
        *out = (lq_hub_address){at, other->self.serial};
        return true;
    }
    return false;
}

lq_hub_name_state lq_hub_find(lq_hub_member *m, const char *text,
                              lq_hub_address *out)
{
    lq_hub_name_state state = LQ_HUB_UNKNOWN;
    const known *n;

    uv_rwlock_rdlock(&m->hub->lock);
    n = *find_name(m->hub, text);
    if (n) state = n->is_awaited ? LQ_HUB_AWAITED : LQ_HUB_DOWN;
    if (n && find_open(m, text, out)) state = LQ_HUB_UP;
    uv_rwlock_rdunlock(&m->hub->lock);
    return state;
}

/* ---- its life ----------------------------------------------------------- */

int lq_hub_join(lq_hub_member **out, lq_hub *hub, const lq_hub_member_cfg *cfg)
{
    lq_hub_member *m = lq_mem_zalloc(sizeof *m);
    int err;

    if (!m) return -ENOMEM;
    m->hub = hub;
    m->cfg = *cfg;
    m->self.id = cfg->id;
    snprintf(m->self.name, sizeof m->self.name, "%s", cfg->name);
    m->last_kept = &m->first_kept;
    m->turn.run = on_turn;
    m->inbox.max_messages = hub->max_messages;
    m->inbox.max_bytes = hub->max_bytes;
    uv_rwlock_wrlock(&hub->lock);
    err = take_slot(hub, m);
    if (err == 0) {
        err = lq_inbox_open(&m->inbox, lq_loop_uv(cfg->loop), on_filled, m);
        if (err < 0) hub->slots[m->slot] = NULL;
    }
    uv_rwlock_wrunlock(&hub->lock);
    if (err < 0) {
        lq_mem_free(m);
        return err;
    }
    lq_loop_on_turn(cfg->loop, &m->turn);
    *out = m;
    return 0;
}

void lq_hub_open(lq_hub_member *m)
{
    uv_rwlock_wrlock(&m->hub->lock);
    m->is_open = true;
    change(m->hub);
    if (*m->self.name) tell_change(m->hub);
    uv_rwlock_wrunlock(&m->hub->lock);
    send_kept(m);
    m->cfg.on_messages(m->cfg.data);
}

void lq_hub_hide(lq_hub_member *m)
{
    uv_rwlock_wrlock(&m->hub->lock);
    m->is_hidden = true;
    uv_rwlock_wrunlock(&m->hub->lock);
}

LQ_ANY_THREAD void lq_hub_part(lq_hub_member *m)
{
    lq_hub *hub = m->hub;

    uv_rwlock_wrlock(&hub->lock);
    if (!m->is_parted) {
        m->is_parted = true;
        hub->slots[m->slot] = NULL;
        lq_topics_remove_all(&hub->topics, m->self.serial);
        change(hub);
        if (*m->self.name) tell_change(hub);
    }
    uv_rwlock_wrunlock(&hub->lock);
}

static void on_inbox_closed(lq_inbox *in)
{
    lq_hub_member *m = in->data;

    m->on_closed(m->closed_data);
}

void lq_hub_close(lq_hub_member *m, void (*on_closed)(void *data), void *data)
{
    m->on_closed = on_closed;
    m->closed_data = data;
    flush(m);
    lq_hub_part(m);
    lq_list_remove(&m->turn.link);
    lq_inbox_close(&m->inbox, on_inbox_closed);
}

void lq_hub_leave(lq_hub_member *m)
{
    kept *k;
    size_t i;

    while ((k = pop_kept(m))) lq_mem_free(k);
    for (i = 0; i < ROUTES; i++) lq_mem_free(m->routes[i].to);
    lq_batch_unref(m->batch);
    lq_mem_free(m->shares);
    lq_mem_free(m->share_of);
    lq_inbox_fini(&m->inbox);
    lq_mem_free(m);
}

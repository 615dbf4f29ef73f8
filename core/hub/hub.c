/* hub.c - see hub.h: the hub, its members and their life, what they get. */
#include "hub/hub.h"

#include <errno.h>
#include <stdio.h>

#include "base/mem.h"
#include "hub/state.h"

enum {
    SPIN_MOST_NS = 2000000, /* without a look at sockets and timers */
    A_TURN = 256,           /* messages taken */
};

/* ---- the hub ------------------------------------------------------------- */

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
    if (!hub) return;
    lq_hub_free_names(hub);
    lq_topics_fini(&hub->topics);
    lq_mem_free(hub->slots);
    uv_rwlock_destroy(&hub->lock);
    lq_mem_free(hub);
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
    lq_hub_change(hub);
    return 0;
}

/* ---- a member receives --------------------------------------------------- */

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
    lq_hub_flush(m);
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
    lq_hub_flush(m);
    if (m->cfg.spin_us && m->is_open && !lq_loop_is_wanted(m->cfg.loop))
        spin(m);
}

/* ---- a member subscribes ------------------------------------------------- */

int lq_hub_subscribe(lq_hub_member *m, lq_str topic, uint32_t *number)
{
    int err = LQ_ECLOSED;

    *number = 0;
    uv_rwlock_wrlock(&m->hub->lock);
    if (!m->is_parted) {
        *number =
            lq_topics_add(&m->hub->topics, topic, m->slot, m->self.serial);
        err = *number ? 0 : -ENOMEM;
        lq_hub_change(m->hub);
    }
    uv_rwlock_wrunlock(&m->hub->lock);
    return err;
}

void lq_hub_unsubscribe(lq_hub_member *m, lq_str topic)
{
    uv_rwlock_wrlock(&m->hub->lock);
    if (!m->is_parted) lq_topics_remove(&m->hub->topics, topic, m->self.serial);
    lq_hub_change(m->hub);
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

/* ---- its life ------------------------------------------------------------ */

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
    lq_hub_change(m->hub);
    if (*m->self.name) lq_hub_tell_change(m->hub);
    uv_rwlock_wrunlock(&m->hub->lock);
    lq_hub_send_kept(m);
    m->cfg.on_messages(m->cfg.data);
}

LQ_ANY_THREAD void lq_hub_part(lq_hub_member *m)
{
    lq_hub *hub = m->hub;

    uv_rwlock_wrlock(&hub->lock);
    if (!m->is_parted) {
        m->is_parted = true;
        hub->slots[m->slot] = NULL;
        lq_topics_remove_all(&hub->topics, m->self.serial);
        lq_hub_change(hub);
        if (*m->self.name) lq_hub_tell_change(hub);
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
    lq_hub_flush(m);
    lq_hub_part(m);
    lq_list_remove(&m->turn.link);
    lq_inbox_close(&m->inbox, on_inbox_closed);
}

void lq_hub_leave(lq_hub_member *m)
{
    lq_hub_free_outbox(m);
    lq_inbox_fini(&m->inbox);
    lq_mem_free(m);
}

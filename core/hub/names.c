/* names.c - services by their names: see hub.h.
 *
 * The hub knows which names have been declared and whether somebody is awaited
 * there; who is there just now it sees from its members.
 */
#include <errno.h>
#include <stdio.h>

#include "base/mem.h"
#include "hub/hub.h"
#include "hub/state.h"

/* ---- members by their address -------------------------------------------- */

lq_hub_address lq_hub_address_of(const lq_hub_member *m)
{
    return (lq_hub_address){m->slot, m->self.serial};
}

/* Under the lock. NULL: it has gone. */
lq_hub_member *lq_hub_member_at(const lq_hub *hub, lq_hub_address a)
{
    lq_hub_member *m = a.slot < hub->slot_count ? hub->slots[a.slot] : NULL;

    return m && m->self.serial == a.serial ? m : NULL;
}

bool lq_hub_is_there(lq_hub_member *m, lq_hub_address a)
{
    bool is_there;

    uv_rwlock_rdlock(&m->hub->lock);
    is_there = lq_hub_member_at(m->hub, a) != NULL;
    uv_rwlock_rdunlock(&m->hub->lock);
    return is_there;
}

/* Under the lock: every member looks again at who is there. Without memory they
 * do so with the next change. */
void lq_hub_tell_change(lq_hub *hub)
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
static lq_hub_name **find_name(lq_hub *hub, const char *text)
{
    lq_hub_name **at = &hub->names;

    while (*at && strcmp((*at)->text, text) != 0) at = &(*at)->next;
    return at;
}

static int set_name(lq_hub *hub, const char *text, lq_hub_name_state state)
{
    lq_hub_name **at = find_name(hub, text), *n = *at;

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
    lq_hub_tell_change(hub);
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
    const lq_hub_name *n;

    uv_rwlock_rdlock(&m->hub->lock);
    n = *find_name(m->hub, text);
    if (n) state = n->is_awaited ? LQ_HUB_AWAITED : LQ_HUB_DOWN;
    if (n && find_open(m, text, out)) state = LQ_HUB_UP;
    uv_rwlock_rdunlock(&m->hub->lock);
    return state;
}

void lq_hub_hide(lq_hub_member *m)
{
    uv_rwlock_wrlock(&m->hub->lock);
    m->is_hidden = true;
    uv_rwlock_wrunlock(&m->hub->lock);
}

void lq_hub_free_names(lq_hub *hub)
{
    lq_hub_name *n;

    while ((n = hub->names)) {
        hub->names = n->next;
        lq_mem_free(n);
    }
}

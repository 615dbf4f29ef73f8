/* state.h - what the files of the hub have in common: hub.c (members and their
 * life), outbox.c (what they send), names.c (services). Nobody else includes
 * it.
 *
 * Owns:    nothing of its own.
 * Thread:  as hub.h; what the lock guards says so.
 * Knows:   hub, inbox, topics.
 */
#ifndef LQ_HUB_STATE_H
#define LQ_HUB_STATE_H

#include <stdatomic.h>
#include <uv.h>

#include "hub/hub.h"
#include "hub/inbox.h"
#include "hub/topics.h"

enum { LQ_HUB_ROUTES = 64 /* in a member's cache */ };

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
    struct lq_hub_name *names; /* guarded by lock */
};

/* A service that has been declared. */
typedef struct lq_hub_name {
    struct lq_hub_name *next;
    bool is_awaited;
    char text[sizeof((lq_sender *)0)->name];
} lq_hub_name;

/* Where messages of one kind go, as of `version`. */
typedef struct lq_hub_route {
    uint64_t version; /* 0: unused */
    int id;           /* of a worker; EVERYBODY; 0: a service */
    char name[sizeof((lq_sender *)0)->name];
    char topic[LQ_HUB_TOPIC_MAX];
    size_t topic_len;
    uint32_t number; /* of the topic; 0: nobody subscribes */
    size_t count;
    size_t cap;
    lq_subscriber *to;
} lq_hub_route;

/* What of the batch at hand is for one member. */
typedef struct lq_hub_share {
    int slot;
    uint32_t serial;
    size_t messages;
    size_t bytes;
} lq_hub_share;

/* What goes the same way one after another is counted together. */
typedef struct lq_hub_streak {
    const lq_hub_route *route; /* NULL: nothing */
    bool with_sender;
    int receivers; /* each has a share */
    size_t messages;
    size_t bytes;
} lq_hub_streak;

/* Sent before the member was opened. */
typedef struct lq_hub_kept {
    struct lq_hub_kept *next;
    int id;
    unsigned how;
    size_t topic_len;
    size_t len;
    char name[sizeof((lq_sender *)0)->name];
    char bytes[]; /* the topic, the value */
} lq_hub_kept;

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
    lq_hub_streak streak; /* not in shares yet */
    lq_hub_share *shares;
    size_t share_count;
    size_t share_cap;
    int *share_of; /* slot -> index in shares + 1 */
    int share_of_cap;
    lq_hub_kept *first_kept;
    lq_hub_kept **last_kept;
    size_t kept_count;
    size_t kept_bytes;
    uint64_t sent;
    uint64_t received;
    lq_hub_route routes[LQ_HUB_ROUTES];
};

/* Under the lock: members look anew for where messages go. */
static inline void lq_hub_change(lq_hub *hub)
{
    atomic_fetch_add(&hub->version, 1);
}

/* names.c. Under the lock. NULL: it has gone. */
lq_hub_member *lq_hub_member_at(const lq_hub *hub, lq_hub_address a);
/* Under the lock: every member looks again at who is there. Without memory they
 * do so with the next change. */
void lq_hub_tell_change(lq_hub *hub);
void lq_hub_free_names(lq_hub *hub);

/* outbox.c. What was sent in this turn goes to who is meant. */
void lq_hub_flush(lq_hub_member *m);
/* What it sent before it was open. */
void lq_hub_send_kept(lq_hub_member *m);
void lq_hub_free_outbox(lq_hub_member *m);

#endif

/* hub.h - messages between the threads of the runtime: topics and members.
 *
 * A member is one thread's end: a worker or a service. It subscribes to topics
 * and sends; what it sends in one turn of its loop travels as one batch, to the
 * inbox of each member that is meant, at the end of the turn.
 *
 * Until it is opened a member keeps what it sends and what it gets: others may
 * not be ready for it, nor it for them.
 *
 * Owns:    the hub: topics, the list of members. A member: its inbox, what it
 *          has not sent yet, a cache of the routes it uses.
 * Thread:  the hub - any; part - any. Everything else of a member - its loop.
 * Life:    hub: new -> join* -> free, when all members are gone.
 *          member: join -> (subscribe | publish | send)* -> open -> ... ->
 *          close -> on_closed -> leave. part: at any point, by another thread
 *          when this one does not come back.
 * Knows:   inbox, batch, loop.
 */
#ifndef LQ_HUB_H
#define LQ_HUB_H

#include "base/err.h"
#include "base/str.h"
#include "hub/batch.h"
#include "loop/loop.h"

typedef struct lq_hub lq_hub;
typedef struct lq_hub_member lq_hub_member;

enum { LQ_HUB_TOPIC_MAX = 255 /* bytes of a name */ };

/* What a member may have waiting, at most. NULL: no memory. */
lq_hub *lq_hub_new(size_t max_messages, size_t max_bytes) LQ_MUST_CHECK;
void lq_hub_free(lq_hub *hub);

typedef struct lq_hub_member_cfg {
    lq_loop *loop;
    int id;           /* of the worker; 0: a service */
    const char *name; /* of the service; "": a worker */
    /* Out of the loop: a message on some topic, lent; also before the member is
     * open. Returns whether it is still subscribed to. Topic 0: lq_hub_tell and
     * lq_hub_set_name. */
    bool (*on_message)(void *data, const lq_sender *from, const lq_note *note);
    /* The loop does not sleep at once when there is nothing to do, but looks
     * for messages so long; 0: never. After those that come it calls run, for
     * what has become ready. Microseconds. */
    uint64_t spin_us;
    void (*run)(void *data);
    /* Behind a number of them, not before the member is open. */
    void (*on_messages)(void *data);
    void *data;
} lq_hub_member_cfg;

/* Copies cfg. -ENOMEM, or libuv's codes. */
int lq_hub_join(lq_hub_member **out, lq_hub *hub,
                const lq_hub_member_cfg *cfg) LQ_MUST_CHECK;

/* What has been kept goes out and comes in. From now on its id, or name, means
 * this member. */
void lq_hub_open(lq_hub_member *m);

/* Gives the number of the topic, never 0. Each call needs an unsubscribe.
 * -ENOMEM; LQ_ECLOSED: it has parted. */
int lq_hub_subscribe(lq_hub_member *m, lq_str topic,
                     uint32_t *number) LQ_MUST_CHECK;
void lq_hub_unsubscribe(lq_hub_member *m, lq_str topic);

/* What goes with a message that is published. */
typedef enum lq_hub_how {
    LQ_HUB_PLAIN = 0,
    LQ_HUB_WITH_SENDER = 1, /* to itself, too */
    LQ_HUB_BINARY = 2,      /* a note's is_binary */
} lq_hub_how;

/* To all others that subscribe. Copies the bytes. `how`: of lq_hub_how, added
 * up. Gives how many it was queued for, or -ENOMEM. */
int lq_hub_publish(lq_hub_member *m, lq_str topic, lq_str bytes,
                   unsigned how) LQ_MUST_CHECK;

/* To one worker (id) or service (name; id 0), itself included. LQ_ENORECEIVER:
 * there is none, or it does not subscribe; LQ_EOVERLOADED; -ENOMEM. */
int lq_hub_send(lq_hub_member *m, int id, lq_str name, lq_str topic,
                lq_str bytes) LQ_MUST_CHECK;

/* How much of what it got is still unused: it counts as waiting. */
void lq_hub_hold(lq_hub_member *m, size_t messages, size_t bytes);

/* Where one member is. */
typedef struct lq_hub_address {
    int slot;
    uint32_t serial;
} lq_hub_address;

/* To one member, at once; the note's topic is 0. `is_due`: also when its inbox
 * is full. LQ_ECLOSED: it has gone; LQ_EOVERLOADED; -ENOMEM. */
int lq_hub_tell(lq_hub_member *m, lq_hub_address to, lq_str bytes,
                bool is_due) LQ_MUST_CHECK;

bool lq_hub_is_there(lq_hub_member *m, lq_hub_address a);
lq_hub_address lq_hub_address_of(const lq_hub_member *m);

/* Names of services, whether one is there or not. After a change of any, and
 * when a service opens or parts, every member is told an empty note on topic
 * 0. */
typedef enum lq_hub_name_state {
    LQ_HUB_UNKNOWN,
    LQ_HUB_DOWN,    /* nobody is there */
    LQ_HUB_AWAITED, /* nobody is there, but somebody comes soon */
    LQ_HUB_UP,
} lq_hub_name_state;

/* UNKNOWN forgets the name; AWAITED and DOWN hold while nobody is there. Any
 * thread. -ENOMEM. */
LQ_ANY_THREAD int lq_hub_set_name(lq_hub *hub, const char *name,
                                  lq_hub_name_state state) LQ_MUST_CHECK;

/* UP: `out` gets one of those with that name, in turn. */
lq_hub_name_state lq_hub_find(lq_hub_member *m, const char *name,
                              lq_hub_address *out);

typedef struct lq_hub_stats {
    uint64_t sent;     /* publish and send */
    uint64_t received; /* told by on_message */
    uint64_t dropped;  /* as its inbox was full */
    size_t queued;
} lq_hub_stats;

void lq_hub_member_stats(lq_hub_member *m, lq_hub_stats *out);

/* A service that ends: nobody finds it by its name any more; who knows its
 * address reaches it. */
void lq_hub_hide(lq_hub_member *m);

/* Nobody reaches it any more. */
LQ_ANY_THREAD void lq_hub_part(lq_hub_member *m);

/* Parts, sends what is left, closes; on_closed comes out of the loop. */
void lq_hub_close(lq_hub_member *m, void (*on_closed)(void *data), void *data);
/* After on_closed. */
void lq_hub_leave(lq_hub_member *m);

#endif

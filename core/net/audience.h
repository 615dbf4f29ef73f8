/* audience.h - topics, and the sessions of one worker that subscribe to them.
 *
 * What is published is gathered over a turn of the loop, encoded once for each
 * encoding among the subscribers, and written to each of them in one piece.
 * Whatever else concerns a session with subscriptions comes behind it.
 *
 * Owns:    the topics, the subscriptions, what is gathered.
 * Thread:  owner loop.
 * Life:    init -> (subscribe | publish | unsubscribe)* -> fini, when no
 *          session is left.
 * Knows:   session, encoding. Not the hub: cfg reaches it.
 */
#ifndef LQ_AUDIENCE_H
#define LQ_AUDIENCE_H

#include "base/buf.h"
#include "base/list.h"
#include "base/str.h"
#include "log/log.h"
#include "loop/loop.h"

typedef struct lq_audience_cfg {
    lq_loop *loop;
    const lq_log *log;
    /* The first session subscribes to a topic: gives its number in the hub;
     * -ENOMEM, LQ_ECLOSED. The last one has gone. */
    int (*on_topic)(void *data, lq_str name, uint32_t *number);
    void (*on_topic_gone)(void *data, lq_str name);
    void *data;
} lq_audience_cfg;

struct lq_session;
struct lq_sessions;

typedef struct lq_audience {
    lq_audience_cfg cfg;
    struct lq_sessions *all;
    lq_turn turn;
    lq_list *by_name; /* buckets of topics */
    lq_list *by_number;
    size_t bucket_count; /* a power of two */
    size_t count;        /* topics */
    lq_list pending;     /* topics with something to be written */
    bool is_writing;
} lq_audience;

int lq_audience_init(lq_audience *a, struct lq_sessions *all,
                     const lq_audience_cfg *cfg) LQ_MUST_CHECK;
void lq_audience_fini(lq_audience *a);

/* Twice is once. -ENOMEM; LQ_ECLOSED: the hub has parted. */
int lq_audience_subscribe(lq_audience *a, struct lq_session *s,
                          lq_str topic) LQ_MUST_CHECK;
void lq_audience_unsubscribe(lq_audience *a, struct lq_session *s,
                             lq_str topic);

/* Copies the message for all that subscribe, but for `except` (NULL: nobody);
 * it is written at the end of the turn. Text goes as binary where it is no
 * UTF-8. -ENOMEM. */
int lq_audience_publish(lq_audience *a, lq_str topic, lq_str message,
                        bool is_binary,
                        const struct lq_session *except) LQ_MUST_CHECK;

/* Whether somebody subscribes to the hub's topic of that number. */
bool lq_audience_has(const lq_audience *a, uint32_t number);
/* The same as publish, by that number. */
int lq_audience_deliver(lq_audience *a, uint32_t number, lq_str message,
                        bool is_binary) LQ_MUST_CHECK;

/* What is gathered goes out now, if the session subscribes to anything. */
void lq_audience_settle(lq_audience *a, const struct lq_session *s);

/* It is over. */
void lq_audience_leave(lq_audience *a, struct lq_session *s);

#endif

/* topics.h - which members subscribe to which topic.
 *
 * A topic is there while somebody subscribes to it. Its number is never used
 * again for another one.
 *
 * Owns:    the names, and for each a list of subscribers.
 * Thread:  none; the hub's lock guards it.
 * Life:    init -> (add | remove | find)* -> fini.
 * Knows:   base.
 */
#ifndef LQ_TOPICS_H
#define LQ_TOPICS_H

#include "base/defs.h"
#include "base/str.h"

/* A member by its place in the hub's list and the number that tells it from
 * those who had the place before. */
typedef struct lq_subscriber {
    int slot;
    uint32_t serial;
    uint32_t times; /* subscribed */
} lq_subscriber;

typedef struct lq_topic {
    struct lq_topic *next; /* in its bucket */
    uint32_t number;       /* from 1 */
    size_t count;
    size_t cap;
    lq_subscriber *subscribers;
    size_t len;
    char name[];
} lq_topic;

typedef struct lq_topics {
    lq_topic **buckets;
    size_t bucket_count; /* a power of two */
    size_t count;
    uint32_t newest;
} lq_topics;

/* All zero is an empty one. */
void lq_topics_fini(lq_topics *ts);

/* NULL: nobody subscribes to it. */
const lq_topic *lq_topics_find(const lq_topics *ts, lq_str name);

/* Gives the topic's number, 0: no memory. */
uint32_t lq_topics_add(lq_topics *ts, lq_str name, int slot,
                       uint32_t serial) LQ_MUST_CHECK;
/* Undoes one add. */
void lq_topics_remove(lq_topics *ts, lq_str name, uint32_t serial);
/* Undoes all of this member's. */
void lq_topics_remove_all(lq_topics *ts, uint32_t serial);

#endif

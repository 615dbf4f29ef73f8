/* topics.c - see topics.h. */
#include "hub/topics.h"

#include "base/mem.h"

enum { FIRST_BUCKETS = 64, FIRST_SUBSCRIBERS = 4 };

/* FNV-1a. */
static size_t hash_of(lq_str name)
{
    uint64_t hash = 0xcbf29ce484222325;
    size_t i;

    for (i = 0; i < name.len; i++)
        hash = (hash ^ (unsigned char)name.ptr[i]) * 0x100000001b3;
    return (size_t)(hash ^ hash >> 32);
}

static lq_str name_of(const lq_topic *t)
{
    return (lq_str){t->name, t->len};
}

static void free_topic(lq_topic *t)
{
    lq_mem_free(t->subscribers);
    lq_mem_free(t);
}

void lq_topics_fini(lq_topics *ts)
{
    lq_topic *t, *next;
    size_t i;

    for (i = 0; i < ts->bucket_count; i++)
        for (t = ts->buckets[i]; t; t = next) {
            next = t->next;
            free_topic(t);
        }
    lq_mem_free(ts->buckets);
    *ts = (lq_topics){0};
}

static lq_topic **bucket_of(const lq_topics *ts, lq_str name)
{
    return &ts->buckets[hash_of(name) & (ts->bucket_count - 1)];
}

static lq_topic *find(const lq_topics *ts, lq_str name)
{
    lq_topic *t;

    if (ts->bucket_count == 0) return NULL;
    for (t = *bucket_of(ts, name); t; t = t->next)
        if (lq_str_equal(name_of(t), name)) return t;
    return NULL;
}

const lq_topic *lq_topics_find(const lq_topics *ts, lq_str name)
{
    return find(ts, name);
}

/* Twice as many buckets when there are more topics than those. */
static bool make_room(lq_topics *ts)
{
    size_t old = ts->bucket_count, i;
    lq_topic **buckets = ts->buckets, **to, *t, *next;

    if (ts->count < old) return true;
    ts->bucket_count = old ? 2 * old : FIRST_BUCKETS;
    ts->buckets = lq_mem_zalloc(ts->bucket_count * sizeof *ts->buckets);
    if (!ts->buckets) {
        ts->buckets = buckets;
        ts->bucket_count = old;
        return false;
    }
    for (i = 0; i < old; i++)
        for (t = buckets[i]; t; t = next) {
            next = t->next;
            to = bucket_of(ts, name_of(t));
            t->next = *to;
            *to = t;
        }
    lq_mem_free(buckets);
    return true;
}

static lq_topic *make(lq_topics *ts, lq_str name)
{
    lq_topic *t, **to;

    if (!make_room(ts)) return NULL;
    t = lq_mem_zalloc(sizeof *t + name.len);
    if (!t) return NULL;
    t->number = ++ts->newest;
    t->len = name.len;
    memcpy(t->name, name.ptr, name.len);
    to = bucket_of(ts, name);
    t->next = *to;
    *to = t;
    ts->count++;
    return t;
}

static void drop_if_unused(lq_topics *ts, lq_topic *t)
{
    lq_topic **at = bucket_of(ts, name_of(t));

    if (t->count > 0) return;
    while (*at != t) at = &(*at)->next;
    *at = t->next;
    ts->count--;
    free_topic(t);
}

static lq_subscriber *subscriber_of(const lq_topic *t, uint32_t serial)
{
    size_t i;

    for (i = 0; i < t->count; i++)
        if (t->subscribers[i].serial == serial) return &t->subscribers[i];
    return NULL;
}

static bool add_subscriber(lq_topic *t, int slot, uint32_t serial)
{
    lq_subscriber *s = subscriber_of(t, serial);
    size_t cap = t->cap ? 2 * t->cap : FIRST_SUBSCRIBERS;

    if (s) {
        s->times++;
        return true;
    }
    if (t->count == t->cap) {
        s = lq_mem_realloc(t->subscribers, cap * sizeof *s);
        if (!s) return false;
        t->subscribers = s;
        t->cap = cap;
    }
    t->subscribers[t->count++] = (lq_subscriber){slot, serial, 1};
    return true;
}

uint32_t lq_topics_add(lq_topics *ts, lq_str name, int slot, uint32_t serial)
{
    lq_topic *t = find(ts, name);

    if (!t && !(t = make(ts, name))) return 0;
    if (add_subscriber(t, slot, serial)) return t->number;
    drop_if_unused(ts, t);
    return 0;
}

static void remove_subscriber(lq_topics *ts, lq_topic *t, lq_subscriber *s)
{
    *s = t->subscribers[--t->count];
    drop_if_unused(ts, t);
}

void lq_topics_remove(lq_topics *ts, lq_str name, uint32_t serial)
{
    lq_topic *t = find(ts, name);
    lq_subscriber *s = t ? subscriber_of(t, serial) : NULL;

    if (s && --s->times == 0) remove_subscriber(ts, t, s);
}

void lq_topics_remove_all(lq_topics *ts, uint32_t serial)
{
    lq_topic *t, *next;
    lq_subscriber *s;
    size_t i;

    for (i = 0; i < ts->bucket_count; i++)
        for (t = ts->buckets[i]; t; t = next) {
            next = t->next;
            s = subscriber_of(t, serial);
            if (s) remove_subscriber(ts, t, s);
        }
}

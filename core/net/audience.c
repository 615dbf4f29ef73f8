/* audience.c - see audience.h.
 *
 * A subscription stands in two lists, its session's and its topic's. A message
 * that leaves one session out is written to the others in the same piece; that
 * one gets what is before and behind it.
 */
#include "net/audience.h"

#include <errno.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "net/session.h"

enum { FIRST_BUCKETS = 64, KEEP_BYTES = 64 * 1024 };

typedef struct topic {
    lq_list by_name;
    lq_list by_number;
    lq_list pending; /* of the audience; itself: nothing to be written */
    lq_list subscriptions;
    lq_buf messages; /* notes, each with its bytes */
    uint32_t hash;
    uint32_t number;
    size_t len;
    char name[];
} topic;

typedef struct subscription {
    lq_list in_topic;
    lq_list in_session;
    topic *topic;
    lq_session *session;
} subscription;

/* In front of each message that is gathered. */
typedef struct note {
    size_t len;
    const lq_session *except;
    bool is_binary;
} note;

/* ---- topics -------------------------------------------------------------- */

/* FNV-1a; names are the app's own. */
static uint32_t hash_of(lq_str name)
{
    uint32_t h = 2166136261u;
    size_t i;

    for (i = 0; i < name.len; i++)
        h = (h ^ (unsigned char)name.ptr[i]) * 16777619u;
    return h;
}

static topic *find(const lq_audience *a, lq_str name)
{
    uint32_t hash = hash_of(name);
    lq_list *bucket, *link;
    topic *t;

    if (a->count == 0) return NULL;
    bucket = &a->by_name[hash & (a->bucket_count - 1)];
    for (link = bucket->next; link != bucket; link = link->next) {
        t = LQ_CONTAINER_OF(link, topic, by_name);
        if (t->hash == hash && t->len == name.len &&
            memcmp(t->name, name.ptr, name.len) == 0)
            return t;
    }
    return NULL;
}

static topic *find_number(const lq_audience *a, uint32_t number)
{
    lq_list *bucket, *link;
    topic *t;

    if (a->count == 0) return NULL;
    bucket = &a->by_number[number & (a->bucket_count - 1)];
    for (link = bucket->next; link != bucket; link = link->next) {
        t = LQ_CONTAINER_OF(link, topic, by_number);
        if (t->number == number) return t;
    }
    return NULL;
}

static void put(lq_audience *a, topic *t)
{
    size_t mask = a->bucket_count - 1;

    lq_list_push_back(&a->by_name[t->hash & mask], &t->by_name);
    lq_list_push_back(&a->by_number[t->number & mask], &t->by_number);
}

static lq_list *new_buckets(size_t count)
{
    lq_list *buckets = lq_mem_alloc(count * sizeof *buckets);
    size_t i;

    for (i = 0; buckets && i < count; i++) lq_list_init(&buckets[i]);
    return buckets;
}

/* Without memory the lists grow instead. */
static void grow(lq_audience *a)
{
    size_t old_count = a->bucket_count, i;
    lq_list *names = new_buckets(2 * old_count);
    lq_list *numbers = new_buckets(2 * old_count);
    lq_list *old = a->by_name, *link;
    topic *t;

    if (!names || !numbers) {
        lq_mem_free(names);
        lq_mem_free(numbers);
        return;
    }
    lq_mem_free(a->by_number);
    a->by_name = names;
    a->by_number = numbers;
    a->bucket_count = 2 * old_count;
    for (i = 0; i < old_count; i++)
        while ((link = lq_list_pop_front(&old[i]))) {
            t = LQ_CONTAINER_OF(link, topic, by_name);
            lq_list_init(&t->by_number);
            put(a, t);
        }
    lq_mem_free(old);
}

static int new_topic(lq_audience *a, lq_str name, topic **out)
{
    topic *t = lq_mem_zalloc(sizeof *t + name.len);
    int err;

    if (!t) return -ENOMEM;
    lq_list_init(&t->pending);
    lq_list_init(&t->subscriptions);
    lq_buf_init(&t->messages);
    t->hash = hash_of(name);
    t->len = name.len;
    memcpy(t->name, name.ptr, name.len);
    err = a->cfg.on_topic(a->cfg.data, name, &t->number);
    if (err < 0) {
        lq_mem_free(t);
        return err;
    }
    if (a->count >= a->bucket_count) grow(a);
    put(a, t);
    a->count++;
    *out = t;
    return 0;
}

static void free_topic(lq_audience *a, topic *t)
{
    lq_list_remove(&t->by_name);
    lq_list_remove(&t->by_number);
    lq_list_remove(&t->pending);
    a->count--;
    a->cfg.on_topic_gone(a->cfg.data, (lq_str){t->name, t->len});
    lq_buf_fini(&t->messages);
    lq_mem_free(t);
}

/* ---- writing what is gathered -------------------------------------------- */

/* A topic's messages as one encoding has them. */
typedef struct piece {
    lq_buf bytes;
    size_t *ends; /* of each message in it */
    bool is_made;
    bool has_failed;
} piece;

static bool read_note(const topic *t, size_t *at, note *n, lq_str *message)
{
    const char *bytes = lq_buf_ptr(&t->messages);

    if (*at >= lq_buf_len(&t->messages)) return false;
    memcpy(n, bytes + *at, sizeof *n);
    *message = (lq_str){bytes + *at + sizeof *n, n->len};
    *at += sizeof *n + n->len;
    return true;
}

/* Of a message that cannot be framed nothing stands in it. */
static void make(lq_audience *a, const topic *t, uint8_t encoding, piece *p)
{
    size_t at = 0, i = 0, count = 0;
    lq_str message;
    note n;

    p->is_made = true;
    while (read_note(t, &at, &n, &message)) count++;
    p->ends = lq_mem_alloc(count * sizeof *p->ends);
    if (!p->ends) {
        p->has_failed = true;
        return;
    }
    for (at = 0; read_note(t, &at, &n, &message); i++) {
        bool is_text = !n.is_binary && lq_utf8_valid(message);

        if (lq_encode(&a->all->encoder, encoding, message, !is_text,
                      &p->bytes) < 0)
            p->has_failed = true;
        p->ends[i] = lq_buf_len(&p->bytes);
    }
}

/* To one that is left out of some. */
static void write_some(const topic *t, const piece *p, lq_session *s)
{
    size_t at = 0, i = 0, from = 0;
    lq_str message;
    note n;

    for (; s->conn && read_note(t, &at, &n, &message); i++) {
        if (n.except != s && p->ends[i] > from)
            lq_session_write(
                s, (lq_str){lq_buf_ptr(&p->bytes) + from, p->ends[i] - from});
        from = p->ends[i];
    }
}

static void write_to(lq_audience *a, const topic *t, piece *pieces,
                     lq_session *s)
{
    piece *p = &pieces[s->encoding];

    if (s->state != LQ_SESSION_OPEN) return;
    if (!p->is_made) make(a, t, s->encoding, p);
    if (!p->ends || lq_buf_len(&p->bytes) == 0) return;
    if (s->is_excepted)
        write_some(t, p, s);
    else
        lq_session_write(s, lq_buf_view(&p->bytes));
}

static void mark_excepted(const topic *t, bool is_excepted)
{
    size_t at = 0;
    lq_str message;
    note n;

    while (read_note(t, &at, &n, &message))
        if (n.except)
            ((lq_session *)(uintptr_t)n.except)->is_excepted = is_excepted;
}

/* A session may end by what it is written, and so its subscription. */
static void write_topic(lq_audience *a, topic *t)
{
    piece pieces[LQ_ENCODINGS] = {0};
    lq_list *link, *next;
    bool has_failed = false;
    size_t i;

    mark_excepted(t, true);
    for (link = t->subscriptions.next; link != &t->subscriptions; link = next) {
        next = link->next;
        write_to(a, t, pieces,
                 LQ_CONTAINER_OF(link, subscription, in_topic)->session);
    }
    mark_excepted(t, false);
    for (i = 0; i < LQ_COUNT_OF(pieces); i++) {
        has_failed = has_failed || pieces[i].has_failed;
        lq_buf_fini(&pieces[i].bytes);
        lq_mem_free(pieces[i].ends);
    }
    if (has_failed)
        lq_log_printf(a->cfg.log, LQ_LOG_WARN,
                      "messages on \"%.*s\" did not fit the framing of all "
                      "connections that subscribe, or there was no memory",
                      (int)t->len, t->name);
    lq_buf_clear(&t->messages);
    if (t->messages.cap > KEEP_BYTES) lq_buf_fini(&t->messages);
}

/* What its subscribers leave while it is written is tidied up behind it. It
 * stays pending meanwhile: forget_exception is to find it. */
static void write_all(lq_audience *a)
{
    topic *t;

    if (a->is_writing) return;
    a->is_writing = true;
    while (!lq_list_is_empty(&a->pending)) {
        t = LQ_CONTAINER_OF(a->pending.next, topic, pending);
        write_topic(a, t);
        lq_list_remove(&t->pending);
        if (lq_list_is_empty(&t->subscriptions)) free_topic(a, t);
    }
    a->is_writing = false;
}

static void on_turn(lq_turn *turn)
{
    lq_audience *a = LQ_CONTAINER_OF(turn, lq_audience, turn);

    if (lq_list_is_empty(&a->pending)) return;
    write_all(a);
    lq_net_flush(a->all->net); /* its own turn is over */
}

void lq_audience_settle(lq_audience *a, const lq_session *s)
{
    if (LQ_LIKELY(lq_list_is_empty(&a->pending))) return;
    if (!lq_list_is_empty(&s->subscriptions)) write_all(a);
}

/* ---- publishing ---------------------------------------------------------- */

static int gather(lq_audience *a, topic *t, lq_str message, bool is_binary,
                  const lq_session *except)
{
    note n = {message.len, except, is_binary};

    if (lq_buf_reserve(&t->messages, sizeof n + message.len) < 0)
        return -ENOMEM;
    lq_buf_put(&t->messages, &n, sizeof n);
    lq_buf_put(&t->messages, message.ptr, message.len);
    if (lq_list_is_empty(&t->pending))
        lq_list_push_back(&a->pending, &t->pending);
    if (lq_buf_len(&t->messages) > LQ_SESSION_FULL) write_all(a);
    return 0;
}

int lq_audience_publish(lq_audience *a, lq_str name, lq_str message,
                        bool is_binary, const lq_session *except)
{
    topic *t = find(a, name);

    /* One that is over subscribes to nothing, and may be freed before this is
     * written. */
    if (except && !except->conn) except = NULL;
    return t ? gather(a, t, message, is_binary, except) : 0;
}

bool lq_audience_has(const lq_audience *a, uint32_t number)
{
    return find_number(a, number) != NULL;
}

int lq_audience_deliver(lq_audience *a, uint32_t number, lq_str message,
                        bool is_binary)
{
    topic *t = find_number(a, number);

    return t ? gather(a, t, message, is_binary, NULL) : 0;
}

/* ---- subscribing --------------------------------------------------------- */

/* In the shorter one of both lists. */
static subscription *find_subscription(const lq_session *s, const topic *t)
{
    const lq_list *mine = s->subscriptions.next, *its = t->subscriptions.next;
    subscription *sub;

    for (; mine != &s->subscriptions && its != &t->subscriptions;
         mine = mine->next, its = its->next) {
        sub = LQ_CONTAINER_OF(mine, subscription, in_session);
        if (sub->topic == t) return sub;
        sub = LQ_CONTAINER_OF(its, subscription, in_topic);
        if (sub->session == s) return sub;
    }
    return NULL;
}

/* A topic that is written just now, or waits for it, is looked at behind
 * that. */
static void drop(lq_audience *a, subscription *sub)
{
    topic *t = sub->topic;

    lq_list_remove(&sub->in_topic);
    lq_list_remove(&sub->in_session);
    lq_mem_free(sub);
    if (lq_list_is_empty(&t->subscriptions) && lq_list_is_empty(&t->pending) &&
        lq_buf_len(&t->messages) == 0)
        free_topic(a, t);
}

int lq_audience_subscribe(lq_audience *a, lq_session *s, lq_str name)
{
    topic *t = find(a, name);
    subscription *sub;
    int err;

    if (t && find_subscription(s, t)) return 0;
    if (!lq_list_is_empty(&a->pending)) write_all(a);
    t = find(a, name); /* what is written may have ended its last subscriber */
    if (s->state != LQ_SESSION_OPEN) return LQ_ECLOSED;
    sub = lq_mem_zalloc(sizeof *sub);
    if (!sub) return -ENOMEM;
    if (!t && (err = new_topic(a, name, &t)) < 0) {
        lq_mem_free(sub);
        return err;
    }
    sub->topic = t;
    sub->session = s;
    lq_list_push_back(&t->subscriptions, &sub->in_topic);
    lq_list_push_back(&s->subscriptions, &sub->in_session);
    return 0;
}

void lq_audience_unsubscribe(lq_audience *a, lq_session *s, lq_str name)
{
    topic *t;
    subscription *sub;

    lq_audience_settle(a, s);
    t = find(a, name);
    sub = t ? find_subscription(s, t) : NULL;
    if (sub) drop(a, sub);
}

/* What is gathered and leaves it out would compare it with another one that
 * gets its memory. */
static void forget_exception(const lq_audience *a, const lq_session *s)
{
    lq_list *link;
    size_t at, from;
    lq_str message;
    note n;
    topic *t;

    for (link = a->pending.next; link != &a->pending; link = link->next) {
        t = LQ_CONTAINER_OF(link, topic, pending);
        for (from = at = 0; read_note(t, &at, &n, &message); from = at)
            if (n.except == s) {
                n.except = NULL;
                memcpy(lq_buf_ptr(&t->messages) + from, &n, sizeof n);
            }
    }
}

void lq_audience_leave(lq_audience *a, lq_session *s)
{
    lq_list *link = s->subscriptions.next, *next;

    forget_exception(a, s);
    for (; link != &s->subscriptions; link = next) {
        next = link->next;
        drop(a, LQ_CONTAINER_OF(link, subscription, in_session));
    }
}

/* ---- life ---------------------------------------------------------------- */

int lq_audience_init(lq_audience *a, lq_sessions *all,
                     const lq_audience_cfg *cfg)
{
    *a = (lq_audience){.cfg = *cfg, .all = all, .bucket_count = FIRST_BUCKETS};
    lq_list_init(&a->pending);
    a->by_name = new_buckets(FIRST_BUCKETS);
    a->by_number = new_buckets(FIRST_BUCKETS);
    if (!a->by_name || !a->by_number) {
        lq_mem_free(a->by_name);
        lq_mem_free(a->by_number);
        return -ENOMEM;
    }
    a->turn.run = on_turn;
    lq_loop_on_turn(cfg->loop, &a->turn);
    return 0;
}

void lq_audience_fini(lq_audience *a)
{
    LQ_ASSERT(a->count == 0);
    lq_list_remove(&a->turn.link);
    lq_mem_free(a->by_name);
    lq_mem_free(a->by_number);
}

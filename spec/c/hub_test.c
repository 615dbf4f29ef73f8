/* hub_test.c - members of the hub, all on one loop: who gets what, and how
 * much. */
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "hub/hub.h"
#include "hub/topics.h"
#include "loop/loop.h"
#include "test.h"

enum { MEMBERS = 4, QUEUE = 100, QUEUE_BYTES = 1000000, TURNS = 20 };

typedef struct fixture fixture;

typedef struct end {
    fixture *f;
    lq_hub_member *member;
    uint32_t topic;  /* the one of `subscribe` */
    size_t received; /* on it */
    size_t next;     /* the least number that may come */
    size_t len;      /* of the last one */
    size_t behind;   /* calls of on_messages */
    bool is_closed;
} end;

struct fixture {
    lq_loop loop;
    lq_turn turn;
    int turns;
    lq_hub *hub;
    end ends[MEMBERS];
};

static void on_turn(lq_turn *turn)
{
    fixture *f = LQ_CONTAINER_OF(turn, fixture, turn);

    if (++f->turns < TURNS)
        lq_loop_again(&f->loop);
    else
        lq_loop_stop(&f->loop);
}

/* What is on its way arrives. */
static void pass(fixture *f)
{
    f->turns = 0;
    lq_loop_run(&f->loop);
}

static bool on_message(void *data, const lq_sender *from, const lq_note *note)
{
    end *e = data;
    size_t number = 0;

    CHECK(from->serial > 0);
    if (note->topic == 0 || note->topic != e->topic) return false;
    e->received++;
    e->len = note->bytes.len;
    if (note->bytes.len != sizeof number) return true;
    memcpy(&number, note->bytes.ptr, sizeof number);
    CHECK(number >= e->next);
    e->next = number + 1;
    return true;
}

static void on_messages(void *data)
{
    end *e = data;

    e->behind++;
    lq_hub_hold(e->member, 0, 0);
}

static void run_nothing(void *data)
{
    (void)data;
}

static void join(fixture *f, int i, int id)
{
    end *e = &f->ends[i];
    lq_hub_member_cfg cfg = {
        .loop = &f->loop,
        .id = id,
        .name = id > 0 ? "" : "service",
        .on_message = on_message,
        .on_messages = on_messages,
        .run = run_nothing,
        .data = e,
    };

    *e = (end){.f = f};
    CHECK(lq_hub_join(&e->member, f->hub, &cfg) == 0);
}

static void on_closed(void *data)
{
    end *e = data;

    e->is_closed = true;
}

static void leave(fixture *f, int i)
{
    end *e = &f->ends[i];

    lq_hub_close(e->member, on_closed, e);
    pass(f);
    CHECK(e->is_closed);
    lq_hub_leave(e->member);
    e->member = NULL;
}

/* `count` members, open: workers 1 to count. */
static void set_up(fixture *f, int count)
{
    int i;

    memset(f, 0, sizeof *f);
    CHECK(lq_loop_open(&f->loop) == 0);
    f->turn.run = on_turn;
    lq_loop_on_turn(&f->loop, &f->turn);
    f->hub = lq_hub_new(QUEUE, QUEUE_BYTES);
    CHECK(f->hub);
    for (i = 0; i < count; i++) {
        join(f, i, i + 1);
        lq_hub_open(f->ends[i].member);
    }
}

static void tear_down(fixture *f)
{
    int i;

    for (i = 0; i < MEMBERS; i++)
        if (f->ends[i].member) leave(f, i);
    lq_hub_free(f->hub);
    lq_list_remove(&f->turn.link);
    CHECK(lq_loop_close(&f->loop) == 0);
}

static void subscribe(fixture *f, int i, const char *topic)
{
    end *e = &f->ends[i];

    CHECK(lq_hub_subscribe(e->member, (lq_str){topic, strlen(topic)},
                           &e->topic) == 0);
}

static int publish(fixture *f, int i, const char *topic, size_t number)
{
    lq_str bytes = {(const char *)&number, sizeof number};

    return lq_hub_publish(f->ends[i].member, (lq_str){topic, strlen(topic)},
                          bytes, false);
}

static size_t dropped(fixture *f, int i)
{
    lq_hub_stats stats;

    lq_hub_member_stats(f->ends[i].member, &stats);
    return (size_t)stats.dropped;
}

static void test_all_others_get_it_in_order(void)
{
    fixture f;
    size_t n;

    set_up(&f, 3);
    subscribe(&f, 0, "t");
    subscribe(&f, 1, "t");
    subscribe(&f, 2, "t");
    for (n = 0; n < QUEUE; n++) CHECK(publish(&f, 0, "t", n) == 2);
    CHECK(publish(&f, 0, "nobody's", 0) == 0);
    pass(&f);
    CHECK(f.ends[0].received == 0);
    CHECK(f.ends[1].received == QUEUE && f.ends[2].received == QUEUE);
    CHECK(f.ends[1].next == QUEUE);
    tear_down(&f);
}

/* Messages of several kinds in one batch are counted for each. */
static void test_ways_alternate(void)
{
    lq_str bytes = LQ_STR("x"), t = LQ_STR("t"), none = LQ_STR("");
    fixture f;
    int n;

    set_up(&f, 3);
    for (n = 0; n < 3; n++) subscribe(&f, n, "t");
    for (n = 0; n < 10; n++) {
        CHECK(lq_hub_publish(f.ends[0].member, t, bytes, false) == 2);
        CHECK(lq_hub_publish(f.ends[0].member, t, bytes, true) == 3);
        CHECK(lq_hub_send(f.ends[0].member, 2, none, t, bytes) == 0);
        CHECK(lq_hub_send(f.ends[0].member, 1, none, t, bytes) == 0);
    }
    CHECK(lq_hub_send(f.ends[0].member, 4, none, t, bytes) == LQ_ENORECEIVER);
    pass(&f);
    CHECK(f.ends[0].received == 20);
    CHECK(f.ends[1].received == 30);
    CHECK(f.ends[2].received == 20);
    tear_down(&f);
}

/* Who subscribes between two messages of a batch may get the first, too, but
 * not in the place of the second. */
static void test_late_subscriber_gets_what_is_his(void)
{
    fixture f;

    set_up(&f, 3);
    subscribe(&f, 1, "late");
    CHECK(publish(&f, 0, "late", 0) == 1);
    subscribe(&f, 2, "late");
    CHECK(lq_hub_publish(f.ends[0].member, LQ_STR("late"), LQ_STR("second"),
                         false) == 2);
    pass(&f);
    CHECK(f.ends[1].received == 2);
    CHECK(f.ends[2].received >= 1 && f.ends[2].len == strlen("second"));
    tear_down(&f);
}

static void test_full_inbox_takes_the_first(void)
{
    fixture f;
    size_t n;

    set_up(&f, 2);
    subscribe(&f, 1, "t");
    for (n = 0; n < QUEUE + 15; n++) CHECK(publish(&f, 0, "t", n) == 1);
    pass(&f);
    CHECK(f.ends[1].received == QUEUE && f.ends[1].next == QUEUE);
    CHECK(dropped(&f, 1) == 15);

    CHECK(publish(&f, 0, "t", 1000) == 1);
    pass(&f);
    CHECK(f.ends[1].received == QUEUE + 1);

    lq_hub_hold(f.ends[1].member, QUEUE, 0);
    CHECK(publish(&f, 0, "t", 1001) == 1);
    pass(&f);
    CHECK(f.ends[1].received == QUEUE + 1 && dropped(&f, 1) == 16);
    tear_down(&f);
}

static void test_bytes_are_bounded(void)
{
    fixture f;
    lq_str large = {lq_mem_zalloc(QUEUE_BYTES), QUEUE_BYTES / 4};
    int n;

    CHECK(large.ptr);
    set_up(&f, 2);
    subscribe(&f, 1, "t");
    for (n = 0; n < 6; n++)
        CHECK(lq_hub_publish(f.ends[0].member, LQ_STR("t"), large, false) == 1);
    pass(&f);
    CHECK(f.ends[1].received == 4 && dropped(&f, 1) == 2);
    tear_down(&f);
    lq_mem_free((char *)(uintptr_t)large.ptr);
}

static void test_what_is_kept_until_open(void)
{
    fixture f;
    size_t n;

    set_up(&f, 1);
    join(&f, 1, 2);
    subscribe(&f, 0, "t");
    subscribe(&f, 1, "t");
    for (n = 0; n < QUEUE; n++) CHECK(publish(&f, 1, "t", n) >= 0);
    CHECK(publish(&f, 1, "t", n) == LQ_EOVERLOADED);
    CHECK(publish(&f, 0, "t", 0) == 1);
    pass(&f);
    CHECK(f.ends[0].received == 0);
    CHECK(f.ends[1].behind == 0);

    lq_hub_open(f.ends[1].member);
    pass(&f);
    CHECK(f.ends[0].received == QUEUE && f.ends[0].next == QUEUE);
    CHECK(f.ends[1].received == 1 && f.ends[1].behind > 0);
    tear_down(&f);
}

/* Its successor has its place and its id, and nothing of its messages. */
static void test_parted_member(void)
{
    fixture f;
    uint32_t number;

    set_up(&f, 2);
    subscribe(&f, 1, "t");
    CHECK(publish(&f, 0, "t", 1) == 1);
    lq_hub_part(f.ends[1].member);
    CHECK(lq_hub_subscribe(f.ends[1].member, LQ_STR("t"), &number) ==
          LQ_ECLOSED);
    join(&f, 2, 2);
    subscribe(&f, 2, "t");
    lq_hub_open(f.ends[2].member);
    pass(&f);
    CHECK(f.ends[1].received == 0 && f.ends[2].received == 0);

    CHECK(publish(&f, 0, "t", 2) == 1);
    CHECK(publish(&f, 1, "t", 3) == 1); /* it may still send */
    pass(&f);
    CHECK(f.ends[1].received == 0 && f.ends[2].received == 2);
    leave(&f, 1);
    CHECK(publish(&f, 0, "t", 4) == 1);
    tear_down(&f);
}

static lq_str topic_name(char *text, size_t size, size_t i)
{
    return (lq_str){text, (size_t)snprintf(text, size, "topic %zu", i)};
}

static void test_topics(void)
{
    enum { TOPICS = 1000 };
    lq_topics ts = {0};
    char text[32];
    uint32_t number, last = 0;
    size_t i;

    for (i = 0; i < TOPICS; i++) {
        number = lq_topics_add(&ts, topic_name(text, sizeof text, i), 0, 1);
        CHECK(number > last);
        last = number;
        CHECK(lq_topics_add(&ts, topic_name(text, sizeof text, i), 1, 2) ==
              number);
        lq_topics_remove(&ts, topic_name(text, sizeof text, i), 3);
    }
    CHECK(ts.count == TOPICS);
    for (i = 0; i < TOPICS; i++)
        CHECK(lq_topics_find(&ts, topic_name(text, sizeof text, i))->count ==
              2);
    lq_topics_remove_all(&ts, 1);
    CHECK(ts.count == TOPICS);
    for (i = 0; i < TOPICS; i++)
        lq_topics_remove(&ts, topic_name(text, sizeof text, i), 2);
    CHECK(ts.count == 0);
    CHECK(!lq_topics_find(&ts, topic_name(text, sizeof text, 1)));
    CHECK(lq_topics_add(&ts, topic_name(text, sizeof text, 1), 0, 1) > last);
    lq_topics_fini(&ts);
}

int main(void)
{
    test_begin();
    test_all_others_get_it_in_order();
    test_ways_alternate();
    test_late_subscriber_gets_what_is_his();
    test_full_inbox_takes_the_first();
    test_bytes_are_bounded();
    test_what_is_kept_until_open();
    test_parted_member();
    test_topics();
    return test_end();
}

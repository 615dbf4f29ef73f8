/* mailbox_test.c - messages from other threads. */
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "loop/loop.h"
#include "loop/mailbox.h"
#include "test.h"

enum { SENDERS = 4, MESSAGES = 100000 };

typedef struct parcel {
    lq_msg msg; /* type: the sender */
    size_t number;
} parcel;

typedef struct fixture {
    lq_loop loop;
    lq_mailbox mb;
    size_t limit; /* closes after so many; 0: never */
    size_t received;
    size_t next[SENDERS];     /* number of the sender's next message */
    size_t accepted[SENDERS]; /* each sender writes its own */
    size_t per_sender;
    _Atomic int started;
    bool is_closed;
} fixture;

typedef struct sender {
    lq_thread thread;
    fixture *f;
    int id;
} sender;

static void on_closed(lq_mailbox *mb)
{
    fixture *f = mb->data;

    CHECK(!f->is_closed);
    f->is_closed = true;
}

static void on_message(lq_mailbox *mb, lq_msg *msg)
{
    fixture *f = mb->data;
    parcel *p = LQ_CONTAINER_OF(msg, parcel, msg);

    CHECK(!f->is_closed);
    CHECK(msg->type >= 0 && msg->type < SENDERS);
    CHECK(p->number == f->next[msg->type]);
    f->next[msg->type]++;
    lq_mem_free(p);
    if (++f->received == f->limit) lq_mailbox_close(mb, on_closed);
}

static void set_up(fixture *f)
{
    memset(f, 0, sizeof *f);
    CHECK(lq_loop_open(&f->loop) == 0);
    CHECK(lq_mailbox_open(&f->mb, lq_loop_uv(&f->loop), on_message, f) == 0);
}

static void tear_down(fixture *f)
{
    CHECK(f->is_closed);
    lq_mailbox_fini(&f->mb);
    CHECK(lq_loop_close(&f->loop) == 0);
}

static int push(fixture *f, int id, size_t number)
{
    parcel *p = lq_mem_alloc(sizeof *p);
    int err;

    CHECK(p);
    *p = (parcel){.msg.type = id, .number = number};
    err = lq_mailbox_push(&f->mb, &p->msg);
    if (err < 0) lq_mem_free(p);
    return err;
}

/* Until all are pushed or the box is closed. */
static void send_all(void *arg)
{
    sender *s = arg;
    size_t i;

    atomic_fetch_add(&s->f->started, 1);
    while (atomic_load(&s->f->started) < SENDERS) sched_yield();
    for (i = 0; i < s->f->per_sender; i++) {
        int err = push(s->f, s->id, i);

        if (err < 0) {
            CHECK(err == LQ_ECLOSED);
            CHECK(push(s->f, s->id, i) == LQ_ECLOSED);
            break;
        }
        s->f->accepted[s->id]++;
    }
}

static void start_senders(fixture *f, sender *senders)
{
    int i;

    for (i = 0; i < SENDERS; i++) {
        senders[i].f = f;
        senders[i].id = i;
        CHECK(lq_thread_start(&senders[i].thread, "lq:sender", send_all,
                              &senders[i]) == 0);
    }
}

static void join_senders(sender *senders)
{
    int i;

    for (i = 0; i < SENDERS; i++) lq_thread_join(&senders[i].thread);
}

static void test_all_arrive_in_order(void)
{
    sender senders[SENDERS];
    fixture f;
    int i;

    set_up(&f);
    f.per_sender = test_scaled(MESSAGES) / SENDERS;
    f.limit = f.per_sender * SENDERS;
    start_senders(&f, senders);
    lq_loop_run(&f.loop);
    join_senders(senders);
    CHECK(f.received == f.limit);
    for (i = 0; i < SENDERS; i++) CHECK(f.next[i] == f.per_sender);
    tear_down(&f);
}

/* Every message that was accepted arrives, and none after that. */
static void test_close_while_all_push(void)
{
    sender senders[SENDERS];
    size_t accepted = 0, limit;
    fixture f;
    int i;

    for (limit = 1; limit < 2000; limit *= 3) {
        set_up(&f);
        f.per_sender = SIZE_MAX;
        f.limit = limit;
        accepted = 0;
        start_senders(&f, senders);
        lq_loop_run(&f.loop);
        join_senders(senders);
        for (i = 0; i < SENDERS; i++) {
            CHECK(f.next[i] == f.accepted[i]);
            accepted += f.accepted[i];
        }
        CHECK(f.received == accepted);
        tear_down(&f);
    }
}

static void test_close_delivers_what_is_inside(void)
{
    fixture f;
    size_t i;

    set_up(&f);
    for (i = 0; i < 3; i++) CHECK(push(&f, 1, i) == 0);
    lq_mailbox_close(&f.mb, on_closed);
    CHECK(push(&f, 1, 3) == LQ_ECLOSED);
    CHECK(f.received == 0 && !f.is_closed);
    CHECK(lq_loop_run(&f.loop) == 0);
    CHECK(f.received == 3 && f.is_closed);
    CHECK(push(&f, 1, 3) == LQ_ECLOSED);
    tear_down(&f);
}

static lq_msg *make_chain(size_t first, size_t count)
{
    lq_msg *head = NULL, **tail = &head;
    parcel *p;
    size_t i;

    for (i = 0; i < count; i++) {
        CHECK((p = lq_mem_alloc(sizeof *p)) != NULL);
        *p = (parcel){.msg.type = 2, .number = first + i};
        *tail = &p->msg;
        tail = &p->msg.next;
    }
    return head;
}

static void test_several_at_once(void)
{
    lq_msg *refused, *next;
    fixture f;

    set_up(&f);
    CHECK(lq_mailbox_push_all(&f.mb, make_chain(0, 5)) == 0);
    CHECK(push(&f, 2, 5) == 0);
    CHECK(lq_mailbox_push_all(&f.mb, make_chain(6, 1)) == 0);
    lq_mailbox_close(&f.mb, on_closed);
    refused = make_chain(7, 2);
    CHECK(lq_mailbox_push_all(&f.mb, refused) == LQ_ECLOSED);
    CHECK(lq_loop_run(&f.loop) == 0);
    CHECK(f.received == 7);
    for (; refused; refused = next) {
        next = refused->next;
        lq_mem_free(LQ_CONTAINER_OF(refused, parcel, msg));
    }
    tear_down(&f);
}

/* on_message of the first one pushes the others: they come in later turns. */
static void on_message_push(lq_mailbox *mb, lq_msg *msg)
{
    fixture *f = mb->data;
    size_t number = LQ_CONTAINER_OF(msg, parcel, msg)->number;

    if (number < 5) CHECK(push(f, 0, number + 1) == 0);
    on_message(mb, msg);
}

static void test_push_out_of_on_message(void)
{
    fixture f;

    set_up(&f);
    f.mb.on_message = on_message_push;
    f.limit = 6;
    CHECK(push(&f, 0, 0) == 0);
    CHECK(lq_loop_run(&f.loop) == 0);
    CHECK(f.received == 6);
    tear_down(&f);
}

int main(void)
{
    test_begin();
    test_close_delivers_what_is_inside();
    test_push_out_of_on_message();
    test_several_at_once();
    test_all_arrive_in_order();
    test_close_while_all_push();
    return test_end();
}

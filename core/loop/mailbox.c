/* mailbox.c - see mailbox.h. */
#include "loop/mailbox.h"

#include "base/err.h"

lq_msg *lq_mailbox_steal(lq_mailbox *mb)
{
    lq_msg *head;

    uv_mutex_lock(&mb->lock);
    head = mb->head;
    mb->head = NULL;
    mb->tail = &mb->head;
    uv_mutex_unlock(&mb->lock);
    return head;
}

/* What is pushed meanwhile found the box empty and signals again, so that a
 * busy sender cannot keep the loop here. */
static void drain(lq_mailbox *mb)
{
    lq_msg *msg, *next;

    for (msg = lq_mailbox_steal(mb); msg; msg = next) {
        next = msg->next;
        msg->next = NULL;
        mb->on_message(mb, msg);
    }
}

static void on_wake(uv_async_t *handle)
{
    drain(handle->data);
}

static void on_handle_closed(uv_handle_t *handle)
{
    lq_mailbox *mb = handle->data;

    drain(mb);
    if (mb->on_closed) mb->on_closed(mb);
}

int lq_mailbox_open(lq_mailbox *mb, uv_loop_t *loop,
                    void (*on_message)(lq_mailbox *mb, lq_msg *msg), void *data)
{
    int err;

    *mb = (lq_mailbox){.on_message = on_message};
    mb->tail = &mb->head;
    err = uv_mutex_init(&mb->lock);
    if (err < 0) return err;
    err = uv_async_init(loop, &mb->wake, on_wake);
    if (err < 0) goto fail;
    mb->wake.data = mb;
    mb->data = data;
    return 0;

fail:
    uv_mutex_destroy(&mb->lock);
    return err;
}

/* The signal is sent under the lock: the handle cannot close before it. */
static int push_chain(lq_mailbox *mb, lq_msg *first, lq_msg *last)
{
    bool is_closed, was_empty;

    uv_mutex_lock(&mb->lock);
    is_closed = mb->is_closed;
    if (!is_closed) {
        was_empty = !mb->head;
        *mb->tail = first;
        mb->tail = &last->next;
        if (was_empty) uv_async_send(&mb->wake);
    }
    uv_mutex_unlock(&mb->lock);
    return is_closed ? LQ_ECLOSED : 0;
}

LQ_ANY_THREAD int lq_mailbox_push(lq_mailbox *mb, lq_msg *msg)
{
    msg->next = NULL;
    return push_chain(mb, msg, msg);
}

LQ_ANY_THREAD int lq_mailbox_push_all(lq_mailbox *mb, lq_msg *msgs)
{
    lq_msg *last = msgs;

    while (last->next) last = last->next;
    return push_chain(mb, msgs, last);
}

void lq_mailbox_close(lq_mailbox *mb, void (*on_closed)(lq_mailbox *mb))
{
    uv_mutex_lock(&mb->lock);
    LQ_ASSERT(!mb->is_closed);
    mb->is_closed = true;
    uv_mutex_unlock(&mb->lock);
    mb->on_closed = on_closed;
    uv_close((uv_handle_t *)&mb->wake, on_handle_closed);
}

void lq_mailbox_fini(lq_mailbox *mb)
{
    LQ_ASSERT(mb->is_closed && !mb->head);
    uv_mutex_destroy(&mb->lock);
}

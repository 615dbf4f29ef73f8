/* mailbox.h - one loop's inbox for messages from other threads.
 *
 * Owns:    the messages pushed and not yet handed to on_message.
 * Thread:  push - any thread. Everything else - owner loop; open and fini also
 *          before and after the loop's thread runs.
 * Life:    open -> push* -> close -> on_closed -> fini. Messages still inside
 *          are passed to on_message before on_closed runs. Push stays allowed
 *          until fini, which comes when nobody has the mailbox any more.
 * Order:   first in, first out, per sending thread.
 * Knows:   base, uv. Not what the messages mean.
 */
#ifndef LQ_MAILBOX_H
#define LQ_MAILBOX_H

#include <uv.h>

#include "base/defs.h"

/* Embedded in a larger struct, which `type` tells. */
typedef struct lq_msg {
    struct lq_msg *next; /* the mailbox's while the message is inside */
    int type;
} lq_msg;

typedef struct lq_mailbox lq_mailbox;

struct lq_mailbox {
    /* Set by open, then constant. */
    void (*on_message)(lq_mailbox *mb, lq_msg *msg);
    void *data;

    /* Guarded by lock. */
    uv_mutex_t lock;
    lq_msg *head;
    lq_msg **tail;
    bool is_closed;
    uv_async_t wake; /* sent to under the lock, and not once closed */

    /* Owner loop only. */
    void (*on_closed)(lq_mailbox *mb);
};

/* Keeps `loop` alive. on_message takes each message; it is called out of the
 * loop, with no lock held. Returns libuv's error codes, with mb->data NULL. */
int lq_mailbox_open(lq_mailbox *mb, uv_loop_t *loop,
                    void (*on_message)(lq_mailbox *mb, lq_msg *msg),
                    void *data) LQ_MUST_CHECK;

/* Takes `msg`. Returns LQ_ECLOSED once the mailbox closes: the message is
 * still the caller's then. */
LQ_ANY_THREAD int lq_mailbox_push(lq_mailbox *mb, lq_msg *msg) LQ_MUST_CHECK;

/* The same for several, linked by `next`: all or none. */
LQ_ANY_THREAD int lq_mailbox_push_all(lq_mailbox *mb,
                                      lq_msg *msgs) LQ_MUST_CHECK;

/* Takes what is inside, linked by `next`; NULL: nothing. For a mailbox whose
 * loop hangs. */
LQ_ANY_THREAD lq_msg *lq_mailbox_steal(lq_mailbox *mb);

/* No push succeeds from now on. on_closed (may be NULL) comes later, out of
 * the loop, behind the last message. */
void lq_mailbox_close(lq_mailbox *mb, void (*on_closed)(lq_mailbox *mb));

/* After on_closed, when no thread pushes any more. */
void lq_mailbox_fini(lq_mailbox *mb);

#endif

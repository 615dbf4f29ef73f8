/* far.h - what the two ends of a shared pool have in common: remote.c, on the
 * thread that asks, and keeper.c, on the thread that has the connections.
 *
 * They send one another messages that stand in the structs which they are
 * about, so that nothing is allocated for an answer. A field belongs to one
 * end; those that travel are written before their message is sent and read by
 * whoever gets it.
 *
 * A query stays with its asker. What the keeper has is its twin, a second query
 * that points into the block of the first: texts, parameters, room for results.
 *
 * Owns:    nothing; the structs say whose they are.
 * Thread:  see there.
 * Life:    a parcel has two references, one of each end. The asker's goes when
 *          it has dropped the query and knows that no message is under way; the
 *          keeper's with the twin. When the twin is over and wanted, all of it
 * is the asker's. Knows:   ops, pieces, mailbox.
 */
#ifndef LQ_PG_FAR_H
#define LQ_PG_FAR_H

#include "loop/mailbox.h"
#include "pg/keeper.h"
#include "pg/ops.h"
#include "pg/pieces.h"

/* To the keeper. */
enum {
    LQ_PG_ORDER_JOIN = 1, /* remote */
    LQ_PG_ORDER_PART,
    LQ_PG_ORDER_ASK, /* parcel */
    LQ_PG_ORDER_WITHDRAW,
    LQ_PG_ORDER_MORE,
    LQ_PG_ORDER_ACQUIRE, /* lease */
    LQ_PG_ORDER_RELEASE,
    LQ_PG_ORDER_EVICT, /* notice */
    LQ_PG_ORDER_STOP,
};

/* To the asker. */
enum {
    LQ_PG_TELL_DONE = 1, /* parcel: the keeper does not touch it any more */
    LQ_PG_TELL_FAILED,   /* ... though the server still works on it */
    LQ_PG_TELL_PIECES,
    LQ_PG_TELL_LEFT,  /* withdrawn: nothing more comes of it */
    LQ_PG_TELL_READY, /* lease */
    LQ_PG_TELL_LOST,
    LQ_PG_TELL_RELEASED, /* the asker's alone */
    LQ_PG_TELL_PARTED,   /* remote; the last of all */
};

/* Messages of one turn, which go out together. */
typedef struct lq_pg_outgoing {
    lq_msg *first;
    lq_msg **last;
} lq_pg_outgoing;

static inline void lq_pg_outgoing_init(lq_pg_outgoing *o)
{
    o->first = NULL;
    o->last = &o->first;
}

static inline void lq_pg_outgoing_add(lq_pg_outgoing *o, lq_msg *msg, int type)
{
    msg->type = type;
    msg->next = NULL;
    *o->last = msg;
    o->last = &msg->next;
}

/* A pool that several ask. Found by its options. */
typedef struct lq_pg_shared {
    lq_list link; /* of the keeper's; with users and stats under its lock */
    size_t users;
    lq_pg_stats stats;
    lq_pg_pool_cfg cfg;
    lq_pg_pool *pool; /* the keeper's; NULL: nobody has asked yet */
} lq_pg_shared;

/* One database that is open somewhere: a pool, to its asker. */
typedef struct lq_pg_remote {
    lq_pg_head head;

    /* Set by open, then constant. */
    struct lq_pg_keeper *keeper;
    const void *owner;
    lq_loop *loop;
    size_t *count;

    /* The asker's. */
    lq_pg_outgoing orders;
    lq_turn turn;
    lq_list away;   /* parcels */
    lq_list leases; /* that are not freed */
    bool is_closed;

    /* Any thread. */
    lq_mailbox mailbox;

    lq_msg join;
    lq_msg part;
    lq_msg parted;

    /* The keeper's. */
    lq_list link;
    lq_list dirty; /* of those with something to tell */
    lq_pg_outgoing news;
    lq_list asked;      /* parcels that are not over */
    lq_list lent;       /* leases that are not released */
    bool has_parted;    /* ... once what there is to tell is sent */
    lq_pg_shared *pool; /* NULL: evicted; changes under the keeper's lock */
} lq_pg_remote;

typedef struct lq_pg_far_lease {
    lq_pg_head head;
    lq_pg_remote *remote; /* constant */

    /* The asker's. */
    lq_list link; /* of remote->leases */
    int state;    /* as lq_pg_lease_state */
    bool is_released;
    bool is_in_transaction; /* behind the last query that came back */
    size_t away;            /* queries on it */
    void (*on_ready)(void *);
    void *data;

    lq_msg acquire;
    lq_msg release;
    lq_msg ready;
    lq_msg lost;
    lq_msg released;
    bool has_changed;      /* travels with release */
    lq_pg_failure failure; /* ... with lost */

    /* The keeper's. */
    lq_list lent;
    lq_pg_lease *lease; /* NULL: released */
} lq_pg_far_lease;

typedef struct lq_pg_parcel {
    lq_pg_head head;
    _Atomic int refs;

    /* Set by submit, then constant. */
    lq_pg_remote *remote;
    lq_pg_far_lease *lease;
    lq_pg_query *q; /* whose block goes with the parcel; NULL: none */

    /* The asker's. */
    lq_list away;
    lq_pg_far_lease *counted; /* lease, while that counts it */
    lq_pg_pieces *next;       /* behind those of the query */
    bool is_dropped;
    bool is_over; /* DONE has come */
    bool has_parted;

    lq_msg ask;
    lq_msg withdraw;
    lq_msg more;
    lq_msg done;
    lq_msg failed;
    lq_msg has_pieces;
    lq_msg left;
    lq_pg_pieces *returned; /* travels with more: empty */
    lq_pg_pieces *carried;  /* ... with has_pieces */
    bool is_in_transaction; /* ... with done */
    int err;                /* ... with failed */
    char *text;

    /* The keeper's; the asker's behind done. */
    lq_list asked;
    lq_list flowing; /* has pieces that are not sent */
    lq_pg_query twin;
    lq_pg_pieces *spare;
    bool is_left;  /* nobody hears of it */
    bool is_freed; /* the twin */
} lq_pg_parcel;

/* keeper.c: the pool of these options, which counts one more user. Copies
 * cfg. NULL: no memory. */
LQ_ANY_THREAD lq_pg_shared *lq_pg_keeper_find(lq_pg_keeper *k,
                                              const lq_pg_pool_cfg *cfg);

/* keeper.c: sends orders, which it takes. */
LQ_ANY_THREAD void lq_pg_keeper_tell(lq_pg_keeper *k, lq_msg *orders);

/* keeper.c: how its pool is, at the end of the keeper's last turn; all zero
 * when it has none any more. */
LQ_ANY_THREAD void lq_pg_keeper_stats(lq_pg_keeper *k, const lq_pg_remote *r,
                                      lq_pg_stats *out);

/* remote.c: gives up one end's reference. */
LQ_ANY_THREAD void lq_pg_parcel_rele(lq_pg_parcel *p);

#endif

/* query.h - something to be asked of the server, and what it has answered.
 *
 * One block of memory holds all of it: texts, parameters in the form in which
 * they are sent, and room for the results. It knows nothing of Lua.
 *
 * Owns:    its block, a reference to each statement, the results.
 * Thread:  the pool's, from submit to on_done; before and after it whoever
 *          holds it.
 * Life:    new -> (item, value)* -> submit -> on_done -> drop. drop is allowed
 *          at any time and means that nobody wants to know any more: what is
 *          not sent is withdrawn, what is sent is read and thrown away.
 * Knows:   statement; libpq's results by name.
 */
#ifndef LQ_PG_QUERY_H
#define LQ_PG_QUERY_H

#include "base/list.h"
#include "base/str.h"
#include "pg/statement.h"

typedef struct pg_result PGresult; /* libpq's */
typedef struct lq_pg_query lq_pg_query;

typedef enum lq_pg_kind {
    LQ_PG_RUN,      /* items with their parameters, in one transaction */
    LQ_PG_DESCRIBE, /* asks for the types of one statement */
    LQ_PG_STREAM,   /* one item, whose rows come one by one */
    LQ_PG_SCRIPT,   /* one text of any number of statements */
    LQ_PG_COPY_OUT,
    LQ_PG_COPY_IN,   /* over when the server takes chunks: COPY_DATA next */
    LQ_PG_COPY_DATA, /* over when there is room for the next one */
    LQ_PG_COPY_END,  /* over when the server is done with what it got */
    LQ_PG_SYNC,      /* nothing but a round trip */
} lq_pg_kind;

typedef enum lq_pg_state {
    LQ_PG_NEW,     /* the asker's */
    LQ_PG_WAITING, /* in the pool's line */
    LQ_PG_UNSENT,  /* in a connection's, not sent */
    LQ_PG_SENT,    /* the server has it */
    LQ_PG_OVER,    /* the asker's again */
} lq_pg_state;

typedef struct lq_pg_item {
    lq_pg_statement *statement;
    int count; /* of the parameters */
    int first; /* ... in the query's arrays */
    PGresult *result;
} lq_pg_item;

struct lq_pg_query {
    lq_list link;
    lq_pg_kind kind;
    lq_pg_state state;
    bool is_abandoned; /* nobody wants the answer */
    bool is_final;     /* a COMMIT: never cancelled */
    bool is_retried;   /* its statement was prepared again */
    bool is_told;    /* on_done has been called while the server works on it */
    bool is_copying; /* COPY_OUT: the server gives chunks */
    bool was_cached; /* every statement had been prepared before */
    struct lq_pg_conn *conn;
    struct lq_pg_pool *pool;
    void *far; /* what stands for it on another thread (remote.h), while that
                  has it; NULL */
    uint64_t timeout_ms; /* from when the server can work on it; 0: none */
    uint64_t since_ms;   /* it was left, or put in line */
    uint64_t order;      /* ... of those in line */

    /* It is over, or (kinds with pieces) there is something to be read or
     * written. Out of the loop; may drop the query. */
    void (*on_done)(lq_pg_query *);
    void *data;
    /* Instead of freeing its block, when nobody wants it any more; NULL. */
    void (*on_free)(lq_pg_query *);
    int tag;             /* of whoever asks */
    lq_pg_query *behind; /* of whoever asks: freed with this one; or NULL */

    int count; /* of items */
    lq_pg_item *items;
    int values; /* how many have been set */
    const char **value_ptrs;
    int *value_lens;
    int *value_formats;
    char *bytes; /* where the next value goes */

    uint8_t *steps; /* what the server answers, in order */
    int step_count;
    int step;
    int item; /* whose result comes next */
    bool has_result;

    /* What has failed: err is 0, or LQ_EINVALID with `failure` from the
     * server, or why there is no answer, with words in `text` where there
     * are any. */
    int err;
    char sqlstate[6]; /* of a connection that was refused; "" */
    char *text;
    PGresult *failure;

    /* Kinds with pieces: rows, or chunks of a copy. */
    struct lq_pg_pieces *pieces;
};

/* The first of a list; NULL: it is empty. */
static inline lq_pg_query *lq_pg_first(const lq_list *list)
{
    return list->next == list ? NULL
                              : LQ_CONTAINER_OF(list->next, lq_pg_query, link);
}

/* A query of `count` items that have `values` parameters together, with `len`
 * bytes. NULL: no memory. */
lq_pg_query *lq_pg_query_new(lq_pg_kind kind, int count, int values,
                             size_t len) LQ_MUST_CHECK;

/* Item `i`, in order: takes a reference; its parameters follow with value. */
void lq_pg_query_item(lq_pg_query *q, int i, lq_pg_statement *st);

/* The next parameter of item `i`; copies. NULL in `value.ptr` is NULL. */
void lq_pg_query_value(lq_pg_query *q, int i, lq_str value, bool is_binary);

/* COPY_DATA: these bytes. COPY_END: why it is to be undone; NULL: it is whole.
 * Copies. NULL: no memory. */
lq_pg_query *lq_pg_query_chunk(lq_pg_kind kind, lq_str bytes) LQ_MUST_CHECK;

/* A query of one text without parameters. NULL: no memory. */
lq_pg_query *lq_pg_query_text(lq_pg_kind kind, lq_str sql) LQ_MUST_CHECK;

/* For the pool and its connections: the failure, with words that are copied
 * (may be NULL). The first one stays. */
void lq_pg_query_fail(lq_pg_query *q, int err, const char *text);

/* ... back to what it was before it was sent. */
void lq_pg_query_reset(lq_pg_query *q);

/* ... frees it, wherever it was. */
void lq_pg_query_free(lq_pg_query *q);

#endif

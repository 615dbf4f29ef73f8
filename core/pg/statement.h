/* statement.h - one SQL text, with what the server has said about it; and the
 * memory of the last few.
 *
 * Owns:    statement: its text and types; never changes. cache: a reference to
 *          each statement in it.
 * Thread:  statement: any thread, the references are atomic. cache: whoever
 *          holds it.
 * Life:    statement: new -> (hold | rele)*. cache: init -> ... -> fini.
 * Knows:   base.
 */
#ifndef LQ_PG_STATEMENT_H
#define LQ_PG_STATEMENT_H

#include <stdatomic.h>

#include "base/list.h"
#include "base/str.h"
#include "pg/sql.h"

typedef struct lq_pg_statement {
    atomic_int refs;
    lq_pg_class class;
    uint64_t hash;
    int count;      /* of parameters; -1: nobody has asked the server */
    bool is_binary; /* results come in binary form */
    size_t len;
    const char *sql;  /* with a NUL behind it */
    uint32_t types[]; /* of the parameters: oids */
} lq_pg_statement;

/* Texts above are not kept: there may be many, and each another one. */
enum { LQ_PG_KEPT_MAX = 64 * 1024 };

static inline bool lq_pg_statement_is_long(const lq_pg_statement *st)
{
    return st->len > LQ_PG_KEPT_MAX;
}

uint64_t lq_pg_hash(lq_str sql);

/* Copies both; `count` -1: types are not known. NULL: no memory. */
lq_pg_statement *lq_pg_statement_new(lq_str sql, const uint32_t *types,
                                     int count) LQ_MUST_CHECK;
LQ_ANY_THREAD lq_pg_statement *lq_pg_statement_hold(lq_pg_statement *st);
LQ_ANY_THREAD void lq_pg_statement_rele(lq_pg_statement *st);

/* A statement in a cache, newest first. */
typedef struct lq_pg_entry {
    lq_list by_age;
    struct lq_pg_entry *next; /* in its bucket */
    lq_pg_statement *statement;
    uint64_t number; /* given by the cache: never twice */
} lq_pg_entry;

typedef struct lq_pg_cache {
    lq_pg_entry **buckets; /* made by the first put */
    size_t mask;
    lq_list by_age;
    size_t count;
    size_t max;
    uint64_t numbers;
} lq_pg_cache;

void lq_pg_cache_init(lq_pg_cache *c, size_t max);
void lq_pg_cache_fini(lq_pg_cache *c);
/* Forgets all of them. */
void lq_pg_cache_clear(lq_pg_cache *c);

/* NULL: it is not there. What is found is the newest from now on. */
lq_pg_entry *lq_pg_cache_find(lq_pg_cache *c, lq_str sql, uint64_t hash);

/* Adds what is not there; NULL: no memory. */
lq_pg_entry *lq_pg_cache_put(lq_pg_cache *c, lq_pg_statement *st) LQ_MUST_CHECK;
void lq_pg_cache_remove(lq_pg_cache *c, lq_pg_entry *e);

/* The one to be given up for a new one; NULL: there is room. */
static inline lq_pg_entry *lq_pg_cache_oldest(const lq_pg_cache *c)
{
    return c->count < c->max
               ? NULL
               : LQ_CONTAINER_OF(c->by_age.prev, lq_pg_entry, by_age);
}

#endif

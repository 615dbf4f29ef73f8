/* statement.c - see statement.h. */
#include "pg/statement.h"

#include "base/mem.h"

/* ---- statements --------------------------------------------------------- */

/* Eight bytes at a time; quick rather than proof against ill will: SQL is the
 * app's own. */
uint64_t lq_pg_hash(lq_str sql)
{
    const uint64_t prime = 0x9e3779b97f4a7c15u;
    uint64_t hash = sql.len * prime, word;

    for (; sql.len >= sizeof word; sql.ptr += sizeof word) {
        memcpy(&word, sql.ptr, sizeof word);
        hash = (hash ^ word) * prime;
        hash ^= hash >> 32;
        sql.len -= sizeof word;
    }
    word = 0;
    if (sql.len) memcpy(&word, sql.ptr, sql.len);
    hash = (hash ^ word) * prime;
    return hash ^ hash >> 29;
}

lq_pg_statement *lq_pg_statement_new(lq_str sql, const uint32_t *types,
                                     int count)
{
    size_t types_len = sizeof *types * (size_t)(count > 0 ? count : 0);
    lq_pg_statement *st = lq_mem_alloc(sizeof *st + types_len + sql.len + 1);
    char *text;

    if (!st) return NULL;
    text = (char *)st->types + types_len;
    atomic_init(&st->refs, 1);
    st->class = lq_pg_classify(sql);
    st->hash = lq_pg_hash(sql);
    st->count = count;
    st->is_binary = false;
    st->len = sql.len;
    st->sql = text;
    if (types_len) memcpy(st->types, types, types_len);
    memcpy(text, sql.ptr, sql.len);
    text[sql.len] = '\0';
    return st;
}

lq_pg_statement *lq_pg_statement_hold(lq_pg_statement *st)
{
    atomic_fetch_add_explicit(&st->refs, 1, memory_order_relaxed);
    return st;
}

void lq_pg_statement_rele(lq_pg_statement *st)
{
    if (st &&
        atomic_fetch_sub_explicit(&st->refs, 1, memory_order_acq_rel) == 1)
        lq_mem_free(st);
}

/* ---- caches ------------------------------------------------------------- */

void lq_pg_cache_init(lq_pg_cache *c, size_t max)
{
    *c = (lq_pg_cache){.max = max ? max : 1};
    lq_list_init(&c->by_age);
}

void lq_pg_cache_clear(lq_pg_cache *c)
{
    while (!lq_list_is_empty(&c->by_age))
        lq_pg_cache_remove(
            c, LQ_CONTAINER_OF(c->by_age.next, lq_pg_entry, by_age));
}

void lq_pg_cache_fini(lq_pg_cache *c)
{
    lq_pg_cache_clear(c);
    lq_mem_free(c->buckets);
    c->buckets = NULL;
}

lq_pg_entry *lq_pg_cache_find(lq_pg_cache *c, lq_str sql, uint64_t hash)
{
    lq_pg_entry *e = c->buckets ? c->buckets[hash & c->mask] : NULL;

    while (e &&
           (e->statement->hash != hash ||
            !lq_str_equal(sql, (lq_str){e->statement->sql, e->statement->len})))
        e = e->next;
    if (e && c->by_age.next != &e->by_age) {
        lq_list_remove(&e->by_age);
        e->by_age.prev = &c->by_age;
        e->by_age.next = c->by_age.next;
        c->by_age.next->prev = &e->by_age;
        c->by_age.next = &e->by_age;
    }
    return e;
}

static bool make_buckets(lq_pg_cache *c)
{
    size_t count = 8;

    if (c->buckets) return true;
    while (count < c->max && count < 4096) count *= 2;
    c->buckets = lq_mem_zalloc(count * sizeof *c->buckets);
    c->mask = count - 1;
    return c->buckets != NULL;
}

lq_pg_entry *lq_pg_cache_put(lq_pg_cache *c, lq_pg_statement *st)
{
    lq_pg_entry *e = make_buckets(c) ? lq_mem_zalloc(sizeof *e) : NULL;
    lq_pg_entry **bucket;

    if (!e) return NULL;
    bucket = &c->buckets[st->hash & c->mask];
    e->statement = lq_pg_statement_hold(st);
    e->number = ++c->numbers;
    e->next = *bucket;
    *bucket = e;
    e->by_age.prev = &c->by_age;
    e->by_age.next = c->by_age.next;
    c->by_age.next->prev = &e->by_age;
    c->by_age.next = &e->by_age;
    c->count++;
    return e;
}

void lq_pg_cache_remove(lq_pg_cache *c, lq_pg_entry *e)
{
    lq_pg_entry **at = &c->buckets[e->statement->hash & c->mask];

    while (*at != e) at = &(*at)->next;
    *at = e->next;
    lq_list_remove(&e->by_age);
    lq_pg_statement_rele(e->statement);
    lq_mem_free(e);
    c->count--;
}

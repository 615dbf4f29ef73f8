/* query.c - see query.h. */
#include "pg/query.h"

#include <libpq-fe.h>

#include "base/err.h"
#include "base/mem.h"
#include "pg/pieces.h"

static size_t round_up(size_t len)
{
    return (len + 7) & ~(size_t)7;
}

lq_pg_query *lq_pg_query_new(lq_pg_kind kind, int count, int values, size_t len)
{
    size_t n = (size_t)count, v = (size_t)values;
    size_t items = round_up(sizeof(lq_pg_query));
    size_t ptrs = items + round_up(n * sizeof(lq_pg_item));
    size_t lens = ptrs + v * sizeof(char *);
    size_t formats = lens + v * sizeof(int);
    size_t steps = formats + v * sizeof(int);
    size_t bytes = steps + 2 * n + 2;
    char *block = lq_mem_alloc(bytes + len + v);
    lq_pg_query *q = (lq_pg_query *)(void *)block;

    if (!block) return NULL;
    memset(block, 0, ptrs);
    lq_list_init(&q->link);
    q->kind = kind;
    q->count = count;
    q->items = (lq_pg_item *)(void *)(block + items);
    q->value_ptrs = (const char **)(void *)(block + ptrs);
    q->value_lens = (int *)(void *)(block + lens);
    q->value_formats = (int *)(void *)(block + formats);
    q->steps = (uint8_t *)block + steps;
    q->bytes = block + bytes;
    return q;
}

void lq_pg_query_item(lq_pg_query *q, int i, lq_pg_statement *st)
{
    q->items[i].statement = lq_pg_statement_hold(st);
    q->items[i].first = q->values;
}

void lq_pg_query_value(lq_pg_query *q, int i, lq_str value, bool is_binary)
{
    int at = q->values++;

    q->items[i].count++;
    q->value_ptrs[at] = value.ptr ? q->bytes : NULL;
    q->value_lens[at] = (int)value.len;
    q->value_formats[at] = is_binary;
    if (!value.ptr) return;
    memcpy(q->bytes, value.ptr, value.len);
    q->bytes[value.len] = '\0';
    q->bytes += value.len + 1;
}

lq_pg_query *lq_pg_query_chunk(lq_pg_kind kind, lq_str bytes)
{
    lq_pg_query *q = lq_pg_query_new(kind, 1, 1, bytes.len);

    if (q) lq_pg_query_value(q, 0, bytes, false);
    return q;
}

lq_pg_query *lq_pg_query_text(lq_pg_kind kind, lq_str sql)
{
    lq_pg_statement *st = lq_pg_statement_new(sql, NULL, -1);
    lq_pg_query *q = st ? lq_pg_query_new(kind, 1, 0, 0) : NULL;

    if (q) lq_pg_query_item(q, 0, st);
    lq_pg_statement_rele(st);
    return q;
}

void lq_pg_query_fail(lq_pg_query *q, int err, const char *text)
{
    if (q->err) return;
    q->err = err;
    if (text) q->text = lq_mem_strndup(text, strlen(text));
}

static void clear(PGresult **result)
{
    if (*result) PQclear(*result);
    *result = NULL;
}

void lq_pg_query_reset(lq_pg_query *q)
{
    int i;

    for (i = 0; i < q->count; i++) clear(&q->items[i].result);
    clear(&q->failure);
    q->step = q->step_count = q->item = 0;
    q->has_result = false;
    q->err = 0;
    lq_mem_free(q->text);
    q->text = NULL;
}

void lq_pg_query_free(lq_pg_query *q)
{
    int i;

    if (!q) return;
    lq_list_remove(&q->link);
    lq_pg_query_reset(q);
    for (i = 0; i < q->count; i++) lq_pg_statement_rele(q->items[i].statement);
    lq_pg_pieces_free(q->pieces);
    lq_pg_query_free(q->behind);
    if (q->on_free)
        q->on_free(q);
    else
        lq_mem_free(q);
}

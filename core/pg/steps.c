/* steps.c - see steps.h. */
#include "pg/steps.h"

#include <libpq-fe.h>
#include <stdio.h>
#include <string.h>

enum { NAME_CAP = 32 };

static void add_step(lq_pg_query *q, int step)
{
    q->steps[q->step_count++] = (uint8_t)step;
}

static lq_str sql_of(const lq_pg_statement *st)
{
    return (lq_str){st->sql, st->len};
}

static void name_of(char *name, const lq_pg_entry *e)
{
    snprintf(name, NAME_CAP, "lq_%llu", (unsigned long long)e->number);
}

/* Forgets a statement and lets the server forget it, in front of what is sent
 * next: an answer leaves nothing under way that its asker does not know of. */
static void close_statement(lq_pg_conn *c, lq_pg_entry *e)
{
    char name[NAME_CAP], sql[NAME_CAP + 16];
    lq_pg_query *q;

    name_of(name, e);
    snprintf(sql, sizeof sql, "deallocate %s", name);
    lq_pg_cache_remove(&c->prepared, e);
    q = lq_pg_query_text(LQ_PG_RUN, (lq_str){sql, strlen(sql)});
    if (!q) return;
    q->conn = c;
    q->is_abandoned = true;
    lq_list_push_back(&c->closing, &q->link);
}

static bool has_same_types(const lq_pg_statement *a, const lq_pg_statement *b)
{
    return a == b || a->count < 0 || b->count < 0 ||
           (a->count == b->count &&
            memcmp(a->types, b->types, sizeof *a->types * (size_t)a->count) ==
                0);
}

/* What is sent again does not trust what others have prepared meanwhile. */
static bool is_kept(const lq_pg_conn *c, const lq_pg_query *q,
                    const lq_pg_statement *st)
{
    return c->cfg->prepare && st->class == LQ_PG_PLAIN && !q->is_retried &&
           !lq_pg_statement_is_long(st);
}

/* Makes the statement known to the server under `name`, "" when that is not
 * for long. Returns whether libpq has taken it. */
static bool prepare(lq_pg_conn *c, lq_pg_query *q, lq_pg_statement *st,
                    char *name)
{
    bool may_keep = is_kept(c, q, st);
    lq_pg_entry *e = NULL, *old;

    if (may_keep) e = lq_pg_cache_find(&c->prepared, sql_of(st), st->hash);
    if (e && !has_same_types(e->statement, st)) {
        close_statement(c, e);
        e = NULL;
    } else if (e) {
        name_of(name, e);
        return true;
    }
    q->was_cached = false;
    old = may_keep ? lq_pg_cache_oldest(&c->prepared) : NULL;
    if (old) close_statement(c, old);
    if (may_keep) e = lq_pg_cache_put(&c->prepared, st);
    name[0] = '\0';
    if (e) name_of(name, e);
    add_step(q, LQ_PG_STEP_PREPARE);
    return PQsendPrepare(c->pg, name, st->sql, st->count > 0 ? st->count : 0,
                         st->types) == 1;
}

static bool send_item(lq_pg_conn *c, lq_pg_query *q, const lq_pg_item *it)
{
    const char *const *values = q->value_ptrs + it->first;
    const int *lens = q->value_lens + it->first;
    const int *formats = q->value_formats + it->first;
    lq_pg_statement *st = it->statement;
    char name[NAME_CAP];

    if (!is_kept(c, q, st) || q->kind == LQ_PG_STREAM) {
        add_step(q, LQ_PG_STEP_RUN);
        return PQsendQueryParams(c->pg, st->sql, it->count,
                                 st->count > 0 ? st->types : NULL, values, lens,
                                 formats, st->is_binary) == 1;
    }
    if (!prepare(c, q, st, name)) return false;
    add_step(q, LQ_PG_STEP_RUN);
    return PQsendQueryPrepared(c->pg, name, it->count, values, lens, formats,
                               st->is_binary) == 1;
}

static bool send_describe(lq_pg_conn *c, lq_pg_query *q)
{
    char name[NAME_CAP];

    if (!prepare(c, q, q->items[0].statement, name)) return false;
    add_step(q, LQ_PG_STEP_DESCRIBE);
    return PQsendDescribePrepared(c->pg, name) == 1;
}

bool lq_pg_steps_send(lq_pg_conn *c, lq_pg_query *q)
{
    int i;

    q->was_cached = true;
    if (q->kind == LQ_PG_DESCRIBE) {
        if (!send_describe(c, q)) return false;
    } else {
        for (i = 0; i < q->count; i++)
            if (!send_item(c, q, &q->items[i])) return false;
    }
    if (q->kind == LQ_PG_STREAM && !PQsetSingleRowMode(c->pg)) return false;
    add_step(q, LQ_PG_STEP_SYNC);
    return PQpipelineSync(c->pg) == 1;
}

static void forget(lq_pg_conn *c, const lq_pg_statement *st)
{
    lq_pg_entry *e = lq_pg_cache_find(&c->prepared, sql_of(st), st->hash);

    if (e) lq_pg_cache_remove(&c->prepared, e);
}

void lq_pg_steps_forget(lq_pg_conn *c, const lq_pg_query *q)
{
    int i;

    for (i = 0; i < q->count; i++) forget(c, q->items[i].statement);
}

void lq_pg_steps_undo(lq_pg_conn *c, const lq_pg_query *q)
{
    int item = 0, i;

    if (q->steps[q->step] != LQ_PG_STEP_PREPARE) return;
    for (i = 0; i < q->step; i++) item += q->steps[i] == LQ_PG_STEP_RUN;
    forget(c, q->items[item].statement);
}

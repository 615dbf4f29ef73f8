/* dbquery.c - see database.h: what is asked of a database, and the way there.
 *
 * A query goes through up to four round trips, of which all but the last are
 * made once for a statement: what types its parameters have, what types of the
 * server's own those are, the query itself, and what types its columns are of.
 */
#include <errno.h>
#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "lua/database.h"
#include "lua/error.h"

enum {
    BATCH_MAX = 1000,   /* fewer than statements are kept: lib_db.c */
    PARAMS_MAX = 65535, /* of the protocol */
    KEPT = 64 * 1024,   /* bytes of a buffer from one query to the next */
};

/* ---- shells ------------------------------------------------------------- */

static lq_database *check_open(lua_State *L, lq_database *d)
{
    if (!d->pool) luaL_error(L, "the database is closed");
    return d;
}

lq_db_session *lq_db_check_session(lua_State *L, int i)
{
    lq_db_session *s = luaL_checkudata(L, i, LQ_DB_SESSION_TYPE);

    if (s->state == LQ_DB_SESSION_OVER || !lq_db_lease_of(s))
        luaL_error(L, "the session or transaction is over");
    if (s->state == LQ_DB_SESSION_SUSPENDED)
        luaL_error(L, "a transaction inside this one is under way: use that "
                      "one until it is over");
    return s;
}

lq_db_target lq_db_check_target(lua_State *L)
{
    lq_database *d = luaL_testudata(L, 1, LQ_DB_TYPE);
    lq_db_session *s;

    if (d) return (lq_db_target){check_open(L, d), NULL};
    s = lq_db_check_session(L, 1);
    return (lq_db_target){check_open(L, s->db), s};
}

lq_db_target lq_db_target_of(lua_State *L)
{
    lq_database *d = luaL_testudata(L, 1, LQ_DB_TYPE);
    lq_db_session *s;

    if (d) return (lq_db_target){d, NULL};
    s = luaL_checkudata(L, 1, LQ_DB_SESSION_TYPE);
    return (lq_db_target){s->db, s};
}

/* ---- statements --------------------------------------------------------- */

/* The statement as the cache has it; a new one knows no types. */
static lq_pg_statement *find_statement(lua_State *L, lq_database *d, lq_str sql)
{
    uint64_t hash = lq_pg_hash(sql);
    lq_pg_entry *e = lq_pg_cache_find(&d->statements, sql, hash), *old;
    lq_pg_statement *st;

    if (LQ_LIKELY(e != NULL)) return e->statement;
    st = lq_pg_statement_new(sql, NULL, -1);
    if (!st) luaL_error(L, "not enough memory");
    if ((old = lq_pg_cache_oldest(&d->statements)))
        lq_pg_cache_remove(&d->statements, old);
    e = lq_pg_cache_put(&d->statements, st);
    lq_pg_statement_rele(st);
    if (!e) luaL_error(L, "not enough memory");
    return e->statement;
}

/* Puts what is known now in the place of what was. */
static int replace_statement(lq_database *d, lq_pg_statement *st)
{
    lq_pg_entry *e =
        lq_pg_cache_find(&d->statements, (lq_str){st->sql, st->len}, st->hash);

    if (e) lq_pg_cache_remove(&d->statements, e);
    e = lq_pg_cache_oldest(&d->statements);
    if (e) lq_pg_cache_remove(&d->statements, e);
    return lq_pg_cache_put(&d->statements, st) ? 0 : -ENOMEM;
}

static void forget(lq_database *d, const lq_pg_statement *st)
{
    lq_pg_entry *e =
        lq_pg_cache_find(&d->statements, (lq_str){st->sql, st->len}, st->hash);

    if (e) lq_pg_cache_remove(&d->statements, e);
}

void lq_db_forget(lq_database *d, const lq_pg_query *q)
{
    int i;

    for (i = 0; i < q->count; i++) forget(d, q->items[i].statement);
}

void lq_db_forget_long(lq_database *d, const lq_pg_query *q)
{
    int i;

    for (i = 0; i < q->count; i++)
        if (LQ_UNLIKELY(lq_pg_statement_is_long(q->items[i].statement)))
            forget(d, q->items[i].statement);
}

/* The connection is made as new before others get it. */
static void mark_changed(lq_db_session *s)
{
    for (; s; s = s->outer) s->has_changed = true;
}

static void check_class(lua_State *L, const lq_db_target *to,
                        const lq_pg_statement *st)
{
    if (LQ_LIKELY(st->class == LQ_PG_PLAIN)) return;
    if (st->class == LQ_PG_COPY)
        luaL_error(L, "copy has functions of its own: copy_in and copy_out");
    if (to->session) {
        if (st->class == LQ_PG_SESSION) mark_changed(to->session);
        return;
    }
    if (st->class == LQ_PG_SESSION)
        luaL_error(L, "this statement changes the session, and the next query "
                      "may have another one: db:session(function(s) … end) "
                      "has one of its own");
    luaL_error(L, "this statement belongs to a transaction: "
                  "db:transaction(function(tx) … end) begins and ends one");
}

static lq_str check_sql(lua_State *L, int i)
{
    lq_str sql;

    luaL_checktype(L, i, LUA_TSTRING);
    sql.ptr = lua_tolstring(L, i, &sql.len);
    luaL_argcheck(L, strlen(sql.ptr) == sql.len, i, "SQL has no NUL in it");
    return sql;
}

/* ---- waiting for an answer ---------------------------------------------- */

static void on_done(lq_pg_query *q)
{
    lq_task_wake(q->data, 0);
}

static void on_cancel(lq_task *t)
{
    lq_pg_drop(t->wait);
}

lq_pg_query *lq_db_decode(lq_vm *vm, lq_pg_query *q)
{
    lq_pg_drop(vm->dbs->decoding);
    vm->dbs->decoding = q;
    return q;
}

void lq_db_finish_decoding(lq_vm *vm)
{
    lq_pg_drop(vm->dbs->decoding);
    vm->dbs->decoding = NULL;
}

int lq_db_push_failure(lua_State *L, lq_vm *vm, lq_pg_query *q)
{
    lq_db_decode(vm, q);
    lua_pushnil(L);
    lq_pgquery_push_error(L, q);
    lq_db_finish_decoding(vm);
    return 2;
}

/* Takes `q`. */
int lq_db_wait(lua_State *L, lq_task *t, const lq_db_target *to, lq_pg_query *q,
               lua_KFunction k)
{
    lq_pg_lease *lease = to->session ? lq_db_lease_of(to->session) : NULL;

    q->data = t;
    q->on_done = on_done;
    if (to->session) to->session->is_undone = false;
    if (!to->db->pool || (to->session && !lease))
        lq_pg_query_fail(q, LQ_ECLOSED, NULL);
    if (q->err || lq_pg_submit(to->db->pool, lease, q) < 0)
        return lq_db_push_failure(L, t->vm, q);
    return lq_task_wait(L, t, on_cancel, q, k);
}

/* ---- what is asked ------------------------------------------------------ */

/* One statement with its parameters: on the stack from index 2 on, or in a
 * table at `table`, from index 1 on. */
typedef struct request {
    int table; /* 0: none */
    int given; /* parameters; of a table: at least */
} request;

static int count_items(lua_State *L, int tag)
{
    return tag == LQ_DB_BATCH ? (int)lua_rawlen(L, 2) : 1;
}

/* Pushes the table of item `i`, which must be popped, if there is one. */
static request open_item(lua_State *L, int tag, int i)
{
    request r = {0, lua_gettop(L) - 2};

    if (tag != LQ_DB_BATCH) {
        if (r.given > PARAMS_MAX)
            luaL_error(L, "a statement has at most %d parameters", PARAMS_MAX);
        return r;
    }
    if (lua_rawgeti(L, 2, i + 1) != LUA_TTABLE)
        luaL_error(L, "item %d of a batch must be a table { sql, … }", i + 1);
    r.table = lua_gettop(L);
    r.given = (int)lua_rawlen(L, r.table) - 1;
    return r;
}

static void close_item(lua_State *L, const request *r)
{
    if (r->table) lua_settop(L, r->table - 1);
}

static lq_pg_statement *statement_of(lua_State *L, const lq_db_target *to,
                                     const request *r)
{
    lq_pg_statement *st;

    if (!r->table) {
        st = find_statement(L, to->db, check_sql(L, 2));
    } else {
        if (lua_rawgeti(L, r->table, 1) != LUA_TSTRING)
            luaL_error(L, "the first entry of a batch's item must be its SQL");
        st = find_statement(L, to->db, check_sql(L, lua_gettop(L)));
        lua_pop(L, 1);
    }
    check_class(L, to, st);
    return st;
}

/* Whether the server must say something about it first. */
static bool is_known(const lq_pg_statement *st, const request *r)
{
    return st->count >= 0 || (r->given <= 0 && !r->table);
}

/* ---- parameters --------------------------------------------------------- */

static int push_nul_failure(lua_State *L)
{
    return lq_push_failure(L, LQ_EINVALID,
                           "a string with a NUL cannot be a parameter of "
                           "this type");
}

/* Appends the parameters of an item. Returns 0, or LQ_EINVALID. */
static int put_params(lua_State *L, const lq_db_target *to, const request *r,
                      const lq_pg_statement *st)
{
    struct lq_dbs *dbs = lq_vm_of(L)->dbs;
    int count = st->count > 0 ? st->count : 0, i, idx, err = 0;
    char where[32];
    lq_pgparam p;

    if (r->given > count || (!r->table && r->given != count))
        luaL_error(L, "the statement has %d parameters, and %d are given",
                   count, r->given);
    for (i = 0; i < count && err == 0; i++) {
        idx = 3 + i;
        if (r->table) {
            lua_rawgeti(L, r->table, 2 + i);
            idx = lua_gettop(L);
        }
        snprintf(where, sizeof where, "parameter %d", i + 1);
        err = lq_pgparam_put(L, idx, &to->db->types, st->types[i], &dbs->bytes,
                             &p, where);
        if (r->table) lua_pop(L, 1);
        if (lq_buf_append(&dbs->params, &p, sizeof p) < 0)
            luaL_error(L, "not enough memory");
    }
    return err;
}

static void empty(lq_buf *b)
{
    if (b->cap > KEPT) lq_buf_fini(b);
    lq_buf_clear(b);
}

/* Copies what put_params has gathered. */
static void fill(lq_pg_query *q, const struct lq_dbs *dbs)
{
    const lq_pgparam *ps = (const void *)lq_buf_ptr(&dbs->params), *p;
    const char *bytes = lq_buf_ptr(&dbs->bytes);
    lq_pg_statement *st;
    int i, n, at = 0;

    for (i = 0; i < q->count; i++) {
        st = q->items[i].statement;
        q->items[i].first = at;
        for (n = st->count; n > 0; n--) {
            p = &ps[at++];
            lq_pg_query_value(q, i,
                              (lq_str){p->is_null ? NULL
                                       : p->len   ? bytes + p->at
                                                  : "",
                                       p->len},
                              p->is_binary);
        }
    }
}

/* ---- a query's way ------------------------------------------------------ */

static int answer(lua_State *L, lq_vm *vm, const lq_db_target *to,
                  lq_pg_query *q);

/* An error may come of what has been kept about a statement. */
static int push_query_failure(lua_State *L, lq_vm *vm, const lq_db_target *to,
                              lq_pg_query *q)
{
    if (q->failure) lq_db_forget(to->db, q);
    return lq_db_push_failure(L, vm, q);
}

/* The text of oid[]; returns its length. */
static size_t put_oids(char *out, size_t cap, const uint32_t *oids, int count)
{
    size_t len = 0;
    int i;

    out[len++] = '{';
    for (i = 0; i < count; i++)
        len += (size_t)snprintf(out + len, cap - len, "%s%u", i ? "," : "",
                                (unsigned)oids[i]);
    out[len++] = '}';
    return len;
}

static int read_oids(const char *text, uint32_t *oids)
{
    int count = 0;

    while (*text && *text != '}' && count < LQ_DB_UNKNOWN_MAX)
        oids[count++] = (uint32_t)strtoul(text + 1, (char **)&text, 10);
    return count;
}

static int types_k(lua_State *L, int status, lua_KContext context)
{
    lq_task *t = (lq_task *)context;
    lq_pg_query *q = t->wait, *behind = q->behind;
    uint32_t asked[LQ_DB_UNKNOWN_MAX];
    lq_db_target to;
    int count, tag = q->tag;

    (void)status;
    if (q->err) return lq_db_push_failure(L, t->vm, q);
    lq_db_decode(t->vm, q);
    to = lq_db_target_of(L);
    count = read_oids(q->value_ptrs[0], asked);
    if (lq_pgresult_keep_types(q->items[0].result, &to.db->types, asked,
                               count) < 0)
        return luaL_error(L, "not enough memory");
    q->behind = NULL;
    lq_db_finish_decoding(t->vm);
    return behind ? answer(L, t->vm, &to, behind) : lq_db_ask(L, t, tag);
}

/* Takes `behind`, which may be NULL: a result that waits to be read. */
static int ask_types(lua_State *L, lq_task *t, const lq_db_target *to,
                     const uint32_t *oids, int count, lq_pg_query *behind,
                     int tag)
{
    static const uint32_t type = LQ_PGOID_OIDS;
    char text[LQ_DB_UNKNOWN_MAX * 11 + 2];
    size_t len = put_oids(text, sizeof text, oids, count);
    lq_pg_statement *st = lq_pg_statement_new(
        (lq_str){lq_pgtypes_sql, strlen(lq_pgtypes_sql)}, &type, 1);
    lq_pg_query *q = st ? lq_pg_query_new(LQ_PG_RUN, 1, 1, len) : NULL;

    if (q) {
        lq_pg_query_item(q, 0, st);
        lq_pg_query_value(q, 0, (lq_str){text, len}, false);
        q->behind = behind;
        q->tag = tag;
    } else {
        lq_pg_query_free(behind);
    }
    lq_pg_statement_rele(st);
    if (!q) return luaL_error(L, "not enough memory");
    return lq_db_wait(L, t, to, q, types_k);
}

static int describe_k(lua_State *L, int status, lua_KContext context)
{
    lq_task *t = (lq_task *)context;
    lq_pg_query *q = t->wait;
    lq_db_target to = lq_db_target_of(L);
    lq_pg_statement *st;
    uint32_t oids[LQ_DB_UNKNOWN_MAX];
    int tag = q->tag, count = 0, err;

    (void)status;
    if (q->err) return lq_db_push_failure(L, t->vm, q);
    lq_db_decode(t->vm, q);
    st = lq_pgresult_statement(q);
    err = st ? replace_statement(to.db, st) : -ENOMEM;
    lq_pg_statement_rele(st);
    if (tag == LQ_DB_STREAM) {
        tag = LQ_DB_STREAM_READY;
        count = lq_pgresult_unknowns(q->items[0].result, &to.db->types, oids,
                                     LQ_DB_UNKNOWN_MAX);
    }
    lq_db_finish_decoding(t->vm);
    if (err < 0) return luaL_error(L, "not enough memory");
    if (count > 0) return ask_types(L, t, &to, oids, count, NULL, tag);
    return lq_db_ask(L, t, tag);
}

static int describe(lua_State *L, lq_task *t, const lq_db_target *to,
                    lq_pg_statement *st, int tag)
{
    lq_pg_query *q = lq_pg_query_new(LQ_PG_DESCRIBE, 1, 0, 0);

    if (!q) return luaL_error(L, "not enough memory");
    lq_pg_query_item(q, 0, st);
    q->tag = tag;
    return lq_db_wait(L, t, to, q, describe_k);
}

/* Pushes what the caller gets. The results' types are known. */
static int push_answer(lua_State *L, struct lq_dbs *dbs, const lq_db_target *to,
                       const lq_pg_query *q)
{
    lq_err unread = {0};
    lq_pgreader in = {&to->db->types, &dbs->scratch, to->db->has_null, &unread};
    int i;

    switch (q->tag) {
    case LQ_DB_ROWS: lq_pgresult_push_rows(L, &in, q->items[0].result); break;
    case LQ_DB_ROW: lq_pgresult_push_row(L, &in, q->items[0].result); break;
    case LQ_DB_VALUE: lq_pgresult_push_value(L, &in, q->items[0].result); break;
    default:
        lua_createtable(L, q->count, 0);
        for (i = 0; i < q->count; i++) {
            lq_pgresult_push_rows(L, &in, q->items[i].result);
            lua_rawseti(L, -2, i + 1);
        }
    }
    empty(&dbs->scratch);
    return unread.code ? lq_push_failure(L, unread.code, unread.text) : 1;
}

/* Takes `q`, which is over: asks for types that are not known, or pushes. */
static int answer(lua_State *L, lq_vm *vm, const lq_db_target *to,
                  lq_pg_query *q)
{
    uint32_t oids[LQ_DB_UNKNOWN_MAX];
    int count = 0, results, i;

    lq_db_decode(vm, q);
    lq_db_forget_long(to->db, q);
    for (i = 0; i < q->count && count == 0; i++)
        count = lq_pgresult_unknowns(q->items[i].result, &to->db->types, oids,
                                     LQ_DB_UNKNOWN_MAX);
    if (LQ_UNLIKELY(count > 0)) {
        vm->dbs->decoding = NULL;
        return ask_types(L, vm->current, to, oids, count, q, q->tag);
    }
    results = push_answer(L, vm->dbs, to, q);
    lq_db_finish_decoding(vm);
    return results;
}

static int run_k(lua_State *L, int status, lua_KContext context)
{
    lq_task *t = (lq_task *)context;
    lq_pg_query *q = t->wait;
    lq_db_target to = lq_db_target_of(L);

    (void)status;
    if (LQ_UNLIKELY(q->err)) return push_query_failure(L, t->vm, &to, q);
    return answer(L, t->vm, &to, q);
}

/* Every statement is known. */
static lq_pg_query *make_query(lua_State *L, const lq_db_target *to, int tag,
                               lq_pg_kind kind)
{
    lq_vm *vm = lq_vm_of(L);
    struct lq_dbs *dbs = vm->dbs;
    int n = count_items(L, tag), values = 0, i, err = 0;
    lq_pg_query *q;
    request r;

    empty(&dbs->bytes);
    empty(&dbs->params);
    for (i = 0; i < n && err == 0; i++) {
        r = open_item(L, tag, i);
        err = put_params(L, to, &r, statement_of(L, to, &r));
        close_item(L, &r);
    }
    if (err < 0) {
        push_nul_failure(L);
        return NULL;
    }
    values = (int)(lq_buf_len(&dbs->params) / sizeof(lq_pgparam));
    q = lq_db_decode(vm,
                     lq_pg_query_new(kind, n, values, lq_buf_len(&dbs->bytes)));
    if (!q) luaL_error(L, "not enough memory");
    for (i = 0; i < n; i++) {
        r = open_item(L, tag, i);
        lq_pg_query_item(q, i, statement_of(L, to, &r));
        close_item(L, &r);
    }
    fill(q, dbs);
    empty(&dbs->bytes);
    q->tag = tag;
    vm->dbs->decoding = NULL;
    return q;
}

lq_pg_query *lq_db_make_query(lua_State *L, const lq_db_target *to,
                              lq_pg_kind kind)
{
    return make_query(L, to, LQ_DB_ROWS, kind);
}

static int run(lua_State *L, lq_task *t, const lq_db_target *to, int tag)
{
    lq_pg_query *q = make_query(L, to, tag, LQ_PG_RUN);

    return q ? lq_db_wait(L, t, to, q, run_k) : 2;
}

/* Asks for what is not known, or runs. */
int lq_db_ask(lua_State *L, lq_task *t, int tag)
{
    lq_db_target to = lq_db_check_target(L);
    int n = count_items(L, tag), count, i;
    uint32_t oids[LQ_DB_UNKNOWN_MAX];
    lq_pg_statement *st;
    request r;

    for (i = 0; i < n; i++) {
        r = open_item(L, tag, i);
        st = statement_of(L, &to, &r);
        close_item(L, &r);
        if (tag == LQ_DB_STREAM || !is_known(st, &r))
            return describe(L, t, &to, st, tag);
        if (st->count <= 0) continue;
        count =
            lq_pgstatement_unknowns(st, &to.db->types, oids, LQ_DB_UNKNOWN_MAX);
        if (count > 0) return ask_types(L, t, &to, oids, count, NULL, tag);
    }
    if (tag == LQ_DB_STREAM_READY) return lq_db_begin_stream(L, &to);
    return run(L, t, &to, tag);
}

/* db:query(sql, ...) -> rows | nil, err */
static int m_query(lua_State *L)
{
    lq_task *t = lq_task_check_wait(L);

    return lq_db_ask(L, t, LQ_DB_ROWS);
}

/* db:one(sql, ...) -> row | nil | nil, err */
static int m_one(lua_State *L)
{
    lq_task *t = lq_task_check_wait(L);

    return lq_db_ask(L, t, LQ_DB_ROW);
}

/* db:value(sql, ...) -> value | nil | nil, err */
static int m_value(lua_State *L)
{
    lq_task *t = lq_task_check_wait(L);

    return lq_db_ask(L, t, LQ_DB_VALUE);
}

/* db:batch(items) -> list of rows | nil, err */
static int m_batch(lua_State *L)
{
    lq_task *t = lq_task_check_wait(L);

    lq_db_check_target(L);
    luaL_checktype(L, 2, LUA_TTABLE);
    lua_settop(L, 2);
    luaL_argcheck(L, lua_rawlen(L, 2) <= BATCH_MAX, 2,
                  "a batch has at most 1000 items");
    if (lua_rawlen(L, 2) > 0) return lq_db_ask(L, t, LQ_DB_BATCH);
    lua_newtable(L);
    return 1;
}

static const luaL_Reg methods[] = {
    {"batch", m_batch}, {"one", m_one}, {"query", m_query},
    {"value", m_value}, {NULL, NULL},
};

void lq_db_set_query_methods(lua_State *L)
{
    luaL_setfuncs(L, methods, 0);
}

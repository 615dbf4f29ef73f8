/* lib_db.c - luaqueduct.core.db: databases and what is asked of them.
 *
 * A query goes through up to four round trips, of which all but the last are
 * made once for a statement: what types its parameters have, what types of the
 * server's own those are, the query itself, and what types its columns are of.
 *
 * Owns:    the shells; vm->dbs, made by the first open.
 * Thread:  that of the state.
 * Knows:   pool, pgvalue, task.
 */
#include <errno.h>
#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "lua/db.h"
#include "lua/error.h"
#include "lua/libs.h"
#include "lua/pgvalue.h"
#include "lua/task.h"
#include "pg/pool.h"

enum {
    UNKNOWN_MAX = 32, /* types asked for at once */
    BATCH_MAX = 10000,
    PARAMS_MAX = 65535,
};

/* What becomes of the answer. */
enum { ROWS, ROW, VALUE, BATCH };

/* Of one state. */
struct lq_dbs {
    lq_list open;          /* databases that are not closed */
    size_t lookups;        /* names that are being looked up */
    lq_buf bytes;          /* parameters on their way into a query */
    lq_buf params;         /* ... where they stand there: lq_pgparam */
    lq_buf scratch;        /* an element of an array */
    lq_pg_query *decoding; /* freed by the next one, should an error raise */
};

typedef struct database {
    lq_list link;     /* of dbs->open */
    lq_pg_pool *pool; /* NULL: closed */
    lq_pg_cache statements;
    lq_pgtypes types;
    bool has_null;
} database;

typedef enum session_state {
    SESSION_OPEN,
    SESSION_SUSPENDED, /* a transaction inside it has the word */
    SESSION_OVER,
} session_state;

typedef struct session {
    database *db; /* in user value 1 */
    lq_pg_lease *lease;
    lq_task *task; /* waits for it to be ready */
    session_state state;
} session;

/* Who is asked. */
typedef struct target {
    database *db;
    lq_pg_lease *lease; /* NULL: any connection */
} target;

/* ---- shells ------------------------------------------------------------- */

static database *check_open(lua_State *L, database *d)
{
    if (!d->pool) luaL_error(L, "the database is closed");
    return d;
}

static session *check_session(lua_State *L, int i)
{
    session *s = luaL_checkudata(L, i, LQ_DB_SESSION_TYPE);

    if (s->state == SESSION_OVER)
        luaL_error(L, "the session or transaction is over");
    if (s->state == SESSION_SUSPENDED)
        luaL_error(L, "a transaction inside this one is under way: use that "
                      "one until it is over");
    return s;
}

static target check_target(lua_State *L)
{
    database *d = luaL_testudata(L, 1, LQ_DB_TYPE);
    session *s;

    if (d) return (target){check_open(L, d), NULL};
    s = check_session(L, 1);
    return (target){check_open(L, s->db), s->lease};
}

/* The same behind a wait, where it may be closed: whoever asks again checks. */
static target target_of(lua_State *L)
{
    database *d = luaL_testudata(L, 1, LQ_DB_TYPE);
    session *s;

    if (d) return (target){d, NULL};
    s = luaL_checkudata(L, 1, LQ_DB_SESSION_TYPE);
    return (target){s->db, s->lease};
}

/* ---- statements --------------------------------------------------------- */

/* The statement as the cache has it; a new one knows no types. */
static lq_pg_statement *find_statement(lua_State *L, database *d, lq_str sql)
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
static int replace_statement(database *d, lq_pg_statement *st)
{
    lq_pg_entry *e =
        lq_pg_cache_find(&d->statements, (lq_str){st->sql, st->len}, st->hash);

    if (e) lq_pg_cache_remove(&d->statements, e);
    e = lq_pg_cache_oldest(&d->statements);
    if (e) lq_pg_cache_remove(&d->statements, e);
    return lq_pg_cache_put(&d->statements, st) ? 0 : -ENOMEM;
}

static void forget_statements(database *d, const lq_pg_query *q)
{
    const lq_pg_statement *st;
    lq_pg_entry *e;
    int i;

    for (i = 0; i < q->count; i++) {
        st = q->items[i].statement;
        e = lq_pg_cache_find(&d->statements, (lq_str){st->sql, st->len},
                             st->hash);
        if (e) lq_pg_cache_remove(&d->statements, e);
    }
}

static void check_class(lua_State *L, const target *to,
                        const lq_pg_statement *st)
{
    if (LQ_LIKELY(st->class == LQ_PG_PLAIN)) return;
    if (st->class == LQ_PG_COPY)
        luaL_error(L, "copy has functions of its own: copy_in and copy_out");
    if (to->lease) return;
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

/* The query is freed by the next one that is decoded, or by finish_decoding. */
static lq_pg_query *begin_decoding(lq_vm *vm, lq_pg_query *q)
{
    lq_pg_drop(vm->dbs->decoding);
    vm->dbs->decoding = q;
    return q;
}

static void finish_decoding(lq_vm *vm)
{
    lq_pg_drop(vm->dbs->decoding);
    vm->dbs->decoding = NULL;
}

static int push_failure(lua_State *L, lq_vm *vm, lq_pg_query *q)
{
    begin_decoding(vm, q);
    lua_pushnil(L);
    lq_pgquery_push_error(L, q);
    finish_decoding(vm);
    return 2;
}

/* Takes `q`. */
static int ask(lua_State *L, lq_task *t, const target *to, lq_pg_query *q,
               lua_KFunction k)
{
    q->data = t;
    q->on_done = on_done;
    if (!to->db->pool) lq_pg_query_fail(q, LQ_ECLOSED, NULL);
    if (q->err || lq_pg_submit(to->db->pool, to->lease, q) < 0)
        return push_failure(L, t->vm, q);
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
    return tag == BATCH ? (int)lua_rawlen(L, 2) : 1;
}

/* Pushes the table of item `i`, which must be popped, if there is one. */
static request open_item(lua_State *L, int tag, int i)
{
    request r = {0, lua_gettop(L) - 2};

    if (tag != BATCH) return r;
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

static lq_pg_statement *statement_of(lua_State *L, const target *to,
                                     const request *r)
{
    lq_pg_statement *st;

    if (!r->table) {
        st = find_statement(L, to->db, check_sql(L, 2));
    } else {
        if (lua_rawgeti(L, r->table, 1) != LUA_TSTRING)
            luaL_error(L, "the first entry of a batch's item must be its SQL");
        st = find_statement(L, to->db, check_sql(L, -1));
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
static int put_params(lua_State *L, const target *to, const request *r,
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

/* Copies what put_params has gathered. */
static void fill(lq_pg_query *q, const struct lq_dbs *dbs, int *next)
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
    *next = at;
}

/* ---- a query's way ------------------------------------------------------ */

static int advance(lua_State *L, lq_task *t, int tag);
static int answer(lua_State *L, lq_vm *vm, const target *to, lq_pg_query *q);

/* An error may come of what has been kept about a statement. */
static int push_query_failure(lua_State *L, lq_vm *vm, const target *to,
                              lq_pg_query *q)
{
    if (q->failure) forget_statements(to->db, q);
    return push_failure(L, vm, q);
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

    while (*text && *text != '}' && count < UNKNOWN_MAX)
        oids[count++] = (uint32_t)strtoul(text + 1, (char **)&text, 10);
    return count;
}

static int types_k(lua_State *L, int status, lua_KContext context)
{
    lq_task *t = (lq_task *)context;
    lq_pg_query *q = t->wait, *behind = q->behind;
    uint32_t asked[UNKNOWN_MAX];
    target to;
    int count, tag = q->tag;

    (void)status;
    if (q->err) return push_failure(L, t->vm, q);
    begin_decoding(t->vm, q);
    to = target_of(L);
    count = read_oids(q->value_ptrs[0], asked);
    if (lq_pgresult_keep_types(q->items[0].result, &to.db->types, asked,
                               count) < 0)
        return luaL_error(L, "not enough memory");
    q->behind = NULL;
    finish_decoding(t->vm);
    return behind ? answer(L, t->vm, &to, behind) : advance(L, t, tag);
}

/* Takes `behind`, which may be NULL: a result that waits to be read. */
static int ask_types(lua_State *L, lq_task *t, const target *to,
                     const uint32_t *oids, int count, lq_pg_query *behind,
                     int tag)
{
    static const uint32_t type = LQ_PGOID_OIDS;
    char text[UNKNOWN_MAX * 11 + 2];
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
    return ask(L, t, to, q, types_k);
}

static int describe_k(lua_State *L, int status, lua_KContext context)
{
    lq_task *t = (lq_task *)context;
    lq_pg_query *q = t->wait;
    target to = target_of(L);
    lq_pg_statement *st;
    int tag = q->tag, err;

    (void)status;
    if (q->err) return push_failure(L, t->vm, q);
    begin_decoding(t->vm, q);
    st = lq_pgresult_statement(q);
    err = st ? replace_statement(to.db, st) : -ENOMEM;
    lq_pg_statement_rele(st);
    finish_decoding(t->vm);
    if (err < 0) return luaL_error(L, "not enough memory");
    return advance(L, t, tag);
}

static int describe(lua_State *L, lq_task *t, const target *to,
                    lq_pg_statement *st, int tag)
{
    lq_pg_query *q = lq_pg_query_new(LQ_PG_DESCRIBE, 1, 0, 0);

    if (!q) return luaL_error(L, "not enough memory");
    lq_pg_query_item(q, 0, st);
    q->tag = tag;
    return ask(L, t, to, q, describe_k);
}

/* Pushes what the caller gets. The results' types are known. */
static void push_answer(lua_State *L, struct lq_dbs *dbs, const target *to,
                        const lq_pg_query *q)
{
    lq_pgreader in = {&to->db->types, &dbs->scratch, to->db->has_null};
    int i;

    switch (q->tag) {
    case ROWS: lq_pgresult_push_rows(L, &in, q->items[0].result); break;
    case ROW: lq_pgresult_push_row(L, &in, q->items[0].result); break;
    case VALUE: lq_pgresult_push_value(L, &in, q->items[0].result); break;
    default:
        lua_createtable(L, q->count, 0);
        for (i = 0; i < q->count; i++) {
            lq_pgresult_push_rows(L, &in, q->items[i].result);
            lua_rawseti(L, -2, i + 1);
        }
    }
}

/* Takes `q`, which is over: asks for types that are not known, or pushes. */
static int answer(lua_State *L, lq_vm *vm, const target *to, lq_pg_query *q)
{
    uint32_t oids[UNKNOWN_MAX];
    int count = 0, i;

    begin_decoding(vm, q);
    for (i = 0; i < q->count && count == 0; i++)
        count = lq_pgresult_unknowns(q->items[i].result, &to->db->types, oids,
                                     UNKNOWN_MAX);
    if (LQ_UNLIKELY(count > 0)) {
        vm->dbs->decoding = NULL;
        return ask_types(L, vm->current, to, oids, count, q, q->tag);
    }
    push_answer(L, vm->dbs, to, q);
    finish_decoding(vm);
    return 1;
}

static int run_k(lua_State *L, int status, lua_KContext context)
{
    lq_task *t = (lq_task *)context;
    lq_pg_query *q = t->wait;
    target to = target_of(L);

    (void)status;
    if (LQ_UNLIKELY(q->err)) return push_query_failure(L, t->vm, &to, q);
    return answer(L, t->vm, &to, q);
}

/* Every statement is known. */
static int run(lua_State *L, lq_task *t, const target *to, int tag)
{
    struct lq_dbs *dbs = t->vm->dbs;
    int n = count_items(L, tag), values = 0, i;
    lq_pg_query *q;
    request r;
    int err = 0;

    lq_buf_clear(&dbs->bytes);
    lq_buf_clear(&dbs->params);
    for (i = 0; i < n && err == 0; i++) {
        r = open_item(L, tag, i);
        err = put_params(L, to, &r, statement_of(L, to, &r));
        close_item(L, &r);
    }
    if (err < 0) return push_nul_failure(L);
    values = (int)(lq_buf_len(&dbs->params) / sizeof(lq_pgparam));
    q = begin_decoding(
        t->vm, lq_pg_query_new(LQ_PG_RUN, n, values, lq_buf_len(&dbs->bytes)));
    if (!q) return luaL_error(L, "not enough memory");
    for (i = 0; i < n; i++) {
        r = open_item(L, tag, i);
        lq_pg_query_item(q, i, statement_of(L, to, &r));
        close_item(L, &r);
    }
    fill(q, dbs, &values);
    q->tag = tag;
    t->vm->dbs->decoding = NULL;
    return ask(L, t, to, q, run_k);
}

/* Asks for what is not known, or runs. */
static int advance(lua_State *L, lq_task *t, int tag)
{
    target to = check_target(L);
    int n = count_items(L, tag), count, i;
    uint32_t oids[UNKNOWN_MAX];
    lq_pg_statement *st;
    request r;

    for (i = 0; i < n; i++) {
        r = open_item(L, tag, i);
        st = statement_of(L, &to, &r);
        close_item(L, &r);
        if (!is_known(st, &r)) return describe(L, t, &to, st, tag);
        if (st->count <= 0) continue;
        count = lq_pgstatement_unknowns(st, &to.db->types, oids, UNKNOWN_MAX);
        if (count > 0) return ask_types(L, t, &to, oids, count, NULL, tag);
    }
    return run(L, t, &to, tag);
}

/* db:query(sql, ...) -> rows | nil, err */
static int m_query(lua_State *L)
{
    lq_task *t = lq_task_check_wait(L);

    return advance(L, t, ROWS);
}

/* db:one(sql, ...) -> row | nil | nil, err */
static int m_one(lua_State *L)
{
    lq_task *t = lq_task_check_wait(L);

    return advance(L, t, ROW);
}

/* db:value(sql, ...) -> value | nil | nil, err */
static int m_value(lua_State *L)
{
    lq_task *t = lq_task_check_wait(L);

    return advance(L, t, VALUE);
}

/* db:batch({ { sql, ... }, ... }) -> list of rows | nil, err */
static int m_batch(lua_State *L)
{
    lq_task *t = lq_task_check_wait(L);

    check_target(L);
    luaL_checktype(L, 2, LUA_TTABLE);
    lua_settop(L, 2);
    luaL_argcheck(L, lua_rawlen(L, 2) <= BATCH_MAX, 2,
                  "a batch has at most 10000 items");
    if (lua_rawlen(L, 2) > 0) return advance(L, t, BATCH);
    lua_newtable(L);
    return 1;
}

/* ---- databases ---------------------------------------------------------- */

static struct lq_dbs *check_dbs(lua_State *L)
{
    lq_vm *vm = lq_vm_of(L);

    if (vm->dbs) return vm->dbs;
    vm->dbs = lq_mem_zalloc(sizeof *vm->dbs);
    if (!vm->dbs) luaL_error(L, "not enough memory");
    lq_list_init(&vm->dbs->open);
    return vm->dbs;
}

static uint64_t ms_of(lua_State *L, const char *name)
{
    lua_Number seconds;

    lua_getfield(L, 1, name);
    seconds = lua_tonumber(L, -1);
    lua_pop(L, 1);
    return (uint64_t)(seconds * 1000 + 0.999);
}

static lua_Integer integer_of(lua_State *L, const char *name)
{
    lua_Integer n;

    lua_getfield(L, 1, name);
    n = lua_tointeger(L, -1);
    lua_pop(L, 1);
    return n;
}

static bool boolean_of(lua_State *L, const char *name)
{
    bool value;

    lua_getfield(L, 1, name);
    value = lua_toboolean(L, -1);
    lua_pop(L, 1);
    return value;
}

static void close_database(database *d)
{
    lq_pg_pool *pool = d->pool;

    if (!pool) return;
    d->pool = NULL;
    lq_list_remove(&d->link);
    lq_pg_pool_close(pool);
}

/* db.open(options) -> database: options as luaqueduct.db has checked them */
static int db_open(lua_State *L)
{
    lq_vm *vm = lq_vm_of(L);
    struct lq_dbs *dbs = check_dbs(L);
    lq_pg_pool_cfg cfg = {.loop = vm->cfg.loop, .log = vm->cfg.log};
    lq_err failure;
    database *d;
    int err;

    luaL_checktype(L, 1, LUA_TTABLE);
    lua_getfield(L, 1, "url");
    cfg.url.ptr = luaL_checklstring(L, -1, &cfg.url.len);
    cfg.lookups = &dbs->lookups;
    cfg.size = (int)integer_of(L, "size");
    cfg.query_ms = ms_of(L, "query_timeout");
    cfg.acquire_ms = ms_of(L, "acquire_timeout");
    cfg.connect_ms = ms_of(L, "connect_timeout");
    cfg.max_waiting = (size_t)integer_of(L, "max_waiting");
    cfg.prepare = boolean_of(L, "prepare");
    cfg.cache = (size_t)integer_of(L, "statement_cache");

    d = lua_newuserdatauv(L, sizeof *d, 0);
    *d = (database){.has_null = boolean_of(L, "null")};
    lq_list_init(&d->link);
    lq_pg_cache_init(&d->statements, cfg.cache);
    lq_pgtypes_init(&d->types);
    luaL_setmetatable(L, LQ_DB_TYPE);
    err = lq_pg_pool_open(&d->pool, &cfg, &failure);
    if (err == LQ_EINVALID) return luaL_error(L, "%s", failure.text);
    if (err < 0) return luaL_error(L, "not enough memory");
    lq_list_push_back(&dbs->open, &d->link);
    return 1;
}

/* db:close() */
static int m_close(lua_State *L)
{
    close_database(luaL_checkudata(L, 1, LQ_DB_TYPE));
    return 0;
}

static int mt_gc(lua_State *L)
{
    database *d = luaL_checkudata(L, 1, LQ_DB_TYPE);

    close_database(d);
    lq_pg_cache_fini(&d->statements);
    lq_pgtypes_fini(&d->types);
    return 0;
}

static void set_integer(lua_State *L, const char *name, lua_Integer n)
{
    lua_pushinteger(L, n);
    lua_setfield(L, -2, name);
}

/* db:stats() -> table */
static int m_stats(lua_State *L)
{
    const database *d = check_open(L, luaL_checkudata(L, 1, LQ_DB_TYPE));
    lq_pg_stats s;

    lq_pg_pool_stats(d->pool, &s);
    lua_createtable(L, 0, 8);
    set_integer(L, "size", s.size);
    set_integer(L, "open", s.open);
    set_integer(L, "idle", s.idle);
    set_integer(L, "busy", s.busy);
    set_integer(L, "waiting", (lua_Integer)s.waiting);
    set_integer(L, "queries", (lua_Integer)s.queries);
    set_integer(L, "errors", (lua_Integer)s.errors);
    set_integer(L, "reconnects", (lua_Integer)s.reconnects);
    return 1;
}

static int mt_tostring(lua_State *L)
{
    const database *d = luaL_checkudata(L, 1, LQ_DB_TYPE);

    lua_pushfstring(L, "%s (%s)", LQ_DB_TYPE, d->pool ? "open" : "closed");
    return 1;
}

/* ---- the module --------------------------------------------------------- */

void lq_db_shut(const lq_vm *vm)
{
    const lq_list *link;

    if (!vm->dbs) return;
    for (link = vm->dbs->open.next; link != &vm->dbs->open; link = link->next)
        lq_pg_pool_shut(LQ_CONTAINER_OF(link, database, link)->pool);
}

void lq_db_close(lq_vm *vm)
{
    struct lq_dbs *dbs = vm->dbs;

    if (!dbs) return;
    finish_decoding(vm);
    while (dbs->lookups > 0) uv_run(lq_loop_uv(vm->cfg.loop), UV_RUN_ONCE);
    lq_buf_fini(&dbs->bytes);
    lq_buf_fini(&dbs->params);
    lq_buf_fini(&dbs->scratch);
    lq_mem_free(dbs);
    vm->dbs = NULL;
}

static const luaL_Reg functions[] = {
    {"open", db_open},
    {NULL, NULL},
};

static const luaL_Reg methods[] = {
    {"batch", m_batch}, {"close", m_close}, {"one", m_one}, {"query", m_query},
    {"stats", m_stats}, {"value", m_value}, {NULL, NULL},
};

static const luaL_Reg metamethods[] = {
    {"__close", m_close},
    {"__gc", mt_gc},
    {"__tostring", mt_tostring},
    {NULL, NULL},
};

/* Pushes the table of methods, to which Lua adds its own. */
static void push_type(lua_State *L, const char *name, const luaL_Reg *meta,
                      const luaL_Reg *list)
{
    luaL_newmetatable(L, name);
    luaL_setfuncs(L, meta, 0);
    lua_newtable(L);
    luaL_setfuncs(L, list, 0);
    lua_pushvalue(L, -1);
    lua_setfield(L, -3, "__index");
    lua_remove(L, -2);
}

int luaopen_luaqueduct_core_db(lua_State *L)
{
    luaL_newlib(L, functions);
    push_type(L, LQ_DB_TYPE, metamethods, methods);
    lua_setfield(L, -2, "Database");
    return 1;
}

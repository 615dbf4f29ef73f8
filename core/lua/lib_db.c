/* lib_db.c - luaqueduct.core.db: databases.
 *
 * Queries stand in dbquery.c, connections of one's own in dbsession.c, streams
 * in dbstream.c.
 *
 * Owns:    the shells; vm->dbs, made by the first open.
 * Thread:  that of the state.
 * Knows:   database.
 */
#include <lauxlib.h>

#include "base/mem.h"
#include "lua/args.h"
#include "lua/database.h"
#include "lua/libs.h"

enum { STATEMENTS = 1024 /* of which the types are kept, at least */ };

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

static void close_database(lq_database *d)
{
    lq_pg_pool *pool = d->pool;

    if (!pool) return;
    d->pool = NULL;
    lq_list_remove(&d->link);
    lq_pg_pool_close(pool);
}

/* db.open(options) -> database: options as luaqueduct.db has checked them;
 * `listens`: db.notification is for it */
static int db_open(lua_State *L)
{
    lq_vm *vm = lq_vm_of(L);
    struct lq_dbs *dbs = check_dbs(L);
    lq_pg_pool_cfg cfg = {.loop = vm->cfg.loop, .log = vm->cfg.log};
    lq_err failure;
    lq_database *d;
    int err;

    luaL_checktype(L, 1, LUA_TTABLE);
    lua_getfield(L, 1, "url");
    cfg.url.ptr = luaL_checklstring(L, -1, &cfg.url.len);
    cfg.pending = &dbs->pending;
    cfg.size = (int)lq_integer_field(L, 1, "size");
    cfg.query_ms = lq_ms_field(L, 1, "query_timeout");
    cfg.acquire_ms = lq_ms_field(L, 1, "acquire_timeout");
    cfg.connect_ms = lq_ms_field(L, 1, "connect_timeout");
    cfg.max_waiting = (size_t)lq_integer_field(L, 1, "max_waiting");
    cfg.prepare = lq_boolean_field(L, 1, "prepare");
    cfg.cache = (size_t)lq_integer_field(L, 1, "statement_cache");

    d = lua_newuserdatauv(L, sizeof *d, 0);
    *d = (lq_database){.has_null = lq_boolean_field(L, 1, "null"),
                       .listens = lq_boolean_field(L, 1, "listens")};
    cfg.on_notify = lq_db_on_notify;
    cfg.data = d;
    lq_list_init(&d->notes);
    lq_list_init(&d->link);
    lq_pg_cache_init(&d->statements,
                     cfg.cache > STATEMENTS ? cfg.cache : STATEMENTS);
    lq_pgtypes_init(&d->types);
    luaL_setmetatable(L, LQ_DB_TYPE);
    if (lq_boolean_field(L, 1, "shared") && vm->cfg.on_pool)
        err = vm->cfg.on_pool(vm, &cfg, &d->pool, &failure);
    else
        err = lq_pg_pool_open(&d->pool, &cfg, &failure);
    if (err == LQ_EINVALID) return luaL_error(L, "%s", failure.text);
    if (err < 0)
        return luaL_error(L, "%s",
                          lq_strerror(err, failure.text, sizeof failure.text));
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
    lq_database *d = luaL_checkudata(L, 1, LQ_DB_TYPE);

    close_database(d);
    lq_db_drop_notes(d);
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
    const lq_database *d = lq_db_check_target(L).db;
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
    const lq_database *d = luaL_checkudata(L, 1, LQ_DB_TYPE);

    lua_pushfstring(L, "%s (%s)", LQ_DB_TYPE, d->pool ? "open" : "closed");
    return 1;
}

/* ---- the module --------------------------------------------------------- */

void lq_db_shut(const lq_vm *vm)
{
    const lq_list *link;

    if (!vm->dbs) return;
    for (link = vm->dbs->open.next; link != &vm->dbs->open; link = link->next)
        lq_pg_pool_shut(LQ_CONTAINER_OF(link, lq_database, link)->pool);
}

void lq_db_close(lq_vm *vm)
{
    struct lq_dbs *dbs = vm->dbs;

    if (!dbs) return;
    lq_db_finish_decoding(vm);
    while (dbs->pending > 0) uv_run(lq_loop_uv(vm->cfg.loop), UV_RUN_ONCE);
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

/* Beside those of lq_db_set_query_methods. */
static const luaL_Reg methods[] = {
    {"close", m_close},
    {"stats", m_stats},
    {NULL, NULL},
};

static const luaL_Reg metamethods[] = {
    {"__close", m_close},
    {"__gc", mt_gc},
    {"__tostring", mt_tostring},
    {NULL, NULL},
};

void lq_db_push_type(lua_State *L, const char *name, const luaL_Reg *meta,
                     const luaL_Reg *list)
{
    luaL_newmetatable(L, name);
    luaL_setfuncs(L, meta, 0);
    lua_newtable(L);
    lq_db_set_query_methods(L);
    luaL_setfuncs(L, list, 0);
    lua_pushvalue(L, -1);
    lua_setfield(L, -3, "__index");
    lua_remove(L, -2);
}

int luaopen_luaqueduct_core_db(lua_State *L)
{
    luaL_newlib(L, functions);
    lq_db_push_type(L, LQ_DB_TYPE, metamethods, methods);
    lua_setfield(L, -2, "Database");
    lq_db_open_sessions(L);
    lq_db_open_streams(L);
    lq_db_open_copies(L);
    lq_db_open_notes(L);
    return 1;
}

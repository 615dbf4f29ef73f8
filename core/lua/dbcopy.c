/* dbcopy.c - see database.h: copies to the server, and scripts, on a session's
 * connection.
 *
 * A copy has a session to itself, which ends with it: one that was left without
 * an end is undone.
 */
#include <lauxlib.h>
#include <string.h>

#include "lua/database.h"
#include "lua/error.h"

#define COPY_TYPE "luaqueduct.DatabaseCopy"

enum { CHUNK_MAX = 1 << 30 };

typedef struct copy {
    lq_db_session *session; /* in user value 1; NULL: it is over */
} copy;

lq_str lq_db_check_copy(lua_State *L, int i)
{
    lq_str sql;

    luaL_checktype(L, i, LUA_TSTRING);
    sql.ptr = lua_tolstring(L, i, &sql.len);
    luaL_argcheck(L, strlen(sql.ptr) == sql.len, i, "SQL has no NUL in it");
    luaL_argcheck(L, lq_pg_classify(sql) == LQ_PG_COPY, i,
                  "this is no copy statement");
    return sql;
}

/* The server undoes it, in front of whatever comes next. */
static void give_up(const lq_db_session *s)
{
    lq_pg_lease *lease = s->db->pool ? lq_db_lease_of(s) : NULL;
    lq_pg_query *q =
        lease ? lq_pg_query_chunk(LQ_PG_COPY_END, LQ_STR("it was given up"))
              : NULL;

    if (!q) return; /* what uses the connection next waits in vain */
    q->is_abandoned = true;
    q->is_final = true;
    if (lq_pg_submit(s->db->pool, lease, q) < 0) lq_pg_query_free(q);
}

static void end_session(copy *c, bool is_whole)
{
    lq_db_session *s = c->session;

    c->session = NULL;
    if (!s) return;
    if (!is_whole) give_up(s);
    lq_db_end_session(s);
}

static int m_close(lua_State *L)
{
    end_session(luaL_checkudata(L, 1, COPY_TYPE), false);
    return 0;
}

static copy *check_copy(lua_State *L)
{
    copy *c = luaL_checkudata(L, 1, COPY_TYPE);

    if (!c->session || !lq_db_lease_of(c->session))
        luaL_error(L, "the copy is over");
    return c;
}

static int ask(lua_State *L, lq_task *t, lq_db_session *s, lq_pg_query *q,
               lua_KFunction k)
{
    lq_db_target to = {s->db, s};

    if (!q) return luaL_error(L, "not enough memory");
    return lq_db_wait(L, t, &to, q, k);
}

/* ---- beginning ---------------------------------------------------------- */

static int begin_k(lua_State *L, int status, lua_KContext context)
{
    lq_task *t = (lq_task *)context;
    lq_pg_query *q = t->wait;

    (void)status;
    if (q->err) {
        ((copy *)luaL_checkudata(L, 3, COPY_TYPE))->session = NULL;
        return lq_db_push_failure(L, t->vm, q);
    }
    lq_pg_drop(q);
    lua_settop(L, 3);
    return 1;
}

/* db.copy_in(session, sql) -> copy | nil, err: waits; the session is the copy's
 * from now on */
static int db_copy_in(lua_State *L)
{
    lq_task *t = lq_task_check_wait(L);
    lq_db_session *s = lq_db_check_session(L, 1);
    lq_str sql = lq_db_check_copy(L, 2);
    copy *c;

    lua_settop(L, 2);
    c = lua_newuserdatauv(L, sizeof *c, 1);
    *c = (copy){.session = s};
    luaL_setmetatable(L, COPY_TYPE);
    lua_pushvalue(L, 1);
    lua_setiuservalue(L, -2, 1);
    return ask(L, t, s, lq_pg_query_text(LQ_PG_COPY_IN, sql), begin_k);
}

/* ---- chunks ------------------------------------------------------------- */

/* What the server does not want shows at the end. A chunk that was not even
 * sent would be missing there. */
static int write_k(lua_State *L, int status, lua_KContext context)
{
    lq_task *t = (lq_task *)context;
    lq_pg_query *q = t->wait;

    (void)status;
    if (q->err && q->err != LQ_EEOF) return lq_db_push_failure(L, t->vm, q);
    lua_pushboolean(L, q->err == 0);
    lq_pg_drop(q);
    return 1;
}

/* db.copy_write(copy, bytes) -> whether more is wanted | nil, err: waits */
static int db_copy_write(lua_State *L)
{
    lq_task *t = lq_task_check_wait(L);
    copy *c = check_copy(L);
    lq_pg_query *q;
    lq_str bytes;

    luaL_checktype(L, 2, LUA_TSTRING);
    bytes.ptr = lua_tolstring(L, 2, &bytes.len);
    luaL_argcheck(L, bytes.len <= CHUNK_MAX, 2, "a chunk has at most 1 GiB");
    q = lq_pg_query_chunk(LQ_PG_COPY_DATA, bytes);
    if (q) q->is_final = true;
    return ask(L, t, c->session, q, write_k);
}

static int finish_k(lua_State *L, int status, lua_KContext context)
{
    lq_task *t = (lq_task *)context;
    lq_pg_query *q = t->wait;

    (void)status;
    end_session(luaL_checkudata(L, 1, COPY_TYPE), true);
    if (q->err) return lq_db_push_failure(L, t->vm, q);
    lua_pushinteger(L, lq_pgquery_affected(q));
    lq_pg_drop(q);
    return 1;
}

/* db.copy_finish(copy) -> rows | nil, err: waits */
static int db_copy_finish(lua_State *L)
{
    lq_task *t = lq_task_check_wait(L);
    copy *c = check_copy(L);
    lq_pg_query *q = lq_pg_query_chunk(LQ_PG_COPY_END, (lq_str){NULL, 0});

    if (q) q->is_final = true;
    return ask(L, t, c->session, q, finish_k);
}

/* ---- scripts ------------------------------------------------------------ */

static int script_k(lua_State *L, int status, lua_KContext context)
{
    lq_task *t = (lq_task *)context;
    lq_pg_query *q = t->wait;

    (void)status;
    if (q->err) return lq_db_push_failure(L, t->vm, q);
    lq_pg_drop(q);
    lua_pushboolean(L, 1);
    return 1;
}

/* db.script(session, sql) -> true | nil, err: waits; any number of statements
 */
static int db_script(lua_State *L)
{
    lq_task *t = lq_task_check_wait(L);
    lq_db_session *s = lq_db_check_session(L, 1), *changed;
    lq_str sql;

    luaL_checktype(L, 2, LUA_TSTRING);
    sql.ptr = lua_tolstring(L, 2, &sql.len);
    luaL_argcheck(L, strlen(sql.ptr) == sql.len, 2, "SQL has no NUL in it");
    for (changed = s; changed; changed = changed->outer)
        changed->has_changed = true;
    return ask(L, t, s, lq_pg_query_text(LQ_PG_SCRIPT, sql), script_k);
}

/* ---- the module --------------------------------------------------------- */

static const luaL_Reg functions[] = {
    {"copy_finish", db_copy_finish},
    {"copy_in", db_copy_in},
    {"copy_write", db_copy_write},
    {"script", db_script},
    {NULL, NULL},
};

static const luaL_Reg metamethods[] = {
    {"__close", m_close},
    {"__gc", m_close},
    {NULL, NULL},
};

void lq_db_open_copies(lua_State *L)
{
    luaL_setfuncs(L, functions, 0);
    luaL_newmetatable(L, COPY_TYPE);
    luaL_setfuncs(L, metamethods, 0);
    lua_pop(L, 1);
}

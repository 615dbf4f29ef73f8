/* dbsession.c - see database.h: connections of one's own.
 *
 * The session that was acquired has the lease. A transaction in it, and one in
 * that, are sessions of their own on the same connection; while one lives, the
 * one outside it is suspended. Each ends with its `<close>` variable in
 * luaqueduct.db, which may not wait: what undoes it is sent and not awaited, in
 * front of whatever comes next.
 */
#include <lauxlib.h>
#include <string.h>

#include "lua/database.h"
#include "lua/error.h"

static lq_db_session *push_session(lua_State *L, lq_database *d, int db)
{
    lq_db_session *s;

    db = lua_absindex(L, db);
    s = lua_newuserdatauv(L, sizeof *s, 2);
    *s = (lq_db_session){.db = d, .state = LQ_DB_SESSION_OVER};
    lua_pushvalue(L, db);
    lua_setiuservalue(L, -2, 1);
    luaL_setmetatable(L, LQ_DB_SESSION_TYPE);
    return s;
}

/* Tasks may still have one inside it when it ends. */
lq_pg_lease *lq_db_lease_of(const lq_db_session *s)
{
    for (; s->outer; s = s->outer)
        if (s->outer->state == LQ_DB_SESSION_OVER) return NULL;
    return s->lease;
}

/* ---- one that has a connection ------------------------------------------ */

static void on_ready(void *data)
{
    lq_db_session *s = data;

    if (s->task) lq_task_wake(s->task, 0);
}

void lq_db_end_session(lq_db_session *s)
{
    lq_pg_lease *lease = s->lease;

    if (s->outer && s->state != LQ_DB_SESSION_OVER &&
        s->outer->state == LQ_DB_SESSION_SUSPENDED)
        s->outer->state = LQ_DB_SESSION_OPEN;
    s->state = LQ_DB_SESSION_OVER;
    s->lease = NULL;
    s->task = NULL;
    lq_pg_release(lease, s->has_changed);
}

static void on_cancel(lq_task *t)
{
    lq_db_end_session(t->wait);
}

static int push_lease_failure(lua_State *L, const lq_pg_failure *f)
{
    lua_pushnil(L);
    lq_pgfailure_push(L, f->err, f->sqlstate, f->text[0] ? f->text : NULL);
    return 2;
}

/* stack: ..., session */
static int settle(lua_State *L, lq_db_session *s)
{
    const lq_pg_failure *failure;
    lq_pg_failure copy;

    s->task = NULL;
    if (lq_pg_lease_state(s->lease, &failure) > 0) {
        s->state = LQ_DB_SESSION_OPEN;
        return 1;
    }
    copy = *failure;
    lq_db_end_session(s);
    return push_lease_failure(L, &copy);
}

static int acquire_k(lua_State *L, int status, lua_KContext context)
{
    lq_task *t = (lq_task *)context;

    (void)status;
    lua_settop(L, 2);
    return settle(L, t->wait);
}

/* db.acquire(db) -> session | nil, err: waits */
static int db_acquire(lua_State *L)
{
    lq_task *t = lq_task_check_wait(L);
    lq_database *d = luaL_checkudata(L, 1, LQ_DB_TYPE);
    lq_db_session *s;

    lua_settop(L, 1);
    lq_db_check_target(L);
    s = push_session(L, d, 1);
    s->task = t;
    s->lease = lq_pg_acquire(d->pool, on_ready, s);
    if (!s->lease) return luaL_error(L, "not enough memory");
    if (lq_pg_lease_state(s->lease, NULL) != 0) return settle(L, s);
    return lq_task_wait(L, t, on_cancel, s, acquire_k);
}

/* db.release(session, has_changed?): a second call does nothing */
static int db_release(lua_State *L)
{
    lq_db_session *s = luaL_checkudata(L, 1, LQ_DB_SESSION_TYPE);

    if (lua_toboolean(L, 2)) s->has_changed = true;
    lq_db_end_session(s);
    return 0;
}

static int mt_gc(lua_State *L)
{
    lq_db_end_session(luaL_checkudata(L, 1, LQ_DB_SESSION_TYPE));
    return 0;
}

/* ---- one inside another ------------------------------------------------- */

/* db.nest(session) -> session: the outer one is suspended */
static int db_nest(lua_State *L)
{
    lq_db_session *outer = lq_db_check_session(L, 1), *s;

    s = push_session(L, outer->db, 1);
    lua_getiuservalue(L, 1, 1);
    lua_setiuservalue(L, -2, 1);
    lua_pushvalue(L, 1);
    lua_setiuservalue(L, -2, 2);
    s->outer = outer;
    s->state = LQ_DB_SESSION_OPEN;
    outer->state = LQ_DB_SESSION_SUSPENDED;
    return 1;
}

/* Sends it without waiting for the answer. */
static void send_undo(const lq_db_session *s, lq_str sql)
{
    lq_pg_lease *lease = s->db->pool ? lq_db_lease_of(s) : NULL;
    lq_pg_query *q = lease ? lq_pg_query_text(LQ_PG_RUN, sql) : NULL;

    if (!q) return; /* what uses the connection next fails */
    q->is_abandoned = true;
    q->is_final = true;
    if (lq_pg_submit(s->db->pool, lease, q) < 0) lq_pg_query_free(q);
}

/* db.leave(session, ...): sends these statements, and the outer one goes on; a
 * second call does nothing */
static int db_leave(lua_State *L)
{
    lq_db_session *s = luaL_checkudata(L, 1, LQ_DB_SESSION_TYPE);
    int top = lua_gettop(L), i;
    lq_str undo;

    if (s->state == LQ_DB_SESSION_OVER || !s->outer) return 0;
    for (i = 2; i <= top; i++) {
        undo.ptr = luaL_checklstring(L, i, &undo.len);
        send_undo(s, undo);
        s->outer->is_undone = strcmp(undo.ptr, "rollback") == 0;
    }
    lq_db_end_session(s);
    return 0;
}

/* db.send(session, sql): nobody waits for the answer */
static int db_send(lua_State *L)
{
    const lq_db_session *s = lq_db_check_session(L, 1);
    lq_str sql;

    sql.ptr = luaL_checklstring(L, 2, &sql.len);
    send_undo(s, sql);
    return 0;
}

/* db.is_in_transaction(session) -> boolean: once what was sent is done */
static int db_is_in_transaction(lua_State *L)
{
    const lq_db_session *s = lq_db_check_session(L, 1);

    lua_pushboolean(L, !s->is_undone &&
                           lq_pg_lease_is_in_transaction(lq_db_lease_of(s)));
    return 1;
}

/* ---- the end of a transaction ------------------------------------------- */

/* A commit behind an error is turned into a rollback. */
static int push_end(lua_State *L, const lq_pg_query *q)
{
    if (lq_pgquery_has_rolled_back(q)) {
        lua_pushnil(L);
        lq_push_error_named(L, "25P02",
                            "the transaction could not be committed: one of "
                            "its statements had failed");
        return 2;
    }
    lua_pushboolean(L, 1);
    return 1;
}

static int commit_k(lua_State *L, int status, lua_KContext context)
{
    lq_task *t = (lq_task *)context;
    lq_pg_query *q = t->wait;
    int results;

    (void)status;
    if (q->err) return lq_db_push_failure(L, t->vm, q);
    lq_db_decode(t->vm, q);
    results = push_end(L, q);
    lq_db_finish_decoding(t->vm);
    return results;
}

/* Whether somebody has sent a commit or rollback by hand. */
static bool was_ended(const lq_db_session *s)
{
    const lq_pg_lease *lease = lq_db_lease_of(s);

    return s->db->pool && lq_pg_lease_state(lease, NULL) > 0 &&
           !lq_pg_lease_is_in_transaction(lease);
}

/* db.commit(session) -> true | nil, err: waits, and nothing cancels it */
static int db_commit(lua_State *L)
{
    lq_task *t = lq_task_check_wait(L);
    lq_db_target to = {.session = lq_db_check_session(L, 1)};
    lq_pg_query *q;

    to.db = to.session->db;
    if (was_ended(to.session)) {
        lua_pushnil(L);
        lq_push_error_named(L, "25P01",
                            "the transaction could not be committed: one of "
                            "its statements has ended it");
        return 2;
    }
    q = lq_pg_query_text(LQ_PG_RUN, LQ_STR("commit"));
    if (!q) return luaL_error(L, "not enough memory");
    q->is_final = true;
    return lq_db_wait(L, t, &to, q, commit_k);
}

/* ---- the module --------------------------------------------------------- */

static int mt_tostring(lua_State *L)
{
    const lq_db_session *s = luaL_checkudata(L, 1, LQ_DB_SESSION_TYPE);

    lua_pushfstring(L, "%s (%s)", LQ_DB_SESSION_TYPE,
                    s->state == LQ_DB_SESSION_OVER ? "over" : "open");
    return 1;
}

static const luaL_Reg functions[] = {
    {"acquire", db_acquire},
    {"commit", db_commit},
    {"is_in_transaction", db_is_in_transaction},
    {"leave", db_leave},
    {"nest", db_nest},
    {"release", db_release},
    {"send", db_send},
    {NULL, NULL},
};

static const luaL_Reg methods[] = {
    {NULL, NULL},
};

static const luaL_Reg metamethods[] = {
    {"__gc", mt_gc},
    {"__tostring", mt_tostring},
    {NULL, NULL},
};

void lq_db_open_sessions(lua_State *L)
{
    luaL_setfuncs(L, functions, 0);
    lq_db_push_type(L, LQ_DB_SESSION_TYPE, metamethods, methods);
    lua_setfield(L, -2, "Session");
}

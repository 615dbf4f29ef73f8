/* dbcopy.c - see database.h: copies and scripts, on a session's connection. */
#include <lauxlib.h>

#include "lua/database.h"
#include "lua/error.h"
#include "pg/pieces.h"
#include "pg/plain.h"

#define COPY_TYPE "luaqueduct.DatabaseCopy"

enum {
    CHUNK_MAX = 1 << 20, /* libpq copies what it is given */
    TURN_BYTES = 64 * 1024,
};

typedef struct copy {
    lq_pg_query *q;         /* NULL: it is over */
    lq_db_session *session; /* in user value 1: the copy's own */
    lq_task *task;
    size_t written; /* since the loop had its turn */
} copy;

static void on_event(lq_pg_query *q)
{
    copy *c = q->data;

    if (c && c->task) lq_task_wake(c->task, 0);
}

static void drop(copy *c)
{
    lq_pg_query *q = c->q;

    c->task = NULL;
    c->q = NULL;
    if (!q) return;
    q->data = NULL;
    lq_pg_drop(q);
}

static int m_close(lua_State *L)
{
    copy *c = luaL_checkudata(L, 1, COPY_TYPE);

    drop(c);
    if (c->session && c->session->lease) lq_db_end_session(c->session);
    c->session = NULL;
    return 0;
}

static copy *check_copy(lua_State *L)
{
    copy *c = luaL_checkudata(L, 1, COPY_TYPE);

    if (!c->q) luaL_error(L, "the copy is over");
    return c;
}

static void on_cancel(lq_task *t)
{
    ((copy *)t->wait)->task = NULL;
}

static int wait(lua_State *L, copy *c, lua_KFunction k)
{
    c->task = lq_task_check_wait(L);
    return lq_task_wait(L, c->task, on_cancel, c, k);
}

/* It is over: nil and the error, or how many rows it were. */
static int push_end(lua_State *L, copy *c)
{
    lq_pg_query *q = c->q;

    c->q = NULL;
    c->task = NULL;
    q->data = NULL;
    if (q->err) return lq_db_push_failure(L, lq_vm_of(L), q);
    lua_pushinteger(L, lq_pgquery_affected(q));
    lq_pg_drop(q);
    return 1;
}

static bool is_over(const copy *c)
{
    return c->q->state == LQ_PG_OVER || c->q->is_told;
}

/* ---- beginning ---------------------------------------------------------- */

static int begin_k(lua_State *L, int status, lua_KContext context);

/* stack: session, sql, copy */
static int begin(lua_State *L, copy *c)
{
    if (is_over(c) && c->q->err) return push_end(L, c);
    if (c->q->is_copying || is_over(c) ||
        (c->q->pieces && !lq_pg_pieces_are_empty(c->q->pieces))) {
        lua_settop(L, 3);
        return 1;
    }
    return wait(L, c, begin_k);
}

static int begin_k(lua_State *L, int status, lua_KContext context)
{
    (void)status;
    return begin(L, ((lq_task *)context)->wait);
}

static int start(lua_State *L, lq_pg_kind kind)
{
    lq_db_session *s = lq_db_check_session(L, 1);
    lq_db_target to = {s->db, s};
    lq_str sql = {NULL, 0};
    copy *c;
    lq_pg_query *q;

    lq_task_check_wait(L);
    sql.ptr = luaL_checklstring(L, 2, &sql.len);
    lua_settop(L, 2);
    c = lua_newuserdatauv(L, sizeof *c, 1);
    *c = (copy){.session = s};
    luaL_setmetatable(L, COPY_TYPE);
    lua_pushvalue(L, 1);
    lua_setiuservalue(L, -2, 1);
    q = lq_db_decode(lq_vm_of(L), lq_pg_query_text(kind, sql));
    if (!q) return luaL_error(L, "not enough memory");
    if (kind == LQ_PG_COPY_OUT && !(q->pieces = lq_pg_pieces_new(false)))
        return luaL_error(L, "not enough memory");
    lq_vm_of(L)->dbs->decoding = NULL;
    q->on_done = on_event;
    q->data = c;
    if (!to.db->pool) lq_pg_query_fail(q, LQ_ECLOSED, NULL);
    if (q->err || lq_pg_submit(to.db->pool, s->lease, q) < 0)
        return lq_db_push_failure(L, lq_vm_of(L), q);
    c->q = q;
    return begin(L, c);
}

/* db.copy_in(session, sql) -> copy | nil, err: waits */
static int db_copy_in(lua_State *L)
{
    return start(L, LQ_PG_COPY_IN);
}

/* db.copy_out(session, sql) -> copy | nil, err: waits */
static int db_copy_out(lua_State *L)
{
    return start(L, LQ_PG_COPY_OUT);
}

/* ---- in ----------------------------------------------------------------- */

static int write_k(lua_State *L, int status, lua_KContext context);

/* Others have their turn; and the server's refusal is read only there. */
static int wait_turn(lua_State *L, copy *c)
{
    lq_task *t = lq_task_check_wait(L);

    c->written = 0;
    if (lq_task_deadline(t, lq_loop_now(t->vm->cfg.loop)) < 0)
        return luaL_error(L, "not enough memory");
    return wait(L, c, write_k);
}

/* stack: copy, bytes */
static int write_rest(lua_State *L, copy *c)
{
    if (is_over(c)) {
        lua_pushboolean(L, 0); /* close says why */
        return 1;
    }
    if (c->q->is_ended) {
        lua_pushboolean(L, 0);
        return 1;
    }
    if (lq_pg_copy_must_wait(c->q)) return wait(L, c, write_k);
    if (c->written >= TURN_BYTES) return wait_turn(L, c);
    lua_pushboolean(L, 1);
    return 1;
}

static int write_k(lua_State *L, int status, lua_KContext context)
{
    copy *c = ((lq_task *)context)->wait;

    (void)status;
    c->task = NULL;
    return write_rest(L, c);
}

/* db.copy_write(copy, bytes) -> whether more is wanted: waits */
static int db_copy_write(lua_State *L)
{
    copy *c = check_copy(L);
    lq_str bytes, part;

    luaL_checktype(L, 2, LUA_TSTRING);
    bytes.ptr = lua_tolstring(L, 2, &bytes.len);
    lq_task_check_wait(L);
    while (!is_over(c) && bytes.len > 0) {
        part =
            (lq_str){bytes.ptr, bytes.len > CHUNK_MAX ? CHUNK_MAX : bytes.len};
        if (lq_pg_copy_put(c->q, part) < 0) {
            lua_pushboolean(L, 0);
            return 1;
        }
        c->written += part.len;
        bytes.ptr += part.len;
        bytes.len -= part.len;
    }
    return write_rest(L, c);
}

static int finish_k(lua_State *L, int status, lua_KContext context);

static int finish(lua_State *L, copy *c)
{
    if (is_over(c)) return push_end(L, c);
    return wait(L, c, finish_k);
}

static int finish_k(lua_State *L, int status, lua_KContext context)
{
    (void)status;
    return finish(L, ((lq_task *)context)->wait);
}

/* db.copy_finish(copy) -> rows | nil, err: waits */
static int db_copy_finish(lua_State *L)
{
    copy *c = check_copy(L);

    lq_task_check_wait(L);
    if (!is_over(c) && c->q->kind == LQ_PG_COPY_IN && c->q->is_copying) {
        /* What goes wrong shows in the result. */
        if (lq_pg_copy_end(c->q, NULL) == 0) lq_pg_conn_go_on(c->q->conn, c->q);
    }
    return finish(L, c);
}

/* ---- out ---------------------------------------------------------------- */

static int next_k(lua_State *L, int status, lua_KContext context);

static int next(lua_State *L, copy *c)
{
    lq_pg_pieces *p = c->q->pieces;
    const char *bytes;
    size_t len;

    if (lq_pg_pieces_are_empty(p) && c->q->state == LQ_PG_SENT)
        lq_pg_conn_go_on(c->q->conn, c->q);
    if (!lq_pg_pieces_are_empty(p)) {
        bytes = lq_pg_pieces_first(p, &len);
        lua_pushlstring(L, bytes, len);
        lq_pg_pieces_drop(p);
        return 1;
    }
    if (!is_over(c)) return wait(L, c, next_k);
    if (push_end(L, c) == 2) return lua_error(L);
    lua_pushnil(L);
    return 1;
}

static int next_k(lua_State *L, int status, lua_KContext context)
{
    (void)status;
    return next(L, ((lq_task *)context)->wait);
}

/* db.copy_next(copy) -> bytes | nil: waits; raises what has failed */
static int db_copy_next(lua_State *L)
{
    return next(L, check_copy(L));
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
    lq_db_session *s = lq_db_check_session(L, 1);
    lq_db_target to = {s->db, s};
    lq_pg_query *q;
    lq_str sql;

    sql.ptr = luaL_checklstring(L, 2, &sql.len);
    for (; s; s = s->outer) s->has_changed = true;
    q = lq_pg_query_text(LQ_PG_SCRIPT, sql);
    if (!q) return luaL_error(L, "not enough memory");
    return lq_db_wait(L, t, &to, q, script_k);
}

/* ---- the module --------------------------------------------------------- */

static const luaL_Reg functions[] = {
    {"copy_finish", db_copy_finish},
    {"copy_in", db_copy_in},
    {"copy_next", db_copy_next},
    {"copy_out", db_copy_out},
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

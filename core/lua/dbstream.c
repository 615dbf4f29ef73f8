/* dbstream.c - see database.h: rows, or the chunks of a copy, one by one.
 *
 * A stream has a session to itself, which ends with it. What has come and is
 * not taken is little (pg/pieces.h): the connection is not read meanwhile.
 */
#include <lauxlib.h>

#include "lua/database.h"
#include "lua/error.h"
#include "pg/pieces.h"

#define STREAM_TYPE "luaqueduct.DatabaseStream"

typedef struct stream {
    lq_pg_query *q;         /* NULL: it is over */
    lq_db_session *session; /* in user value 1 */
    lq_task *task;          /* waits for a row */
} stream;

enum { SESSION = 1, COLUMNS = 2 /* user values */ };

static void on_piece(lq_pg_query *q)
{
    stream *s = q->data;

    if (s && s->task) lq_task_wake(s->task, 0);
}

static void close_stream(stream *s)
{
    lq_pg_query *q = s->q;

    s->task = NULL;
    s->q = NULL;
    if (q) {
        q->data = NULL;
        lq_pg_drop(q);
    }
    if (s->session) lq_db_end_session(s->session);
    s->session = NULL;
}

/* A second call does nothing. */
static int m_close(lua_State *L)
{
    close_stream(luaL_checkudata(L, 1, STREAM_TYPE));
    return 0;
}

/* Takes `q`. stack: session, ... */
static int begin(lua_State *L, const lq_db_target *to, lq_pg_query *q)
{
    lq_pg_lease *lease = lq_db_lease_of(to->session);
    lq_vm *vm = lq_vm_of(L);
    stream *s;

    lq_db_decode(vm, q);
    s = lua_newuserdatauv(L, sizeof *s, 2);
    *s = (stream){.session = to->session};
    luaL_setmetatable(L, STREAM_TYPE);
    lua_pushvalue(L, 1);
    lua_setiuservalue(L, -2, SESSION);
    q->pieces = lq_pg_pieces_new(q->kind == LQ_PG_STREAM);
    if (!q->pieces) return luaL_error(L, "not enough memory");
    q->on_done = on_piece;
    q->data = s;
    vm->dbs->decoding = NULL;
    to->session->is_undone = false;
    if (!to->db->pool) lq_pg_query_fail(q, LQ_ECLOSED, NULL);
    if (q->err || lq_pg_submit(to->db->pool, lease, q) < 0)
        return lq_db_push_failure(L, vm, q);
    s->q = q;
    return 1;
}

/* stack: session, sql, ... */
int lq_db_begin_stream(lua_State *L, const lq_db_target *to)
{
    lq_pg_query *q = lq_db_make_query(L, to, LQ_PG_STREAM);

    if (q) lq_db_forget_long(to->db, q);
    return q ? begin(L, to, q) : 2;
}

/* db.copy_out(session, sql) -> stream | nil, err: the session is the stream's
 * from now on */
static int db_copy_out(lua_State *L)
{
    lq_db_target to = {.session = lq_db_check_session(L, 1)};
    lq_pg_query *q;

    to.db = to.session->db;
    q = lq_pg_query_text(LQ_PG_COPY_OUT, lq_db_check_copy(L, 2));
    if (!q) return luaL_error(L, "not enough memory");
    return begin(L, &to, q);
}

/* db.stream(session, sql, ...) -> stream | nil, err: waits; the session is the
 * stream's from now on */
static int db_stream(lua_State *L)
{
    lq_task *t = lq_task_check_wait(L);

    lq_db_check_session(L, 1);
    return lq_db_ask(L, t, LQ_DB_STREAM);
}

/* Pushes it, or raises that it cannot be read. stack: stream, ... */
static void push_piece(lua_State *L, const stream *s)
{
    lq_database *d = s->session->db;
    lq_err unread = {0};
    lq_pgreader in = {&d->types, &lq_vm_of(L)->dbs->scratch, d->has_null,
                      &unread};
    size_t len;
    const void *r = lq_pg_pieces_first(s->q->pieces, &len);

    lua_settop(L, 1);
    if (s->q->kind == LQ_PG_COPY_OUT) {
        lua_pushlstring(L, r, len);
        lq_pg_pieces_drop(s->q->pieces);
        return;
    }
    if (lua_getiuservalue(L, 1, COLUMNS) != LUA_TUSERDATA) {
        lua_pop(L, 1);
        lq_pgresult_push_columns(L, &in, r);
        lua_pushvalue(L, -1);
        lua_setiuservalue(L, 1, COLUMNS);
    }
    lq_pgresult_push_stream_row(L, &in, r, 2);
    lq_pg_pieces_drop(s->q->pieces);
    if (!unread.code) return;
    lq_push_error(L, unread.code, unread.text);
    lua_error(L);
}

/* The end: nil, or the error is raised. */
static int finish(lua_State *L, stream *s)
{
    bool has_failed = s->q->err != 0;

    if (has_failed) lq_pgquery_push_error(L, s->q);
    close_stream(s);
    if (has_failed) return lua_error(L);
    lua_pushnil(L);
    return 1;
}

static void on_cancel(lq_task *t)
{
    ((stream *)t->wait)->task = NULL;
}

static int next_k(lua_State *L, int status, lua_KContext context);

/* stack: stream, ... */
static int next(lua_State *L, stream *s)
{
    lq_task *t;

    if (!s->q) return luaL_error(L, "the stream is over");
    if (lq_pg_pieces_are_empty(s->q->pieces)) lq_pg_go_on(s->q);
    if (!lq_pg_pieces_are_empty(s->q->pieces)) {
        push_piece(L, s);
        return 1;
    }
    if (s->q->state == LQ_PG_OVER || s->q->is_told) return finish(L, s);
    t = lq_task_check_wait(L);
    s->task = t;
    return lq_task_wait(L, t, on_cancel, s, next_k);
}

static int next_k(lua_State *L, int status, lua_KContext context)
{
    stream *s = ((lq_task *)context)->wait;

    (void)status;
    s->task = NULL;
    return next(L, s);
}

/* db.next(stream) -> row | nil: waits; raises what has failed */
static int db_next(lua_State *L)
{
    stream *s = luaL_checkudata(L, 1, STREAM_TYPE);

    if (s->task) return luaL_error(L, "another task waits for the next row");
    return next(L, s);
}

static const luaL_Reg functions[] = {
    {"copy_out", db_copy_out},
    {"next", db_next},
    {"stream", db_stream},
    {NULL, NULL},
};

static const luaL_Reg metamethods[] = {
    {"__close", m_close},
    {"__gc", m_close},
    {NULL, NULL},
};

void lq_db_open_streams(lua_State *L)
{
    luaL_setfuncs(L, functions, 0);
    luaL_newmetatable(L, STREAM_TYPE);
    luaL_setfuncs(L, metamethods, 0);
    lua_pop(L, 1);
}

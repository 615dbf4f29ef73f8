/* lib_stream.c - see stream.h.
 *
 * One task reads and one writes at a time; each waits in its own slot.
 *
 * Owns:    the shells.
 * Thread:  that of the state.
 * Knows:   task, conn.
 */
#include <errno.h>
#include <lauxlib.h>
#include <math.h>
#include <string.h>

#include "lua/error.h"
#include "lua/libs.h"
#include "lua/stream.h"
#include "lua/task.h"

enum { LINE_BYTES = 64 * 1024, READ_BYTES = 16 * 1024 * 1024 };

typedef struct shell {
    lq_conn *c; /* NULL: closed */
    lq_task *reader;
    lq_task *writer;
    int error; /* why it is closed */
    bool has_timeout;
} shell;

static shell *check_stream(lua_State *L)
{
    return luaL_checkudata(L, 1, LQ_STREAM_TYPE);
}

void lq_push_stream_shell(lua_State *L)
{
    shell *s = lua_newuserdatauv(L, sizeof *s, 0);

    *s = (shell){.error = LQ_ECLOSED};
    luaL_setmetatable(L, LQ_STREAM_TYPE);
}

void lq_set_stream(lua_State *L, int i, lq_conn *c)
{
    shell *s = lua_touserdata(L, i);

    s->c = c;
    c->holder = s;
}

/* ---- events
 * ----------------------------------------------------------------------- */

static void wake(lq_task *t)
{
    if (t) lq_task_wake(t, 0);
}

void lq_stream_event(lq_conn *c)
{
    shell *s = c->holder;

    if (c->state == LQ_CONN_CLOSING) {
        s->error = c->error < 0 ? c->error : LQ_ECLOSED;
        s->c = NULL;
        c->holder = NULL;
        wake(s->writer);
        wake(s->reader);
        return;
    }
    if (lq_conn_unsent(c) <= LQ_NET_LOW_WATER) wake(s->writer);
    if (c->in || c->has_eof) wake(s->reader);
}

static void on_read_cancel(lq_task *t)
{
    shell *s = t->wait;

    s->reader = NULL;
    if (s->c) s->c->reads_stream = false;
}

static void on_write_cancel(lq_task *t)
{
    ((shell *)t->wait)->writer = NULL;
}

/* ---- reading
 * ------------------------------------------------------------------------ */

/* What read() is asked for, at index 2: a count, "line" or "some". Returns how
 * many bytes at the front fulfil it, 0: none yet, or LQ_ETOOLARGE; *skip is
 * the length of a line's end. */
static ssize_t find(lua_State *L, const char *at, size_t len, size_t *skip)
{
    const char *end;
    size_t want;

    *skip = 0;
    if (lua_type(L, 2) == LUA_TNUMBER) {
        want = (size_t)lua_tointeger(L, 2);
        return len >= want ? (ssize_t)want : 0;
    }
    if (*lua_tostring(L, 2) == 's') return (ssize_t)len;
    end = len ? memchr(at, '\n', len) : NULL;
    if (!end) return len > LINE_BYTES ? LQ_ETOOLARGE : 0;
    *skip = 1;
    if (end > at && end[-1] == '\r') {
        *skip = 2;
        end--;
    }
    return end - at;
}

/* Pushes what was found and takes it off. Returns 0 when there is too little.
 */
static int take(lua_State *L, shell *s)
{
    lq_conn *c = s->c;
    size_t len = c && c->in ? lq_buf_len(c->in) : 0, skip;
    ssize_t n;

    if (len == 0) return 0;
    n = find(L, lq_buf_ptr(c->in), len, &skip);
    if (n < 0) return lq_push_failure(L, (int)n, "the line is too long");
    if (n == 0 && skip == 0) return 0;
    lua_pushlstring(L, lq_buf_ptr(c->in), (size_t)n);
    lq_buf_consume(c->in, (size_t)n + skip);
    if (lq_buf_len(c->in) == 0) {
        lq_net_buf_release(c->net, c->in);
        c->in = NULL;
    }
    lq_conn_update(c);
    return 1;
}

static int read_k(lua_State *L, int status, lua_KContext ctx);

static int try_read(lua_State *L, shell *s)
{
    int n = take(L, s);
    lq_task *t;

    if (n) return n;
    if (!s->c) return lq_push_failure(L, s->error, NULL);
    if (s->c->has_eof) return lq_push_failure(L, LQ_EEOF, NULL);
    t = lq_task_check_wait(L);
    s->reader = t;
    s->c->reads_stream = true;
    lq_conn_update(s->c);
    if (!lua_isnil(L, 3) && !s->has_timeout) {
        uint64_t now = lq_loop_update(lq_vm_of(L)->cfg.loop);

        s->has_timeout = true;
        lua_pushinteger(
            L, (lua_Integer)(now + (uint64_t)ceil(lua_tonumber(L, 3) * 1000)));
        lua_replace(L, 3);
    }
    if (s->has_timeout &&
        lq_task_deadline(t, (uint64_t)lua_tointeger(L, 3)) < 0) {
        s->reader = NULL;
        return luaL_error(L, "not enough memory");
    }
    return lq_task_wait(L, t, on_read_cancel, s, read_k);
}

static int read_k(lua_State *L, int status, lua_KContext ctx)
{
    shell *s = check_stream(L);
    lq_task *t = (lq_task *)ctx;

    (void)status;
    s->reader = NULL;
    if (s->c) s->c->reads_stream = false;
    if (t->wait_err < 0) return lq_push_failure(L, t->wait_err, NULL);
    return try_read(L, s);
}

/* stream:read(what?, timeout?) -> bytes | nil, err
 * what: a count, "line" or "some" */
static int m_read(lua_State *L)
{
    static const char *const kinds[] = {"line", "some", NULL};
    shell *s = check_stream(L);

    lua_settop(L, 3);
    if (lua_type(L, 2) == LUA_TNUMBER)
        luaL_argcheck(
            L, luaL_checkinteger(L, 2) > 0 && lua_tointeger(L, 2) <= READ_BYTES,
            2, "the count must be from 1 to 16 MiB");
    else
        luaL_checkoption(L, 2, "some", kinds);
    if (lua_isnil(L, 2)) {
        lua_pushliteral(L, "some");
        lua_replace(L, 2);
    }
    if (!lua_isnil(L, 3))
        luaL_argcheck(L, luaL_checknumber(L, 3) >= 0, 3,
                      "the timeout must not be negative");
    if (s->reader) return luaL_error(L, "another task reads this stream");
    s->has_timeout = false;
    return try_read(L, s);
}

/* ---- writing
 * ------------------------------------------------------------------------- */

static int write_k(lua_State *L, int status, lua_KContext ctx)
{
    shell *s = check_stream(L);

    (void)status;
    (void)ctx;
    s->writer = NULL;
    if (!s->c) return lq_push_failure(L, s->error, NULL);
    lua_pushboolean(L, 1);
    return 1;
}

/* stream:write(bytes) -> true | nil, err */
static int m_write(lua_State *L)
{
    shell *s = check_stream(L);
    size_t len;
    const char *bytes = luaL_checklstring(L, 2, &len);
    lq_buf *out;
    lq_task *t;

    if (!s->c) return lq_push_failure(L, s->error, NULL);
    if (s->writer) return luaL_error(L, "another task writes to this stream");
    out = lq_conn_out(s->c);
    if (!out || lq_buf_append(out, bytes, len) < 0)
        return luaL_error(L, "not enough memory");
    lq_conn_flush_later(s->c);
    if (lq_conn_unsent(s->c) > LQ_NET_HIGH_WATER) {
        t = lq_task_check_wait(L);
        s->writer = t;
        return lq_task_wait(L, t, on_write_cancel, s, write_k);
    }
    lua_pushboolean(L, 1);
    return 1;
}

/* ---- the end
 * ----------------------------------------------------------------------------
 */

void lq_stream_close(lq_conn *c)
{
    shell *s = c->holder;

    if (!s) return;
    s->c = NULL;
    s->error = LQ_ECLOSED;
    c->holder = NULL;
    wake(s->reader);
    wake(s->writer);
    lq_conn_end(c);
}

/* stream:close() */
static int m_close(lua_State *L)
{
    shell *s = check_stream(L);

    if (s->c) lq_stream_close(s->c);
    return 0;
}

static int mt_tostring(lua_State *L)
{
    lua_pushfstring(L, "luaqueduct.Stream (%s)",
                    check_stream(L)->c ? "open" : "closed");
    return 1;
}

static const luaL_Reg methods[] = {
    {"close", m_close},
    {"read", m_read},
    {"write", m_write},
    {NULL, NULL},
};

static const luaL_Reg metamethods[] = {
    {"__close", m_close},
    {"__gc", m_close},
    {"__tostring", mt_tostring},
    {NULL, NULL},
};

int luaopen_luaqueduct_core_stream(lua_State *L)
{
    luaL_newmetatable(L, LQ_STREAM_TYPE);
    luaL_setfuncs(L, metamethods, 0);
    luaL_newlib(L, methods);
    lua_setfield(L, -2, "__index");
    lua_newtable(L);
    return 1;
}

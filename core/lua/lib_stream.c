/* lib_stream.c - see stream.h.
 *
 * Owns:    the shells.
 * Thread:  that of the state.
 * Knows:   duplex, conn.
 */
#include <errno.h>
#include <lauxlib.h>

#include "lua/duplex.h"
#include "lua/libs.h"
#include "lua/stream.h"

typedef struct shell {
    lq_duplex duplex;
    lq_holder holder;
} shell;

/* ---- a detached connection as a duplex ----------------------------------- */

static lq_str conn_read(const void *c)
{
    const lq_buf *in = ((const lq_conn *)c)->in;

    return in ? (lq_str){lq_buf_ptr(in), lq_buf_len(in)} : (lq_str){NULL, 0};
}

static void conn_take(void *conn, size_t len)
{
    lq_conn *c = conn;

    lq_buf_consume(c->in, len);
    if (lq_buf_len(c->in) == 0) {
        lq_net_buf_release(c->net, c->in);
        c->in = NULL;
    }
    lq_conn_update(c);
}

static int conn_read_error(const void *c)
{
    return ((const lq_conn *)c)->has_eof ? LQ_EEOF : 0;
}

static void conn_want(void *conn, bool wants_more)
{
    lq_conn *c = conn;

    c->reads_stream = wants_more;
    lq_conn_update(c);
}

static int conn_write(void *conn, const char *bytes, size_t len)
{
    lq_conn *c = conn;
    lq_buf *out = lq_conn_out(c);

    if (!out || lq_buf_append(out, bytes, len) < 0) return -ENOMEM;
    lq_conn_flush_later(c);
    return 0;
}

static int conn_write_error(const void *c)
{
    (void)c;
    return 0;
}

static size_t conn_unsent(const void *c)
{
    return lq_conn_unsent(c);
}

static void conn_end(void *conn)
{
    lq_conn *c = conn;

    c->holder = NULL;
    lq_conn_end(c);
}

static const lq_duplex_ops ops = {
    .read = conn_read,
    .take = conn_take,
    .read_error = conn_read_error,
    .want = conn_want,
    .write = conn_write,
    .write_error = conn_write_error,
    .unsent = conn_unsent,
    .end = conn_end,
};

/* ---- what the connection tells ------------------------------------------- */

static lq_duplex *duplex_of(const lq_conn *c)
{
    return &LQ_CONTAINER_OF(c->holder, shell, holder)->duplex;
}

static void on_event(lq_conn *c)
{
    lq_duplex *d = duplex_of(c);

    if (c->state != LQ_CONN_CLOSING) {
        lq_duplex_event(d);
        return;
    }
    c->holder = NULL;
    lq_duplex_lose(d, c->error < 0 ? c->error : LQ_ECLOSED);
}

static void on_failure(lq_conn *c)
{
    lq_duplex_end(duplex_of(c));
}

static const lq_holder_ops holder_ops = {
    .on_event = on_event,
    .on_failure = on_failure,
};

/* ---- shells -------------------------------------------------------------- */

void lq_push_stream_shell(lua_State *L)
{
    shell *s = lua_newuserdatauv(L, sizeof *s, 0);

    lq_duplex_init(&s->duplex, &ops);
    s->holder.ops = &holder_ops;
    luaL_setmetatable(L, LQ_STREAM_TYPE);
}

void lq_set_stream(lua_State *L, int i, lq_conn *c)
{
    shell *s = lua_touserdata(L, i);

    c->holder = &s->holder;
    lq_duplex_set(&s->duplex, c, NULL);
}

int luaopen_luaqueduct_core_stream(lua_State *L)
{
    lq_duplex_push_type(L, LQ_STREAM_TYPE);
    lua_newtable(L);
    return 1;
}

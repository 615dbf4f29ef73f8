/* duplex.c - see duplex.h.
 *
 * Upvalue 1 of each function is the name of the type.
 */
#include "lua/duplex.h"

#include <errno.h>
#include <lauxlib.h>
#include <math.h>
#include <string.h>

#include "lua/error.h"
#include "net/net.h"

enum { LINE_BYTES = 64 * 1024, READ_BYTES = 16 * 1024 * 1024 };

static const char *type_name(lua_State *L)
{
    return lua_tostring(L, lua_upvalueindex(1));
}

static lq_duplex *check_duplex(lua_State *L)
{
    return luaL_checkudata(L, 1, type_name(L));
}

/* ---- life ---------------------------------------------------------------- */

static void on_task_over(lq_task_ward *ward)
{
    lq_duplex_end(LQ_CONTAINER_OF(ward, lq_duplex, ward));
}

void lq_duplex_init(lq_duplex *d, const lq_duplex_ops *ops)
{
    *d = (lq_duplex){.ops = ops, .error = LQ_ECLOSED};
    lq_list_init(&d->ward.link);
    d->ward.on_over = on_task_over;
}

void lq_duplex_set(lq_duplex *d, void *c, lq_task *t)
{
    d->c = c;
    if (t) lq_task_guard(t, &d->ward);
}

static void wake(lq_task *t)
{
    if (t) lq_task_wake(t, 0);
}

void lq_duplex_event(lq_duplex *d)
{
    if (d->ops->unsent(d->c) <= LQ_NET_LOW_WATER || d->ops->write_error(d->c))
        wake(d->writer);
    if (d->ops->read(d->c).len > 0 || d->ops->read_error(d->c)) wake(d->reader);
}

void lq_duplex_lose(lq_duplex *d, int err)
{
    d->c = NULL;
    d->error = err;
    lq_list_remove(&d->ward.link);
    wake(d->writer);
    wake(d->reader);
}

void lq_duplex_end(lq_duplex *d)
{
    void *c = d->c;

    if (!c) return;
    lq_duplex_lose(d, LQ_ECLOSED);
    d->ops->end(c);
}

/* ---- reading ------------------------------------------------------------- */

/* A line's end, LF or CR LF, is not counted. */
static ssize_t find_line(lq_str in, size_t *skip)
{
    const char *lf = in.len ? memchr(in.ptr, '\n', in.len) : NULL;
    size_t len = lf ? (size_t)(lf - in.ptr) : in.len;
    bool has_cr = len > 0 && in.ptr[len - 1] == '\r';

    if (len - has_cr > LINE_BYTES) return LQ_ETOOLARGE;
    if (!lf) return 0;
    *skip = 1 + has_cr;
    return (ssize_t)(len - has_cr);
}

/* What read() is asked for, at index 2: a count, "line" or "some". Returns how
 * many bytes at the front fulfil it, 0: none yet, or LQ_ETOOLARGE; *skip is
 * the length of a line's end. */
static ssize_t find(lua_State *L, lq_str in, size_t *skip)
{
    size_t want;

    *skip = 0;
    if (lua_type(L, 2) == LUA_TNUMBER) {
        want = (size_t)lua_tointeger(L, 2);
        return in.len >= want ? (ssize_t)want : 0;
    }
    if (*lua_tostring(L, 2) == 's') return (ssize_t)in.len;
    return find_line(in, skip);
}

/* Pushes what was found and takes it off. Returns 0 when there is too little.
 */
static int take(lua_State *L, lq_duplex *d)
{
    lq_str in = d->ops->read(d->c);
    size_t skip;
    ssize_t n = find(L, in, &skip);

    if (n < 0) return lq_push_failure(L, (int)n, "the line is too long");
    if (n == 0 && skip == 0) return 0;
    lua_pushlstring(L, in.ptr, (size_t)n);
    d->ops->take(d->c, (size_t)n + skip);
    return 1;
}

static void stop_reading(lq_duplex *d)
{
    d->reader = NULL;
    if (d->c) d->ops->want(d->c, false);
}

static void on_read_cancel(lq_task *t)
{
    stop_reading(t->wait);
}

/* The timeout at index 3 becomes the time when it ends. */
static void set_deadline(lua_State *L, lq_duplex *d)
{
    lua_Number ms = ceil(lua_tonumber(L, 3) * 1000);
    uint64_t now = lq_loop_update(lq_vm_of(L)->cfg.loop);

    if (!(ms < 1e12)) ms = 1e12;
    d->has_timeout = true;
    lua_pushinteger(L, (lua_Integer)(now + (uint64_t)ms));
    lua_replace(L, 3);
}

static int read_k(lua_State *L, int status, lua_KContext ctx);

static int try_read(lua_State *L, lq_duplex *d)
{
    lq_task *t;
    int n, err;

    if (!d->c) return lq_push_failure(L, d->error, NULL);
    if ((n = take(L, d)) != 0) return n;
    if ((err = d->ops->read_error(d->c)) < 0)
        return lq_push_failure(L, err, NULL);
    t = lq_task_check_wait(L);
    if (!lua_isnil(L, 3) && !d->has_timeout) set_deadline(L, d);
    if (d->has_timeout &&
        lq_task_deadline(t, (uint64_t)lua_tointeger(L, 3)) < 0)
        return luaL_error(L, "not enough memory");
    d->reader = t;
    d->ops->want(d->c, true);
    return lq_task_wait(L, t, on_read_cancel, d, read_k);
}

static int read_k(lua_State *L, int status, lua_KContext ctx)
{
    lq_duplex *d = check_duplex(L);
    lq_task *t = (lq_task *)ctx;

    (void)status;
    stop_reading(d);
    if (t->wait_err < 0) return lq_push_failure(L, t->wait_err, NULL);
    return try_read(L, d);
}

/* stream:read(what?, timeout?) -> bytes | nil, err
 * what: a count, "line" or "some" */
static int m_read(lua_State *L)
{
    static const char *const kinds[] = {"line", "some", NULL};
    lq_duplex *d = check_duplex(L);

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
    if (d->reader) return luaL_error(L, "another task reads this stream");
    d->has_timeout = false;
    return try_read(L, d);
}

/* ---- writing ------------------------------------------------------------- */

static void on_write_cancel(lq_task *t)
{
    ((lq_duplex *)t->wait)->writer = NULL;
}

static int write_k(lua_State *L, int status, lua_KContext ctx)
{
    lq_duplex *d = check_duplex(L);
    int err;

    (void)status;
    (void)ctx;
    d->writer = NULL;
    err = d->c ? d->ops->write_error(d->c) : d->error;
    if (err < 0) return lq_push_failure(L, err, NULL);
    lua_pushboolean(L, 1);
    return 1;
}

/* stream:write(bytes) -> true | nil, err */
static int m_write(lua_State *L)
{
    lq_duplex *d = check_duplex(L);
    size_t len;
    const char *bytes = luaL_checklstring(L, 2, &len);
    lq_task *t = NULL;
    int err;

    if (!d->c) return lq_push_failure(L, d->error, NULL);
    if (d->writer) return luaL_error(L, "another task writes to this stream");
    if (d->ops->unsent(d->c) + len > LQ_NET_HIGH_WATER)
        t = lq_task_check_wait(L);
    err = d->ops->write(d->c, bytes, len);
    if (err == -ENOMEM) return luaL_error(L, "not enough memory");
    if (err < 0) return lq_push_failure(L, err, NULL);
    if (t) {
        d->writer = t;
        return lq_task_wait(L, t, on_write_cancel, d, write_k);
    }
    lua_pushboolean(L, 1);
    return 1;
}

/* ---- the end ------------------------------------------------------------- */

/* stream:close() */
static int m_close(lua_State *L)
{
    lq_duplex_end(check_duplex(L));
    return 0;
}

static int mt_tostring(lua_State *L)
{
    lua_pushfstring(L, "%s (%s)", type_name(L),
                    check_duplex(L)->c ? "open" : "closed");
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

void lq_duplex_push_type(lua_State *L, const char *type)
{
    luaL_newmetatable(L, type);
    lua_pushstring(L, type);
    luaL_setfuncs(L, metamethods, 1);
    luaL_newlibtable(L, methods);
    lua_pushstring(L, type);
    luaL_setfuncs(L, methods, 1);
    lua_setfield(L, -2, "__index");
}

/* dispatch.c - see dispatch.h.
 *
 * A request's task runs `run`, a C function, so that the handler, the hooks
 * and the encoding of the response stand in one protected call. Its stack:
 *   1 request   2 response   3 error (a handler's second result)
 * When it fails, a second task runs `run_failure` for what Lua has to say to
 * the error; when that fails too, C answers alone.
 */
#include "lua/dispatch.h"

#include <errno.h>
#include <lauxlib.h>
#include <stdio.h>

#include "base/mem.h"
#include "http/method.h"
#include "lua/error.h"
#include "lua/libs.h"
#include "lua/reply.h"
#include "lua/request.h"
#include "lua/task.h"
#include "net/conn.h"

/* The upvalues of `run` and `run_failure`. */
enum {
    UP_HANDLERS = 1, /* { [tag] = function } */
    UP_FINISH,       /* finish(req, hooks, response) -> response */
    UP_FAIL,         /* fail(req, hooks, err) -> response | nil */
    UP_METATABLE,    /* of a request */
    UP_COUNT = UP_METATABLE,
};

struct lq_dispatch {
    lq_vm *vm;
    int run_ref; /* the closures, in the registry */
    int failure_ref;
};

static lq_exchange *current_exchange(lua_State *L)
{
    return lq_vm_of(L)->current->owner;
}

/* ---- in the request's task ----------------------------------------------- */

/* Puts a response of C's own at 2. */
static void set_plain_response(lua_State *L, int status)
{
    lua_settop(L, 1);
    lua_createtable(L, 0, 2);
    lua_pushinteger(L, status);
    lua_setfield(L, -2, "status");
    lua_pushfstring(L, "%d %s\n", status, lq_status_reason(status));
    lua_setfield(L, -2, "body");
    luaL_setmetatable(L, LQ_RESPONSE_TYPE);
}

/* What an error is answered with: what was wrong with the body, or 500. */
static int failure_status(const lq_exchange *x)
{
    switch (x->body_error) {
    case 0: return 500;
    case LQ_ETOOLARGE: /* or its trailers and extensions: the parser's */
        return lq_parser_error(&x->parser) ? -lq_parser_error(&x->parser) : 413;
    case LQ_ETIMEOUT: return 408;
    default: return 400;
    }
}

static int after_finish(lua_State *L, int status, lua_KContext ctx)
{
    (void)status;
    (void)ctx;
    lua_replace(L, 2);
    lua_settop(L, 2);
    return lq_reply(L, current_exchange(L));
}

/* Whether 2 tells of success although the body came to no good end: a loop
 * over chunks() just ends then. */
static bool is_false_success(lua_State *L, const lq_exchange *x)
{
    lua_Integer status = 200;

    if (LQ_LIKELY(!x->lost_body)) return false;
    if (lua_istable(L, 2) && lq_is_response(L, 2)) {
        lua_getfield(L, 2, "status");
        status = lua_tointeger(L, -1);
        lua_pop(L, 1);
    }
    return status < 300;
}

/* The functions of on_response, if there are any, then the answer. */
static int finish(lua_State *L, lq_exchange *x)
{
    lua_settop(L, 2);
    if (is_false_success(L, x)) set_plain_response(L, failure_status(x));
    if (!lq_push_request_hooks(L, x, 1, "on_response")) return lq_reply(L, x);
    lua_pushvalue(L, lua_upvalueindex(UP_FINISH));
    lua_pushvalue(L, 1);
    lua_pushvalue(L, 3);
    lua_pushvalue(L, 2);
    lua_callk(L, 3, 1, 0, after_finish);
    return after_finish(L, LUA_OK, 0);
}

/* What the record of an error says of its request; `id` is lent to it. */
static void put_request(lq_record *r, const lq_exchange *x,
                        char id[LQ_EXCHANGE_ID_CAP])
{
    r->parts[LQ_PART_REQUEST] = (lq_str){id, lq_exchange_id(x, id)};
    r->parts[LQ_PART_METHOD] = x->parser.request.method_text;
    r->parts[LQ_PART_TARGET] = lq_request_path(&x->parser.request);
}

/* stack: 1 request, 2 error, 3 what `fail` made of it */
static int after_fail(lua_State *L, int status, lua_KContext ctx)
{
    lq_exchange *x = current_exchange(L);

    (void)status;
    (void)ctx;
    if (lua_isnil(L, 3))
        set_plain_response(L, failure_status(x));
    else
        lua_replace(L, 2);
    return finish(L, x);
}

/* stack: 1 request, 2 error: what the functions of on_error make of it. */
static int answer_error(lua_State *L, lq_exchange *x)
{
    if (lua_isnil(L, lua_upvalueindex(UP_FAIL))) {
        lua_pushnil(L);
        return after_fail(L, LUA_OK, 0);
    }
    lua_pushvalue(L, lua_upvalueindex(UP_FAIL));
    lua_pushvalue(L, 1);
    if (!lq_push_request_hooks(L, x, 1, "on_error")) lua_pushnil(L);
    lua_pushvalue(L, 2);
    lua_callk(L, 3, 1, 0, after_fail);
    return after_fail(L, LUA_OK, 0);
}

/* `nil, err`: logged here, answered like an error that was raised. */
static int return_error(lua_State *L, lq_exchange *x)
{
    lq_record r = {.level = LQ_LOG_ERROR};
    char id[LQ_EXCHANGE_ID_CAP];
    lq_str text;

    lq_push_error_text(L, 3);
    lua_pushliteral(L, "the handler returned nil, ");
    lua_insert(L, -2);
    lua_concat(L, 2);
    text.ptr = lua_tolstring(L, -1, &text.len);
    lq_record_set_message(&r, text);
    put_request(&r, x, id);
    lq_log_record(lq_vm_of(L)->cfg.log, &r);
    lua_settop(L, 3);
    lua_remove(L, 2);
    return answer_error(L, x);
}

/* nil is right only after req:detach(), anything else only without it. */
static void check_detached(lua_State *L, const lq_exchange *x)
{
    bool is_nil = lua_isnil(L, 2);

    if (is_nil && !x->is_detached)
        luaL_error(L, "the handler returned nothing: it must return a "
                      "response, or nil only after req:detach()");
    if (!is_nil && x->is_detached)
        luaL_error(L,
                   "the handler returned a %s after req:detach(): "
                   "the connection is no longer HTTP",
                   luaL_typename(L, 2));
}

/* stack: 1 request, 2 and 3 the handler's results */
static int after_handler(lua_State *L, int status, lua_KContext ctx)
{
    lq_exchange *x = current_exchange(L);
    int type = lua_type(L, 2);

    (void)status;
    (void)ctx;
    if (LQ_UNLIKELY(type == LUA_TNIL || x->is_detached)) {
        if (type == LUA_TNIL && !x->is_detached && !lua_isnil(L, 3))
            return return_error(L, x);
        check_detached(L, x);
        return 0;
    }
    if (type == LUA_TUSERDATA && lua_rawequal(L, 1, 2))
        set_plain_response(L, 404);
    return finish(L, x);
}

static int run(lua_State *L)
{
    lq_exchange *x = current_exchange(L);

    lq_push_request(L, x, lua_upvalueindex(UP_METATABLE));
    lua_rawgeti(L, lua_upvalueindex(UP_HANDLERS), x->match.route->tag);
    lua_pushvalue(L, 1);
    lua_callk(L, 1, 2, 0, after_handler);
    return after_handler(L, LUA_OK, 0);
}

/* stack: 1 request, 2 the error that ended `run`; a response that was raised
 * is sent. */
static int run_failure(lua_State *L)
{
    lq_exchange *x = current_exchange(L);

    return lq_is_response(L, 2) ? finish(L, x) : answer_error(L, x);
}

/* Every task that waits to write more of the answer. */
static void wake_writers(lq_exchange *x)
{
    lq_task *handler = x->handler, *t;
    lq_list *live, *link, *next;

    if (!handler) return;
    live = &handler->vm->live;
    for (link = live->next; link != live; link = next) {
        next = link->next;
        t = LQ_CONTAINER_OF(link, lq_task, link);
        if (t->wait == &x->waits_drain) lq_task_wake(t, 0);
    }
}

/* ---- the end of a request's task ----------------------------------------- */

static void log_failure(lq_dispatch *d, lq_exchange *x, lua_State *co)
{
    lq_record r = {.level = LQ_LOG_ERROR};
    char id[LQ_EXCHANGE_ID_CAP];

    put_request(&r, x, id);
    lq_task_log_record(d->vm, co, &r);
}

/* What a failed attempt has written of its answer is taken back. */
static void take_back(lq_exchange *x)
{
    if (!x->is_writing || x->state != LQ_EXCHANGE_RUNNING) return;
    lq_buf_truncate(lq_exchange_out(x), x->mark);
    x->is_writing = false;
    x->status = 0;
    x->body_sent = 0;
}

static void on_done(lq_task *t, int status, int results);

static int is_raised_response(lua_State *L)
{
    lua_pushboolean(L, lq_is_response(L, 1));
    return 1;
}

/* Whether the error on top of co is a response; asked on the main stack, for
 * co has ended. */
static bool raises_response(lua_State *L, lua_State *co)
{
    bool is;

    lua_pushcfunction(L, is_raised_response);
    lua_pushvalue(co, -1);
    lua_xmove(co, L, 1);
    is = lua_pcall(L, 1, 1, 0) == LUA_OK && lua_toboolean(L, -1);
    lua_pop(L, 1);
    return is;
}

/* Pushes the request, which `run` has first, and the error of the failed co on
 * `to`. */
static bool push_failed(lua_State *co, lua_State *to)
{
    lua_Debug ar;

    if (!lua_checkstack(co, 2) || !lq_task_outermost(co, &ar)) return false;
    lua_pushvalue(co, -1);
    if (!lua_getlocal(co, &ar, 1)) {
        lua_pop(co, 1);
        return false;
    }
    lua_insert(co, -2);
    lua_xmove(co, to, 2);
    return true;
}

/* The second task. Returns false when there is no memory for it. */
static bool start_failure(lq_dispatch *d, lq_exchange *x, lua_State *co)
{
    lq_task *t;

    if (lq_exchange_wait(x) < 0) return false;
    t = lq_task_new(d->vm, on_done, x);
    if (!t) return false;
    lua_rawgeti(t->co, LUA_REGISTRYINDEX, d->failure_ref);
    if (!push_failed(co, t->co)) {
        lq_task_drop(t);
        return false;
    }
    x->handler = t;
    x->has_failed = true;
    lq_task_ready(t, 2);
    return true;
}

/* A handler that fails after req:detach() leaves nobody to close the
 * connection. What it wrote goes out. */
static void end_detached(lq_exchange *x)
{
    lq_conn *c = x->detached;

    lq_exchange_end(x);
    if (c && c->state == LQ_CONN_DETACHED && c->holder)
        c->holder->ops->on_failure(c);
}

/* After a memory error and an interruption C answers alone. */
static void on_error(lq_dispatch *d, lq_exchange *x, lua_State *co)
{
    bool is_response = !x->has_failed && raises_response(d->vm->L, co);
    bool is_over;

    if (!is_response) log_failure(d, x, co);
    is_over = d->vm->is_short || lq_running_is_interrupted(&d->vm->running);
    if (x->is_detached) {
        lq_shut_request(x);
        end_detached(x);
        return;
    }
    if (x->state == LQ_EXCHANGE_STREAMING) {
        lq_shut_request(x);
        lq_exchange_abandon(x);
        return;
    }
    take_back(x);
    if (!is_over && !x->has_failed && start_failure(d, x, co)) return;
    lq_shut_request(x);
    lq_exchange_refuse(x, is_over ? 503 : failure_status(x));
}

static void on_cancelled(lq_exchange *x)
{
    lq_shut_request(x);
    if (x->is_detached)
        end_detached(x);
    else if (!x->conn)
        lq_exchange_end(x);
    else if (x->state == LQ_EXCHANGE_STREAMING)
        lq_exchange_abandon(x);
    else {
        take_back(x);
        lq_exchange_refuse(x, 503);
    }
}

static void on_done(lq_task *t, int status, int results)
{
    lq_exchange *x = t->owner;

    (void)results;
    if (LQ_UNLIKELY(x->waits_drain)) wake_writers(x);
    x->handler = NULL;
    if (LQ_LIKELY(status == LUA_OK)) {
        lq_shut_request(x);
        lq_exchange_end(x);
    } else if (status == LUA_YIELD) {
        on_cancelled(x);
    } else {
        on_error(t->vm->dispatch, x, t->co);
    }
}

/* For lq_vm: the id of the request that the current task serves. */
static size_t current_id(const lq_vm *vm, char *out)
{
    const lq_task *t = vm->current;

    if (!t || t->on_done != on_done) return 0;
    return lq_exchange_id(t->owner, out);
}

/* ---- from the net -------------------------------------------------------- */

void lq_dispatch_request(lq_dispatch *d, lq_exchange *x)
{
    lq_task *t = lq_task_new(d->vm, on_done, x);

    if (!t) {
        lq_exchange_refuse(x, 503);
        return;
    }
    x->handler = t;
    lua_rawgeti(t->co, LUA_REGISTRYINDEX, d->run_ref);
    if (lq_task_run(t, 0) && lq_exchange_wait(x) < 0) lq_task_cancel(t);
}

/* The task that waits for something of x, or NULL. */
static lq_task *waiting_task(lq_exchange *x)
{
    lq_task *t = x->handler;

    return t && t->state == LQ_TASK_WAITING && t->wait == x ? t : NULL;
}

void lq_dispatch_body(lq_exchange *x)
{
    lq_task *t = waiting_task(x);

    if (t) lq_task_wake(t, 0);
}

void lq_dispatch_drain(lq_exchange *x)
{
    wake_writers(x);
}

void lq_dispatch_cancel(lq_exchange *x, bool timed_out)
{
    (void)timed_out;
    if (LQ_UNLIKELY(x->waits_drain)) wake_writers(x);
    if (x->handler) lq_task_cancel(x->handler);
}

/* ---- registration -------------------------------------------------------- */

/* Makes the two closures over the upvalues on top of the stack. */
static void make_closures(lua_State *L, lq_dispatch *d)
{
    int i, first = lua_gettop(L) - UP_COUNT + 1;

    for (i = 0; i < UP_COUNT; i++) lua_pushvalue(L, first + i);
    lua_pushcclosure(L, run, UP_COUNT);
    lua_rawseti(L, LUA_REGISTRYINDEX, d->run_ref);
    lua_pushcclosure(L, run_failure, UP_COUNT);
    lua_rawseti(L, LUA_REGISTRYINDEX, d->failure_ref);
}

/* dispatch.set { handlers =, finish =, fail = } */
static int dispatch_set(lua_State *L)
{
    lq_dispatch *d = lq_vm_of(L)->dispatch;

    luaL_checktype(L, 1, LUA_TTABLE);
    if (!d) return luaL_error(L, "this state handles no requests");
    lua_getfield(L, 1, "handlers");
    luaL_checktype(L, -1, LUA_TTABLE);
    lua_getfield(L, 1, "finish");
    luaL_checktype(L, -1, LUA_TFUNCTION);
    lua_getfield(L, 1, "fail");
    luaL_getmetatable(L, LQ_REQUEST_TYPE);
    make_closures(L, d);
    return 0;
}

/* dispatch.response_mt(mt): the metatable by which C knows a response */
static int dispatch_response_mt(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    lua_setfield(L, LUA_REGISTRYINDEX, LQ_RESPONSE_TYPE);
    return 0;
}

static const luaL_Reg functions[] = {
    {"response_mt", dispatch_response_mt},
    {"set", dispatch_set},
    {NULL, NULL},
};

int luaopen_luaqueduct_core_dispatch(lua_State *L)
{
    luaL_newlib(L, functions);
    return 1;
}

static int make_refs(lua_State *L)
{
    lq_dispatch *d = lua_touserdata(L, 1);

    lua_pushboolean(L, 0);
    d->run_ref = luaL_ref(L, LUA_REGISTRYINDEX);
    lua_pushboolean(L, 0);
    d->failure_ref = luaL_ref(L, LUA_REGISTRYINDEX);
    return 0;
}

int lq_dispatch_init(lq_dispatch **out, lq_vm *vm)
{
    lq_dispatch *d = lq_mem_zalloc(sizeof *d);

    if (!d) return -ENOMEM;
    d->vm = vm;
    lua_pushcfunction(vm->L, make_refs);
    lua_pushlightuserdata(vm->L, d);
    if (lua_pcall(vm->L, 1, 0, 0) != LUA_OK) {
        lua_pop(vm->L, 1);
        lq_mem_free(d);
        return -ENOMEM;
    }
    vm->dispatch = d;
    vm->request_id = current_id;
    *out = d;
    return 0;
}

void lq_dispatch_fini(lq_dispatch *d)
{
    if (!d) return;
    d->vm->dispatch = NULL;
    d->vm->request_id = NULL;
    lq_mem_free(d);
}

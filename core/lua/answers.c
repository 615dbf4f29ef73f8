/* answers.c - see answers.h. */
#include "lua/answers.h"

#include <errno.h>
#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "lua/call_wire.h"
#include "lua/task.h"

/* A call that is to be answered. */
typedef struct job {
    lq_list link;
    lq_answers *all;
    lq_call_head head;
    bool is_replied;
    lq_str args;
    char method[LQ_CALL_METHOD_MAX];
    char bytes[];
} job;

struct lq_answers {
    lq_vm *vm;
    int service_ref; /* its table; LUA_NOREF: not yet */
    size_t queue_max;
    bool is_concurrent;
    lq_list queue; /* jobs that wait */
    size_t queued;
    size_t running;
    void (*on_idle)(void *data);
    void *idle_data;
};

lq_answers *lq_answers_new(lq_vm *vm)
{
    lq_answers *a = lq_mem_zalloc(sizeof *a);

    if (!a) return NULL;
    a->vm = vm;
    a->service_ref = LUA_NOREF;
    lq_list_init(&a->queue);
    return a;
}

void lq_answers_free(lq_answers *a)
{
    lq_list *link;

    if (!a) return;
    while ((link = lq_list_pop_front(&a->queue)))
        lq_mem_free(LQ_CONTAINER_OF(link, job, link));
    lq_mem_free(a);
}

static void send_reply(lq_answers *a, job *j, lq_buf *bytes)
{
    int err = 0;

    if (j->is_replied || j->head.kind == LQ_CALL_CAST) return;
    j->is_replied = true;
    err = lq_hub_tell(a->vm->hub, j->head.from, lq_buf_view(bytes), true);
    if (err == -ENOMEM)
        lq_log_printf(a->vm->cfg.log, LQ_LOG_ERROR,
                      "no memory for the reply of %s: the call ends by its "
                      "timeout",
                      j->method);
}

static void reply_code(lq_answers *a, job *j, int code)
{
    lq_call_head h = {.kind = LQ_CALL_FAILURE, .id = j->head.id, .code = code};
    lq_buf *out = lq_call_scratch(a->vm);

    if (lq_call_put_head(out, &h, "") == 0) send_reply(a, j, out);
}

/* The error on top of co: a table keeps its code and message. */
static void reply_error(lq_answers *a, job *j, lua_State *co)
{
    const char *code = "error", *message = NULL;
    lq_buf *out = lq_call_scratch(a->vm);
    size_t len = 0;
    lq_call_head h = {.kind = LQ_CALL_FAILURE, .id = j->head.id};

    if (lua_type(co, -1) == LUA_TTABLE) {
        lua_pushliteral(co, "code");
        if (lua_rawget(co, -2) == LUA_TSTRING) code = lua_tostring(co, -1);
        lua_pushliteral(co, "message");
        if (lua_rawget(co, -3) == LUA_TSTRING)
            message = lua_tolstring(co, -1, &len);
    } else if (lua_isstring(co, -1)) {
        message = lua_tolstring(co, -1, &len);
    }
    if (!message) {
        message = lua_pushfstring(co, "(a %s)", luaL_typename(co, -1));
        len = strlen(message);
    }
    h.text_len = (uint32_t)strlen(code);
    if (lq_call_put_head(out, &h, code) == 0 &&
        lq_buf_append(out, message, len) == 0)
        send_reply(a, j, out);
}

/* The results stand from index 3 on. */
static int serve_k(lua_State *L, int status, lua_KContext context)
{
    job *j = lua_touserdata(L, 1);
    lq_answers *a = j->all;
    lq_call_head h = {.kind = LQ_CALL_RESULTS, .id = j->head.id};
    lq_buf *out;

    (void)status;
    (void)context;
    if (j->head.kind == LQ_CALL_CAST) return 0;
    h.values = (uint32_t)(lua_gettop(L) - 2);
    out = lq_call_scratch(a->vm);
    if (lq_call_put_head(out, &h, "") < 0)
        return luaL_error(L, "not enough memory");
    lq_call_pack(L, 3, out);
    send_reply(a, j, out);
    return 0;
}

static bool is_callable_name(const char *method)
{
    return *method != '_' && strcmp(method, "prepare") != 0 &&
           strcmp(method, "close") != 0;
}

/* Index 1: the job, 2: the service. */
static int serve(lua_State *L)
{
    job *j = lua_touserdata(L, 1);
    int args;

    if (!is_callable_name(j->method) ||
        lua_getfield(L, 2, j->method) != LUA_TFUNCTION) {
        reply_code(j->all, j, LQ_ENOMETHOD);
        if (j->head.kind == LQ_CALL_CAST)
            luaL_error(L, "a cast to %s: the service has no such method",
                       j->method);
        return 0;
    }
    lua_pushvalue(L, 2);
    args = lq_call_push(L, j->args, j->head.values);
    lua_callk(L, 1 + args, LUA_MULTRET, 0, serve_k);
    return serve_k(L, LUA_OK, 0);
}

static void run_next(lq_answers *a);

static void check_idle(lq_answers *a)
{
    void (*on_idle)(void *) = a->on_idle;

    if (!on_idle || a->running > 0 || a->queued > 0) return;
    a->on_idle = NULL;
    on_idle(a->idle_data);
}

static void on_done(lq_task *t, int status, int results)
{
    job *j = t->owner;
    lq_answers *a = j->all;
    char what[LQ_CALL_METHOD_MAX + 32];

    (void)results;
    if (status == LUA_YIELD) {
        reply_code(a, j, LQ_ESERVICEDOWN);
    } else if (status != LUA_OK && j->head.kind == LQ_CALL_CAST) {
        snprintf(what, sizeof what, "error in a cast to %s", j->method);
        lq_task_log_error(t->vm, t->co, what);
    } else if (status != LUA_OK) {
        lua_pushvalue(t->co, -1); /* the other one stays for the report */
        reply_error(a, j, t->co);
    }
    a->running--;
    lq_mem_free(j);
    run_next(a);
    check_idle(a);
}

static bool start(lq_answers *a, job *j)
{
    lq_task *t = lq_task_new(a->vm, on_done, j);

    if (!t) return false;
    a->running++;
    lq_vm_open_reserve(a->vm);
    lua_pushcfunction(t->co, serve);
    lua_pushlightuserdata(t->co, j);
    lua_rawgeti(t->co, LUA_REGISTRYINDEX, a->service_ref);
    lq_vm_shut_reserve(a->vm);
    lq_task_ready(t, 2);
    return true;
}

static void run_next(lq_answers *a)
{
    lq_list *link;
    job *j;

    while (a->service_ref != LUA_NOREF &&
           (a->is_concurrent || a->running == 0) &&
           (link = lq_list_pop_front(&a->queue))) {
        a->queued--;
        j = LQ_CONTAINER_OF(link, job, link);
        if (start(a, j)) continue;
        reply_code(a, j, LQ_EOVERLOADED);
        lq_mem_free(j);
    }
}

static job *new_job(lq_answers *a, const lq_call_head *h, lq_str rest)
{
    job *j;

    if (h->text_len >= LQ_CALL_METHOD_MAX || h->text_len > rest.len)
        return NULL;
    j = lq_mem_zalloc(sizeof *j + rest.len);
    if (!j) return NULL;
    j->all = a;
    j->head = *h;
    memcpy(j->method, rest.ptr, h->text_len);
    memcpy(j->bytes, rest.ptr, rest.len);
    j->args = (lq_str){j->bytes + h->text_len, rest.len - h->text_len};
    lq_list_init(&j->link);
    return j;
}

static void take_request(lq_answers *a, const lq_call_head *h, lq_str rest)
{
    job *j = new_job(a, h, rest);

    if (!j) {
        job refused = {.all = a, .head = *h};
        reply_code(a, &refused, LQ_EOVERLOADED);
        return;
    }
    if (a->queued >= a->queue_max) {
        reply_code(a, j, LQ_EOVERLOADED);
        lq_mem_free(j);
        return;
    }
    lq_list_push_back(&a->queue, &j->link);
    a->queued++;
    run_next(a);
}

void lq_answers_take(lq_answers *a, const lq_note *note)
{
    lq_str rest = note->bytes;
    lq_call_head h;

    memcpy(&h, rest.ptr, sizeof h);
    rest.ptr += sizeof h;
    rest.len -= sizeof h;
    take_request(a, &h, rest);
}

void lq_answers_serve(lq_answers *a, lua_State *L, size_t queue,
                      bool is_concurrent)
{
    a->service_ref = luaL_ref(L, LUA_REGISTRYINDEX);
    a->queue_max = queue;
    a->is_concurrent = is_concurrent;
}

void lq_answers_drain(lq_answers *a, void (*on_idle)(void *data), void *data)
{
    a->on_idle = on_idle;
    a->idle_data = data;
    check_idle(a);
}

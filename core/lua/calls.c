/* calls.c - see calls.h.
 *
 * A request is a head, the method's name, and the arguments, each packed. A
 * reply is a head and the results, each packed; or an error's code and message.
 */
#include "lua/calls.h"

#include <errno.h>
#include <lauxlib.h>
#include <math.h>
#include <stdio.h>

#include "base/mem.h"
#include "lua/error.h"
#include "lua/pack.h"
#include "lua/task.h"

enum {
    BUCKETS = 64,
    METHOD_MAX = 128,
    KEEP_PACKED = 64 * 1024, /* bytes of memory between two calls */
};

typedef enum kind {
    REQUEST,
    CAST,
    RESULTS,
    FAILURE, /* with code and message */
} kind;

typedef struct head {
    uint32_t kind;
    uint32_t values; /* how many follow, packed */
    uint64_t id;
    lq_hub_address from; /* of a request: where the reply goes */
    int code;            /* of a failure that is ours */
    uint32_t text_len;   /* the method; the error's code */
} head;

/* A call that has been made and waits for its reply. */
typedef struct call {
    lq_list link; /* in its bucket */
    lq_calls *all;
    uint64_t id;
    lq_task *task;
    bool is_sent;
    lq_hub_address to;
    int err;      /* why it was not sent */
    lq_buf bytes; /* the request until it is sent, then the reply */
    char name[sizeof((lq_sender *)0)->name];
} call;

/* A call that is to be answered. */
typedef struct job {
    lq_list link;
    lq_calls *all;
    head head;
    bool is_replied;
    lq_str args;
    char method[METHOD_MAX];
    char bytes[];
} job;

struct lq_calls {
    lq_vm *vm;
    uint64_t newest;
    lq_list buckets[BUCKETS];
    /* Of a service. */
    int service_ref; /* its table; LUA_NOREF: none */
    size_t queue_max;
    bool is_concurrent;
    lq_list queue; /* jobs that wait */
    size_t queued;
    size_t running;
    void (*on_idle)(void *data);
    void *idle_data;
};

lq_calls *lq_calls_new(lq_vm *vm)
{
    lq_calls *c = lq_mem_zalloc(sizeof *c);
    int i;

    if (!c) return NULL;
    c->vm = vm;
    c->service_ref = LUA_NOREF;
    for (i = 0; i < BUCKETS; i++) lq_list_init(&c->buckets[i]);
    lq_list_init(&c->queue);
    return c;
}

void lq_calls_free(lq_calls *c)
{
    lq_list *link;

    if (!c) return;
    while ((link = lq_list_pop_front(&c->queue)))
        lq_mem_free(LQ_CONTAINER_OF(link, job, link));
    lq_mem_free(c);
}

/* ---- bytes -------------------------------------------------------------- */

static int put_head(lq_buf *out, const head *h, const char *text)
{
    int err = lq_buf_append(out, h, sizeof *h);

    return err < 0 ? err : lq_buf_append(out, text, h->text_len);
}

/* The values from index `first` to the top, packed into `out`. Raises. */
static void pack_values(lua_State *L, int first, lq_buf *out)
{
    int i, top = lua_gettop(L);

    for (i = first; i <= top; i++) lq_pack(L, i, out);
}

/* Pushes `count` values out of `bytes`. Raises for memory. */
static int push_values(lua_State *L, lq_str bytes, uint32_t count)
{
    lq_err err;
    uint32_t i;

    luaL_checkstack(L, (int)count + LUA_MINSTACK, "too many values");
    for (i = 0; i < count; i++)
        if (lq_unpack_next(L, &bytes, &err) < 0) lua_pushnil(L);
    return (int)count;
}

/* A buffer for what is packed next. */
static lq_buf *scratch(lq_vm *vm)
{
    lq_buf_clear(&vm->packed);
    if (vm->packed.cap > KEEP_PACKED) lq_buf_fini(&vm->packed);
    return &vm->packed;
}

static lq_str view(const lq_buf *b)
{
    return (lq_str){lq_buf_ptr(b), lq_buf_len(b)};
}

/* ---- a call that is made ------------------------------------------------ */

static lq_list *bucket_of(lq_calls *c, uint64_t id)
{
    return &c->buckets[id % BUCKETS];
}

static void end_call(call *k)
{
    lq_list_remove(&k->link);
    lq_buf_fini(&k->bytes);
    lq_mem_free(k);
}

static void on_cancel(lq_task *t)
{
    end_call(t->wait);
}

static void wake(call *k, int err)
{
    lq_list_remove(&k->link);
    lq_task_wake(k->task, err);
}

/* Sends it if the service is there. Returns whether it waits on; else k->err
 * says why not. */
static bool try_send(call *k)
{
    lq_hub_member *m = k->all->vm->hub;

    switch (lq_hub_find(m, k->name, &k->to)) {
    case LQ_HUB_AWAITED: return true;
    case LQ_HUB_UP: break;
    default: k->err = LQ_ESERVICEDOWN; return false;
    }
    k->err = lq_hub_tell(m, k->to, view(&k->bytes), false);
    if (k->err == LQ_ECLOSED) k->err = LQ_ESERVICEDOWN;
    k->is_sent = k->err == 0;
    lq_buf_clear(&k->bytes);
    return k->is_sent;
}

/* Services have come or gone: somebody may wait in vain. */
static void check_calls(lq_calls *c)
{
    lq_list *link, *next;
    call *k;
    int i;

    for (i = 0; i < BUCKETS; i++)
        for (link = c->buckets[i].next; link != &c->buckets[i]; link = next) {
            next = link->next;
            k = LQ_CONTAINER_OF(link, call, link);
            if (!k->is_sent) {
                if (!try_send(k)) wake(k, k->err);
            } else if (!lq_hub_is_there(c->vm->hub, k->to)) {
                wake(k, LQ_ESERVICEDOWN);
            }
        }
}

static void take_reply(lq_calls *c, const head *h, lq_str bytes)
{
    lq_list *bucket = bucket_of(c, h->id), *link = bucket->next;
    call *k;

    while (link != bucket && LQ_CONTAINER_OF(link, call, link)->id != h->id)
        link = link->next;
    if (link == bucket) return; /* nobody waits any more */
    k = LQ_CONTAINER_OF(link, call, link);
    lq_buf_clear(&k->bytes);
    wake(k, lq_buf_append(&k->bytes, bytes.ptr, bytes.len));
}

/* nil and an error of the service's own. */
static int push_failure(lua_State *L, const head *h, lq_str rest)
{
    if (h->code < 0) return lq_push_failure(L, h->code, NULL);
    lua_pushlstring(L, rest.ptr + h->text_len, rest.len - h->text_len);
    lua_pushnil(L);
    lq_push_error(L, LQ_EINVALID, lua_tostring(L, -2));
    lua_pushlstring(L, rest.ptr, h->text_len);
    lua_setfield(L, -2, "code");
    return 2;
}

/* Behind the wait. */
static int call_k(lua_State *L, int status, lua_KContext context)
{
    lq_task *t = (lq_task *)context;
    call *k = t->wait;
    int err = t->wait_err;
    lq_str rest;
    head h;

    (void)status;
    if (err < 0) {
        end_call(k);
        if (err == -ENOMEM) return luaL_error(L, "not enough memory");
        return lq_push_failure(L, err, NULL);
    }
    /* From here on an error must not lose the reply's memory. */
    lq_buf_fini(&t->vm->packed);
    t->vm->packed = k->bytes;
    lq_buf_init(&k->bytes);
    end_call(k);
    rest = view(&t->vm->packed);
    memcpy(&h, rest.ptr, sizeof h);
    rest.ptr += sizeof h;
    rest.len -= sizeof h;
    if (h.kind == FAILURE) return push_failure(L, &h, rest);
    return push_values(L, rest, h.values);
}

static const char *check_name(lua_State *L, int i, size_t max, size_t *len)
{
    const char *text = luaL_checklstring(L, i, len);

    luaL_argcheck(L, *len > 0 && *len < max && !memchr(text, '\0', *len), i,
                  "not a name");
    return text;
}

static lq_vm *check_vm(lua_State *L)
{
    lq_vm *vm = lq_vm_of(L);

    if (!vm->calls)
        luaL_error(L, "services are called in workers and services; initialize "
                      "runs before there are any");
    return vm;
}

/* The request of the values from index `first` on, in the vm's buffer. */
static lq_buf *pack_request(lua_State *L, lq_vm *vm, head *h, int method)
{
    size_t len;
    const char *text = check_name(L, method, METHOD_MAX, &len);
    lq_buf *out = scratch(vm);

    h->from = lq_hub_address_of(vm->hub);
    h->values = (uint32_t)(lua_gettop(L) - method);
    h->text_len = (uint32_t)len;
    if (put_head(out, h, text) < 0) luaL_error(L, "not enough memory");
    pack_values(L, method + 1, out);
    return out;
}

static call *new_call(lq_vm *vm, const char *name, lq_buf *request, head *h)
{
    call *k = lq_mem_zalloc(sizeof *k);

    if (!k) return NULL;
    k->all = vm->calls;
    k->id = h->id;
    snprintf(k->name, sizeof k->name, "%s", name);
    k->bytes = *request; /* it changes hands */
    lq_buf_init(request);
    lq_list_init(&k->link);
    return k;
}

/* call(name, timeout, method, ...) */
int lq_calls_call(lua_State *L)
{
    lq_vm *vm = check_vm(L);
    lq_task *t = lq_task_check_wait(L);
    lua_Number seconds = luaL_checknumber(L, 2);
    head h = {.kind = REQUEST, .id = ++vm->calls->newest};
    size_t len;
    const char *name = check_name(L, 1, sizeof((call *)0)->name, &len);
    lq_buf *request = pack_request(L, vm, &h, 3);
    call *k = new_call(vm, name, request, &h);
    uint64_t at_ms;
    int err;

    if (!k) return luaL_error(L, "not enough memory");
    k->task = t;
    if (!try_send(k)) {
        err = k->err;
        end_call(k);
        return lq_push_failure(L, err, NULL);
    }
    lq_list_push_back(bucket_of(vm->calls, k->id), &k->link);
    at_ms = lq_loop_update(vm->cfg.loop) + (uint64_t)ceil(seconds * 1000);
    if (seconds > 0 && lq_task_deadline(t, at_ms) < 0) {
        end_call(k);
        return luaL_error(L, "not enough memory");
    }
    return lq_task_wait(L, t, on_cancel, k, call_k);
}

/* cast(name, method, ...) */
int lq_calls_cast(lua_State *L)
{
    lq_vm *vm = check_vm(L);
    head h = {.kind = CAST};
    size_t len;
    const char *name = check_name(L, 1, sizeof((call *)0)->name, &len);
    lq_buf *request = pack_request(L, vm, &h, 2);
    lq_hub_address to;
    int err = LQ_ESERVICEDOWN;

    if (lq_hub_find(vm->hub, name, &to) == LQ_HUB_UP)
        err = lq_hub_tell(vm->hub, to, view(request), false);
    if (err == LQ_ECLOSED) err = LQ_ESERVICEDOWN;
    if (err < 0) return lq_push_failure(L, err, NULL);
    lua_pushboolean(L, true);
    return 1;
}

/* ---- a call that is answered -------------------------------------------- */

static void send_reply(lq_calls *c, job *j, lq_buf *bytes)
{
    int err = 0;

    if (j->is_replied || j->head.kind == CAST) return;
    j->is_replied = true;
    err = lq_hub_tell(c->vm->hub, j->head.from, view(bytes), true);
    if (err == -ENOMEM)
        lq_log_printf(c->vm->cfg.log, LQ_LOG_ERROR,
                      "no memory for the reply of %s: the call ends by its "
                      "timeout",
                      j->method);
}

static void reply_code(lq_calls *c, job *j, int code)
{
    head h = {.kind = FAILURE, .id = j->head.id, .code = code};
    lq_buf *out = scratch(c->vm);

    if (put_head(out, &h, "") == 0) send_reply(c, j, out);
}

/* The error on top of co: a table keeps its code and message. */
static void reply_error(lq_calls *c, job *j, lua_State *co)
{
    const char *code = "error", *message = NULL;
    lq_buf *out = scratch(c->vm);
    size_t len = 0;
    head h = {.kind = FAILURE, .id = j->head.id};

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
    if (put_head(out, &h, code) == 0 && lq_buf_append(out, message, len) == 0)
        send_reply(c, j, out);
}

/* The results stand from index 3 on. */
static int serve_k(lua_State *L, int status, lua_KContext context)
{
    job *j = lua_touserdata(L, 1);
    lq_calls *c = j->all;
    head h = {.kind = RESULTS, .id = j->head.id};
    lq_buf *out;

    (void)status;
    (void)context;
    if (j->head.kind == CAST) return 0;
    h.values = (uint32_t)(lua_gettop(L) - 2);
    out = scratch(c->vm);
    if (put_head(out, &h, "") < 0) return luaL_error(L, "not enough memory");
    pack_values(L, 3, out);
    send_reply(c, j, out);
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
        if (j->head.kind == CAST)
            luaL_error(L, "a cast to %s: the service has no such method",
                       j->method);
        return 0;
    }
    lua_pushvalue(L, 2);
    args = push_values(L, j->args, j->head.values);
    lua_callk(L, 1 + args, LUA_MULTRET, 0, serve_k);
    return serve_k(L, LUA_OK, 0);
}

static void run_next(lq_calls *c);

static void check_idle(lq_calls *c)
{
    void (*on_idle)(void *) = c->on_idle;

    if (!on_idle || c->running > 0 || c->queued > 0) return;
    c->on_idle = NULL;
    on_idle(c->idle_data);
}

static void on_done(lq_task *t, int status, int results)
{
    job *j = t->owner;
    lq_calls *c = j->all;
    char what[METHOD_MAX + 32];

    (void)results;
    if (status == LUA_YIELD) {
        reply_code(c, j, LQ_ESERVICEDOWN);
    } else if (status != LUA_OK && j->head.kind == CAST) {
        snprintf(what, sizeof what, "error in a cast to %s", j->method);
        lq_task_log_error(t->vm, t->co, what);
    } else if (status != LUA_OK) {
        lua_pushvalue(t->co, -1); /* the other one stays for the report */
        reply_error(c, j, t->co);
    }
    c->running--;
    lq_mem_free(j);
    run_next(c);
    check_idle(c);
}

static bool start(lq_calls *c, job *j)
{
    lq_task *t = lq_task_new(c->vm, on_done, j);

    if (!t) return false;
    c->running++;
    lq_vm_open_reserve(c->vm);
    lua_pushcfunction(t->co, serve);
    lua_pushlightuserdata(t->co, j);
    lua_rawgeti(t->co, LUA_REGISTRYINDEX, c->service_ref);
    lq_vm_shut_reserve(c->vm);
    lq_task_ready(t, 2);
    return true;
}

static void run_next(lq_calls *c)
{
    lq_list *link;
    job *j;

    while (c->service_ref != LUA_NOREF &&
           (c->is_concurrent || c->running == 0) &&
           (link = lq_list_pop_front(&c->queue))) {
        c->queued--;
        j = LQ_CONTAINER_OF(link, job, link);
        if (start(c, j)) continue;
        reply_code(c, j, LQ_EOVERLOADED);
        lq_mem_free(j);
    }
}

static job *new_job(lq_calls *c, const head *h, lq_str rest)
{
    job *j;

    if (h->text_len >= METHOD_MAX || h->text_len > rest.len) return NULL;
    j = lq_mem_zalloc(sizeof *j + rest.len);
    if (!j) return NULL;
    j->all = c;
    j->head = *h;
    memcpy(j->method, rest.ptr, h->text_len);
    memcpy(j->bytes, rest.ptr, rest.len);
    j->args = (lq_str){j->bytes + h->text_len, rest.len - h->text_len};
    lq_list_init(&j->link);
    return j;
}

static void take_request(lq_calls *c, const head *h, lq_str rest)
{
    job *j = new_job(c, h, rest);

    if (!j) {
        job refused = {.all = c, .head = *h};
        reply_code(c, &refused, LQ_EOVERLOADED);
        return;
    }
    if (c->queued >= c->queue_max) {
        reply_code(c, j, LQ_EOVERLOADED);
        lq_mem_free(j);
        return;
    }
    lq_list_push_back(&c->queue, &j->link);
    c->queued++;
    run_next(c);
}

void lq_calls_take(lq_calls *c, const lq_sender *from, const lq_note *note)
{
    lq_str rest = note->bytes;
    head h;

    (void)from;
    if (rest.len < sizeof h) {
        check_calls(c);
        return;
    }
    memcpy(&h, rest.ptr, sizeof h);
    if (h.kind == RESULTS || h.kind == FAILURE) {
        take_reply(c, &h, rest);
        return;
    }
    rest.ptr += sizeof h;
    rest.len -= sizeof h;
    take_request(c, &h, rest);
}

void lq_calls_serve(lq_calls *c, lua_State *L, size_t queue, bool is_concurrent)
{
    c->service_ref = luaL_ref(L, LUA_REGISTRYINDEX);
    c->queue_max = queue;
    c->is_concurrent = is_concurrent;
}

void lq_calls_drain(lq_calls *c, void (*on_idle)(void *data), void *data)
{
    c->on_idle = on_idle;
    c->idle_data = data;
    check_idle(c);
}

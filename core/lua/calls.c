/* calls.c - see calls.h. */
#include "lua/calls.h"

#include <errno.h>
#include <lauxlib.h>
#include <math.h>
#include <stdio.h>

#include "base/mem.h"
#include "lua/call_wire.h"
#include "lua/error.h"
#include "lua/task.h"

enum { BUCKETS = 64 };

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

struct lq_calls {
    lq_vm *vm;
    uint64_t newest;
    lq_list buckets[BUCKETS];
};

lq_calls *lq_calls_new(lq_vm *vm)
{
    lq_calls *c = lq_mem_zalloc(sizeof *c);
    int i;

    if (!c) return NULL;
    c->vm = vm;
    for (i = 0; i < BUCKETS; i++) lq_list_init(&c->buckets[i]);
    return c;
}

void lq_calls_free(lq_calls *c)
{
    lq_mem_free(c);
}

/* ---- a call that is made ------------------------------------------------- */

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
    k->err = lq_hub_tell(m, k->to, lq_buf_view(&k->bytes), false);
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

static void take_reply(lq_calls *c, const lq_call_head *h, lq_str bytes)
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
static int push_failure(lua_State *L, const lq_call_head *h, lq_str rest)
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
    lq_call_head h;

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
    rest = lq_buf_view(&t->vm->packed);
    memcpy(&h, rest.ptr, sizeof h);
    rest.ptr += sizeof h;
    rest.len -= sizeof h;
    if (h.kind == LQ_CALL_FAILURE) return push_failure(L, &h, rest);
    return lq_call_push(L, rest, h.values);
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
static lq_buf *pack_request(lua_State *L, lq_vm *vm, lq_call_head *h,
                            int method)
{
    size_t len;
    const char *text = check_name(L, method, LQ_CALL_METHOD_MAX, &len);
    lq_buf *out = lq_call_scratch(vm);

    h->from = lq_hub_address_of(vm->hub);
    h->values = (uint32_t)(lua_gettop(L) - method);
    h->text_len = (uint32_t)len;
    if (lq_call_put_head(out, h, text) < 0) luaL_error(L, "not enough memory");
    lq_call_pack(L, method + 1, out);
    return out;
}

static call *new_call(lq_vm *vm, const char *name, lq_buf *request,
                      lq_call_head *h)
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
    lq_call_head h = {.kind = LQ_CALL_REQUEST, .id = ++vm->calls->newest};
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
    lq_call_head h = {.kind = LQ_CALL_CAST};
    size_t len;
    const char *name = check_name(L, 1, sizeof((call *)0)->name, &len);
    lq_buf *request = pack_request(L, vm, &h, 2);
    lq_hub_address to;
    int err = LQ_ESERVICEDOWN;

    if (lq_hub_find(vm->hub, name, &to) == LQ_HUB_UP)
        err = lq_hub_tell(vm->hub, to, lq_buf_view(request), false);
    if (err == LQ_ECLOSED) err = LQ_ESERVICEDOWN;
    if (err < 0) return lq_push_failure(L, err, NULL);
    lua_pushboolean(L, true);
    return 1;
}

void lq_calls_take(lq_calls *c, const lq_note *note)
{
    lq_call_head h;

    if (note->bytes.len < sizeof h) {
        check_calls(c);
        return;
    }
    memcpy(&h, note->bytes.ptr, sizeof h);
    take_reply(c, &h, note->bytes);
}

bool lq_calls_are_meant(const lq_note *note)
{
    lq_call_head h;

    if (note->bytes.len < sizeof h) return true;
    memcpy(&h, note->bytes.ptr, sizeof h);
    return h.kind == LQ_CALL_RESULTS || h.kind == LQ_CALL_FAILURE;
}

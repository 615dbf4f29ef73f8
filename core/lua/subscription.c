/* subscription.c - see subscription.h.
 *
 * A message is copied out of its batch into the queue of each subscription, so
 * that one that waits long keeps no large batch. A task takes from the queue,
 * some hundred at a time; when one call fails, the next task goes on behind it.
 */
#include "lua/subscription.h"

#include <lauxlib.h>
#include <stdio.h>

#include "base/mem.h"
#include "lua/pack.h"
#include "lua/task.h"

#define HANDLE_TYPE "luaqueduct.Subscription"

enum {
    BUCKETS = 64,
    A_TURN = 256, /* messages of one subscription */
};

typedef struct subscription {
    lq_list link;  /* in its bucket, by the topic's number */
    lq_list ready; /* in `full` */
    lq_subscriptions *all;
    uint32_t number;
    lq_buf queue; /* heads, each with its value */
    size_t waiting;
    int ref; /* anchors the handle, in which this stands */
    bool is_running;
    bool is_cancelled;
    size_t topic_len;
    char topic[LQ_HUB_TOPIC_MAX];
} subscription;

struct lq_subscriptions {
    lq_vm *vm;
    lq_list buckets[BUCKETS];
    lq_list full; /* they have messages, and no task yet */
    size_t count;
    size_t held; /* messages in all queues */
    size_t held_bytes;
};

/* In front of each value in a queue. */
typedef struct head {
    uint32_t len;
    int id;
    char name[sizeof((lq_sender *)0)->name];
} head;

lq_subscriptions *lq_subscriptions_new(lq_vm *vm)
{
    lq_subscriptions *ss = lq_mem_zalloc(sizeof *ss);
    int i;

    if (!ss) return NULL;
    ss->vm = vm;
    lq_list_init(&ss->full);
    for (i = 0; i < BUCKETS; i++) lq_list_init(&ss->buckets[i]);
    return ss;
}

void lq_subscriptions_free(lq_subscriptions *ss)
{
    lq_mem_free(ss);
}

size_t lq_subscriptions_count(const lq_subscriptions *ss)
{
    return ss->count;
}

/* ---- messages out of the queue ------------------------------------------ */

static void forget(subscription *s, size_t messages, size_t bytes)
{
    s->waiting -= messages;
    s->all->held -= messages;
    s->all->held_bytes -= bytes;
}

/* Pushes the value and who has sent it, and takes them off the queue. Raises
 * for memory, with nothing lost. */
static void push_next(lua_State *L, subscription *s)
{
    lq_str bytes;
    lq_err err;
    head h;

    memcpy(&h, lq_buf_ptr(&s->queue), sizeof h);
    bytes = (lq_str){lq_buf_ptr(&s->queue) + sizeof h, h.len};
    if (lq_unpack(L, bytes, &err) < 0) lua_pushnil(L);
    if (h.id > 0)
        lua_pushinteger(L, h.id);
    else
        lua_pushstring(L, h.name);
    lq_buf_consume(&s->queue, sizeof h + h.len);
    forget(s, 1, h.len);
}

/* Index 1: the handle, 2: the function. `left`: calls in this turn. */
static int run(lua_State *L, int status, lua_KContext left)
{
    subscription *s = lua_touserdata(L, 1);

    (void)status;
    for (; left > 0 && s->waiting > 0 && !s->is_cancelled; left--) {
        lua_settop(L, 2);
        lua_pushvalue(L, 2);
        push_next(L, s);
        lua_callk(L, 2, 0, left - 1, run);
    }
    return 0;
}

static int begin_run(lua_State *L)
{
    return run(L, LUA_OK, A_TURN);
}

static void start(subscription *s);

static void release(subscription *s)
{
    luaL_unref(s->all->vm->L, LUA_REGISTRYINDEX, s->ref);
    s->ref = LUA_NOREF;
}

static void on_done(lq_task *t, int status, int results)
{
    subscription *s = t->owner;
    char what[LQ_HUB_TOPIC_MAX + 64];

    (void)results;
    s->is_running = false;
    if (status != LUA_OK && status != LUA_YIELD) {
        snprintf(what, sizeof what, "error in a subscription to \"%.*s\"",
                 (int)s->topic_len, s->topic);
        lq_task_log_error(t->vm, t->co, what);
    }
    if (s->is_cancelled)
        release(s);
    else if (status != LUA_YIELD && s->waiting > 0)
        start(s);
    lq_hub_hold(t->vm->hub, s->all->held, s->all->held_bytes);
}

/* A task for what waits; it has the next turn. */
static void start(subscription *s)
{
    lq_vm *vm = s->all->vm;
    lq_task *t;

    if (s->is_running || s->is_cancelled || s->waiting == 0) return;
    t = lq_task_new(vm, on_done, s);
    if (!t) {
        lq_log_printf(vm->cfg.log, LQ_LOG_ERROR,
                      "no memory for the messages on \"%.*s\": they wait",
                      (int)s->topic_len, s->topic);
        return;
    }
    s->is_running = true;
    lq_vm_open_reserve(vm);
    lua_pushcfunction(t->co, begin_run);
    lua_rawgeti(t->co, LUA_REGISTRYINDEX, s->ref);
    lua_getiuservalue(t->co, -1, 1);
    lq_vm_shut_reserve(vm);
    lq_task_ready(t, 2);
}

/* ---- messages into the queue -------------------------------------------- */

static bool put(subscription *s, const lq_sender *from, lq_str bytes)
{
    head h = {.len = (uint32_t)bytes.len, .id = from->id};

    memcpy(h.name, from->name, sizeof h.name);
    if (lq_buf_reserve(&s->queue, sizeof h + bytes.len) < 0) return false;
    lq_buf_put(&s->queue, &h, sizeof h);
    lq_buf_put(&s->queue, bytes.ptr, bytes.len);
    s->waiting++;
    lq_list_remove(&s->ready);
    lq_list_push_back(&s->all->full, &s->ready);
    s->all->held++;
    s->all->held_bytes += bytes.len;
    return true;
}

bool lq_subscriptions_deliver(void *data, const lq_sender *from,
                              const lq_note *note)
{
    lq_subscriptions *ss = data;
    lq_list *bucket = &ss->buckets[note->topic % BUCKETS], *link;
    subscription *s;
    bool is_taken = false;

    for (link = bucket->next; link != bucket; link = link->next) {
        s = LQ_CONTAINER_OF(link, subscription, link);
        if (s->number != note->topic) continue;
        if (put(s, from, note->bytes))
            is_taken = true;
        else
            lq_log_printf(ss->vm->cfg.log, LQ_LOG_ERROR,
                          "no memory: a message on \"%.*s\" is lost",
                          (int)s->topic_len, s->topic);
    }
    return is_taken;
}

void lq_subscriptions_run(void *data)
{
    lq_subscriptions *ss = data;
    lq_list *link;

    while ((link = lq_list_pop_front(&ss->full)))
        start(LQ_CONTAINER_OF(link, subscription, ready));
    lq_hub_hold(ss->vm->hub, ss->held, ss->held_bytes);
}

/* ---- handles ------------------------------------------------------------ */

/* Nothing comes any more. */
static void cancel(subscription *s)
{
    if (s->is_cancelled) return;
    s->is_cancelled = true;
    lq_list_remove(&s->link);
    lq_list_remove(&s->ready);
    s->all->count--;
    forget(s, s->waiting, lq_buf_len(&s->queue) - s->waiting * sizeof(head));
    lq_buf_fini(&s->queue);
    lq_buf_init(&s->queue);
    lq_hub_unsubscribe(s->all->vm->hub, (lq_str){s->topic, s->topic_len});
    lq_hub_hold(s->all->vm->hub, s->all->held, s->all->held_bytes);
    if (!s->is_running) release(s);
}

/* sub:cancel() */
static int m_cancel(lua_State *L)
{
    cancel(luaL_checkudata(L, 1, HANDLE_TYPE));
    return 0;
}

static int mt_tostring(lua_State *L)
{
    const subscription *s = luaL_checkudata(L, 1, HANDLE_TYPE);

    lua_pushfstring(L, "luaqueduct.Subscription (");
    lua_pushlstring(L, s->topic, s->topic_len);
    lua_pushliteral(L, ")");
    lua_concat(L, 3);
    return 1;
}

/* Nobody has it any more, or the state closes. */
static int mt_gc(lua_State *L)
{
    subscription *s = luaL_checkudata(L, 1, HANDLE_TYPE);

    lq_buf_fini(&s->queue);
    return 0;
}

void lq_subscriptions_push_type(lua_State *L)
{
    static const luaL_Reg methods[] = {{"cancel", m_cancel}, {NULL, NULL}};
    static const luaL_Reg metamethods[] = {
        {"__gc", mt_gc}, {"__tostring", mt_tostring}, {NULL, NULL}};

    luaL_newmetatable(L, HANDLE_TYPE);
    luaL_setfuncs(L, metamethods, 0);
    luaL_newlib(L, methods);
    lua_setfield(L, -2, "__index");
}

void lq_subscriptions_push_new(lua_State *L, lq_str topic, int fn)
{
    lq_vm *vm = lq_vm_of(L);
    lq_subscriptions *ss = vm->subscriptions;
    subscription *s = lua_newuserdatauv(L, sizeof *s, 1);

    *s = (subscription){.all = ss, .ref = LUA_NOREF, .topic_len = topic.len};
    memcpy(s->topic, topic.ptr, topic.len);
    lq_buf_init(&s->queue);
    lq_list_init(&s->link);
    lq_list_init(&s->ready);
    luaL_setmetatable(L, HANDLE_TYPE);
    lua_pushvalue(L, fn);
    lua_setiuservalue(L, -2, 1);
    lua_pushvalue(L, -1);
    s->ref = luaL_ref(L, LUA_REGISTRYINDEX);
    if (lq_hub_subscribe(vm->hub, topic, &s->number) < 0) {
        release(s);
        luaL_error(L, "not enough memory");
    }
    lq_list_push_back(&ss->buckets[s->number % BUCKETS], &s->link);
    ss->count++;
}

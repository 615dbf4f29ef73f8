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
    A_TURN = 256,            /* messages of one subscription */
    KEEP_QUEUE = 256 * 1024, /* bytes of memory of one that is empty */
};

typedef struct subscription {
    lq_list link;  /* in its bucket, by the topic's number */
    lq_list ready; /* in `full` */
    lq_subscriptions *all;
    uint32_t number;
    lq_buf queue;   /* heads, each with its value */
    size_t waiting; /* messages in it */
    size_t waiting_bytes;
    int ref; /* anchors the handle, in which this stands */
    bool is_running;
    bool is_cancelled;
    bool is_reading; /* the first message becomes a value */
    bool is_retried; /* ... after it has failed once */
    size_t topic_len;
    char topic[LQ_HUB_TOPIC_MAX];
} subscription;

struct lq_subscriptions {
    lq_vm *vm;
    lq_list buckets[BUCKETS];
    lq_list full; /* they have messages, and no task yet */
    bool is_closed;
    size_t count;
    size_t held; /* messages in all queues */
    size_t held_bytes;
};

/* In front of each value in a queue. The name of the service that has sent it
 * stands between them. */
typedef struct head {
    uint32_t len;
    uint32_t name_len; /* 0: a worker */
    int id;
} head;

typedef struct message {
    int id;
    lq_str name;
    lq_str bytes;
} message;

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

void lq_subscriptions_close(lq_subscriptions *ss)
{
    ss->is_closed = true;
}

size_t lq_subscriptions_count(const lq_subscriptions *ss)
{
    return ss->count;
}

/* ---- messages out of the queue ------------------------------------------- */

/* Tells the hub what still waits here. */
static void hold(lq_subscriptions *ss)
{
    lq_hub_hold(ss->vm->hub, ss->held, ss->held_bytes);
}

static void forget(subscription *s, size_t bytes)
{
    s->waiting--;
    s->waiting_bytes -= bytes;
    s->all->held--;
    s->all->held_bytes -= bytes;
}

/* The first one in the queue; its parts are lent. */
static message first(const subscription *s)
{
    const char *at = lq_buf_ptr(&s->queue);
    message m;
    head h;

    memcpy(&h, at, sizeof h);
    m.id = h.id;
    m.name = (lq_str){at + sizeof h, h.name_len};
    m.bytes = (lq_str){m.name.ptr + m.name.len, h.len};
    return m;
}

static void drop_first(subscription *s)
{
    message m = first(s);

    lq_buf_consume(&s->queue, sizeof(head) + m.name.len + m.bytes.len);
    forget(s, m.bytes.len);
    s->is_reading = s->is_retried = false;
}

/* Pushes the value and who has sent it, and takes them off the queue. Raises
 * for memory; then both are still there. A finalizer, which any allocation may
 * run, may cancel the subscription meanwhile: false. */
static bool push_next(lua_State *L, subscription *s)
{
    message m = first(s);
    lq_err err;

    s->is_reading = true;
    if (lq_unpack(L, m.bytes, &err) < 0) lua_pushnil(L);
    if (m.id > 0)
        lua_pushinteger(L, m.id);
    else
        lua_pushlstring(L, m.name.ptr, m.name.len);
    if (LQ_UNLIKELY(s->is_cancelled)) return false;
    drop_first(s);
    return true;
}

/* Index 1: the handle, 2: the function. `left`: calls in this turn. For the
 * watchdog each call begins anew. */
static int run(lua_State *L, int status, lua_KContext left)
{
    subscription *s = lua_touserdata(L, 1);
    lq_vm *vm = s->all->vm;

    if (status == LUA_YIELD) hold(s->all);
    for (; left > 0 && s->waiting > 0 && !s->is_cancelled; left--) {
        lua_settop(L, 2);
        lua_pushvalue(L, 2);
        if (!push_next(L, s)) break;
        lq_loop_beat(vm->cfg.loop);
        lua_callk(L, 2, 0, left - 1, run);
    }
    return 0;
}

static int begin_run(lua_State *L)
{
    return run(L, LUA_OK, A_TURN);
}

static void start(subscription *s);

/* Nothing reads the queue any more. */
static void release(subscription *s)
{
    lq_buf_fini(&s->queue);
    luaL_unref(s->all->vm->L, LUA_REGISTRYINDEX, s->ref);
    s->ref = LUA_NOREF;
}

/* The first message did not become a value, as there was no memory: behind the
 * task all garbage is collected, so it has a second chance. */
static void retry_first(subscription *s)
{
    s->is_reading = false;
    if (!s->is_retried) {
        s->is_retried = true;
        return;
    }
    lq_log_printf(s->all->vm->cfg.log, LQ_LOG_ERROR,
                  "no memory: a message on \"%.*s\" is lost", (int)s->topic_len,
                  s->topic);
    drop_first(s);
}

static void log_failure(lq_task *t, const subscription *s)
{
    char what[LQ_HUB_TOPIC_MAX + 64];

    snprintf(what, sizeof what, "error in a subscription to \"%.*s\"",
             (int)s->topic_len, s->topic);
    lq_task_log_error(t->vm, t->co, what);
}

static void on_done(lq_task *t, int status, int results)
{
    subscription *s = t->owner;
    lq_subscriptions *ss = s->all;

    (void)results;
    s->is_running = false;
    if (status != LUA_OK && status != LUA_YIELD) log_failure(t, s);
    if (s->is_cancelled) {
        release(s);
    } else {
        if (s->is_reading) retry_first(s);
        if (s->waiting == 0 && s->queue.cap > KEEP_QUEUE)
            lq_buf_fini(&s->queue);
        start(s);
    }
    hold(ss);
}

/* A task for what waits; it has the next turn. */
static void start(subscription *s)
{
    lq_subscriptions *ss = s->all;
    lq_vm *vm = ss->vm;
    lq_task *t;

    if (s->is_running || s->is_cancelled || s->waiting == 0 || ss->is_closed)
        return;
    t = lq_task_new(vm, on_done, s);
    if (!t) {
        lq_log_printf(vm->cfg.log, LQ_LOG_ERROR,
                      "no memory for the messages on \"%.*s\": they wait",
                      (int)s->topic_len, s->topic);
        lq_list_remove(&s->ready);
        lq_list_push_back(&ss->full, &s->ready);
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

/* ---- messages into the queue --------------------------------------------- */

static bool put(subscription *s, const lq_sender *from, lq_str bytes)
{
    size_t name_len = from->id > 0 ? 0 : strlen(from->name);
    head h = {(uint32_t)bytes.len, (uint32_t)name_len, from->id};

    if (lq_buf_reserve(&s->queue, sizeof h + name_len + bytes.len) < 0)
        return false;
    lq_buf_put(&s->queue, &h, sizeof h);
    lq_buf_put(&s->queue, from->name, name_len);
    lq_buf_put(&s->queue, bytes.ptr, bytes.len);
    s->waiting++;
    s->waiting_bytes += bytes.len;
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
    lq_list full, *link;

    lq_list_init(&full);
    lq_list_move(&ss->full, &full);
    while ((link = lq_list_pop_front(&full)))
        start(LQ_CONTAINER_OF(link, subscription, ready));
    hold(ss);
}

/* ---- handles ------------------------------------------------------------- */

/* Nothing comes any more. */
static void cancel(subscription *s)
{
    lq_subscriptions *ss = s->all;

    if (s->is_cancelled) return;
    s->is_cancelled = true;
    lq_list_remove(&s->link);
    lq_list_remove(&s->ready);
    ss->count--;
    ss->held -= s->waiting;
    ss->held_bytes -= s->waiting_bytes;
    if (!s->is_reading) lq_buf_fini(&s->queue);
    lq_hub_unsubscribe(ss->vm->hub, (lq_str){s->topic, s->topic_len});
    hold(ss);
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
    int err;

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
    err = lq_hub_subscribe(vm->hub, topic, &s->number);
    if (err < 0) {
        release(s);
        luaL_error(L, err == LQ_ECLOSED ? "this thread is being replaced"
                                        : "not enough memory");
    }
    lq_list_push_back(&ss->buckets[s->number % BUCKETS], &s->link);
    ss->count++;
}

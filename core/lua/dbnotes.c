/* dbnotes.c - see database.h: notifications, from the connection to the one
 * task that hands them out (luaqueduct.db).
 */
#include <lauxlib.h>
#include <string.h>

#include "base/mem.h"
#include "lua/database.h"
#include "lua/error.h"

enum { NOTES_MAX = 100000 /* that wait for the task; more are dropped */ };

typedef struct note {
    lq_list link;
    size_t channel_len;
    size_t payload_len;
    char bytes[]; /* of both */
} note;

void lq_db_on_notify(void *data, const char *channel, const char *payload)
{
    lq_database *d = data;
    size_t channel_len = strlen(channel), payload_len = strlen(payload);
    note *n = d->listens && d->note_count < NOTES_MAX
                  ? lq_mem_alloc(sizeof *n + channel_len + payload_len)
                  : NULL;

    if (!n) return;
    n->channel_len = channel_len;
    n->payload_len = payload_len;
    memcpy(n->bytes, channel, channel_len);
    memcpy(n->bytes + channel_len, payload, payload_len);
    lq_list_push_back(&d->notes, &n->link);
    d->note_count++;
    if (d->listener && d->listener->task) lq_task_wake(d->listener->task, 0);
}

static void drop_first(lq_database *d)
{
    lq_list *link = lq_list_pop_front(&d->notes);

    d->note_count--;
    lq_mem_free(LQ_CONTAINER_OF(link, note, link));
}

void lq_db_drop_notes(lq_database *d)
{
    while (!lq_list_is_empty(&d->notes)) drop_first(d);
}

static void on_cancel(lq_task *t)
{
    lq_db_session *s = t->wait;

    s->task = NULL;
    s->db->listener = NULL;
}

static int notification_k(lua_State *L, int status, lua_KContext context);

/* stack: session, ... */
static int next(lua_State *L, lq_db_session *s)
{
    const lq_pg_lease *lease = lq_db_lease_of(s);
    lq_database *d = s->db;
    lq_task *t;
    note *n;

    if (!lq_list_is_empty(&d->notes)) {
        n = LQ_CONTAINER_OF(d->notes.next, note, link);
        lua_pushlstring(L, n->bytes, n->channel_len);
        lua_pushlstring(L, n->bytes + n->channel_len, n->payload_len);
        drop_first(d);
        return 2;
    }
    if (!lease || lq_pg_lease_state(lease, NULL) <= 0) {
        lua_pushnil(L);
        return 1;
    }
    t = lq_task_check_wait(L);
    s->task = t;
    d->listener = s;
    return lq_task_wait(L, t, on_cancel, s, notification_k);
}

static int notification_k(lua_State *L, int status, lua_KContext context)
{
    lq_db_session *s = ((lq_task *)context)->wait;

    (void)status;
    s->task = NULL;
    s->db->listener = NULL;
    lua_settop(L, 1);
    return next(L, s);
}

/* db.notification(session) -> channel, payload | nil: waits; nil: the
 * connection is lost */
static int db_notification(lua_State *L)
{
    lua_settop(L, 1);
    return next(L, lq_db_check_session(L, 1));
}

/* db.closed() -> nil, err: for who still waits when a database is closed */
static int db_closed(lua_State *L)
{
    return lq_push_failure(L, LQ_ECLOSED, "the database is closed");
}

static const luaL_Reg functions[] = {
    {"closed", db_closed},
    {"notification", db_notification},
    {NULL, NULL},
};

void lq_db_open_notes(lua_State *L)
{
    luaL_setfuncs(L, functions, 0);
}

/* vm.h - one thread's Lua state.
 *
 * Owns:    the lua_State, its allocator, the tasks.
 * Thread:  the thread that opened it.
 * Life:    open -> tasks ... -> lq_tasks_cancel -> close.
 * Knows:   base, loop, log. lua_getextraspace of every coroutine holds the
 *          lq_vm, so lq_vm_of needs no look-up.
 */
#ifndef LQ_VM_H
#define LQ_VM_H

#include <lua.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/list.h"
#include "base/str.h"
#include "log/log.h"
#include "loop/loop.h"
#include "lua/alloc.h"
#include "lua/code.h"
#include "lua/interrupt.h"

typedef struct lq_task lq_task;
typedef struct lq_vm lq_vm;

/* A service as initialize declares it. */
typedef struct lq_service_spec {
    const char *name;
    const char *path; /* of its script */
    lq_str arg;       /* of its prepare, packed */
    int instances;
    size_t queue;        /* calls that may wait in each */
    double busy_timeout; /* seconds; 0: none */
} lq_service_spec;

struct lq_pg_pool; /* pg/pool.h */
struct lq_pg_pool_cfg;

/* What an app listens on (aq.tcp.listen). */
typedef struct lq_listen_spec {
    const char *address; /* numeric, IPv4 or IPv6 */
    uint16_t port;       /* 0: a free one */
    const char *options; /* the same text in all workers of a generation */
} lq_listen_spec;

typedef struct lq_vm_cfg {
    lq_loop *loop;
    const lq_log *log;
    int id; /* of the worker; 0: the state of initialize */
    int workers;
    int restarts;
    int generation; /* of the code, from 1 */
    /* Folders that `require` looks into before the standard ones. */
    const char *lua_path; /* the runtime's own Lua files and the tree's rocks */
    const char *lib_path; /* the tree's C modules; "": none */
    lq_code *code;        /* where Lua files come from; borrowed */
    size_t memory_limit;  /* of the heap, in bytes; 0: none */
    const lq_service_spec *service; /* that this state is; NULL: it is none */
    /* initialize: copies the spec; -ENOMEM. NULL: nobody may declare one. */
    int (*on_service)(lq_vm *, const lq_service_spec *spec);
    /* The worker listens, as soon as it accepts at all. Gives the listener's
     * number (from 1, the same in every worker) and its real port; what is
     * accepted comes to lua/listening.h. May block for some ms. `err` tells why
     * not. NULL: this state may not listen. */
    int (*on_listen)(lq_vm *, const lq_listen_spec *spec, int *number,
                     uint16_t *port, lq_err *err);
    /* Nothing more is accepted on it in this worker. */
    void (*on_unlisten)(lq_vm *, int number);
    /* A pool that all states share (pg/remote.h), which the state closes; as
     * lq_pg_pool_open otherwise. NULL: it is this state's own. */
    int (*on_pool)(lq_vm *, const struct lq_pg_pool_cfg *cfg,
                   struct lq_pg_pool **out, lq_err *err);
    /* os.exit, aq.instance.stop: the thread is to drain and end. */
    void (*on_stop)(lq_vm *);
    /* An error in error handling was left of a task; once. */
    void (*on_broken)(lq_vm *);
    /* An error outside any protected call: the state is not to be used any
     * more. Does not return; NULL: the thread ends (base/broken.h). */
    void (*on_panic)(lq_vm *, const char *text);
    /* The heap stays near its limit after a memory error: the state is to be
     * replaced, and has an eighth more until then. May be NULL; may be called
     * again. */
    void (*on_full)(lq_vm *);
    void *data;
} lq_vm_cfg;

struct lq_vm {
    lq_vm_cfg cfg;
    lua_State *L; /* the main coroutine: runs nothing but start and stop */
    lq_alloc alloc;

    /* task.c */
    lq_task *current;   /* the one that runs, NULL between */
    lq_list ready;      /* tasks to be resumed in this turn */
    lq_list live;       /* all others that have begun */
    lq_list idle_tasks; /* recycled, with their coroutines */
    size_t idle_count;
    size_t live_count;
    lq_running running; /* interrupt.c */
    int unwinding;      /* `<close>` variables of an ended task run */
    int unyieldable;    /* user coroutines that run inside a C function */
    lq_turn turn;
    bool is_short;     /* a memory error is to be followed up behind the task */
    bool is_broken;    /* on_broken has been called */
    char warning[512]; /* as far as it has come */

    /* dispatch.c, reply.c */
    void *dispatch;
    /* Writes the id of the request that the current task serves to `out`, which
     * has room for it; returns its length, 0: it serves none. */
    size_t (*request_id)(const lq_vm *vm, char *out);
    lq_buf scratch; /* JSON on its way into a response */
    lq_buf fields;  /* of a record, on their way into the queue */

    /* Whoever opened the vm: NULL, there is no hub. */
    struct lq_hub_member *hub;
    struct lq_subscriptions *subscriptions;
    struct lq_calls *calls;
    struct lq_answers *answers; /* of a service */
    lq_buf packed;              /* a value on its way into the hub */

    struct lq_wires *wires;             /* lib_tcp.c; NULL: none yet */
    struct lq_connections *connections; /* NULL: it is no worker's */
    struct lq_dbs *dbs;                 /* lib_db.c; NULL: none yet */
};

/* The state with its libraries, `script` not yet loaded. -ENOMEM: vm->L is
 * NULL. */
int lq_vm_open(lq_vm *vm, const lq_vm_cfg *cfg) LQ_MUST_CHECK;
/* All tasks must be over. */
void lq_vm_close(lq_vm *vm);

/* Tells cfg.on_stop, and the log by what and where it was asked for. Raises an
 * error where there is no worker. */
void lq_vm_stop(lua_State *L, const char *what);

/* After loading: the generational collector. */
void lq_vm_settle(lq_vm *vm);

/* What C does for a task that fails or is cancelled, outside any protected
 * call, may go beyond the limit: a refusal there would be a panic. */
void lq_vm_open_reserve(lq_vm *vm);
void lq_vm_shut_reserve(lq_vm *vm);

/* A task has run out of memory: a reserve beyond the limit is open, for its
 * report and its `<close>` variables, until relieve. */
void lq_vm_run_short(lq_vm *vm);
/* Behind the task, after run_short: collects all garbage, gives memory back and
 * shuts the reserve; calls on_full when too little came of it. */
void lq_vm_relieve(lq_vm *vm);

static inline lq_vm *lq_vm_of(lua_State *L)
{
    return *(lq_vm **)lua_getextraspace(L);
}

#endif

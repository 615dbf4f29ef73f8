/* task.h - tasks: coroutines that wait.
 *
 * Every piece of Lua runs in a task. What waits registers how the wait is
 * given up, yields a private mark, and is resumed by lq_task_wake. A mark
 * travels outwards through user coroutines (lib_coroutine.c). lua_resume
 * stands in task.c only.
 *
 * Owns:    the coroutine, for as long as the task lives, and then for the
 *          next one.
 * Thread:  the state's.
 * Life:    new -> run | ready -> (wait -> wake)* -> over: on_done is called
 *          once, and the task is recycled. cancel ends it at its wait: its
 *          coroutines are closed innermost first, pcall does not see it.
 * Knows:   vm, loop.
 */
#ifndef LQ_TASK_H
#define LQ_TASK_H

#include <lua.h>

#include "base/list.h"
#include "loop/timers.h"
#include "lua/vm.h"

typedef enum lq_task_state {
    LQ_TASK_IDLE,    /* in vm->idle_tasks */
    LQ_TASK_NEW,     /* its function is being pushed */
    LQ_TASK_READY,   /* in vm->ready */
    LQ_TASK_RUNNING, /* in vm->live */
    LQ_TASK_WAITING, /* in vm->live, suspended */
    LQ_TASK_CLOSING, /* <close> variables run */
} lq_task_state;

/* Something that ends with a task that fails or is cancelled, as nobody may be
 * left to end it. Embedded by value. */
typedef struct lq_task_ward {
    lq_list link; /* to be initialised; to be removed when it ends before */
    void (*on_over)(struct lq_task_ward *);
    bool is_within; /* a task that ends well ends it, too */
} lq_task_ward;

struct lq_task {
    lq_vm *vm;
    lua_State *co;
    lq_list link;
    lq_task_state state;
    bool is_cancelled; /* ends at its next wait */
    bool is_spent;     /* its coroutine cannot be used again */
    bool has_permit;   /* unpark came before park */
    lq_task *parent;   /* unparked should this one fail; NULL: nobody */
    lq_list children;
    lq_list sibling; /* among the parent's children */
    lq_list wards;
    int ref; /* anchors co in the registry */
    int start_args;
    lq_timer timer; /* of the wait at hand */
    int wait_err;   /* how it ended: 0, LQ_ETIMEOUT ... */

    /* Gives up what the task waits for; the task is not resumed. NULL: there
     * is nothing to give up. */
    void (*on_cancel)(lq_task *);
    void *wait; /* of who waits */

    /* The task is over. `status`: LUA_OK with the results on top of co,
     * an error with its value on top, LUA_YIELD when it was cancelled. */
    void (*on_done)(lq_task *, int status, int results);
    void *owner;   /* of whoever made it */
    void **handle; /* the shell in Lua that points here, or NULL */
};

int lq_tasks_init(lq_vm *vm);
/* Cancels every task; on_done of each is called. */
void lq_tasks_cancel(lq_vm *vm);
/* Frees the recycled ones. */
void lq_tasks_fini(lq_vm *vm);

/* A task; NULL when there is no memory. Push the function and its arguments
 * on task->co, then run or ready. on_done may be NULL: an error is logged. */
lq_task *lq_task_new(lq_vm *vm, void (*on_done)(lq_task *, int, int),
                     void *owner);

/* Gives back one that was not begun. */
void lq_task_drop(lq_task *t);

/* Runs it until it waits (true) or is over (false: t is not used any more).
 * Only from the loop, never inside Lua. */
bool lq_task_run(lq_task *t, int args);

/* Runs it later in this turn. */
void lq_task_ready(lq_task *t, int args);

/* The end of a wait; `err` is what lq_task_wait_result gives. */
void lq_task_wake(lq_task *t, int err);

/* Lets it go on that parks, now or next time. */
void lq_task_unpark(lq_task *t);

/* `parent` is unparked when `t`, which is new, fails or is cancelled: also when
 * there was no memory for its first step. Neither keeps the other alive. */
void lq_task_adopt(lq_task *t, lq_task *parent);

/* Borrows `ward` until the task is over: on_over is called, behind its
 * `<close>` variables, should it fail or be cancelled; or in any case. */
void lq_task_guard(lq_task *t, lq_task_ward *ward);

/* The outermost function on the stack of a coroutine; false: none has begun. */
bool lq_task_outermost(lua_State *co, lua_Debug *ar) LQ_MUST_CHECK;

/* Ends it: at once when it waits, at its next wait when it runs. Idempotent. */
void lq_task_cancel(lq_task *t);

/* The task of the running coroutine; raises when there is none. */
lq_task *lq_task_check(lua_State *L);

/* Raises when L cannot wait here; says why. Call before anything is begun. */
lq_task *lq_task_check_wait(lua_State *L);

/* lua_resetthread, under the watchdog. */
int lq_task_reset(lq_vm *vm, lua_State *co);

/* Waits: `return lq_task_wait(L, t, on_cancel, wait, k);`. k runs after the
 * wake-up with the stack as it is now. timeout_ms 0: no limit. */
int lq_task_wait(lua_State *L, lq_task *t, void (*on_cancel)(lq_task *),
                 void *wait, lua_KFunction k);
/* Waits for unpark; returns 0 at once when that came before. */
int lq_task_park(lua_State *L, lq_task *t, lua_KFunction k);
/* The wait at hand ends with LQ_ETIMEOUT at that time of the loop. */
int lq_task_deadline(lq_task *t, uint64_t at_ms) LQ_MUST_CHECK;

/* For lib_coroutine.c: resumes a user's coroutine as coroutine.resume does,
 * with `args` values on top of co. Returns LUA_OK, LUA_YIELD (with *results
 * values on top of co), an error, or LQ_TASK_PASSES: co waits, and the caller
 * must wait too. */
enum { LQ_TASK_PASSES = -1 };
int lq_task_resume(lua_State *co, lua_State *from, int args, int *results);
/* The caller of a waiting user coroutine waits along; L's index 1 is co. */
int lq_task_pass(lua_State *L, lua_KContext ctx, lua_KFunction k);
/* Whether `co` is suspended in a wait. */
bool lq_task_is_waiting(lua_State *co);

/* The error on top of co as text with the traceback of co; gives an lq_mem
 * string, or NULL. */
char *lq_task_error(lq_vm *vm, lua_State *co);

/* Logs the error on top of co with the traceback of co; `what` in front. */
void lq_task_log_error(lq_vm *vm, lua_State *co, const char *what);

/* The same as the message of a record that has other parts, too. */
void lq_task_log_record(lq_vm *vm, lua_State *co, lq_record *r);

#endif

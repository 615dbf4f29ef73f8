/* interrupt.c - see interrupt.h. */
#include "lua/interrupt.h"

#include <lauxlib.h>

#include "lua/vm.h"

enum {
    AGAIN_AFTER = 1000, /* instructions */
    PATIENT_ERRORS = 8,
};

/* A coroutine may keep the hook beyond its task: it takes it off then. */
static void on_instruction(lua_State *L, lua_Debug *ar)
{
    lq_running *r = &lq_vm_of(L)->running;
    int again_after;

    (void)ar;
    if (!lq_running_is_interrupted(r)) {
        lua_sethook(L, NULL, 0, 0);
        return;
    }
    /* Time to clean up after the first error. After the second one none: it may
     * have hit what a loop around pcall calls again and again, and the third
     * must hit the loop. After some of them no instruction passes any more, or
     * loops within loops would go on for ever. */
    again_after =
        r->errors % 2 || r->errors >= PATIENT_ERRORS ? 1 : AGAIN_AFTER;
    r->errors++;
    lua_sethook(L, on_instruction, LUA_MASKCOUNT, again_after);
    luaL_where(L, 0);
    lua_pushfstring(L,
                    "interrupted: it ran for %f s without waiting "
                    "(--busy-timeout); aq.sleep(0) lets others run",
                    r->limit_s);
    lua_concat(L, 2);
    lua_error(L);
}

void lq_interrupt_join(lua_State *co)
{
    lua_sethook(co, on_instruction, LUA_MASKCOUNT, 1);
}

void lq_interrupt(lq_running *r)
{
    int i, n = atomic_load_explicit(&r->count, memory_order_relaxed);

    atomic_signal_fence(memory_order_acquire);
    if (n == 0) return;
    r->errors = 0;
    atomic_store_explicit(&r->is_interrupted, true, memory_order_relaxed);
    for (i = 0; i < n && i < LQ_RUNNING_MAX; i++)
        lq_interrupt_join(r->states[i]);
}

void lq_interrupt_end(lq_running *r, lua_State *main)
{
    atomic_store_explicit(&r->is_interrupted, false, memory_order_relaxed);
    lua_sethook(main, NULL, 0, 0);
}

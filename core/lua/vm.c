/* vm.c - see vm.h.
 *
 * What has an effect on the whole process is taken from the app or given a
 * meaning that concerns its worker alone: os.exit drains the worker;
 * os.setlocale may only ask. os.execute and io.popen block the worker; they
 * stay, because nothing stands in for them.
 */
#include "lua/vm.h"

#include <errno.h>
#include <lauxlib.h>
#include <lualib.h>
#include <stdio.h>
#include <string.h>

#include "base/broken.h"
#include "base/mem.h"
#include "lua/db.h"
#include "lua/lib_source.h"
#include "lua/libs.h"
#include "lua/task.h"
#include "lua/tcp.h"

enum { MEMORY_RESERVE = 256 * 1024 };

/* ---- the standard library, made fit for a worker ------------------------- */

void lq_vm_stop(lua_State *L, const char *what)
{
    lq_vm *vm = lq_vm_of(L);

    if (!vm->cfg.on_stop)
        luaL_error(L, "%s, but no worker runs here that could end", what);
    luaL_traceback(L, L, what, 1);
    lq_log_printf(vm->cfg.log, LQ_LOG_WARN, "%s", lua_tostring(L, -1));
    lua_pop(L, 1);
    vm->cfg.on_stop(vm);
}

/* os.exit(): what aq.instance:stop() does. */
static int os_exit(lua_State *L)
{
    lq_vm_stop(L, "os.exit was called");
    return luaL_error(L, "os.exit: this worker drains and ends");
}

/* os.setlocale(locale): upvalue 1 is the stock function. */
static int os_setlocale(lua_State *L)
{
    if (!lua_isnoneornil(L, 1))
        return luaL_error(L, "os.setlocale would change every worker of the "
                             "process; only asking (nil) is possible");
    lua_settop(L, 2);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, 2, 1);
    return 1;
}

static void replace_os(lua_State *L)
{
    lua_getglobal(L, "os");
    lua_pushcfunction(L, os_exit);
    lua_setfield(L, -2, "exit");
    lua_getfield(L, -1, "setlocale");
    lua_pushcclosure(L, os_setlocale, 1);
    lua_setfield(L, -2, "setlocale");
    lua_pop(L, 1);
}

/* The functions of luaqueduct.core.coroutine over the stock ones. */
static void replace_coroutine(lua_State *L)
{
    luaL_requiref(L, "luaqueduct.core.coroutine",
                  luaopen_luaqueduct_core_coroutine, 0);
    lua_getglobal(L, "coroutine");
    for (lua_pushnil(L); lua_next(L, -3); lua_pop(L, 1)) {
        lua_pushvalue(L, -2);
        lua_pushvalue(L, -2);
        lua_settable(L, -5);
    }
    lua_pop(L, 2);
}

/* The runtime's own modules go in front of package.path, the C modules of the
 * tree that it is installed in in front of package.cpath. */
static void set_paths(lua_State *L, const char *lua_path, const char *lib_path)
{
    lua_getglobal(L, "package");
    lua_getfield(L, -1, "path");
    lua_pushfstring(L, "%s/?.lua;%s/?/init.lua;%s", lua_path, lua_path,
                    lua_tostring(L, -1));
    lua_setfield(L, -3, "path");
    if (*lib_path) {
        lua_getfield(L, -2, "cpath");
        lua_pushfstring(L, "%s/?.so;%s", lib_path, lua_tostring(L, -1));
        lua_setfield(L, -4, "cpath");
        lua_pop(L, 1);
    }
    lua_pop(L, 2);
}

static int open_libs(lua_State *L)
{
    const lq_vm *vm = lq_vm_of(L);

    luaL_openlibs(L);
    lq_libs_preload(L);
    replace_os(L);
    replace_coroutine(L);
    /* Their metatables are needed before anybody requires them. */
    luaL_requiref(L, "luaqueduct.core.request", luaopen_luaqueduct_core_request,
                  0);
    luaL_requiref(L, "luaqueduct.core.stream", luaopen_luaqueduct_core_stream,
                  0);
    lua_pop(L, 2);
    set_paths(L, vm->cfg.lua_path, vm->cfg.lib_path);
    lq_source_install(L);
    return 0;
}

/* ---- warnings ------------------------------------------------------------ */

/* An error in a __gc, or warn(): a record. A message comes in pieces. */
static void on_warn(void *ud, const char *message, int to_be_continued)
{
    lq_vm *vm = ud;
    size_t used = strlen(vm->warning);

    if (used == 0 && *message == '@') return; /* a control message */
    snprintf(vm->warning + used, sizeof vm->warning - used, "%s", message);
    if (to_be_continued) return;
    lq_log_printf(vm->cfg.log, LQ_LOG_WARN, "%s", vm->warning);
    vm->warning[0] = '\0';
}

/* ---- panic --------------------------------------------------------------- */

/* An error that nobody catches, as in a coroutine that a C module has made and
 * not resumed. Lua would abort the process. */
static int on_panic(lua_State *L)
{
    lq_vm *vm = lq_vm_of(L);
    char text[400];

    snprintf(text, sizeof text,
             "panic, an error outside any protected call: %s",
             lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1)
                                            : "(not a string)");
    if (vm->cfg.on_panic) vm->cfg.on_panic(vm, text);
    lq_broken_end(text);
}

/* ---- life ---------------------------------------------------------------- */

int lq_vm_open(lq_vm *vm, const lq_vm_cfg *cfg)
{
    int status;

    *vm = (lq_vm){.cfg = *cfg};
    lq_alloc_init(&vm->alloc);
    vm->alloc.limit = cfg->memory_limit;
    vm->L = lua_newstate(lq_alloc_lua, &vm->alloc);
    if (!vm->L) return -ENOMEM;
    *(lq_vm **)lua_getextraspace(vm->L) = vm;
    lua_setwarnf(vm->L, on_warn, vm);
    lua_atpanic(vm->L, on_panic);
    lua_gc(vm->L, LUA_GCSTOP);
    lua_pushcfunction(vm->L, open_libs);
    status = lua_pcall(vm->L, 0, 0, 0);
    if (status != LUA_OK) {
        if (status != LUA_ERRMEM)
            lq_log_printf(cfg->log, LQ_LOG_ERROR, "%s",
                          lua_tostring(vm->L, -1));
        lua_close(vm->L);
        lq_alloc_fini(&vm->alloc);
        vm->L = NULL;
        return -ENOMEM;
    }
    lua_gc(vm->L, LUA_GCRESTART);
    return lq_tasks_init(vm);
}

void lq_vm_settle(lq_vm *vm)
{
    lua_gc(vm->L, LUA_GCCOLLECT);
    lua_gc(vm->L, LUA_GCGEN, 0, 0);
}

void lq_vm_open_reserve(lq_vm *vm)
{
    vm->alloc.reserve = MEMORY_RESERVE;
}

void lq_vm_shut_reserve(lq_vm *vm)
{
    if (!vm->is_short) vm->alloc.reserve = 0;
}

void lq_vm_run_short(lq_vm *vm)
{
    lq_vm_open_reserve(vm);
    vm->is_short = true;
}

/* What is under way ends well all the same: there is an eighth more, once. */
static void tell_full(lq_vm *vm)
{
    if (vm->alloc.limit == vm->cfg.memory_limit)
        vm->alloc.limit += vm->cfg.memory_limit / 8;
    vm->cfg.on_full(vm);
}

void lq_vm_relieve(lq_vm *vm)
{
    const lq_alloc *a = &vm->alloc;

    vm->is_short = false;
    lua_gc(vm->L, LUA_GCCOLLECT);
    vm->alloc.reserve = 0;
    lq_alloc_trim(&vm->alloc);
    lq_mem_trim();
    if (a->limit && a->used > a->limit - a->limit / 10 && vm->cfg.on_full)
        tell_full(vm);
}

void lq_vm_close(lq_vm *vm)
{
    lq_tasks_fini(vm);
    lua_close(vm->L);
    lq_tcp_close(vm);
    lq_db_close(vm);
    LQ_ASSERT(vm->alloc.used == 0);
    lq_alloc_fini(&vm->alloc);
    lq_buf_fini(&vm->scratch);
    lq_buf_fini(&vm->fields);
    lq_buf_fini(&vm->packed);
    vm->L = NULL;
}

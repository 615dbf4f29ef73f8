/* lib_log.c - luaqueduct.core.log: records of the app.
 *
 * Owns:    nothing.
 * Thread:  that of the state.
 * Knows:   log, vm, fields, exchange (the length of an id).
 */
#include <lauxlib.h>

#include "lua/fields.h"
#include "lua/libs.h"
#include "lua/vm.h"
#include "net/exchange.h"

enum { KEPT_BYTES = 64 * 1024 }; /* of the buffer for fields */

static const char *const levels[] = {"debug", "info", "warn", "error", NULL};

/* The optional string at `idx`. */
static void put_string(lua_State *L, int idx, lq_record *r, lq_part part)
{
    if (!lua_isnoneornil(L, idx))
        r->parts[part].ptr = lua_tolstring(L, idx, &r->parts[part].len);
}

static void put_message(lua_State *L, int idx, lq_record *r)
{
    lq_str text;

    text.ptr = luaL_tolstring(L, idx, &text.len);
    lua_replace(L, idx);
    while (text.len > 0 && text.ptr[text.len - 1] == '\n') text.len--;
    lq_record_set_message(r, text);
}

/* log.write(level, message, fields?, logger?) */
static int log_write(lua_State *L)
{
    lq_vm *vm = lq_vm_of(L);
    lq_record r = {.level = (lq_log_level)luaL_checkoption(L, 1, NULL, levels)};
    char id[LQ_EXCHANGE_ID_CAP];
    size_t len;

    if (!lq_log_enabled(vm->cfg.log, r.level)) return 0;
    lua_settop(L, 4);
    put_message(L, 2, &r);
    put_string(L, 4, &r, LQ_PART_LOGGER);
    len = vm->request_id ? vm->request_id(vm, id) : 0;
    if (len) r.parts[LQ_PART_REQUEST] = (lq_str){id, len};
    if (lua_istable(L, 3)) {
        lq_fields_put(L, 3, vm->cfg.log->format, &vm->fields);
        if (lq_buf_len(&vm->fields) > 0)
            r.parts[LQ_PART_FIELDS] =
                (lq_str){lq_buf_ptr(&vm->fields), lq_buf_len(&vm->fields)};
    }
    lq_log_record(vm->cfg.log, &r);
    if (vm->fields.cap > KEPT_BYTES) lq_buf_fini(&vm->fields);
    return 0;
}

/* log.enabled(level) -> boolean */
static int log_enabled(lua_State *L)
{
    lq_log_level level = (lq_log_level)luaL_checkoption(L, 1, NULL, levels);

    lua_pushboolean(L, lq_log_enabled(lq_vm_of(L)->cfg.log, level));
    return 1;
}

static const luaL_Reg functions[] = {
    {"enabled", log_enabled},
    {"write", log_write},
    {NULL, NULL},
};

int luaopen_luaqueduct_core_log(lua_State *L)
{
    luaL_newlib(L, functions);
    return 1;
}

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

/* The upvalues of a writer. */
enum { UP_LEVEL = 1, UP_LOGGER, UP_NAME };

static void check_arguments(lua_State *L)
{
    int type = lua_type(L, 2);

    if (LQ_UNLIKELY(lua_type(L, 1) == LUA_TTABLE) &&
        lua_rawequal(L, 1, lua_upvalueindex(UP_LOGGER)))
        luaL_error(L, "call the logger with a dot: log.info(\xE2\x80\xA6)");
    if (LQ_UNLIKELY(type != LUA_TNIL && type != LUA_TTABLE))
        luaL_error(L, "the fields of a record must be a table, not a %s",
                   lua_typename(L, type));
}

/* The value at 1, which is replaced by its text. */
static void put_message(lua_State *L, lq_record *r)
{
    lq_str text;

    if (LQ_UNLIKELY(lua_type(L, 1) != LUA_TSTRING)) {
        luaL_tolstring(L, 1, NULL);
        lua_replace(L, 1);
    }
    text.ptr = lua_tolstring(L, 1, &text.len);
    while (text.len > 0 && text.ptr[text.len - 1] == '\n') text.len--;
    lq_record_set_message(r, text);
}

static void put_fields(lua_State *L, lq_vm *vm, lq_record *r)
{
    lq_fields_put(L, 2, vm->cfg.log->format, &vm->fields);
    if (lq_buf_len(&vm->fields) > 0)
        r->parts[LQ_PART_FIELDS] =
            (lq_str){lq_buf_ptr(&vm->fields), lq_buf_len(&vm->fields)};
}

/* writer(message, fields?) */
static int write_record(lua_State *L)
{
    lq_vm *vm = lq_vm_of(L);
    lq_log_level level =
        (lq_log_level)lua_tointeger(L, lua_upvalueindex(UP_LEVEL));
    lq_record r = {.level = level};
    char id[LQ_EXCHANGE_ID_CAP];
    lq_str name;

    lua_settop(L, 2);
    check_arguments(L);
    if (!lq_log_enabled(vm->cfg.log, level)) return 0;
    put_message(L, &r);
    if (!lua_isnil(L, 2)) put_fields(L, vm, &r);
    name.ptr = lua_tolstring(L, lua_upvalueindex(UP_NAME), &name.len);
    if (name.ptr) r.parts[LQ_PART_LOGGER] = name;
    if (vm->request_id) r.parts[LQ_PART_REQUEST].len = vm->request_id(vm, id);
    if (r.parts[LQ_PART_REQUEST].len) r.parts[LQ_PART_REQUEST].ptr = id;
    lq_log_record(vm->cfg.log, &r);
    if (vm->fields.cap > KEPT_BYTES) lq_buf_fini(&vm->fields);
    return 0;
}

/* log.writer(level, logger, name?) -> function */
static int log_writer(lua_State *L)
{
    lua_pushinteger(L, luaL_checkoption(L, 1, NULL, levels));
    luaL_checktype(L, 2, LUA_TTABLE);
    luaL_optstring(L, 3, NULL);
    lua_settop(L, 4);
    lua_replace(L, 1);
    lua_pushcclosure(L, write_record, 3);
    return 1;
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
    {"writer", log_writer},
    {NULL, NULL},
};

int luaopen_luaqueduct_core_log(lua_State *L)
{
    luaL_newlib(L, functions);
    return 1;
}

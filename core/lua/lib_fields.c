/* lib_fields.c - luaqueduct.core.fields: fields of records as text.
 *
 * Owns:    nothing.
 * Thread:  that of the state.
 * Knows:   fields, bufbox.
 */
#include <lauxlib.h>

#include "lua/bufbox.h"
#include "lua/fields.h"
#include "lua/libs.h"

static const char *const formats[] = {"text", "json", NULL};

/* fields.render(list, format?) -> string */
static int fields_render(lua_State *L)
{
    lq_log_format format =
        (lq_log_format)luaL_checkoption(L, 2, "text", formats);
    lq_buf *out;

    luaL_checktype(L, 1, LUA_TTABLE);
    out = lq_bufbox_push(L);
    lq_fields_put(L, 1, format, out);
    lq_bufbox_push_bytes(L, out);
    return 1;
}

static const luaL_Reg functions[] = {
    {"render", fields_render},
    {NULL, NULL},
};

int luaopen_luaqueduct_core_fields(lua_State *L)
{
    luaL_newlib(L, functions);
    return 1;
}

/* lib_pack.c - luaqueduct.core.pack.
 *
 * Owns:    a buffer that the calls of pack share.
 * Thread:  that of the state.
 * Knows:   pack, error.
 */
#include <lauxlib.h>

#include "lua/bufbox.h"
#include "lua/error.h"
#include "lua/libs.h"
#include "lua/pack.h"

/* pack.pack(value) -> string
 * Packing runs no Lua code, so nobody else can be at the buffer. */
static int pack_pack(lua_State *L)
{
    lq_buf *out = lua_touserdata(L, lua_upvalueindex(1));

    luaL_checkany(L, 1);
    lq_buf_clear(out);
    lq_pack(L, 1, out);
    lq_bufbox_push_bytes(L, out);
    return 1;
}

/* pack.unpack(bytes) -> value | nil, err */
static int pack_unpack(lua_State *L)
{
    lq_err err;
    lq_str in;

    in.ptr = luaL_checklstring(L, 1, &in.len);
    if (lq_unpack(L, in, &err) < 0)
        return lq_push_failure(L, LQ_EINVALID, err.text);
    return 1;
}

static const luaL_Reg functions[] = {
    {"pack", pack_pack},
    {"unpack", pack_unpack},
    {NULL, NULL},
};

int luaopen_luaqueduct_core_pack(lua_State *L)
{
    luaL_newlibtable(L, functions);
    lq_bufbox_push(L);
    luaL_setfuncs(L, functions, 1);
    return 1;
}

/* bufbox.c - see bufbox.h. */
#include "lua/bufbox.h"

#include <lauxlib.h>

#define BUFBOX "luaqueduct.bufbox"

enum { KEPT_MAX = 256 * 1024 };

/* An emptied buffer stays usable: a finalizer may run after this one. */
static int mt_gc(lua_State *L)
{
    lq_buf_fini(luaL_checkudata(L, 1, BUFBOX));
    return 0;
}

lq_buf *lq_bufbox_push(lua_State *L)
{
    lq_buf *b = lua_newuserdatauv(L, sizeof *b, 0);

    lq_buf_init(b);
    if (luaL_newmetatable(L, BUFBOX)) {
        lua_pushcfunction(L, mt_gc);
        lua_setfield(L, -2, "__gc");
    }
    lua_setmetatable(L, -2);
    return b;
}

void lq_bufbox_push_bytes(lua_State *L, lq_buf *b)
{
    lua_pushlstring(L, lq_buf_ptr(b), lq_buf_len(b));
    lq_buf_clear(b);
    if (b->cap > KEPT_MAX) lq_buf_fini(b);
}

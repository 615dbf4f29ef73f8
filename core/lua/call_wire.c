/* call_wire.c - see call_wire.h. */
#include "lua/call_wire.h"

#include <errno.h>
#include <lauxlib.h>

#include "lua/pack.h"

enum { KEEP_PACKED = 64 * 1024 }; /* bytes of memory between two calls */

int lq_call_put_head(lq_buf *out, const lq_call_head *h, const char *text)
{
    int err = lq_buf_append(out, h, sizeof *h);

    return err < 0 ? err : lq_buf_append(out, text, h->text_len);
}

/* The values from index `first` to the top, packed into `out`. Raises. */
void lq_call_pack(lua_State *L, int first, lq_buf *out)
{
    int i, top = lua_gettop(L);

    for (i = first; i <= top; i++) lq_pack(L, i, out);
}

/* Pushes `count` values out of `bytes`. Raises for memory. */
int lq_call_push(lua_State *L, lq_str bytes, uint32_t count)
{
    lq_err err;
    uint32_t i;

    luaL_checkstack(L, (int)count + LUA_MINSTACK, "too many values");
    for (i = 0; i < count; i++)
        if (lq_unpack_next(L, &bytes, &err) < 0) lua_pushnil(L);
    return (int)count;
}

/* A buffer for what is packed next. */
lq_buf *lq_call_scratch(lq_vm *vm)
{
    lq_buf_clear(&vm->packed);
    if (vm->packed.cap > KEEP_PACKED) lq_buf_fini(&vm->packed);
    return &vm->packed;
}

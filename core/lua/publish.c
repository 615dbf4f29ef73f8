/* publish.c - see publish.h. */
#include "lua/publish.h"

#include <errno.h>
#include <lauxlib.h>

#include "lua/connection.h"
#include "lua/pack.h"

enum { KEEP_PACKED = 64 * 1024 }; /* bytes of memory between two messages */

lq_str lq_pack_message(lua_State *L, int i)
{
    lq_vm *vm = lq_vm_of(L);

    lq_buf_clear(&vm->packed);
    if (vm->packed.cap > KEEP_PACKED) lq_buf_fini(&vm->packed);
    luaL_checkany(L, i);
    lq_pack(L, i, &vm->packed);
    return (lq_str){lq_buf_ptr(&vm->packed), lq_buf_len(&vm->packed)};
}

static int publish_here(lua_State *L, lq_str topic, int i, unsigned how,
                        const lq_session *except)
{
    lq_str s;

    if (lua_type(L, i) != LUA_TSTRING) return 0;
    s.ptr = lua_tolstring(L, i, &s.len);
    return lq_connections_publish(lq_vm_of(L)->connections, topic, s,
                                  how & LQ_HUB_BINARY, except);
}

int lq_publish(lua_State *L, lq_str topic, int i, unsigned how,
               const lq_session *except)
{
    lq_vm *vm = lq_vm_of(L);
    int count = lq_hub_publish(vm->hub, topic, lq_pack_message(L, i), how);

    if (count == -ENOMEM || publish_here(L, topic, i, how, except) < 0)
        return luaL_error(L, "not enough memory");
    return count < 0 ? 0 : count;
}

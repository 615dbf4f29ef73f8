/* connection_spec.c - see connection_spec.h. */
#include "lua/connection_spec.h"

#include <lauxlib.h>

#include "lua/args.h"
#include "lua/connection.h"

static int mt_spec_gc(lua_State *L)
{
    lq_connection_spec *spec = lua_touserdata(L, 1);
    int i;

    for (i = 0; i < LQ_CALLBACKS; i++)
        luaL_unref(L, LUA_REGISTRYINDEX, spec->callbacks[i]);
    luaL_unref(L, LUA_REGISTRYINDEX, spec->protocols);
    luaL_unref(L, LUA_REGISTRYINDEX, spec->origins);
    return 0;
}

/* Takes field `name` of the table at i, unless it is nil. */
static int ref_field(lua_State *L, int i, const char *name)
{
    if (lua_getfield(L, i, name) == LUA_TNIL) {
        lua_pop(L, 1);
        return LUA_NOREF;
    }
    return luaL_ref(L, LUA_REGISTRYINDEX);
}

lq_connection_spec *lq_push_connection_spec(lua_State *L, int i,
                                            const lq_session_kind *kind)
{
    static const char *const names[] = {"open", "message", "drain", "close"};
    lq_connection_spec *spec = lua_newuserdatauv(L, sizeof *spec, 0);
    int k;

    *spec = (lq_connection_spec){
        .protocols = LUA_NOREF, .origins = LUA_NOREF, .ref = LUA_NOREF};
    for (k = 0; k < LQ_CALLBACKS; k++) spec->callbacks[k] = LUA_NOREF;
    luaL_setmetatable(L, LQ_CONNECTION_SPEC_TYPE);
    spec->session.kind = kind;
    spec->session.max_message = (size_t)lq_integer_field(L, i, "max_message");
    spec->session.max_buffered = (size_t)lq_integer_field(L, i, "max_buffered");
    spec->session.quiet_ms = lq_ms_field(L, i, "quiet");
    lq_connection_serve(&spec->session);
    spec->limits.max_message = spec->session.max_message;
    for (k = 0; k < LQ_CALLBACKS; k++)
        spec->callbacks[k] = ref_field(L, i, names[k]);
    spec->protocols = ref_field(L, i, "protocols");
    spec->origins = ref_field(L, i, "origins");
    return spec;
}

static void set_count(lua_State *L, const char *name, uint64_t n)
{
    lua_pushinteger(L, (lua_Integer)n);
    lua_setfield(L, -2, name);
}

void lq_push_connection_stats(lua_State *L, const lq_connection_spec *spec)
{
    lua_createtable(L, 0, 5);
    set_count(L, "open", spec->count);
    set_count(L, "opened", spec->session.opened);
    set_count(L, "received", spec->session.received);
    set_count(L, "sent", spec->session.sent);
    set_count(L, "slow", spec->session.slow);
}

void lq_connection_spec_push_type(lua_State *L)
{
    if (luaL_newmetatable(L, LQ_CONNECTION_SPEC_TYPE)) {
        lua_pushcfunction(L, mt_spec_gc);
        lua_setfield(L, -2, "__gc");
    }
    lua_pop(L, 1);
}

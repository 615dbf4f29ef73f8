/* args.c - see args.h. */
#include "lua/args.h"

#include <lauxlib.h>
#include <math.h>

#include "hub/hub.h"

lq_str lq_check_str(lua_State *L, int i)
{
    lq_str s;

    s.ptr = luaL_checklstring(L, i, &s.len);
    return s;
}

lq_str lq_check_topic(lua_State *L, int i)
{
    lq_str topic;

    luaL_checktype(L, i, LUA_TSTRING);
    topic = lq_check_str(L, i);
    luaL_argcheck(L, topic.len > 0, i, "a topic must not be empty");
    luaL_argcheck(L, topic.len <= LQ_HUB_TOPIC_MAX, i,
                  "a topic has at most 255 bytes");
    return topic;
}

lua_Integer lq_integer_field(lua_State *L, int i, const char *name)
{
    lua_Integer n;

    lua_getfield(L, i, name);
    n = lua_tointeger(L, -1);
    lua_pop(L, 1);
    return n;
}

bool lq_boolean_field(lua_State *L, int i, const char *name)
{
    bool value;

    lua_getfield(L, i, name);
    value = lua_toboolean(L, -1);
    lua_pop(L, 1);
    return value;
}

uint64_t lq_ms_field(lua_State *L, int i, const char *name)
{
    lua_Number seconds;

    lua_getfield(L, i, name);
    seconds = lua_tonumber(L, -1);
    lua_pop(L, 1);
    return (uint64_t)ceil(seconds * 1000);
}

const char *lq_string_field(lua_State *L, int i, const char *name)
{
    const char *s;

    lua_getfield(L, i, name);
    s = lua_tostring(L, -1);
    lua_pop(L, 1);
    return s;
}

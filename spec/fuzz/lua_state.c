/* lua_state.c - see lua_state.h. */
#include "lua_state.h"

#include "fuzz.h"
#include "lua/json.h"

void fuzz_state_init(fuzz_state *s)
{
    lq_alloc_init(&s->alloc);
    s->L = lua_newstate(lq_alloc_lua, &s->alloc);
    FUZZ_CHECK(s->L);
}

void fuzz_state_fini(fuzz_state *s)
{
    lua_close(s->L);
    FUZZ_CHECK(s->alloc.used == 0);
    lq_alloc_fini(&s->alloc);
}

/* What luaL_checkstack says when there is no memory for the stack counts. */
static bool is_memory_error(lua_State *L, int status)
{
    const char *text = lua_tostring(L, -1);

    return status == LUA_ERRMEM || strstr(text, "not enough memory") ||
           strstr(text, "stack overflow");
}

bool fuzz_state_run(fuzz_state *s, lua_CFunction fn, void *arg, size_t room)
{
    int top = lua_gettop(s->L), status;

    luaL_checkstack(s->L, LUA_MINSTACK, NULL);
    lua_pushcfunction(s->L, fn);
    lua_pushlightuserdata(s->L, arg);
    if (room) s->alloc.limit = s->alloc.used + room;
    status = lua_pcall(s->L, 1, LUA_MULTRET, 0);
    s->alloc.limit = 0;
    if (status == LUA_OK) return true;
    FUZZ_CHECK(room && is_memory_error(s->L, status));
    lua_settop(s->L, top);
    return false;
}

/* ---- values -------------------------------------------------------------- */

static lua_Integer count_entries(lua_State *L, int table)
{
    lua_Integer count = 0;

    for (lua_pushnil(L); lua_next(L, table); count++) lua_pop(L, 1);
    return count;
}

/* May leave a key on the stack. */
static bool is_same_table(lua_State *L, int a, int b)
{
    bool is_same = lq_json_is_array(L, a) == lq_json_is_array(L, b) &&
                   count_entries(L, a) == count_entries(L, b);

    luaL_checkstack(L, LUA_MINSTACK, NULL);
    lua_pushnil(L);
    while (is_same && lua_next(L, a)) {
        lua_pushvalue(L, -2);
        lua_rawget(L, b);
        is_same = fuzz_is_same_value(L, lua_gettop(L) - 1, lua_gettop(L));
        lua_pop(L, 2);
    }
    return is_same;
}

bool fuzz_is_same_value(lua_State *L, int a, int b)
{
    int top = lua_gettop(L);
    double x, y;
    bool is_same;

    if (lua_type(L, a) != lua_type(L, b)) return false;
    switch (lua_type(L, a)) {
    case LUA_TTABLE:
        is_same = is_same_table(L, a, b);
        lua_settop(L, top);
        return is_same;
    case LUA_TNUMBER:
        if (lua_isinteger(L, a) || lua_isinteger(L, b))
            return lua_isinteger(L, a) && lua_isinteger(L, b) &&
                   lua_rawequal(L, a, b);
        x = lua_tonumber(L, a);
        y = lua_tonumber(L, b);
        return memcmp(&x, &y, sizeof x) == 0; /* NaN and -0, too */
    default: return lua_rawequal(L, a, b);
    }
}

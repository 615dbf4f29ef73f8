/* lib_log.c - records, lines and the sink of the log for the specs.
 *
 * Owns:    a sink userdata: its descriptor.
 * Thread:  none.
 * Life:    a Lua module without state.
 * Knows:   log, lua.
 */
#include <lauxlib.h>
#include <lua.h>

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "log/record.h"
#include "log/render.h"
#include "log/sink.h"

int luaopen_spec_log(lua_State *L);

#define SINK_TYPE "spec.log.sink"

/* ---- records ------------------------------------------------------------- */

static const char *const part_names[LQ_PARTS] = {
    [LQ_PART_LOGGER] = "logger", [LQ_PART_MESSAGE] = "message",
    [LQ_PART_METHOD] = "method", [LQ_PART_TARGET] = "target",
    [LQ_PART_REMOTE] = "remote", [LQ_PART_REQUEST] = "request",
    [LQ_PART_FIELDS] = "fields", [LQ_PART_TRACEBACK] = "traceback",
};

static uint64_t number_of(lua_State *L, const char *key)
{
    lua_Integer value;

    lua_getfield(L, 1, key);
    value = luaL_optinteger(L, -1, 0);
    lua_pop(L, 1);
    return (uint64_t)value;
}

/* Its strings live as long as the table at 1. */
static void read_record(lua_State *L, lq_record *r, lq_origin *origin)
{
    static const char *const kinds[] = {"plain", "access", "dropped", NULL};
    const char *who;
    int i;

    luaL_checktype(L, 1, LUA_TTABLE);
    lua_getfield(L, 1, "kind");
    *r = (lq_record){
        .kind = (lq_record_kind)luaL_checkoption(L, -1, "plain", kinds)};
    lua_getfield(L, 1, "level");
    r->level = (lq_log_level)lq_log_level_from(luaL_optstring(L, -1, "info"));
    r->at_ns = number_of(L, "at_ns");
    r->status = number_of(L, "status");
    r->bytes = number_of(L, "bytes");
    r->duration_us = number_of(L, "duration_us");
    r->dropped = number_of(L, "dropped");
    lua_getfield(L, 1, "who");
    who = luaL_optstring(L, -1, "w1");
    *origin = (lq_origin){.worker = (int)number_of(L, "worker")};
    strncpy(origin->who, who, sizeof origin->who - 1);
    r->origin = origin;
    for (i = 0; i < LQ_PARTS; i++) {
        lua_getfield(L, 1, part_names[i]);
        if (!lua_isnil(L, -1))
            r->parts[i].ptr = lua_tolstring(L, -1, &r->parts[i].len);
    }
    lua_settop(L, 3);
}

/* Packs and unpacks it, in memory that is exactly as large as it must be. */
static char *pass_through(lq_record *r)
{
    size_t size = lq_record_size(r);
    uint64_t dropped = r->dropped;
    char *bytes = malloc(size);

    lq_record_pack(r, bytes);
    if (lq_record_unpack(r, bytes) != size) abort();
    r->dropped = dropped;
    return bytes;
}

/* log.line(record, format, is_coloured?) -> string */
static int log_line(lua_State *L)
{
    lq_render render = {
        .format =
            (lq_log_format)lq_log_format_from(luaL_optstring(L, 2, "text")),
        .is_coloured = lua_toboolean(L, 3),
    };
    lq_origin origin;
    lq_record r;
    lq_buf out;
    char *bytes;
    int err;

    read_record(L, &r, &origin);
    bytes = pass_through(&r);
    lq_buf_init(&out);
    err = lq_render_line(&render, &r, &out);
    if (err == 0) lua_pushlstring(L, lq_buf_ptr(&out), lq_buf_len(&out));
    lq_buf_fini(&out);
    free(bytes);
    return err == 0 ? 1 : luaL_error(L, "not enough memory");
}

/* log.split(text) -> message, traceback | nil */
static int log_split(lua_State *L)
{
    lq_record r = {0};
    lq_str text;

    text.ptr = luaL_checklstring(L, 1, &text.len);
    lq_record_set_message(&r, text);
    lua_pushlstring(L, r.parts[LQ_PART_MESSAGE].ptr,
                    r.parts[LQ_PART_MESSAGE].len);
    if (r.parts[LQ_PART_TRACEBACK].ptr)
        lua_pushlstring(L, r.parts[LQ_PART_TRACEBACK].ptr,
                        r.parts[LQ_PART_TRACEBACK].len);
    else
        lua_pushnil(L);
    return 2;
}

/* ---- the sink ------------------------------------------------------------ */

typedef struct box {
    lq_sink sink;
    char *path;
    int patience; /* how often a stuck reader is waited for */
    bool reopens; /* when it is not waited for any more */
    bool is_open;
} box;

static bool on_stuck(void *data)
{
    box *b = data;

    if (b->patience-- > 0) return true;
    if (b->reopens) lq_sink_ask_reopen(&b->sink);
    b->reopens = false;
    return false;
}

static box *check_box(lua_State *L)
{
    box *b = luaL_checkudata(L, 1, SINK_TYPE);

    luaL_argcheck(L, b->is_open, 1, "the sink is closed");
    return b;
}

/* log.sink(path, rotate_size?, keep?) -> sink | nil, err */
static int log_sink(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1);
    lq_sink_cfg cfg = {
        .rotate_size = (uint64_t)luaL_optinteger(L, 2, 0),
        .rotate_keep = (int)luaL_optinteger(L, 3, 5),
        .goes_on = on_stuck,
    };
    box *b = lua_newuserdatauv(L, sizeof *b, 0);
    lq_err err;

    *b = (box){.path = strdup(path)};
    luaL_setmetatable(L, SINK_TYPE);
    cfg.path = b->path;
    cfg.data = b;
    if (lq_sink_open(&b->sink, &cfg, &err) < 0) {
        lua_pushnil(L);
        lua_pushstring(L, err.text);
        return 2;
    }
    b->is_open = true;
    return 1;
}

/* sink:write(lines) -> how many bytes stand there, the error's name | nil */
static int m_write(lua_State *L)
{
    box *b = check_box(L);
    lq_str lines;

    lines.ptr = luaL_checklstring(L, 2, &lines.len);
    lua_pushinteger(L,
                    (lua_Integer)lq_sink_write(&b->sink, lines.ptr, lines.len));
    if (b->sink.error == 0) return 1;
    lua_pushstring(L, lq_err_name(b->sink.error));
    return 2;
}

/* sink:patience(count, reopens?): how often a stuck reader is waited for */
static int m_patience(lua_State *L)
{
    box *b = check_box(L);

    b->patience = (int)luaL_checkinteger(L, 2);
    b->reopens = lua_toboolean(L, 3);
    return 0;
}

/* sink:check() */
static int m_check(lua_State *L)
{
    lq_sink_check(&check_box(L)->sink);
    return 0;
}

/* sink:reopen() */
static int m_reopen(lua_State *L)
{
    (void)!lq_sink_reopen(&check_box(L)->sink);
    return 0;
}

/* sink:fd() -> descriptor, -1: none */
static int m_fd(lua_State *L)
{
    lua_pushinteger(L, check_box(L)->sink.fd);
    return 1;
}

/* sink:close() */
static int m_close(lua_State *L)
{
    box *b = luaL_checkudata(L, 1, SINK_TYPE);

    if (b->is_open) lq_sink_close(&b->sink);
    b->is_open = false;
    free(b->path);
    b->path = NULL;
    return 0;
}

/* ---- the module ---------------------------------------------------------- */

static const luaL_Reg functions[] = {
    {"line", log_line},
    {"sink", log_sink},
    {"split", log_split},
    {NULL, NULL},
};

static const luaL_Reg methods[] = {
    {"check", m_check},   {"close", m_close},
    {"fd", m_fd},         {"patience", m_patience},
    {"reopen", m_reopen}, {"write", m_write},
    {NULL, NULL},
};

int luaopen_spec_log(lua_State *L)
{
    if (luaL_newmetatable(L, SINK_TYPE)) {
        luaL_newlib(L, methods);
        lua_setfield(L, -2, "__index");
        lua_pushcfunction(L, m_close);
        lua_setfield(L, -2, "__gc");
        lua_pushcfunction(L, m_close);
        lua_setfield(L, -2, "__close");
    }
    luaL_newlib(L, functions);
    return 1;
}

/* json_decode.c - decoding; see json.h.
 *
 * yajl reads the text and calls back for each part of it. What it leaves open
 * is closed here: invalid UTF-8, escapes of half a surrogate pair, VT and FF as
 * blanks (before), and a string that begins behind the value (after).
 *
 * Everything runs in one protected call. Callbacks may raise (memory), and so
 * may yajl's allocations, which it does not check itself: its blocks stand in
 * a list of ours, and are freed after the call, however it ended.
 *
 * The parts of a table stay on the Lua stack until it is over or has
 * BUFFERED_MAX of them, so that most tables are made in their final size.
 */
#include "lua/json.h"

#include <stdio.h>
#include <stdlib.h>

#include <lauxlib.h>
#include <yajl/yajl_parse.h>

#include "base/list.h"
#include "base/mem.h"
#include "base/number.h"
#include "base/utf8.h"

enum {
    BUFFERED_MAX = 32, /* of the elements or members of one table */
    ARRAY_MT = 2,      /* stack index */
};

/* A table that has begun. */
typedef struct level {
    int slot; /* stack index: nil, or the table once it is made */
    int count;
    bool is_object;
    bool has_table;
} level;

typedef struct decoder {
    lua_State *L;
    lq_str in;
    lq_err *err;
    int code; /* 0 or what is wrong */
    int depth;
    bool is_read; /* yajl has had all of it */
    size_t end;   /* of the outermost value, once it is there */
    yajl_handle yajl;
    lq_list blocks;
    level levels[LQ_JSON_DEPTH];
} decoder;

/* ---- yajl's memory ------------------------------------------------------- */

typedef union block {
    lq_list link;
    max_align_t align;
} block;

static void *keep_block(decoder *d, block *b)
{
    if (!b) luaL_error(d->L, "not enough memory");
    lq_list_push_back(&d->blocks, &b->link);
    return b + 1;
}

static void *on_malloc(void *ctx, size_t len)
{
    return keep_block(ctx, lq_mem_alloc(sizeof(block) + len));
}

static void on_free(void *ctx, void *ptr)
{
    block *b = ptr;

    (void)ctx;
    if (!b) return;
    lq_list_remove(&b[-1].link);
    lq_mem_free(b - 1);
}

/* The old block leaves its list only when there is a new one. */
static void *on_realloc(void *ctx, void *ptr, size_t len)
{
    decoder *d = ctx;
    block *b = ptr;
    lq_list *before;

    if (!b) return on_malloc(ctx, len);
    before = (--b)->link.prev;
    lq_list_remove(&b->link);
    ptr = lq_mem_realloc(b, sizeof(block) + len);
    if (!ptr) lq_list_push_back(before, &b->link);
    return keep_block(d, ptr);
}

static void free_blocks(decoder *d)
{
    lq_list *link;

    while ((link = lq_list_pop_front(&d->blocks)))
        lq_mem_free(LQ_CONTAINER_OF(link, block, link));
}

/* ---- errors -------------------------------------------------------------- */

static int fail_at(decoder *d, size_t byte, const char *what)
{
    d->code = lq_err_set(d->err, LQ_EINVALID, "invalid JSON at byte %zu: %s",
                         byte, what);
    return 0;
}

/* How many bytes yajl has read. At the end it reads a blank of its own: that
 * does not count. */
static size_t read_len(const decoder *d)
{
    return d->is_read ? d->in.len : yajl_get_bytes_consumed(d->yajl);
}

/* yajl stopped where it is, or stops when a callback returns this. */
static int stop(decoder *d, const char *what)
{
    return fail_at(d, read_len(d), what);
}

/* What yajl says: "parse error: unallowed token at ...\n". */
static void fail_of_yajl(decoder *d)
{
    unsigned char *text = yajl_get_error(d->yajl, 0, NULL, 0);
    char *what = strstr((char *)text, ": ");

    what = what ? what + 2 : (char *)text;
    what[strcspn(what, ".\n")] = '\0';
    stop(d, what);
}

/* ---- values -------------------------------------------------------------- */

/* Puts the table of `l` into its slot, with what has been buffered. Of two
 * equal names the later one counts. */
static void make_table(decoder *d, level *l, int room)
{
    int i, at = l->slot;

    lua_createtable(d->L, l->is_object ? 0 : room, l->is_object ? room : 0);
    lua_replace(d->L, l->slot);
    if (l->is_object) {
        for (i = 0; i < l->count; i++) {
            lua_pushvalue(d->L, ++at);
            lua_pushvalue(d->L, ++at);
            lua_rawset(d->L, l->slot);
        }
        lua_settop(d->L, l->slot);
    } else {
        lua_pushvalue(d->L, ARRAY_MT);
        lua_setmetatable(d->L, l->slot);
        for (i = l->count; i > 0; i--) lua_rawseti(d->L, l->slot, i);
    }
    l->has_table = true;
}

/* A value is on top of the stack: it goes where it belongs. */
static int settle(decoder *d)
{
    level *l;

    if (!d->depth) {
        d->end = read_len(d);
        return 1;
    }
    l = &d->levels[d->depth - 1];
    l->count++;
    if (l->has_table) {
        if (l->is_object)
            lua_rawset(d->L, l->slot);
        else
            lua_rawseti(d->L, l->slot, l->count);
    } else if (l->count == BUFFERED_MAX) {
        make_table(d, l, 2 * BUFFERED_MAX);
    }
    return 1;
}

static int begin(decoder *d, bool is_object)
{
    if (d->depth == LQ_JSON_DEPTH) return stop(d, "more than 200 levels");
    luaL_checkstack(d->L, 2 * BUFFERED_MAX + LUA_MINSTACK, "JSON");
    lua_pushnil(d->L);
    d->levels[d->depth++] =
        (level){.slot = lua_gettop(d->L), .is_object = is_object};
    return 1;
}

static int end(void *ctx)
{
    decoder *d = ctx;
    level *l = &d->levels[d->depth - 1];

    if (!l->has_table) make_table(d, l, l->count);
    d->depth--;
    return settle(d);
}

static int on_start_map(void *ctx)
{
    return begin(ctx, true);
}

static int on_start_array(void *ctx)
{
    return begin(ctx, false);
}

static int on_null(void *ctx)
{
    decoder *d = ctx;

    lua_pushlightuserdata(d->L, NULL);
    return settle(d);
}

static int on_boolean(void *ctx, int is_true)
{
    decoder *d = ctx;

    lua_pushboolean(d->L, is_true);
    return settle(d);
}

static int on_number(void *ctx, const char *text, size_t len)
{
    decoder *d = ctx;
    lq_number n;
    int err = lq_number_read((lq_str){text, len}, &n);

    if (err == LQ_ETOOLARGE) return stop(d, "a number beyond all floats");
    if (err < 0) luaL_error(d->L, "not enough memory");
    if (n.is_float)
        lua_pushnumber(d->L, n.real);
    else
        lua_pushinteger(d->L, n.integer);
    return settle(d);
}

static int on_key(void *ctx, const unsigned char *text, size_t len)
{
    decoder *d = ctx;

    lua_pushlstring(d->L, (const char *)text, len);
    return 1;
}

static int on_string(void *ctx, const unsigned char *text, size_t len)
{
    on_key(ctx, text, len);
    return settle(ctx);
}

static const yajl_callbacks callbacks = {
    .yajl_null = on_null,
    .yajl_boolean = on_boolean,
    .yajl_number = on_number,
    .yajl_string = on_string,
    .yajl_start_map = on_start_map,
    .yajl_map_key = on_key,
    .yajl_end_map = end,
    .yajl_start_array = on_start_array,
    .yajl_end_array = end,
};

/* ---- what yajl lets pass ------------------------------------------------- */

static unsigned hex_value(char c)
{
    if (c >= '0' && c <= '9') return (unsigned)(c - '0');
    c |= 32;
    return c >= 'a' && c <= 'f' ? (unsigned)(c - 'a' + 10) : 0;
}

/* The code unit of the \uXXXX at `at`, 0 when none stands there. A wrong
 * digit is left to yajl. */
static unsigned escape_at(lq_str s, size_t at)
{
    unsigned unit = 0;
    size_t i;

    if (s.len < 6 || at > s.len - 6) return 0;
    if (s.ptr[at] != '\\' || s.ptr[at + 1] != 'u') return 0;
    for (i = at + 2; i < at + 6; i++) unit = unit << 4 | hex_value(s.ptr[i]);
    return unit;
}

/* Backslashes stand in strings only; elsewhere yajl refuses them. Returns 0
 * or the number of the byte where half a surrogate pair begins. */
static size_t find_lone_surrogate(lq_str s)
{
    const char *p;
    size_t at = 0;
    unsigned unit;

    while (at < s.len && (p = memchr(s.ptr + at, '\\', s.len - at))) {
        at = (size_t)(p - s.ptr);
        unit = escape_at(s, at);
        if (unit < 0xD800 || unit > 0xDFFF) {
            at += 2;
            continue;
        }
        if (unit >= 0xDC00 || (escape_at(s, at + 6) & 0xFC00) != 0xDC00)
            return at + 1;
        at += 12;
    }
    return 0;
}

/* Inside a string they are control characters: they stand nowhere. Returns 0
 * or the number of the first such byte. */
static size_t find_false_blank(lq_str s)
{
    const char *p = s.len ? memchr(s.ptr, '\v', s.len) : NULL;

    if (!p && s.len) p = memchr(s.ptr, '\f', s.len);
    return p ? (size_t)(p - s.ptr) + 1 : 0;
}

static void check_before(decoder *d)
{
    size_t valid = lq_utf8_prefix(d->in), lone, blank;

    if (valid < d->in.len) {
        fail_at(d, valid + 1, "not UTF-8");
        return;
    }
    lone = find_lone_surrogate(d->in);
    if (lone) fail_at(d, lone, "half of a surrogate pair");
    blank = find_false_blank(d->in);
    if (blank) fail_at(d, blank, "invalid char in json text");
}

static void check_after(decoder *d)
{
    size_t at = d->end;

    while (at < d->in.len && memchr(" \t\r\n", d->in.ptr[at], 4)) at++;
    if (at < d->in.len) fail_at(d, at + 1, "trailing garbage");
}

/* ---- the whole ----------------------------------------------------------- */

/* Leaves the value on top of the stack unless d->code says what is wrong. */
static int decode(lua_State *L)
{
    decoder *d = lua_touserdata(L, 1);
    yajl_alloc_funcs memory = {on_malloc, on_realloc, on_free, d};
    yajl_status status;

    lq_json_push_array_mt(L); /* stack: decoder, array metatable */
    d->yajl = yajl_alloc(&callbacks, &memory, d);
    yajl_config(d->yajl, yajl_dont_validate_strings, 1);
    status = yajl_parse(d->yajl, (const unsigned char *)d->in.ptr, d->in.len);
    if (status == yajl_status_ok) {
        d->is_read = true;
        status = yajl_complete_parse(d->yajl);
    }
    if (status == yajl_status_error) fail_of_yajl(d);
    if (status == yajl_status_ok) check_after(d);
    if (d->code < 0) lua_pushnil(L);
    return 1;
}

int lq_json_decode(lua_State *L, lq_str in, lq_err *err)
{
    decoder d = {.L = L, .in = in, .err = err};
    int status;

    check_before(&d);
    if (d.code < 0) return d.code;
    luaL_checkstack(L, LUA_MINSTACK, "JSON");
    lq_list_init(&d.blocks);
    lua_pushcfunction(L, decode);
    lua_pushlightuserdata(L, &d);
    status = lua_pcall(L, 1, 1, 0);
    free_blocks(&d);
    if (status != LUA_OK) lua_error(L);
    if (d.code < 0) lua_pop(L, 1);
    return d.code;
}

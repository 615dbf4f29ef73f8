/* json_oracle.c - see json_oracle.h. */
#include "json_oracle.h"

#include <ctype.h>
#include <errno.h>
#include <lauxlib.h>
#include <math.h>

#include "base/utf8.h"
#include "fuzz.h"
#include "lua/json.h"

typedef struct reader {
    lua_State *L;
    const char *at; /* a NUL stands behind the end */
    const char *end;
    int depth;
} reader;

static bool push_value(reader *r);

static void skip_blank(reader *r)
{
    while (*r->at && strchr(" \t\r\n", *r->at)) r->at++;
}

static bool take(reader *r, const char *text)
{
    size_t len = strlen(text);

    if (strncmp(r->at, text, len) != 0) return false;
    r->at += len;
    return true;
}

/* ---- strings ------------------------------------------------------------- */

/* Four hexadecimal digits; -1: there are none. */
static long take_unit(reader *r)
{
    char digits[5] = "";
    int i;

    for (i = 0; i < 4; i++) {
        if (!isxdigit((unsigned char)*r->at)) return -1;
        digits[i] = *r->at++;
    }
    return strtol(digits, NULL, 16);
}

static void add_utf8(luaL_Buffer *b, unsigned long c)
{
    if (c < 0x80) {
        luaL_addchar(b, (char)c);
    } else if (c < 0x800) {
        luaL_addchar(b, (char)(0xc0 | c >> 6));
        luaL_addchar(b, (char)(0x80 | (c & 0x3f)));
    } else if (c < 0x10000) {
        luaL_addchar(b, (char)(0xe0 | c >> 12));
        luaL_addchar(b, (char)(0x80 | (c >> 6 & 0x3f)));
        luaL_addchar(b, (char)(0x80 | (c & 0x3f)));
    } else {
        luaL_addchar(b, (char)(0xf0 | c >> 18));
        luaL_addchar(b, (char)(0x80 | (c >> 12 & 0x3f)));
        luaL_addchar(b, (char)(0x80 | (c >> 6 & 0x3f)));
        luaL_addchar(b, (char)(0x80 | (c & 0x3f)));
    }
}

static bool add_unicode(reader *r, luaL_Buffer *b)
{
    long high = take_unit(r), low;

    if (high < 0 || (high >= 0xdc00 && high <= 0xdfff)) return false;
    if (high < 0xd800 || high > 0xdfff) {
        add_utf8(b, (unsigned long)high);
        return true;
    }
    if (!take(r, "\\u")) return false;
    low = take_unit(r);
    if (low < 0xdc00 || low > 0xdfff) return false;
    add_utf8(b, 0x10000 + ((unsigned long)(high - 0xd800) << 10) +
                    (unsigned long)(low - 0xdc00));
    return true;
}

/* What follows a backslash. */
static bool add_escape(reader *r, luaL_Buffer *b)
{
    static const char letters[] = "\"\\/bfnrt", bytes[] = "\"\\/\b\f\n\r\t";
    const char *letter;

    if (take(r, "u")) return add_unicode(r, b);
    letter = *r->at ? strchr(letters, *r->at) : NULL;
    if (!letter) return false;
    r->at++;
    luaL_addchar(b, bytes[letter - letters]);
    return true;
}

/* Behind the quotation mark; on failure there is something on the stack. */
static bool push_string(reader *r)
{
    luaL_Buffer b;
    bool is_good = true;

    luaL_buffinit(r->L, &b);
    while (is_good && *r->at != '"') {
        if ((unsigned char)*r->at < 0x20)
            is_good = false; /* the end of all, too */
        else if (take(r, "\\"))
            is_good = add_escape(r, &b);
        else
            luaL_addchar(&b, *r->at++);
    }
    luaL_pushresult(&b);
    return is_good && take(r, "\"");
}

/* ---- numbers ------------------------------------------------------------- */

static bool skip_digits(reader *r)
{
    const char *start = r->at;

    while (isdigit((unsigned char)*r->at)) r->at++;
    return r->at > start;
}

static bool push_integer_or_float(lua_State *L, const char *text, bool is_int)
{
    long long i;
    double f;

    errno = 0;
    i = strtoll(text, NULL, 10);
    if (is_int && errno == 0) {
        lua_pushinteger(L, i);
        return true;
    }
    f = strtod(text, NULL);
    lua_pushnumber(L, f);
    return !isinf(f);
}

static bool push_number(reader *r)
{
    const char *start = r->at;
    bool is_int = true;

    take(r, "-");
    if (!take(r, "0") && !skip_digits(r)) return false;
    if (take(r, ".")) {
        is_int = false;
        if (!skip_digits(r)) return false;
    }
    if (take(r, "e") || take(r, "E")) {
        is_int = false;
        if (!take(r, "-")) take(r, "+");
        if (!skip_digits(r)) return false;
    }
    return push_integer_or_float(r->L, start, is_int);
}

/* ---- tables -------------------------------------------------------------- */

static bool push_array(reader *r)
{
    lua_Integer i;

    lua_newtable(r->L);
    lq_json_push_array_mt(r->L);
    lua_setmetatable(r->L, -2);
    skip_blank(r);
    if (take(r, "]")) return true;
    for (i = 1; push_value(r); i++) {
        lua_rawseti(r->L, -2, i);
        if (!take(r, ",")) return take(r, "]");
    }
    return false;
}

static bool push_object(reader *r)
{
    lua_newtable(r->L);
    skip_blank(r);
    if (take(r, "}")) return true;
    do {
        skip_blank(r);
        if (!take(r, "\"") || !push_string(r)) return false;
        skip_blank(r);
        if (!take(r, ":") || !push_value(r)) return false;
        lua_rawset(r->L, -3);
    } while (take(r, ","));
    return take(r, "}");
}

/* ---- values -------------------------------------------------------------- */

static bool push_table(reader *r, bool (*push)(reader *))
{
    bool is_good = r->depth < LQ_JSON_DEPTH;

    luaL_checkstack(r->L, LUA_MINSTACK, NULL);
    r->depth++;
    is_good = is_good && push(r);
    r->depth--;
    return is_good;
}

static bool push_word(reader *r)
{
    if (take(r, "true"))
        lua_pushboolean(r->L, true);
    else if (take(r, "false"))
        lua_pushboolean(r->L, false);
    else if (take(r, "null"))
        lua_pushlightuserdata(r->L, NULL);
    else
        return false;
    return true;
}

/* The value with the blanks around it. On failure there may be something on
 * the stack. */
static bool push_value(reader *r)
{
    bool is_good;

    skip_blank(r);
    if (take(r, "["))
        is_good = push_table(r, push_array);
    else if (take(r, "{"))
        is_good = push_table(r, push_object);
    else if (take(r, "\""))
        is_good = push_string(r);
    else if (*r->at == '-' || isdigit((unsigned char)*r->at))
        is_good = push_number(r);
    else
        is_good = push_word(r);
    skip_blank(r);
    return is_good;
}

bool json_oracle_push(lua_State *L, lq_str in)
{
    char *copy = malloc(in.len + 1);
    reader r = {.L = L, .at = copy, .end = copy + in.len};
    int top = lua_gettop(L);
    bool is_good;

    FUZZ_CHECK(copy);
    if (in.len) memcpy(copy, in.ptr, in.len);
    copy[in.len] = '\0';
    is_good = push_value(&r) && r.at == r.end && lq_utf8_valid(in);
    if (!is_good) lua_settop(L, top);
    free(copy);
    return is_good;
}

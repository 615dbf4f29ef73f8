/* pgvalue.c - see pgvalue.h. Arrays stand in pgarray.c. */
#include "lua/pgvalue.h"

#include <arpa/inet.h>
#include <errno.h>
#include <lauxlib.h>
#include <libpq-fe.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "base/mem.h"
#include "base/number.h"
#include "lua/error.h"
#include "lua/json.h"
#include "lua/pgarray.h"

/* ---- parameters --------------------------------------------------------- */

static void put(lua_State *L, lq_buf *out, const void *bytes, size_t len)
{
    if (lq_buf_append(out, bytes, len) < 0) luaL_error(L, "not enough memory");
}

static void put_binary_int(lua_State *L, lq_buf *out, lua_Integer v, int len)
{
    unsigned char bytes[8];
    int i;

    for (i = 0; i < len; i++)
        bytes[i] = (unsigned char)((uint64_t)v >> (8 * (len - 1 - i)));
    put(L, out, bytes, (size_t)len);
}

/* The server refuses in its own words what does not fit. */
static bool put_fitting_int(lua_State *L, lq_buf *out, uint32_t oid,
                            lua_Integer v)
{
    if (oid == LQ_PGOID_INT8)
        put_binary_int(L, out, v, 8);
    else if (oid == LQ_PGOID_INT4 && v >= INT32_MIN && v <= INT32_MAX)
        put_binary_int(L, out, v, 4);
    else if (oid == LQ_PGOID_INT2 && v >= INT16_MIN && v <= INT16_MAX)
        put_binary_int(L, out, v, 2);
    else
        return false;
    return true;
}

static void put_number_text(lua_State *L, lq_buf *out, int idx)
{
    char text[LQ_NUMBER_MAX];
    double v = lua_tonumber(L, idx);

    if (lua_isinteger(L, idx))
        put(L, out, text, lq_number_put_int(text, lua_tointeger(L, idx)));
    else if (isnan(v))
        put(L, out, "NaN", 3);
    else if (isinf(v))
        put(L, out, v > 0 ? "Infinity" : "-Infinity", v > 0 ? 8 : 9);
    else
        put(L, out, text, lq_number_put_float(text, v));
}

static void put_number(lua_State *L, int idx, const lq_pgtype *type,
                       lq_buf *out, lq_pgparam *p)
{
    lua_Integer v;
    int is_integer;
    char text[LQ_NUMBER_MAX];

    v = lua_tointegerx(L, idx, &is_integer);
    if (type->kind == LQ_PGKIND_INT && is_integer) {
        p->is_binary = put_fitting_int(L, out, type->oid, v);
        if (!p->is_binary) put(L, out, text, lq_number_put_int(text, v));
    } else if (type->kind == LQ_PGKIND_JSON) {
        lq_json_encode(L, idx, out);
    } else {
        put_number_text(L, out, idx);
    }
}

static int put_string(lua_State *L, int idx, const lq_pgtype *type, lq_buf *out,
                      lq_pgparam *p)
{
    lq_str s;

    s.ptr = lua_tolstring(L, idx, &s.len);
    /* libpq takes the length of a text parameter with strlen. */
    p->is_binary =
        type->kind == LQ_PGKIND_BYTEA || type->kind == LQ_PGKIND_STRING;
    if (!p->is_binary && memchr(s.ptr, '\0', s.len)) return LQ_EINVALID;
    put(L, out, s.ptr, s.len);
    return 0;
}

static void put_table(lua_State *L, int idx, const lq_pgtypes *ts,
                      const lq_pgtype *type, lq_buf *out)
{
    if (type->kind == LQ_PGKIND_ARRAY)
        lq_pgarray_put(L, idx, ts, type, out);
    else
        lq_json_encode(L, idx, out);
}

int lq_pgparam_put(lua_State *L, int idx, const lq_pgtypes *ts, uint32_t oid,
                   lq_buf *out, lq_pgparam *p, const char *where)
{
    lq_pgtype type = lq_pgtypes_find(ts, oid);
    int err = 0;

    *p = (lq_pgparam){.at = lq_buf_len(out)};
    switch (lua_type(L, idx)) {
    case LUA_TNIL: p->is_null = true; break;
    case LUA_TBOOLEAN:
        if (lua_toboolean(L, idx))
            put(L, out, "true", 4);
        else
            put(L, out, "false", 5);
        break;
    case LUA_TNUMBER: put_number(L, idx, &type, out, p); break;
    case LUA_TSTRING: err = put_string(L, idx, &type, out, p); break;
    case LUA_TTABLE: put_table(L, idx, ts, &type, out); break;
    case LUA_TLIGHTUSERDATA:
        p->is_null = lua_touserdata(L, idx) == NULL;
        if (p->is_null) break;
        /* fall through */
    default:
        luaL_error(L, "a %s cannot be %s of a statement", luaL_typename(L, idx),
                   where);
    }
    p->len = lq_buf_len(out) - p->at;
    if (p->len > INT32_MAX) luaL_error(L, "%s is larger than 2 GiB", where);
    return err;
}

/* ---- values ------------------------------------------------------------- */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    return (c | 0x20) - 'a' + 10;
}

/* \x0a0b, or with `bytea_output = escape`: \\ and \ooo. */
static void push_bytea(lua_State *L, const char *s, size_t len)
{
    luaL_Buffer b;
    char *out = luaL_buffinitsize(L, &b, len + 1);
    size_t n = 0, i = 0;

    if (len >= 2 && s[0] == '\\' && s[1] == 'x') {
        for (i = 2; i + 1 < len; i += 2)
            out[n++] = (char)(hex_digit(s[i]) << 4 | hex_digit(s[i + 1]));
    } else {
        while (i < len) {
            if (s[i] != '\\') {
                out[n++] = s[i++];
            } else if (i + 3 < len && s[i + 1] != '\\') {
                out[n++] = (char)((s[i + 1] - '0') << 6 |
                                  (s[i + 2] - '0') << 3 | (s[i + 3] - '0'));
                i += 4;
            } else {
                out[n++] = '\\';
                i += 2;
            }
        }
    }
    luaL_pushresultsize(&b, n);
}

static lua_Integer read_int(const char *s)
{
    bool is_negative = *s == '-';
    uint64_t v = 0;

    for (s += is_negative; *s >= '0' && *s <= '9'; s++)
        v = v * 10 + (uint64_t)(*s - '0');
    return (lua_Integer)(is_negative ? 0 - v : v);
}

/* The server takes more than is JSON here: numbers of any size, any depth. */
static void push_json(lua_State *L, const lq_pgreader *in, const char *s,
                      size_t len)
{
    lq_err err;

    if (lq_json_decode(L, (lq_str){s, len}, &err) == 0) return;
    lq_err_set(in->unread, LQ_EINVALID,
               "a JSON value of the database cannot be read: %.150s", err.text);
    lua_pushnil(L);
}

void lq_pgvalue_push(lua_State *L, const lq_pgreader *in, const lq_pgtype *type,
                     const char *s, size_t len)
{
    switch (type->kind) {
    case LQ_PGKIND_INT: lua_pushinteger(L, read_int(s)); break;
    case LQ_PGKIND_FLOAT: lua_pushnumber(L, strtod(s, NULL)); break;
    case LQ_PGKIND_BOOL: lua_pushboolean(L, *s == 't'); break;
    case LQ_PGKIND_BYTEA: push_bytea(L, s, len); break;
    case LQ_PGKIND_JSON: push_json(L, in, s, len); break;
    case LQ_PGKIND_ARRAY: lq_pgarray_push(L, in, type, s, len); break;
    default: lua_pushlstring(L, s, len);
    }
}

/* ---- results ------------------------------------------------------------ */

int lq_pgresult_unknowns(const PGresult *r, const lq_pgtypes *ts, uint32_t *out,
                         int max)
{
    int count = 0, n = PQnfields(r), i;
    uint32_t oid;

    for (i = 0; i < n && count < max; i++) {
        oid = PQftype(r, i);
        if (lq_pgtypes_find(ts, oid).kind == LQ_PGKIND_UNKNOWN)
            out[count++] = oid;
    }
    return count;
}

/* The columns of a result while its rows are pushed: their names stand on the
 * stack from `names` on. */
typedef struct columns {
    int count;
    int names;
    const lq_pgtype *types;
} columns;

/* Pushes the types as a userdata, and the names. */
static columns push_columns(lua_State *L, const lq_pgreader *in,
                            const PGresult *r)
{
    columns c = {.count = PQnfields(r)};
    lq_pgtype *types;
    int i;

    luaL_checkstack(L, c.count + LUA_MINSTACK, "too many columns");
    types = lua_newuserdatauv(L, (size_t)c.count * sizeof *types + 1, 0);
    c.types = types;
    c.names = lua_gettop(L) + 1;
    for (i = 0; i < c.count; i++) {
        types[i] = lq_pgtypes_find(in->types, PQftype(r, i));
        lua_pushstring(L, PQfname(r, i));
    }
    return c;
}

/* Pushes one value; nothing, for a NULL that is to be absent. */
static bool push_field(lua_State *L, const lq_pgreader *in, const PGresult *r,
                       int row, int column, const lq_pgtype *type)
{
    if (PQgetisnull(r, row, column)) {
        if (in->has_null) lua_pushlightuserdata(L, NULL);
        return in->has_null;
    }
    lq_pgvalue_push(L, in, type, PQgetvalue(r, row, column),
                    (size_t)PQgetlength(r, row, column));
    return true;
}

static void push_row(lua_State *L, const lq_pgreader *in, const PGresult *r,
                     int row, const columns *c)
{
    int i;

    lua_createtable(L, 0, c->count);
    for (i = 0; i < c->count; i++) {
        lua_pushvalue(L, c->names + i);
        if (push_field(L, in, r, row, i, &c->types[i]))
            lua_rawset(L, -3);
        else
            lua_pop(L, 1);
    }
}

/* A userdata with the types, in whose user value the names are. */
void lq_pgresult_push_columns(lua_State *L, const lq_pgreader *in,
                              const PGresult *r)
{
    int count = PQnfields(r), i;
    lq_pgtype *types =
        lua_newuserdatauv(L, (size_t)count * sizeof *types + 1, 1);

    lua_createtable(L, count, 0);
    for (i = 0; i < count; i++) {
        types[i] = lq_pgtypes_find(in->types, PQftype(r, i));
        lua_pushstring(L, PQfname(r, i));
        lua_rawseti(L, -2, i + 1);
    }
    lua_setiuservalue(L, -2, 1);
}

void lq_pgresult_push_stream_row(lua_State *L, const lq_pgreader *in,
                                 const PGresult *r, int kept)
{
    const lq_pgtype *types = lua_touserdata(L, kept);
    int count = PQnfields(r), names, i;

    lua_getiuservalue(L, kept, 1);
    names = lua_gettop(L);
    lua_createtable(L, 0, count);
    for (i = 0; i < count; i++) {
        lua_rawgeti(L, names, i + 1);
        if (push_field(L, in, r, 0, i, &types[i]))
            lua_rawset(L, -3);
        else
            lua_pop(L, 1);
    }
}

static const char affected_key; /* its address is the key in the registry */

enum { AFFECTED_MAX = 256 /* counts whose metatables are kept */ };

/* Pushes a metatable of arrays with that count. */
static void push_new_affected(lua_State *L, lua_Integer count)
{
    lua_createtable(L, 0, 3);
    lua_createtable(L, 0, 1);
    lua_pushinteger(L, count);
    lua_setfield(L, -2, "affected");
    lua_setfield(L, -2, "__index");
    lq_json_mark_array_mt(L);
}

static void push_affected(lua_State *L, lua_Integer count)
{
    if (count < 0 || count > AFFECTED_MAX) {
        push_new_affected(L, count);
        return;
    }
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &affected_key) != LUA_TTABLE) {
        lua_pop(L, 1);
        lua_createtable(L, AFFECTED_MAX, 1);
        lua_pushvalue(L, -1);
        lua_rawsetp(L, LUA_REGISTRYINDEX, &affected_key);
    }
    if (lua_rawgeti(L, -1, count) != LUA_TTABLE) {
        lua_pop(L, 1);
        push_new_affected(L, count);
        lua_pushvalue(L, -1);
        lua_rawseti(L, -3, count);
    }
    lua_remove(L, -2);
}

void lq_pgresult_push_rows(lua_State *L, const lq_pgreader *in,
                           const PGresult *r)
{
    const char *affected = PQcmdTuples((PGresult *)(uintptr_t)r);
    int count = PQntuples(r), top = lua_gettop(L), i;
    columns c;

    lua_createtable(L, count, 0);
    if (count > 0) {
        c = push_columns(L, in, r);
        for (i = 0; i < count; i++) {
            push_row(L, in, r, i, &c);
            lua_rawseti(L, top + 1, i + 1);
        }
        lua_settop(L, top + 1);
    }
    push_affected(L, read_int(affected));
    lua_setmetatable(L, -2);
}

void lq_pgresult_push_row(lua_State *L, const lq_pgreader *in,
                          const PGresult *r)
{
    columns c;

    if (PQntuples(r) == 0) {
        lua_pushnil(L);
        return;
    }
    c = push_columns(L, in, r);
    push_row(L, in, r, 0, &c);
}

void lq_pgresult_push_value(lua_State *L, const lq_pgreader *in,
                            const PGresult *r)
{
    lq_pgtype type;

    if (PQntuples(r) == 0 || PQnfields(r) == 0) {
        lua_pushnil(L);
        return;
    }
    type = lq_pgtypes_find(in->types, PQftype(r, 0));
    if (!push_field(L, in, r, 0, 0, &type)) lua_pushnil(L);
}

/* ---- failures ----------------------------------------------------------- */

static void set_field(lua_State *L, const char *name, const PGresult *r,
                      int field)
{
    const char *text = PQresultErrorField(r, field);

    if (!text) return;
    lua_pushstring(L, text);
    lua_setfield(L, -2, name);
}

static void push_server_error(lua_State *L, const PGresult *r)
{
    static const struct {
        const char *name;
        int field;
    } fields[] = {
        {"detail", PG_DIAG_MESSAGE_DETAIL},
        {"hint", PG_DIAG_MESSAGE_HINT},
        {"constraint", PG_DIAG_CONSTRAINT_NAME},
        {"schema", PG_DIAG_SCHEMA_NAME},
        {"table", PG_DIAG_TABLE_NAME},
        {"column", PG_DIAG_COLUMN_NAME},
        {"where", PG_DIAG_CONTEXT},
    };
    const char *code = PQresultErrorField(r, PG_DIAG_SQLSTATE);
    const char *message = PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY);
    const char *position = PQresultErrorField(r, PG_DIAG_STATEMENT_POSITION);
    size_t i;

    lq_push_error_named(L, code ? code : lq_err_name(LQ_ELOST),
                        message ? message : PQresultErrorMessage(r));
    for (i = 0; i < LQ_COUNT_OF(fields); i++)
        set_field(L, fields[i].name, r, fields[i].field);
    if (position) {
        lua_pushinteger(L, read_int(position));
        lua_setfield(L, -2, "position");
    }
}

void lq_pgfailure_push(lua_State *L, int err, const char *sqlstate,
                       const char *text)
{
    bool is_resolver = err <= UV_EAI_ADDRFAMILY && err > LQ_ETIMEOUT;

    if (*sqlstate)
        lq_push_error_named(L, sqlstate, text ? text : "the server refuses");
    else if (is_resolver)
        lq_push_error_named(L, uv_err_name(err),
                            text ? text : uv_strerror(err));
    else
        lq_push_error(L, err, text);
}

void lq_pgquery_push_error(lua_State *L, const lq_pg_query *q)
{
    if (q->err == LQ_EINVALID && q->failure)
        push_server_error(L, q->failure);
    else
        lq_pgfailure_push(L, q->err, q->sqlstate, q->text);
}

/* ---- what the server says of statements and types ----------------------- */

lq_pg_statement *lq_pgresult_statement(const lq_pg_query *q)
{
    const PGresult *r = q->items[0].result;
    const lq_pg_statement *st = q->items[0].statement;
    int count = PQnparams(r), i;
    lq_pg_statement *made;
    uint32_t *types = lq_mem_alloc((size_t)count * sizeof *types + 1);

    if (!types) return NULL;
    for (i = 0; i < count; i++) types[i] = PQparamtype(r, i);
    made = lq_pg_statement_new((lq_str){st->sql, st->len}, types, count);
    lq_mem_free(types);
    return made;
}

int lq_pgstatement_unknowns(const lq_pg_statement *st, const lq_pgtypes *ts,
                            uint32_t *out, int max)
{
    int count = 0, i;

    for (i = 0; i < st->count && count < max; i++)
        if (lq_pgtypes_find(ts, st->types[i]).kind == LQ_PGKIND_UNKNOWN)
            out[count++] = st->types[i];
    return count;
}

static uint32_t oid_at(const PGresult *r, int row, int column)
{
    return (uint32_t)read_int(PQgetvalue(r, row, column));
}

int lq_pgresult_keep_types(const PGresult *r, lq_pgtypes *ts,
                           const uint32_t *asked, int count)
{
    lq_pgtype_row row;
    int n = PQntuples(r), i;

    for (i = 0; i < n; i++) {
        row = (lq_pgtype_row){oid_at(r, i, 0), oid_at(r, i, 1), oid_at(r, i, 2),
                              *PQgetvalue(r, i, 3)};
        if (lq_pgtypes_set(ts, &row) < 0) return -ENOMEM;
    }
    for (i = 0; i < count; i++) {
        row = (lq_pgtype_row){.oid = asked[i]};
        if (lq_pgtypes_find(ts, asked[i]).kind == LQ_PGKIND_UNKNOWN &&
            lq_pgtypes_set(ts, &row) < 0)
            return -ENOMEM;
    }
    return 0;
}

bool lq_pgquery_has_rolled_back(const lq_pg_query *q)
{
    return strcmp(PQcmdStatus(q->items[0].result), "ROLLBACK") == 0;
}

lua_Integer lq_pgquery_affected(const lq_pg_query *q)
{
    PGresult *r = q->items[0].result;

    return r ? read_int(PQcmdTuples(r)) : 0;
}

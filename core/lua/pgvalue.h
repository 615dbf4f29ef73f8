/* pgvalue.h - Lua values to parameters, results to Lua values.
 *
 * Owns:    nothing.
 * Thread:  that of the state.
 * Knows:   pgtype, json; libpq's results.
 */
#ifndef LQ_PGVALUE_H
#define LQ_PGVALUE_H

#include <lua.h>

#include "base/buf.h"
#include "base/err.h"
#include "lua/pgtype.h"
#include "pg/query.h"

/* A parameter, whose bytes stand in a buffer. */
typedef struct lq_pgparam {
    size_t at;
    size_t len;
    bool is_null;
    bool is_binary;
} lq_pgparam;

/* Appends the value at `idx` to `out` as a parameter of type `oid`. Raises for
 * what no parameter can be, naming `where`. LQ_EINVALID: a string with a NUL
 * where the server's text has none. */
int lq_pgparam_put(lua_State *L, int idx, const lq_pgtypes *ts, uint32_t oid,
                   lq_buf *out, lq_pgparam *p, const char *where) LQ_MUST_CHECK;

/* How results are read. */
typedef struct lq_pgreader {
    const lq_pgtypes *types;
    lq_buf *scratch;
    bool has_null;  /* NULL is aq.null, not absent */
    lq_err *unread; /* set by a value that is no value of Lua: it is nil, and
                       whoever reads refuses the whole */
} lq_pgreader;

/* The oids among the columns that `types` does not know, up to `max`. Returns
 * how many. */
int lq_pgresult_unknowns(const PGresult *r, const lq_pgtypes *ts, uint32_t *out,
                         int max);

/* Push: all rows, as an array with `affected`; the first row; its first value.
 * Nil when there is none. Raise for memory. */
void lq_pgresult_push_rows(lua_State *L, const lq_pgreader *in,
                           const PGresult *r);
void lq_pgresult_push_row(lua_State *L, const lq_pgreader *in,
                          const PGresult *r);
void lq_pgresult_push_value(lua_State *L, const lq_pgreader *in,
                            const PGresult *r);

/* For rows one by one: pushes what push_stream_row needs of their columns; to
 * be kept at index `columns`. */
void lq_pgresult_push_columns(lua_State *L, const lq_pgreader *in,
                              const PGresult *r);
void lq_pgresult_push_stream_row(lua_State *L, const lq_pgreader *in,
                                 const PGresult *r, int kept);

/* An error table of what a connection has failed with; `text` may be NULL. */
void lq_pgfailure_push(lua_State *L, int err, const char *sqlstate,
                       const char *text);

/* The failure of a query, as an error table. */
void lq_pgquery_push_error(lua_State *L, const lq_pg_query *q);

/* How many rows the first item has touched. */
lua_Integer lq_pgquery_affected(const lq_pg_query *q);

/* Whether a commit has become a rollback. */
bool lq_pgquery_has_rolled_back(const lq_pg_query *q);

/* A statement from the answer to LQ_PG_DESCRIBE. NULL: no memory. */
lq_pg_statement *lq_pgresult_statement(const lq_pg_query *q) LQ_MUST_CHECK;
/* The parameters' oids that `ts` does not know. */
int lq_pgstatement_unknowns(const lq_pg_statement *st, const lq_pgtypes *ts,
                            uint32_t *out, int max);

/* Keeps the answer to lq_pgtypes_sql; of the `asked` oids those that the
 * server does not know are text. -ENOMEM. */
int lq_pgresult_keep_types(const PGresult *r, lq_pgtypes *ts,
                           const uint32_t *asked, int count) LQ_MUST_CHECK;

#endif

/* pgarray.h - lists to PostgreSQL's text of arrays and back: {1,"a b",NULL}.
 *
 * Owns:    nothing.
 * Thread:  that of the state.
 * Knows:   pgtype, json.
 */
#ifndef LQ_PGARRAY_H
#define LQ_PGARRAY_H

#include "lua/pgvalue.h"

/* Appends the list at `idx`. Raises for what cannot be in one. */
void lq_pgarray_put(lua_State *L, int idx, const lq_pgtypes *ts,
                    const lq_pgtype *type, lq_buf *out);

/* Pushes the list that `s` says, with aq.null for NULL. */
void lq_pgarray_push(lua_State *L, const lq_pgreader *in, const lq_pgtype *type,
                     const char *s, size_t len);

/* Of pgvalue.c: pushes one value; a NUL stands behind `s`. */
void lq_pgvalue_push(lua_State *L, const lq_pgreader *in, const lq_pgtype *type,
                     const char *s, size_t len);

#endif

/* pairs.h - the `name=value&...` of a query or a form, as Lua tables.
 *
 * Owns:    nothing.
 * Thread:  that of the state.
 * Knows:   base, url, lua.
 */
#ifndef LQ_PAIRS_H
#define LQ_PAIRS_H

#include <lua.h>

#include "base/str.h"

/* Pushes `raw` without its percent escapes; plus: a '+' is a space. When an
 * escape is broken it pushes nil and returns false. */
bool lq_push_decoded(lua_State *L, lq_str raw, bool plus);

/* Pushes a table name -> first value, or name -> list when `all`. Returns
 * LQ_EINVALID for a broken escape, LQ_ETOOLARGE for too many pairs; then the
 * table holds what was good. */
int lq_push_pairs(lua_State *L, lq_str text, bool all);

#endif

/* fields.h - the fields of a record: a Lua table in the log's format.
 *
 * Sorted by name. Text: `a=1 b="two words"`; JSON: `"a":1,"b":"two words"`,
 * without braces. A plain table is written as JSON in both, as dump.h has it;
 * another value is written as a string: by tostring, or by its type when that
 * fails.
 *
 * All have a bound: a name and a string LQ_DUMP_LONGEST, the table
 * LQ_FIELDS_MOST fields of LQ_FIELDS_LONGEST bytes together. What is not there
 * is told, in the string or by a last field: `...="7 fields more"`.
 *
 * Owns:    nothing.
 * Thread:  that of the state.
 * Knows:   lua, base, log, json (arrays), dump.
 */
#ifndef LQ_FIELDS_H
#define LQ_FIELDS_H

#include <lua.h>

#include "base/buf.h"
#include "log/render.h"

enum {
    LQ_FIELDS_MOST = 1000,
    LQ_FIELDS_LONGEST = 256 * 1024, /* bytes; behind them none is begun */
};

/* Puts the fields of the table at `idx` into `out`, which is emptied first.
 * Runs __tostring of values; raises when there is no memory, never because of a
 * value. */
void lq_fields_put(lua_State *L, int idx, lq_log_format format, lq_buf *out);

#endif

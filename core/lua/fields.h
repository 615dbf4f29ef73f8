/* fields.h - the fields of a record: a Lua table in the log's format.
 *
 * Sorted by name. Text: `a=1 b="two words"`; JSON: `"a":1,"b":"two words"`,
 * without braces. A plain table is written as JSON in both, as dump.h has it
 * when there is something in it that JSON refuses; another value is written as
 * a string: by tostring, or by its type when that fails.
 *
 * Owns:    nothing.
 * Thread:  that of the state.
 * Knows:   lua, base, log, json, dump.
 */
#ifndef LQ_FIELDS_H
#define LQ_FIELDS_H

#include <lua.h>

#include "base/buf.h"
#include "log/render.h"

/* Puts the fields of the table at `idx` into `out`, which is emptied first.
 * Runs __tostring of values; raises when there is no memory or too many
 * fields, never because of a value. */
void lq_fields_put(lua_State *L, int idx, lq_log_format format, lq_buf *out);

#endif

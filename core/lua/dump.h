/* dump.h - a table as JSON for the log, whatever stands in it.
 *
 * It refuses nothing: bytes that are not UTF-8 are U+FFFD, numbers that JSON
 * has no word for their name, keys that are no strings their text, and
 * functions and the like the name of their type. Where a table contains itself,
 * goes too deep or gets too long, "..." stands for the rest; a string that is
 * too long is cut. Metatables but the one of arrays are not looked at, and no
 * code of the app runs, also no finalizer.
 *
 * Owns:    nothing.
 * Thread:  that of the state.
 * Knows:   lua, base, log (cut, escape), json (arrays).
 */
#ifndef LQ_DUMP_H
#define LQ_DUMP_H

#include <lua.h>

#include "base/buf.h"

/* Bytes of a string, and of a dump: behind them nothing more is begun. */
enum { LQ_DUMP_LONGEST = 64 * 1024 };

/* Appends the table at `idx` to `out`. Raises when there is no memory. */
void lq_dump_put(lua_State *L, int idx, lq_buf *out);

#endif

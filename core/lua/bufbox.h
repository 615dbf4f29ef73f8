/* bufbox.h - an lq_buf inside a userdata, so that an error frees it.
 *
 * Owns:    the buffer.
 * Thread:  that of the state.
 * Life:    push -> use -> the collector.
 * Knows:   lua, base/buf.
 */
#ifndef LQ_BUFBOX_H
#define LQ_BUFBOX_H

#include <lua.h>

#include "base/buf.h"

/* Pushes an empty buffer; lent as long as the userdata lives. Raises. */
lq_buf *lq_bufbox_push(lua_State *L);

/* Pushes the bytes of `b` as a string and empties it; a large one gives its
 * memory back. */
void lq_bufbox_push_bytes(lua_State *L, lq_buf *b);

#endif

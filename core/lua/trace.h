/* trace.h - where the coroutines that run stand just now.
 *
 * For a state that is not to be used any more: nothing is allocated and nothing
 * pushed, as luaL_traceback would.
 *
 * Owns:    nothing.
 * Thread:  the state's, or any when that thread has ended.
 * Knows:   Lua.
 */
#ifndef LQ_TRACE_H
#define LQ_TRACE_H

#include "lua/interrupt.h"

/* Writes a traceback into out, which always ends with a zero; the innermost
 * coroutine comes first. What is longer than cap is cut. */
void lq_trace_running(const lq_running *r, char *out, size_t cap);

#endif

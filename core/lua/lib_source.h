/* lib_source.h - Lua files come out of the generation's code.
 *
 * Owns:    nothing.
 * Thread:  that of the state.
 * Knows:   code, vm, Lua.
 */
#ifndef LQ_LIB_SOURCE_H
#define LQ_LIB_SOURCE_H

#include <lua.h>

/* Makes `require` read Lua files from vm->cfg.code, which must be there, and
 * loadfile and dofile tell it what they read. Raises without memory. */
void lq_source_install(lua_State *L);

#endif

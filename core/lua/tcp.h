/* tcp.h - what a state has of connections that it opens (lib_tcp.c).
 *
 * Owns:    vm->wires.
 * Thread:  that of the state.
 * Knows:   vm.
 */
#ifndef LQ_TCP_H
#define LQ_TCP_H

#include "lua/vm.h"

#define LQ_TCP_TYPE "luaqueduct.TcpConnection"

/* Closes what is left, once the Lua state is closed. A name that is just being
 * looked up is waited for. */
void lq_tcp_close(lq_vm *vm);

#endif

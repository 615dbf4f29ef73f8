/* db.h - what a state has of databases (lib_db.c).
 *
 * Owns:    vm->dbs.
 * Thread:  that of the state.
 * Knows:   vm.
 */
#ifndef LQ_DB_H
#define LQ_DB_H

#include "lua/vm.h"

#define LQ_DB_TYPE "luaqueduct.Database"
#define LQ_DB_SESSION_TYPE "luaqueduct.DatabaseSession"

/* Closes what is left, once the Lua state is closed. A name that is just being
 * looked up is waited for. */
void lq_db_close(lq_vm *vm);

/* The thread has ended without closing anything: the servers are told, the rest
 * stays. Any thread that has joined it. */
void lq_db_shut(const lq_vm *vm);

#endif

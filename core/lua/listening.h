/* listening.h - connections to what an app listens on.
 *
 * Owns:    nothing; a connection is its net's.
 * Thread:  owner loop.
 * Knows:   vm, net.
 */
#ifndef LQ_LISTENING_H
#define LQ_LISTENING_H

#include <sys/socket.h>

#include "lua/vm.h"
#include "net/net.h"

/* A connection to listener `number` (on_listen of lq_vm_cfg). Takes `fd`, an
 * accepted non-blocking socket, also on failure: LQ_ECLOSED when nobody listens
 * on that number any more, -ENOMEM, or libuv's codes. Otherwise the net's
 * on_gone follows. */
int lq_listening_open(lq_vm *vm, int number, lq_net *net, int fd,
                      const struct sockaddr_storage *peer) LQ_MUST_CHECK;

#endif

/* tcp_socket.h - how a listening TCP socket is made and shut.
 *
 * Owns:    nothing.
 * Thread:  any.
 * Knows:   base, libc.
 */
#ifndef LQ_TCP_SOCKET_H
#define LQ_TCP_SOCKET_H

#include <sys/socket.h>

#include "base/err.h"

enum { LQ_TCP_SOCKET_BACKLOG = 4096 };

/* One that does not block and is closed on exec, with all that accepted
 * connections inherit. Returns it, or -errno. */
int lq_tcp_socket_new(int family) LQ_MUST_CHECK;

/* What accepted connections inherit, for a socket of somebody else. Returns
 * -errno. */
int lq_tcp_socket_prepare(int fd) LQ_MUST_CHECK;

/* Several sockets may have the address, those of other processes, too: before
 * it is bound. Returns -errno. */
int lq_tcp_socket_share(int fd) LQ_MUST_CHECK;

/* These return -errno. */
int lq_tcp_socket_bind(int fd, const struct sockaddr_storage *address,
                       socklen_t len) LQ_MUST_CHECK;
int lq_tcp_socket_listen(int fd) LQ_MUST_CHECK;

/* Whether somebody listens on the address: -EADDRINUSE, or another reason why
 * it cannot be bound. */
int lq_tcp_socket_probe(const struct sockaddr_storage *address,
                        socklen_t len) LQ_MUST_CHECK;

bool lq_tcp_socket_listens(int fd);

/* The kernel throws away what would begin a connection: a TCP segment with the
 * flag SYN. Its sender repeats it. */
void lq_tcp_socket_gate(int fd);
/* No longer. */
void lq_tcp_socket_ungate(int fd);

/* Why an address cannot be listened on, for people. Lends a constant, or `buf`
 * filled. */
const char *lq_tcp_socket_explain(int code, char *buf, size_t cap);

#endif

/* watch.h - the poll handle of a connection's socket.
 *
 * libpq may change its socket while it connects; a handle belongs to one
 * socket.
 *
 * Owns:    the handle, which lives until it is closed.
 * Thread:  owner loop.
 * Knows:   pgconn.
 */
#ifndef LQ_PG_WATCH_H
#define LQ_PG_WATCH_H

#include "pg/pgconn.h"

/* Waits for these events (UV_READABLE | UV_WRITABLE; 0: for nothing) at the
 * PGconn's socket. Returns libuv's error codes. */
int lq_pg_watch(lq_pg_conn *c, int events, uv_poll_cb on_poll) LQ_MUST_CHECK;

/* Before libpq closes the socket, or may change it. */
void lq_pg_watch_pause(lq_pg_conn *c);
void lq_pg_watch_close(lq_pg_conn *c);

/* The connection of a handle; NULL: it closes. */
static inline lq_pg_conn *lq_pg_watch_of(uv_poll_t *handle)
{
    return LQ_CONTAINER_OF(handle, lq_pg_poll, handle)->conn;
}

#endif

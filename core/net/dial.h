/* dial.h - the way to a host: its addresses, one after another, in time.
 *
 * A numeric address and `localhost` need no resolver; other names are looked
 * up on libuv's threads. Each address gets an equal part of the time that is
 * left, so that one that does not answer leaves some for the next.
 *
 * Owns:    the wire until it is connected; the look-up.
 * Thread:  owner loop.
 * Life:    start -> on_done or abandon; it frees itself.
 * Knows:   wire.
 */
#ifndef LQ_DIAL_H
#define LQ_DIAL_H

#include "base/str.h"
#include "net/wire.h"

typedef struct lq_dial lq_dial;

typedef struct lq_dial_cfg {
    lq_str host; /* without NUL; copied */
    uint16_t port;
    uint64_t timeout_ms; /* for all of it */
    /* Gives the wire, open and without on_event; NULL: `err` says why, and is
     * LQ_ETIMEOUT, -errno of the last address, or one of libuv's UV_EAI_
     * codes. Out of the loop. */
    void (*on_done)(void *data, lq_wire *w, int err);
    void *data;
} lq_dial_cfg;

enum { LQ_DIAL_HOST_MAX = 255 /* bytes of a name */ };

/* Returns what on_done would be told; then nothing follows. */
int lq_dial_start(lq_dial **out, lq_wires *ws,
                  const lq_dial_cfg *cfg) LQ_MUST_CHECK;

/* on_done does not follow. */
void lq_dial_abandon(lq_dial *d);

/* For wire.c: runs the loop until nothing is being looked up. Nobody waits for
 * any of it. */
void lq_dial_await_lookups(lq_wires *ws);

#endif

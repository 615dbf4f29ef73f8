/* websocket.h - WebSockets, RFC 6455, with permessage-deflate, RFC 7692.
 *
 * Pings are answered here; a peer that does not answer ours for as long as the
 * next one is due is taken for dead.
 *
 * Owns:    beyond the session the decoder, and the deflater and inflater of
 *          its own where a side keeps its context.
 * Thread:  owner loop.
 * Life:    as session.h; fini behind on_over.
 * Knows:   session, http's frames.
 */
#ifndef LQ_WEBSOCKET_H
#define LQ_WEBSOCKET_H

#include "http/ws_decoder.h"
#include "http/ws_handshake.h"
#include "net/session.h"

/* Pings and pongs that a peer may send in a second; more is a flood, 1008. */
enum { LQ_WEBSOCKET_CONTROLS = 1000 };

typedef struct lq_websocket {
    lq_session session;
    lq_ws_decoder decoder;
    lq_ws_deflater *deflater; /* NULL: the thread's, or none */
    lq_ws_inflater *inflater;
    char *reason; /* of the end, a lq_mem string; NULL: none */
    size_t reason_len;
    bool is_reset;      /* the deflater's context is not the peer's any more */
    uint16_t controls;  /* pings and pongs that came in ... */
    uint32_t control_s; /* ... this second of the loop */
} lq_websocket;

extern const lq_session_kind lq_websocket_kind;

/* `w` is all zero. Makes what `params` ask for. -ENOMEM: fini is due. */
int lq_websocket_init(lq_websocket *w, lq_sessions *ss,
                      const lq_ws_limits *limits,
                      const lq_ws_deflate_params *params) LQ_MUST_CHECK;

/* Behind init. Takes the connection, as lq_session_open does; what opens the
 * WebSocket stands in its output. */
void lq_websocket_open(lq_websocket *w, lq_sessions *ss, lq_session_cfg *cfg,
                       lq_conn *c, bool is_busy);

void lq_websocket_fini(lq_websocket *w);

/* The code of the end as the app is told it, RFC 6455 7.1.5; its reason stands
 * in the struct. */
int lq_websocket_code(const lq_websocket *w);

#endif

/* ws_handshake.h - the opening of a WebSocket, RFC 6455 4.2 and RFC 7692 7.1.
 *
 * What a request must say, which subprotocol and which compression are agreed
 * on, and the values that the answer has.
 *
 * Owns:    nothing; results are views of the head, or written to the caller's
 *          memory.
 * Thread:  none. lq_ws_accept_key: OpenSSL keeps a little for each thread.
 * Knows:   request, members, err; libcrypto (in ws_handshake.c).
 */
#ifndef LQ_WS_HANDSHAKE_H
#define LQ_WS_HANDSHAKE_H

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "http/request.h"

enum {
    LQ_WS_ACCEPT_LEN = 28,    /* of Sec-WebSocket-Accept */
    LQ_WS_EXTENSION_MAX = 160 /* more than the longest answer */
};

/* 0 when `r` opens a WebSocket, else the status to refuse it with, 400 or 426,
 * and in *why a sentence, a constant. An answer of 426 has the fields
 * `Upgrade: websocket`, `Connection: Upgrade` and `Sec-WebSocket-Version: 13`.
 * The origin is not looked at. */
int lq_ws_check(const lq_request *r, const char **why) LQ_MUST_CHECK;

/* The value of Sec-WebSocket-Accept. LQ_EINVALID: `key` is not 16 bytes in
 * base64; -ENOMEM: libcrypto cannot. */
int lq_ws_accept_key(lq_str key, char out[LQ_WS_ACCEPT_LEN]) LQ_MUST_CHECK;

/* The value of a field that is a list and may stand in several lines: a view
 * of the one line, or all of them with commas between, in `arena`; ptr is NULL
 * when there is none. -ENOMEM. */
int lq_ws_list_field(const lq_request *r, lq_str lower_name, lq_arena *arena,
                     lq_str *out) LQ_MUST_CHECK;

/* The first subprotocol of `value` (Sec-WebSocket-Protocol, the client's order
 * of preference) that is one of `ours`: its index there, or -1. */
int lq_ws_choose_protocol(lq_str value, const lq_str *ours, size_t count);

/* What the server is willing to do. */
typedef struct lq_ws_deflate_cfg {
    bool context_takeover; /* false: neither side keeps its context */
    int window_bits;       /* of both sides at most, 9 to 15 */
} lq_ws_deflate_cfg;

/* What was agreed on. */
typedef struct lq_ws_deflate_params {
    bool on; /* false: no compression, and nothing below counts */
    bool server_no_context_takeover;
    bool client_no_context_takeover;
    bool says_server_bits; /* the client asked for it: the answer has it */
    int server_bits;       /* for a deflater: 9 to 15, what is there or less */
    int client_bits;       /* for an inflater: 8 to 15 */
} lq_ws_deflate_params;

/* Takes the first offer of `value` (Sec-WebSocket-Extensions) that can be
 * done. Offers of other extensions are passed over, as are those with
 * parameters that are unknown, come twice or have a value that they may not
 * have. LQ_EINVALID: the field is malformed (RFC 6455 9.1: refuse with 400);
 * `out` is off then. */
int lq_ws_negotiate(lq_str value, const lq_ws_deflate_cfg *cfg,
                    lq_ws_deflate_params *out) LQ_MUST_CHECK;

/* Writes the value of the answer's Sec-WebSocket-Extensions; `params` are on.
 * Returns its length, 0 when `cap` is too small. LQ_WS_EXTENSION_MAX is
 * enough. */
size_t lq_ws_extension_line(const lq_ws_deflate_params *params, char *out,
                            size_t cap);

#endif

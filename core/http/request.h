/* request.h - the head of a request: what it says and where it stands.
 *
 * Everything is an offset into the bytes of the head, so that the head may be
 * moved (see lq_parser_keep) without a change here.
 *
 * Owns:    nothing: the bytes and the array of fields are borrowed from the
 *          parser and its arena.
 * Thread:  none; whoever holds it.
 * Knows:   base, method, url.
 */
#ifndef LQ_REQUEST_H
#define LQ_REQUEST_H

#include "base/arena.h"
#include "base/defs.h"
#include "base/str.h"

/* One field line; offsets into the head. The value has no white space around
 * it. */
typedef struct lq_header {
    uint32_t name, name_len;
    uint32_t value, value_len;
} lq_header;

typedef struct lq_request {
    const char *base; /* the first byte of the head */
    lq_header *headers;
    uint32_t header_count;

    uint8_t method; /* enum lq_method */
    uint8_t minor;  /* of the version: 0 or 1 */
    bool keep_alive;
    bool chunked;
    bool has_body; /* false for a length of 0 */
    bool expect_continue;
    bool upgrade; /* asks for another protocol */
    bool has_query;
    uint64_t content_length; /* valid if has_body && !chunked, else 0 */
    lq_str method_text;

    uint32_t target, target_len;       /* as sent */
    uint32_t authority, authority_len; /* of http://authority/path, else 0 */
    uint32_t path, path_len;           /* in the target, not decoded */
    uint32_t query, query_len;         /* behind the question mark */
} lq_request;

/* A complete head, as lq_request_read wants it. */
typedef struct lq_request_head {
    const char *bytes; /* with the empty line at its end */
    uint32_t len;
    uint32_t target, target_len;
    int major, minor;
    uint32_t header_cap; /* room in request.headers */
    uint32_t max_headers;
    lq_arena *arena; /* for more headers than there is room for */
} lq_request_head;

/* Fills `r` from a head whose single bytes llhttp has accepted; what that
 * leaves open of RFC 9112 is refused here. Returns 0 or -(HTTP status) with
 * the reason in *why, a constant. */
int lq_request_read(lq_request *r, const lq_request_head *head,
                    const char **why) LQ_MUST_CHECK;

/* Views of the head, lent until it moves. The path of http://host is "/". */
lq_str lq_request_target(const lq_request *r);
lq_str lq_request_path(const lq_request *r);
lq_str lq_request_query(const lq_request *r);

/* Who is asked: the target's authority, else the field Host; ptr is NULL when
 * there is neither. */
lq_str lq_request_host(const lq_request *r);

/* The first value of a field; ptr is NULL when there is none. */
lq_str lq_request_header(const lq_request *r, lq_str lower_name);

static inline lq_str lq_request_name(const lq_request *r, uint32_t i)
{
    const lq_header *h = &r->headers[i];

    return (lq_str){r->base + h->name, h->name_len};
}

static inline lq_str lq_request_value(const lq_request *r, uint32_t i)
{
    const lq_header *h = &r->headers[i];

    return (lq_str){r->base + h->value, h->value_len};
}

/* Whether `s` is host [":" port], as in the field Host; both may be empty. */
bool lq_request_is_authority(lq_str s);

/* How many bytes at the front of `s` make a token of RFC 9110. */
size_t lq_request_token_len(lq_str s);

/* A name of a field, a method: one character or more of a token. */
static inline bool lq_request_is_token(lq_str s)
{
    return s.len > 0 && lq_request_token_len(s) == s.len;
}

#endif

/* parse.h - requests out of bytes: RFC 9112 as a server has to read it.
 *
 * A pull parser: it takes bytes as they come and tells the next event. One
 * message for each init; the bytes behind a message are left to the next one.
 * llhttp reads the head, request.c what it says, this file the body.
 *
 * A head that lies whole in one feed is not copied: request.base points into
 * the caller's bytes then, until lq_parser_keep. Otherwise it stands in the
 * arena.
 *
 * Owns:    nothing: what it copies belongs to the arena.
 * Thread:  none; whoever holds it.
 * Life:    init -> feed* ; init again for the next message, behind a reset of
 *          the arena. Embedded by value; it may not be moved after init.
 * Knows:   base, request, llhttp (in parse.c).
 */
#ifndef LQ_PARSE_H
#define LQ_PARSE_H

#include "base/arena.h"
#include "base/str.h"
#include "http/request.h"

enum { LQ_PARSE_INLINE_HEADERS = 16, LQ_PARSE_LLHTTP_WORDS = 20 };

typedef enum lq_parse_event {
    LQ_PARSE_MORE, /* everything was consumed, more is needed */
    LQ_PARSE_HEAD, /* the head is complete, a body follows */
    LQ_PARSE_BODY, /* a part of the body stands in `body` */
    LQ_PARSE_DONE, /* the message is over */
} lq_parse_event;

typedef struct lq_parse_limits {
    uint32_t head;   /* bytes; once more for trailers and chunk extensions */
    uint32_t fields; /* of the head */
    uint32_t target; /* bytes */
} lq_parse_limits;

typedef struct lq_parser {
    /* For the caller to read. */
    lq_request request; /* complete from HEAD or DONE on */
    lq_str body;        /* of the BODY event; a part of the caller's bytes */

    /* For parse.c alone. */
    lq_arena *arena;
    lq_parse_limits limits;
    uint8_t stage;
    uint8_t blank;  /* bytes of empty lines in front of the head */
    uint8_t digits; /* of a chunk's size */
    int error;      /* negative: what every further feed returns */
    const char *why;
    const char *feed; /* the head's bytes in the caller's hands */
    char *kept;       /* the head's bytes in the arena, NULL: none */
    uint32_t kept_cap;
    uint32_t head_len; /* in `kept`, or of the complete head */
    uint32_t extra;    /* bytes of trailers and chunk extensions */
    uint64_t left;     /* bytes of the body, or of the chunk */
    uint64_t llhttp[LQ_PARSE_LLHTTP_WORDS];
    lq_header headers[LQ_PARSE_INLINE_HEADERS];
} lq_parser;

/* Makes it ready for the first byte of a message. Always 0. */
int lq_parser_init(lq_parser *p, lq_arena *arena,
                   const lq_parse_limits *limits);

/* Reads up to the next event, which it returns, or -(HTTP status); *consumed
 * is set in both cases. After HEAD and BODY it is to be called again, with the
 * rest, also when nothing is left: the end of a body of known length is told
 * by a call of its own that needs no byte. `request` may be read after an
 * error: what was not understood is 0 there and keep_alive is false. */
int lq_parser_feed(lq_parser *p, const char *data, size_t len,
                   size_t *consumed) LQ_MUST_CHECK;

/* The bytes of the last feed will go: copies the head into the arena, if it
 * is not there. Views taken before are void. Returns -ENOMEM. */
int lq_parser_keep(lq_parser *p) LQ_MUST_CHECK;

/* What every further feed returns: 0, or -(HTTP status) after an error. */
static inline int lq_parser_error(const lq_parser *p)
{
    return p->error;
}

/* After an error: one sentence for the log; lends a constant. */
const char *lq_parser_why(const lq_parser *p);

/* llhttp's version, "8.1.0"; lends a constant. */
const char *lq_parser_version(void);

#endif

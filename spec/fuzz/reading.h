/* reading.h - what the parser makes of one message that comes in pieces.
 *
 * Each piece is fed from memory of its own that is gone afterwards. A message
 * that comes whole stays, so that what is read in place is read, too.
 *
 * Owns:    the parser, its arena, the body it delivered.
 * Thread:  none.
 * Life:    init -> fini. Embedded by value; it may not be moved.
 * Knows:   base, http/parse.
 */
#ifndef LQ_FUZZ_READING_H
#define LQ_FUZZ_READING_H

#include "base/buf.h"
#include "http/parse.h"

/* How the bytes come. */
typedef enum reading_cuts {
    READING_WHOLE,
    READING_BYTES,  /* one by one */
    READING_PIECES, /* of chance lengths, some of them 0 */
} reading_cuts;

typedef struct reading {
    lq_arena arena;
    lq_parser parser;
    lq_buf body;
    char *whole;     /* the bytes, when they came whole */
    bool has_head;   /* HEAD or DONE was told: the request is complete */
    int event;       /* the last one: MORE, DONE or -(HTTP status) */
    size_t head_len; /* bytes consumed when the head was told */
    size_t used;     /* bytes consumed in all */
} reading;

/* Reads the first message of `bytes` (borrowed during the call); `seed` is for
 * READING_PIECES. Checks what the parser promises of every single call. */
void reading_init(reading *r, lq_str bytes, reading_cuts cuts, uint64_t seed,
                  const lq_parse_limits *limits);
void reading_fini(reading *r);

/* What of the body came; lent until fini. */
lq_str reading_body(const reading *r);

/* Ends the run unless both tell the same story. */
void reading_check_same(const reading *a, const reading *b);

/* The same for what comes byte by byte and in pieces, under the limits and the
 * bytes of `whole`. */
void reading_check_cuts(const reading *whole, lq_str bytes, uint64_t seed);

#endif

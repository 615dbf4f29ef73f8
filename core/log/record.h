/* record.h - one record of the log, as a struct and as bytes in the queue.
 *
 * Packed it is a small header, the lengths of the parts that are there, and
 * the parts as they were given: what a line is made of them is render.c's,
 * and happens on the log thread. Only `fields` are rendered before, because
 * nobody else can read a Lua table.
 *
 * Owns:    nothing: the parts are borrowed.
 * Thread:  none; whoever holds it.
 * Life:    pack -> unpack, in the same process.
 * Knows:   base, level.
 */
#ifndef LQ_RECORD_H
#define LQ_RECORD_H

#include "base/str.h"
#include "log/level.h"

typedef enum lq_part {
    LQ_PART_LOGGER,  /* its name */
    LQ_PART_MESSAGE, /* an access record has none */
    LQ_PART_METHOD,
    LQ_PART_TARGET, /* of an error: the path */
    LQ_PART_REMOTE,
    LQ_PART_REQUEST,   /* its id */
    LQ_PART_FIELDS,    /* in the final format: `a=1 b=2`, or `"a":1,"b":2` */
    LQ_PART_TRACEBACK, /* with its newlines */
    LQ_PARTS,
} lq_part;

typedef enum lq_record_kind {
    LQ_RECORD_PLAIN,
    LQ_RECORD_ACCESS,  /* one request; has the three numbers */
    LQ_RECORD_DROPPED, /* so many records are not there; never packed */
} lq_record_kind;

/* Who made it. */
typedef struct lq_origin {
    char who[16]; /* "w3" */
    int worker;   /* its id; 0: main and initialize */
} lq_origin;

typedef struct lq_record {
    lq_record_kind kind;
    lq_log_level level;
    uint64_t at_ns; /* the wall clock; filled in by the log */
    const lq_origin *origin;
    lq_str parts[LQ_PARTS]; /* ptr NULL: it is not there */
    uint64_t status;
    uint64_t bytes; /* of the answer's body */
    uint64_t duration_us;
    uint64_t dropped;
} lq_record;

/* The wall clock. */
uint64_t lq_record_now_ns(void);

/* Its message; what of it is a traceback of Lua becomes that part. */
void lq_record_set_message(lq_record *r, lq_str text);

/* How many bytes it takes packed. SIZE_MAX: too many. */
size_t lq_record_size(const lq_record *r);

/* Writes these bytes to `out`. */
void lq_record_pack(const lq_record *r, char *out);

/* Reads the record at `at`, of which the parts are lent; returns its size. */
size_t lq_record_unpack(lq_record *r, const char *at);

#endif

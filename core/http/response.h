/* response.h - the head of an answer, and the frames of its body.
 *
 * Written to the end of a buffer: begin, field*, end, then the body; or plain,
 * which writes a whole short answer at once.
 *
 * Owns:    nothing.
 * Thread:  none; whoever holds the buffer and the date.
 * Knows:   base, request.
 */
#ifndef LQ_RESPONSE_H
#define LQ_RESPONSE_H

#include "base/buf.h"
#include "base/defs.h"
#include "base/str.h"

enum { LQ_DATE_LEN = 29, LQ_DATE_BLOCK_CAP = 72 };

/* The current date, written once a second together with the lines around it.
 * Embedded by value; all zero is ready for use. */
typedef struct lq_date {
    int64_t second; /* since 1970, of what stands in `block` */
    uint32_t block_len;
    char block[LQ_DATE_BLOCK_CAP];
} lq_date;

typedef struct lq_response_opts {
    int minor;       /* of the request's version */
    bool keep_alive; /* else the connection ends behind the answer */
    bool head_only;  /* the request was HEAD: lengths, but no body */
    int64_t length;  /* of the body; -1: not known, so in chunks, or up to the
                      * end of the connection when minor is 0 */
} lq_response_opts;

/* Writes `second` as "Sat, 21 Nov 2026 02:30:07 GMT", without a zero behind
 * it. Years 0 to 9999; what is outside is taken as the nearest. */
void lq_date_write(char out[LQ_DATE_LEN], int64_t second);

/* Makes `second` the current one; begin and plain do it themselves. */
void lq_date_set(lq_date *d, int64_t second);

/* Status line, Server and Date. Returns -ENOMEM. */
int lq_response_begin(lq_buf *out, lq_date *date, int status) LQ_MUST_CHECK;

/* Takes the field Server back out of the answer whose head, written so far,
 * begins `mark` bytes behind the front of `out`: the app names its own. */
void lq_response_drop_server(lq_buf *out, size_t mark);

/* One field. Returns LQ_EINVALID, and writes nothing, when the name is no
 * token or the value has a control byte other than HTAB; -ENOMEM. */
int lq_response_field(lq_buf *out, lq_str name, lq_str value) LQ_MUST_CHECK;

/* How the body is framed, what becomes of the connection, and the empty line.
 * 204, 304 and 1xx have no body and no framing. Returns -ENOMEM. */
int lq_response_end(lq_buf *out, const lq_response_opts *opts,
                    int status) LQ_MUST_CHECK;

/* A piece of a body in chunks; an empty one writes nothing, as it would end
 * the body. Returns -ENOMEM. */
int lq_response_chunk(lq_buf *out, lq_str data) LQ_MUST_CHECK;
int lq_response_last_chunk(lq_buf *out) LQ_MUST_CHECK;

/* A whole answer; opts->length is not looked at. `type` is the server's own
 * and not checked; empty: none. Returns -ENOMEM. */
int lq_response_plain(lq_buf *out, lq_date *date, int status,
                      const lq_response_opts *opts, lq_str type,
                      lq_str body) LQ_MUST_CHECK;

/* "Not Found"; lends a constant, "Unknown" when it is none that is known. */
const char *lq_status_reason(int status);

#endif

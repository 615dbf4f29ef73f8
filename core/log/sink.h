/* sink.h - where lines of the log go: standard error or a file.
 *
 * A file is appended to, is rotated by its size, and comes back when it has
 * been removed or renamed. When the disk is full a line that was written in
 * part is taken back. Pipes, terminals and FIFOs are written without being
 * waited for inside a system call: when the reader does not keep up cfg.goes_on
 * is asked, at least every LQ_SINK_WAIT_MS.
 *
 * Owns:    the descriptor; standard error is only borrowed.
 * Thread:  open - any; then one thread at a time.
 * Life:    init by open -> (write | check | reopen)* -> close.
 * Knows:   base.
 */
#ifndef LQ_SINK_H
#define LQ_SINK_H

#include <sys/types.h>

#include "base/err.h"

enum { LQ_SINK_WAIT_MS = 100 };

typedef struct lq_sink_cfg {
    const char *path;     /* borrowed; NULL: standard error */
    uint64_t rotate_size; /* bytes; 0: never */
    int rotate_keep;      /* PATH.1 ... PATH.keep, at least 1 */
    /* The reader does not keep up: false gives up, for this write. May call
     * lq_sink_ask_reopen. */
    bool (*goes_on)(void *data);
    void *data;
} lq_sink_cfg;

/* Embedded by value. */
typedef struct lq_sink {
    lq_sink_cfg cfg;
    int fd; /* -1: none, its file could not be made again */
    mode_t type;
    bool waits_itself; /* the descriptor blocks: it is polled before a write */
    bool is_torn;      /* what was written last ends in the middle of a line */
    bool wants_reopen;
    uint64_t size;     /* of a regular file */
    uint64_t tried_ms; /* when a rotation has failed */
    int error;         /* why the last write was not whole, 0: it was */
} lq_sink;

/* Returns -errno, with the path and the reason in err. */
int lq_sink_open(lq_sink *s, const lq_sink_cfg *cfg, lq_err *err) LQ_MUST_CHECK;
void lq_sink_close(lq_sink *s);

bool lq_sink_is_terminal(const lq_sink *s);

/* Writes whole lines; returns how many bytes of them stand there for good, up
 * to the end of a line. The rest is lost: s->error says why. */
size_t lq_sink_write(lq_sink *s, const char *lines, size_t len);

/* Makes the file again if it is not at its path any more. */
void lq_sink_check(lq_sink *s);

/* Opens the path anew. Returns -errno; the descriptor that is there is kept
 * then. */
int lq_sink_reopen(lq_sink *s) LQ_MUST_CHECK;
/* The same out of goes_on: at the next line. */
void lq_sink_ask_reopen(lq_sink *s);

#endif

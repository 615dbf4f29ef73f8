/* render.h - records as lines: text for people, JSON for programs.
 *
 * A record is one line, always. Text:
 *   2026-11-21T04:37:00.123Z info  w3: nest: hot degrees=40 request=6561-3-1f
 *   2026-11-21T04:37:00.456Z error w3: GET /x: app.lua:4: no request=6561-3-20
 * JSON has the same under `time level logger worker message request fields
 * traceback dropped`; a record of a request or of a handler's error has
 * `method` and `path` or `target` as well.
 *
 * Owns:    the text of the second at hand.
 * Thread:  none; whoever holds it.
 * Life:    all zero but for format and is_coloured is ready for use.
 * Knows:   base, record, escape.
 */
#ifndef LQ_RENDER_H
#define LQ_RENDER_H

#include "base/buf.h"
#include "log/record.h"

typedef enum lq_log_format {
    LQ_LOG_TEXT,
    LQ_LOG_JSON,
} lq_log_format;

enum { LQ_LOG_SECOND_CAP = 32 };

typedef struct lq_render {
    lq_log_format format;
    bool is_coloured; /* text only */
    int64_t second;   /* since 1970, of what stands in `text` */
    char text[LQ_LOG_SECOND_CAP];
} lq_render;

/* "text" or "json"; -1 for another name. */
int lq_log_format_from(const char *name);

/* Appends one line with its newline. Returns -ENOMEM; then nothing has been
 * appended. */
int lq_render_line(lq_render *render, const lq_record *r,
                   lq_buf *out) LQ_MUST_CHECK;

#endif

/* log.c - see log.h. */
#include "log/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "log/cut.h"
#include "log/sink.h"

int lq_log_init(lq_log *log, const lq_log *parent, const char *who, int worker)
{
    lq_log_source *source = NULL;

    if (parent->queue) {
        source = lq_log_queue_join(parent->queue, who, worker);
        if (!source) return -ENOMEM;
    }
    *log = *parent;
    log->who = who;
    log->worker = worker;
    log->source = source;
    return 0;
}

void lq_log_fini(lq_log *log)
{
    if (log->source) lq_log_queue_leave(log->queue, log->source);
    log->queue = NULL;
    log->source = NULL;
}

static bool never(void *data)
{
    (void)data;
    return false;
}

/* A pipe that nobody reads is not waited for: whoever logs here has no thread
 * to spare for that. Returns whether the line stands there. */
static bool write_to(const char *path, const lq_buf *line)
{
    const lq_sink_cfg cfg = {.path = path, .goes_on = never};
    lq_sink sink;
    size_t done;

    if (lq_sink_open(&sink, &cfg, NULL) < 0) return false;
    done = lq_sink_write(&sink, lq_buf_ptr(line), lq_buf_len(line));
    lq_sink_close(&sink);
    return done == lq_buf_len(line);
}

static void write_here(const lq_log *log, lq_record *r)
{
    lq_render render = {.format = log->format};
    lq_origin origin = {.worker = log->worker};
    lq_buf line;

    snprintf(origin.who, sizeof origin.who, "%s", log->who);
    r->origin = &origin;
    r->at_ns = lq_record_now_ns();
    lq_buf_init(&line);
    if (lq_render_line(&render, r, &line) == 0 &&
        !(log->path && write_to(log->path, &line)))
        (void)!write_to(NULL, &line);
    lq_buf_fini(&line);
}

static void hand_over(const lq_log *log, lq_record *r)
{
    if (log->queue &&
        lq_log_queue_push(log->queue, log->source, r) != LQ_ECLOSED)
        return;
    write_here(log, r);
}

/* Fields are whole, or JSON no more: whoever makes them keeps to a bound. */
static bool is_too_long(const lq_record *r, int part)
{
    return r->parts[part].len > LQ_LOG_LONGEST && part != LQ_PART_FIELDS;
}

/* Without memory it is cut without a word. */
static void cut_part(lq_str *part, lq_buf *copy)
{
    if (lq_cut_put(copy, *part, LQ_LOG_LONGEST) == 0)
        *part = (lq_str){lq_buf_ptr(copy), lq_buf_len(copy)};
    else
        *part = lq_cut(*part, LQ_LOG_LONGEST);
}

static void cut_record(const lq_log *log, const lq_record *whole)
{
    lq_record r = *whole;
    lq_buf copies[LQ_PARTS];
    int i;

    for (i = 0; i < LQ_PARTS; i++) {
        lq_buf_init(&copies[i]);
        if (is_too_long(&r, i)) cut_part(&r.parts[i], &copies[i]);
    }
    hand_over(log, &r);
    for (i = 0; i < LQ_PARTS; i++) lq_buf_fini(&copies[i]);
}

void lq_log_record(const lq_log *log, lq_record *r)
{
    int i = 0;

    while (i < LQ_PARTS && !is_too_long(r, i)) i++;
    if (LQ_UNLIKELY(i < LQ_PARTS))
        cut_record(log, r);
    else
        hand_over(log, r);
}

void lq_log_write(const lq_log *log, lq_log_level level, const char *text,
                  size_t len)
{
    lq_record r = {.level = level};

    if (!lq_log_enabled(log, level)) return;
    while (len > 0 && text[len - 1] == '\n') len--;
    lq_record_set_message(&r, (lq_str){text, len});
    lq_log_record(log, &r);
}

void lq_log_printf(const lq_log *log, lq_log_level level, const char *format,
                   ...)
{
    char few[4096], *text = few;
    va_list args, again;
    int len;

    if (!lq_log_enabled(log, level)) return;
    va_start(args, format);
    va_copy(again, args);
    len = vsnprintf(few, sizeof few, format, args);
    if (len >= (int)sizeof few && (text = lq_mem_alloc((size_t)len + 1)))
        vsnprintf(text, (size_t)len + 1, format, again);
    va_end(again);
    va_end(args);
    if (text)
        lq_log_write(log, level, text, len < 0 ? 0 : (size_t)len);
    else
        lq_log_write(log, level, few, sizeof few - 1);
    if (text != few) lq_mem_free(text);
}

bool lq_log_flush(const lq_log *log, uint64_t timeout_ms)
{
    return !log->queue || lq_log_queue_flush(log->queue, timeout_ms) == 0;
}

/* log.c - see log.h. */
#include "log/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"

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

/* It may be a pipe: what it does not take at once is written in further calls;
 * when it is gone the record is lost. */
static void write_all(int fd, const char *bytes, size_t len)
{
    ssize_t n;

    while (len > 0 && (n = write(fd, bytes, len)) > 0) {
        bytes += n;
        len -= (size_t)n;
    }
}

/* The file as it is, else standard error. */
static int open_here(const lq_log *log)
{
    int fd = -1;

    if (log->path)
        fd = open(log->path, O_WRONLY | O_APPEND | O_NONBLOCK | O_CLOEXEC);
    return fd < 0 ? STDERR_FILENO : fd;
}

static void write_here(const lq_log *log, lq_record *r)
{
    lq_render render = {.format = log->format};
    lq_origin origin = {.worker = log->worker};
    lq_buf line;
    int fd;

    snprintf(origin.who, sizeof origin.who, "%s", log->who);
    r->origin = &origin;
    r->at_ns = lq_record_now_ns();
    lq_buf_init(&line);
    if (lq_render_line(&render, r, &line) == 0) {
        fd = open_here(log);
        write_all(fd, lq_buf_ptr(&line), lq_buf_len(&line));
        if (fd != STDERR_FILENO) close(fd);
    }
    lq_buf_fini(&line);
}

void lq_log_record(const lq_log *log, lq_record *r)
{
    if (log->queue &&
        lq_log_queue_push(log->queue, log->source, r) != LQ_ECLOSED)
        return;
    write_here(log, r);
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
    char text[4096];
    va_list args;
    int len;

    if (!lq_log_enabled(log, level)) return;
    va_start(args, format);
    len = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (len < 0) return;
    lq_log_write(log, level, text,
                 (size_t)len < sizeof text ? (size_t)len : sizeof text - 1);
}

void lq_log_flush(const lq_log *log, uint64_t timeout_ms)
{
    if (log->queue) (void)!lq_log_queue_flush(log->queue, timeout_ms);
}

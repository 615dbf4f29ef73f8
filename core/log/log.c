/* log.c - see log.h. */
#include "log/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"

static const char *const level_names[] = {"debug", "info", "warn", "error"};

int lq_log_level_from(const char *name)
{
    int i;

    for (i = 0; i < (int)LQ_COUNT_OF(level_names); i++)
        if (strcmp(name, level_names[i]) == 0) return i;
    return -1;
}

/* "2026-11-21T04:37:00.123Z info  w3: " */
static size_t write_head(char *out, size_t cap, const lq_log *log,
                         lq_log_level level)
{
    struct timespec now;
    struct tm tm;
    size_t len;

    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &tm);
    len = strftime(out, cap, "%Y-%m-%dT%H:%M:%S", &tm);
    len += (size_t)snprintf(out + len, cap - len,
                            ".%03ldZ %-5s %s: ", now.tv_nsec / 1000000,
                            level_names[level], log->who);
    return len;
}

static void put_byte(lq_buf *b, unsigned char ch)
{
    char text[8];

    if (ch == '\n') {
        lq_buf_put(b, "\n  ", 3);
    } else if (ch < 0x20 && ch != '\t') {
        snprintf(text, sizeof text, "\\x%02x", ch);
        lq_buf_put(b, text, 4);
    } else if (ch == 0x7f) {
        lq_buf_put(b, "\\x7f", 4);
    } else {
        lq_buf_put(b, &ch, 1);
    }
}

/* Standard error may be a pipe: what it does not take at once is written in
 * further calls; when it is gone the record is lost, not the worker. */
static void write_all(const char *bytes, size_t len)
{
    ssize_t n;

    while (len > 0 && (n = write(STDERR_FILENO, bytes, len)) > 0) {
        bytes += n;
        len -= (size_t)n;
    }
}

void lq_log_write(const lq_log *log, lq_log_level level, const char *text,
                  size_t len)
{
    char head[80];
    size_t i, head_len;
    lq_buf b;

    if (!lq_log_enabled(log, level)) return;
    lq_buf_init(&b);
    head_len = write_head(head, sizeof head, log, level);
    if (lq_buf_reserve(&b, head_len + len * 4 + 1) < 0) return;
    lq_buf_put(&b, head, head_len);
    while (len > 0 && text[len - 1] == '\n') len--;
    for (i = 0; i < len; i++) put_byte(&b, (unsigned char)text[i]);
    lq_buf_put(&b, "\n", 1);
    write_all(lq_buf_ptr(&b), lq_buf_len(&b));
    lq_buf_fini(&b);
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

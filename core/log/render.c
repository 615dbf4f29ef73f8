/* render.c - see render.h. */
#include "log/render.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#include "log/escape.h"

enum { NS_PER_S = 1000000000, NS_PER_MS = 1000000 };

int lq_log_format_from(const char *name)
{
    if (strcmp(name, "text") == 0) return LQ_LOG_TEXT;
    if (strcmp(name, "json") == 0) return LQ_LOG_JSON;
    return -1;
}

/* A line on its way; after the first error nothing more is put. */
typedef struct line {
    lq_buf *out;
    const lq_record *r;
    int err;
} line;

/* ---- pieces -------------------------------------------------------------- */

static void put(line *l, const char *bytes, size_t len)
{
    if (l->err == 0) l->err = lq_buf_append(l->out, bytes, len);
}

static void put_text(line *l, const char *text)
{
    put(l, text, strlen(text));
}

__attribute__((format(printf, 2, 3))) static void
put_format(line *l, const char *format, ...)
{
    char text[96];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    put_text(l, text);
}

static void put_digits(char *out, size_t digits, uint32_t v)
{
    for (; digits > 0; v /= 10) out[--digits] = (char)('0' + v % 10);
}

/* 2026-11-21T04:37:00.123Z, RFC 3339. */
static void put_time(line *l, lq_render *render)
{
    int64_t second = (int64_t)(l->r->at_ns / NS_PER_S);
    time_t t = (time_t)second;
    char rest[] = ".000Z";
    struct tm tm;

    if (second != render->second || !render->text[0]) {
        gmtime_r(&t, &tm);
        strftime(render->text, sizeof render->text, "%Y-%m-%dT%H:%M:%S", &tm);
        render->second = second;
    }
    put_digits(rest + 1, 3, (uint32_t)(l->r->at_ns % NS_PER_S / NS_PER_MS));
    put_text(l, render->text);
    put(l, rest, 5);
}

static bool has(const line *l, lq_part part)
{
    return l->r->parts[part].ptr != NULL;
}

/* `parts` of an access record are there, known or not. */
static lq_str part_of(const line *l, lq_part part)
{
    return has(l, part) ? l->r->parts[part] : LQ_STR("");
}

static void put_escaped(line *l, int (*escape)(lq_buf *, lq_str), lq_str s)
{
    if (l->err == 0) l->err = escape(l->out, s);
}

static void put_duration(line *l)
{
    put_format(l, "%llu.%03u", (unsigned long long)(l->r->duration_us / 1000),
               (unsigned)(l->r->duration_us % 1000));
}

/* The message, for the kinds that have none of their own. */
static void put_dropped(line *l)
{
    put_format(l, "%llu records dropped", (unsigned long long)l->r->dropped);
}

/* ---- text ---------------------------------------------------------------- */

#define PLAIN "\033[0m"
#define DIM "\033[2m"

static const char *const colours[] = {DIM, "\033[32m", "\033[33m", "\033[31m"};

static void put_head(line *l, lq_render *render)
{
    bool is_coloured = render->is_coloured;
    char level[] = "      ";

    memcpy(level, lq_log_level_name(l->r->level),
           strlen(lq_log_level_name(l->r->level)));
    if (is_coloured) put_text(l, DIM);
    put_time(l, render);
    put_text(l, is_coloured ? PLAIN " " : " ");
    if (is_coloured) put_text(l, colours[l->r->level]);
    put(l, level, 5);
    put_text(l, is_coloured ? PLAIN " " : " ");
    put_text(l, l->r->origin->who);
    put_text(l, ": ");
}

static void put_pair(line *l, const char *key, lq_part part)
{
    if (!has(l, part)) return;
    put_text(l, key);
    put_escaped(l, lq_escape_value, l->r->parts[part]);
}

/* A request that was not understood has a dash for what is not known. */
static void put_known(line *l, lq_part part)
{
    lq_str s = part_of(l, part);

    put_escaped(l, lq_escape_text, s.len ? s : LQ_STR("-"));
    put_text(l, " ");
}

static void put_access_text(line *l)
{
    put_known(l, LQ_PART_METHOD);
    put_known(l, LQ_PART_TARGET);
    put_format(l, "%u bytes=%llu duration_ms=", (unsigned)l->r->status,
               (unsigned long long)l->r->bytes);
    put_duration(l);
    put_pair(l, " remote=", LQ_PART_REMOTE);
}

static void put_plain_text(line *l)
{
    if (has(l, LQ_PART_METHOD)) {
        put_known(l, LQ_PART_METHOD);
        put_escaped(l, lq_escape_text, part_of(l, LQ_PART_TARGET));
        put_text(l, ": ");
    }
    put_escaped(l, lq_escape_text, part_of(l, LQ_PART_MESSAGE));
    if (has(l, LQ_PART_FIELDS) && l->r->parts[LQ_PART_FIELDS].len) {
        put_text(l, " ");
        put(l, l->r->parts[LQ_PART_FIELDS].ptr,
            l->r->parts[LQ_PART_FIELDS].len);
    }
}

static void put_text_line(line *l, lq_render *render)
{
    put_head(l, render);
    if (has(l, LQ_PART_LOGGER)) {
        put_escaped(l, lq_escape_text, l->r->parts[LQ_PART_LOGGER]);
        put_text(l, ": ");
    }
    switch (l->r->kind) {
    case LQ_RECORD_PLAIN: put_plain_text(l); break;
    case LQ_RECORD_ACCESS: put_access_text(l); break;
    case LQ_RECORD_DROPPED: put_dropped(l); break;
    }
    put_pair(l, " request=", LQ_PART_REQUEST);
    put_pair(l, " traceback=", LQ_PART_TRACEBACK);
}

/* ---- JSON ---------------------------------------------------------------- */

static void put_key(line *l, const char *key, lq_part part)
{
    if (!has(l, part)) return;
    put_text(l, key);
    put_escaped(l, lq_escape_json, l->r->parts[part]);
}

static void put_access_json(line *l)
{
    put_text(l, ",\"message\":\"request\",\"method\":");
    put_escaped(l, lq_escape_json, part_of(l, LQ_PART_METHOD));
    put_text(l, ",\"target\":");
    put_escaped(l, lq_escape_json, part_of(l, LQ_PART_TARGET));
    put_format(l, ",\"status\":%u,\"bytes\":%llu,\"duration_ms\":",
               (unsigned)l->r->status, (unsigned long long)l->r->bytes);
    put_duration(l);
    put_key(l, ",\"remote\":", LQ_PART_REMOTE);
}

static void put_dropped_json(line *l)
{
    put_text(l, ",\"message\":\"");
    put_dropped(l);
    put_format(l, "\",\"dropped\":%llu", (unsigned long long)l->r->dropped);
}

static void put_plain_json(line *l)
{
    put_key(l, ",\"message\":", LQ_PART_MESSAGE);
    put_key(l, ",\"method\":", LQ_PART_METHOD);
    put_key(l, ",\"path\":", LQ_PART_TARGET);
    if (!has(l, LQ_PART_FIELDS)) return;
    put_text(l, ",\"fields\":{");
    put(l, l->r->parts[LQ_PART_FIELDS].ptr, l->r->parts[LQ_PART_FIELDS].len);
    put_text(l, "}");
}

static void put_json_line(line *l, lq_render *render)
{
    put_text(l, "{\"time\":\"");
    put_time(l, render);
    put_text(l, "\",\"level\":\"");
    put_text(l, lq_log_level_name(l->r->level));
    put_format(l, "\",\"worker\":%d", l->r->origin->worker);
    put_key(l, ",\"logger\":", LQ_PART_LOGGER);
    switch (l->r->kind) {
    case LQ_RECORD_PLAIN: put_plain_json(l); break;
    case LQ_RECORD_ACCESS: put_access_json(l); break;
    case LQ_RECORD_DROPPED: put_dropped_json(l); break;
    }
    put_key(l, ",\"request\":", LQ_PART_REQUEST);
    put_key(l, ",\"traceback\":", LQ_PART_TRACEBACK);
    put_text(l, "}");
}

int lq_render_line(lq_render *render, const lq_record *r, lq_buf *out)
{
    size_t before = lq_buf_len(out);
    line l = {.out = out, .r = r};

    if (render->format == LQ_LOG_JSON)
        put_json_line(&l, render);
    else
        put_text_line(&l, render);
    put_text(&l, "\n");
    if (l.err < 0) lq_buf_truncate(out, before);
    return l.err;
}

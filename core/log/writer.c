/* writer.c - see writer.h. */
#include "log/writer.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "log/sink.h"
#include "loop/thread.h"

enum {
    LOOK_MS = 500,                /* whether the file is still there */
    BUSY_MS = 4 * LQ_LOG_PACE_MS, /* batches follow each other quickly */
    LINES_BYTES = 256 * 1024,     /* lines that are written at once */
    STUCK_MS = 1000,              /* beyond the grace: it does not come back */
    ASK_MS = 50,                  /* whether the end may be waited for */
};

/* A line in `lines`, and whose it is. */
typedef struct mark {
    size_t end;
    const lq_origin *origin; /* NULL: a count, which is no record of anybody */
} mark;

struct lq_writer {
    /* Constant once the thread runs. */
    lq_log_queue *queue;
    lq_thread thread;

    /* Log thread. */
    lq_sink sink;
    lq_render render;
    lq_buf lines;
    lq_buf marks;
    uint64_t last_ms; /* the last batch with records */
    uint64_t unsaid;  /* records lost that nobody can be told of any more */
    bool is_failing;  /* the sink does not take what it is given */
};

/* ---- lines --------------------------------------------------------------- */

static void count_lost(const lq_origin *origin)
{
    if (origin) ++*lq_log_source_lost(lq_log_source_of(origin));
}

/* A line for standard error, which is asked whether it takes one: it is not
 * waited for. */
static void say(const char *text, size_t len)
{
    struct pollfd p = {.fd = STDERR_FILENO, .events = POLLOUT};

    if (poll(&p, 1, 0) <= 0) return;
    if (write(STDERR_FILENO, text, len) < 0) return;
}

static void say_file(const lq_writer *w, const char *what, int err,
                     const char *then)
{
    char text[512], why[128];
    int len = snprintf(text, sizeof text,
                       "luaqueduct: the log file %.200s is not %s: %s; %s\n",
                       w->sink.cfg.path, what,
                       lq_strerror(err, why, sizeof why), then);

    say(text, (size_t)len);
}

/* On demand. */
static void reopen(lq_writer *w)
{
    int err = lq_sink_reopen(&w->sink);

    if (err < 0) say_file(w, "opened anew", err, "the old one is written to");
}

/* The sink has failed: said once, until it works again. What is late is counted
 * in the end. */
static void complain(lq_writer *w)
{
    if (w->is_failing || !w->sink.cfg.path) return;
    if (w->sink.error == LQ_ETIMEOUT) return;
    w->is_failing = true;
    say_file(w, "written", w->sink.error, "records are dropped");
}

/* Returns how many bytes the sink took. A disk may be slow without being asked
 * whether it is, so the time is looked at here. */
static size_t put_lines(lq_writer *w)
{
    if (lq_log_queue_is_late(w->queue)) {
        w->sink.error = LQ_ETIMEOUT;
        return 0;
    }
    return lq_sink_write(&w->sink, lq_buf_ptr(&w->lines),
                         lq_buf_len(&w->lines));
}

/* Writes the lines; those that the sink did not take count as lost. Returns
 * whether it took all. */
static bool write_lines(lq_writer *w)
{
    const mark *m = (const mark *)(void *)lq_buf_ptr(&w->marks);
    size_t n = lq_buf_len(&w->marks) / sizeof *m, i, done;
    bool is_whole;

    if (n == 0) return true;
    done = put_lines(w);
    is_whole = done == lq_buf_len(&w->lines);
    for (i = 0; i < n; i++)
        if (m[i].end > done) count_lost(m[i].origin);
    if (is_whole)
        w->is_failing = false;
    else
        complain(w);
    lq_buf_clear(&w->lines);
    lq_buf_clear(&w->marks);
    return is_whole;
}

/* Returns -ENOMEM: the record is not among the lines. */
static int add_line(lq_writer *w, const lq_record *r, const lq_origin *owner)
{
    mark m = {0, owner};
    int err = lq_buf_reserve(&w->marks, sizeof m);

    if (err == 0) err = lq_render_line(&w->render, r, &w->lines);
    if (err < 0) return err;
    m.end = lq_buf_len(&w->lines);
    lq_buf_put(&w->marks, &m, sizeof m);
    return 0;
}

static void write_block(lq_writer *w, const lq_log_block *b)
{
    lq_record r;
    size_t at = 0;

    while (at < b->len) {
        at += lq_record_unpack(&r, b->bytes + at);
        if (add_line(w, &r, r.origin) < 0) count_lost(r.origin);
        if (lq_buf_len(&w->lines) >= LINES_BYTES) write_lines(w);
    }
}

/* How many records of the source are not there. */
static void tell_lost(lq_writer *w, lq_log_source *s)
{
    uint64_t *lost = lq_log_source_lost(s);
    lq_record r = {
        .kind = LQ_RECORD_DROPPED,
        .level = LQ_LOG_WARN,
        .origin = lq_log_source_origin(s),
        .dropped = *lost,
    };

    if (!*lost) return;
    r.at_ns = lq_record_now_ns();
    if (add_line(w, &r, NULL) == 0 && write_lines(w)) *lost = 0;
}

/* A buffer that one large record has blown up goes back. */
static void trim(lq_buf *b)
{
    if (b->cap > 4 * LINES_BYTES) lq_buf_fini(b);
}

static void write_batch(lq_writer *w, const lq_log_batch *batch)
{
    const lq_log_block *b;
    lq_log_source *s;

    lq_sink_check(&w->sink);
    for (b = batch->blocks; b; b = b->next) write_block(w, b);
    write_lines(w);
    for (s = batch->told; s; s = lq_log_queue_next_told(s)) tell_lost(w, s);
    trim(&w->lines);
    trim(&w->marks);
}

/* ---- the thread ---------------------------------------------------------- */

/* The sink is stuck. */
static bool on_stuck(void *data)
{
    lq_writer *w = data;

    if (lq_log_queue_has_order(w->queue)) lq_sink_ask_reopen(&w->sink);
    return !lq_log_queue_is_late(w->queue);
}

static bool is_busy(lq_writer *w, const lq_log_batch *batch)
{
    uint64_t now = uv_hrtime() / 1000000;
    bool is = now - w->last_ms < BUSY_MS;

    if (batch->blocks) w->last_ms = now;
    return is;
}

/* What is lost for good. */
static void count_unsaid(lq_writer *w, const lq_log_batch *batch)
{
    lq_log_source *s = batch->told;

    for (; s; s = lq_log_queue_next_told(s))
        w->unsaid += *lq_log_source_lost(s);
}

static void run(void *arg)
{
    lq_writer *w = arg;
    bool is_paced = false, is_last = false;
    lq_log_batch batch;

    while (!is_last) {
        lq_log_queue_take(w->queue, &batch, is_paced, LOOK_MS);
        if (batch.reopens) reopen(w);
        write_batch(w, &batch);
        is_paced = is_busy(w, &batch);
        is_last = batch.is_last;
        lq_log_queue_settle(w->queue, &batch);
    }
    lq_log_queue_take(w->queue, &batch, false, 0);
    count_unsaid(w, &batch);
    lq_log_queue_end(w->queue);
}

/* ---- life ---------------------------------------------------------------- */

static int start(lq_writer *w, const lq_writer_cfg *cfg, lq_err *err)
{
    const lq_sink_cfg sink = {
        .path = cfg->path,
        .rotate_size = cfg->rotate_size,
        .rotate_keep = cfg->rotate_keep,
        .goes_on = on_stuck,
        .data = w,
    };
    int code;

    if ((code = lq_sink_open(&w->sink, &sink, err)) < 0) return code;
    if ((code = lq_log_queue_new(&w->queue)) < 0) goto fail;
    w->render.format = cfg->format;
    w->render.is_coloured =
        lq_sink_is_terminal(&w->sink) && !getenv("NO_COLOR");
    code = lq_thread_start(&w->thread, "lq:log", run, w);
    if (code == 0) return 0;

fail:
    lq_log_queue_free(w->queue);
    lq_sink_close(&w->sink);
    return code;
}

int lq_writer_start(lq_writer **out, const lq_writer_cfg *cfg, lq_err *err)
{
    lq_writer *w = lq_mem_zalloc(sizeof *w);
    int code;

    lq_err_set(err, -ENOMEM, "the log thread could not be started");
    if (!w) return -ENOMEM;
    code = start(w, cfg, err);
    if (code < 0)
        lq_mem_free(w);
    else
        *out = w;
    return code;
}

lq_log_queue *lq_writer_queue(lq_writer *w)
{
    return w->queue;
}

void lq_writer_reopen(lq_writer *w)
{
    lq_log_queue_ask_reopen(w->queue);
}

/* Not through the log: there is none any more. */
static void say_lost(const lq_writer *w, bool is_stuck)
{
    const char *path = w->sink.cfg.path ? w->sink.cfg.path : "standard error";
    char text[512];
    int len;

    if (is_stuck)
        len = snprintf(text, sizeof text,
                       "luaqueduct: records of the log were lost: %.200s "
                       "does not take them\n",
                       path);
    else
        len = snprintf(text, sizeof text,
                       "luaqueduct: %llu records of the log were lost: %.200s "
                       "did not take them\n",
                       (unsigned long long)w->unsaid, path);
    say(text, (size_t)len);
}

bool lq_writer_finish(lq_writer *w, uint64_t grace_ms,
                      bool (*goes_on)(void *data), void *data)
{
    uint64_t until = uv_hrtime() / 1000000 + grace_ms + STUCK_MS;

    lq_log_queue_close(w->queue, grace_ms);
    while (lq_log_queue_await_end(w->queue, ASK_MS) < 0) {
        if (uv_hrtime() / 1000000 < until && goes_on(data)) continue;
        say_lost(w, true);
        return false;
    }
    lq_thread_join(&w->thread);
    if (w->unsaid) say_lost(w, false);
    return true;
}

void lq_writer_free(lq_writer *w)
{
    lq_sink_close(&w->sink);
    lq_buf_fini(&w->lines);
    lq_buf_fini(&w->marks);
    lq_log_queue_free(w->queue);
    lq_mem_free(w);
}

/* opening.c - see opening.h.
 *
 * The key that a cancel needs is in none of libpq's functions; its trace has
 * it. It is on while the connection is being made and goes into memory.
 */
#include "pg/opening.h"

#include <ctype.h>
#include <errno.h>
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "pg/watch.h"

/* ---- what has failed ---------------------------------------------------- */

/* Copies without the lines that say where in the server's source it was. */
static void copy_lines(char *out, size_t cap, const char *message)
{
    size_t len, used = 0;

    for (; *message; message += len + (message[len] == '\n')) {
        len = strcspn(message, "\n");
        if (len == 0 || strncmp(message, "LOCATION:", 9) == 0) continue;
        for (; *message == '\t'; message++) len--;
        if (used + len + 2 > cap) len = cap - used - 2;
        if (used > 0) out[used++] = ' ';
        memcpy(out + used, message, len);
        used += len;
        if (used + 2 >= cap) break;
    }
    out[used] = '\0';
}

/* Takes `FATAL:  57P03: ` apart. */
static void take_sqlstate(lq_pg_failure *f)
{
    char *at = f->text;
    int i;

    while ((at = strstr(at, ":  "))) {
        at += 3;
        for (i = 0; i < 5 && isalnum((unsigned char)at[i]); i++) {
        }
        if (i < 5 || at[5] != ':' || at[6] != ' ') continue;
        memcpy(f->sqlstate, at, 5);
        memmove(at, at + 7, strlen(at + 7) + 1);
        return;
    }
}

/* libpq has only words for what the system says. */
static int errno_of(const char *text)
{
    static const int list[] = {ECONNREFUSED, ENOENT,      ETIMEDOUT,
                               EHOSTUNREACH, ENETUNREACH, ECONNRESET,
                               EACCES,       EPIPE};
    char words[128];
    size_t i;

    for (i = 0; i < LQ_COUNT_OF(list); i++)
        if (strstr(text, lq_strerror(-list[i], words, sizeof words)))
            return -list[i];
    return LQ_ELOST;
}

void lq_pg_failure_set(lq_pg_failure *f, int err, const char *message)
{
    char text[sizeof f->text];

    copy_lines(text, sizeof text, *message ? message : "no reason is given");
    *f = (lq_pg_failure){.err = err};
    snprintf(f->text, sizeof f->text, "%s", text);
    take_sqlstate(f);
    if (f->sqlstate[0]) f->err = LQ_EREFUSED;
}

static void note_failure(lq_pg_conn *c)
{
    const char *message = PQerrorMessage(c->pg);

    lq_pg_failure_set(&c->failure, errno_of(message), message);
}

/* ---- the trace ---------------------------------------------------------- */

static void begin_trace(lq_pg_conn *c)
{
    c->trace.file = open_memstream(&c->trace.text, &c->trace.len);
    if (!c->trace.file) return;
    PQtrace(c->pg, c->trace.file);
    PQsetTraceFlags(c->pg, PQTRACE_SUPPRESS_TIMESTAMPS);
}

static void read_key(lq_pg_conn *c)
{
    const char *at = NULL, *next = c->trace.text;
    int pid, secret;

    /* The last: of several hosts, those before it have not been taken. */
    while (next && (next = strstr(next, "BackendKeyData"))) at = next++;
    if (!at || sscanf(at, "BackendKeyData %d %d", &pid, &secret) != 2) return;
    c->key[0] = (uint32_t)pid;
    c->key[1] = (uint32_t)secret;
}

static void end_trace(lq_pg_conn *c)
{
    if (!c->trace.file) return;
    PQuntrace(c->pg);
    fclose(c->trace.file);
    read_key(c);
    if (c->trace.text) explicit_bzero(c->trace.text, c->trace.len);
    free(c->trace.text); /* of libc */
    c->trace.text = NULL;
    c->trace.file = NULL;
}

/* ---- libpq's steps ------------------------------------------------------ */

static void on_notice(void *data, const PGresult *r)
{
    const char *severity = PQresultErrorField(r, PG_DIAG_SEVERITY_NONLOCALIZED);
    const char *text = PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY);

    lq_log_printf(data, LQ_LOG_DEBUG, "postgresql: %s: %s",
                  severity ? severity : "notice", text ? text : "");
}

static void become_open(lq_pg_conn *c)
{
    end_trace(c);
    PQsetErrorVerbosity(c->pg, PQERRORS_DEFAULT);
    PQsetNoticeReceiver(c->pg, on_notice, (void *)(uintptr_t)c->cfg->log);
    if (PQsetnonblocking(c->pg, 1) < 0 || !PQenterPipelineMode(c->pg)) {
        note_failure(c);
        lq_pg_conn_failed(c);
        return;
    }
    lq_pg_conn_opened(c);
}

static void on_poll(uv_poll_t *handle, int status, int events);

static void wait_for(lq_pg_conn *c, int events)
{
    int err = lq_pg_watch(c, events, on_poll);

    if (err == 0) return;
    c->failure.err = err;
    lq_strerror(err, c->failure.text, sizeof c->failure.text);
    lq_pg_conn_failed(c);
}

static void step(lq_pg_conn *c)
{
    lq_pg_watch_pause(c);
    switch (PQconnectPoll(c->pg)) {
    case PGRES_POLLING_READING: wait_for(c, UV_READABLE); break;
    case PGRES_POLLING_WRITING: wait_for(c, UV_WRITABLE); break;
    case PGRES_POLLING_OK: become_open(c); break;
    default:
        note_failure(c);
        lq_pg_conn_failed(c);
        break;
    }
}

static void on_poll(uv_poll_t *handle, int status, int events)
{
    lq_pg_conn *c = lq_pg_watch_of(handle);

    (void)events;
    if (!c) return;
    if (status < 0) c->poll->events = 0;
    step(c);
}

/* Out of the timer: whoever opens it is not called back before. */
static void fail_later(lq_pg_conn *c)
{
    lq_timers *timers = lq_loop_timers(c->cfg->loop);
    int err = lq_timer_start(timers, &c->timer, lq_loop_now(c->cfg->loop));

    LQ_ASSERT(err == 0); /* it is set already, and needs no memory */
}

static void connect_to(lq_pg_conn *c, const lq_pg_hosts *hosts)
{
    const char *keys[LQ_PG_KEYS_MAX], *values[LQ_PG_KEYS_MAX];
    int n = lq_pg_url_params(c->cfg->url, keys, values);

    keys[n] = "host";
    values[n++] = hosts->names;
    keys[n] = "hostaddr";
    values[n++] = hosts->addresses;
    keys[n] = "port";
    values[n++] = hosts->ports;
    keys[n] = values[n] = NULL;
    c->pg = PQconnectStartParams(keys, values, 0);
    if (!c->pg) {
        c->failure.err = -ENOMEM;
    } else if (PQstatus(c->pg) == CONNECTION_BAD) {
        note_failure(c);
    } else {
        begin_trace(c);
        PQsetErrorVerbosity(c->pg, PQERRORS_VERBOSE);
        c->failure.err = lq_pg_watch(c, UV_WRITABLE, on_poll);
        if (c->failure.err == 0) return;
    }
    fail_later(c);
}

static void on_looked_up(void *data, const lq_pg_hosts *hosts, int err)
{
    lq_pg_conn *c = data;

    c->lookup = NULL;
    if (err == 0) {
        connect_to(c, hosts);
        return;
    }
    c->failure.err = err;
    snprintf(c->failure.text, sizeof c->failure.text,
             "the server's name cannot be looked up: %s", uv_strerror(err));
    fail_later(c);
}

int lq_pg_opening_start(lq_pg_conn *c)
{
    const lq_pg_conn_cfg *cfg = c->cfg;
    lq_pg_lookup *l = NULL;
    int err;

    c->connect_by_ms = lq_loop_update(cfg->loop) + cfg->connect_ms;
    err =
        lq_timer_start(lq_loop_timers(cfg->loop), &c->timer, c->connect_by_ms);
    if (err < 0) return err;
    c->lookup = NULL;
    err = lq_pg_lookup_start(&l, cfg->loop, cfg->url, cfg->pending,
                             on_looked_up, c);
    if (err < 0)
        lq_timer_stop(lq_loop_timers(cfg->loop), &c->timer);
    else if (!c->pg && !c->failure.err)
        c->lookup = l;
    return err;
}

void lq_pg_opening_stop(lq_pg_conn *c)
{
    lq_pg_lookup_abandon(c->lookup);
    c->lookup = NULL;
    if (c->pg) end_trace(c);
}

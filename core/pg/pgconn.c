/* pgconn.c - see pgconn.h. */
#include "pg/pgconn.h"

#include <errno.h>
#include <libpq-fe.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "pg/giveup.h"
#include "pg/opening.h"
#include "pg/pieces.h"
#include "pg/plain.h"
#include "pg/steps.h"
#include "pg/watch.h"

enum {
    ABANDONED_MS = 20, /* for a query that ends soon by itself */
    OWN_MS = 5000,     /* for one of the connection's own */
};

static lq_timers *timers_of(const lq_pg_conn *c)
{
    return lq_loop_timers(c->cfg->loop);
}

bool lq_pg_conn_is_in_transaction(const lq_pg_conn *c)
{
    return PQtransactionStatus(c->pg) != PQTRANS_IDLE;
}

/* ---- the end ------------------------------------------------------------ */

static void finish_told(lq_pg_query *q)
{
    if (q->err && !q->is_abandoned) ++*q->conn->cfg->errors;
    q->state = LQ_PG_OVER;
    q->conn = NULL;
    if (q->is_abandoned)
        lq_pg_query_free(q);
    else if (!q->is_told)
        q->on_done(q);
}

/* What the server has said of the connection, not of a query; NULL: nothing. */
static const char *last_words(const lq_pg_query *q)
{
    const PGresult *r = q ? q->failure : NULL;
    const char *severity =
        r ? PQresultErrorField(r, PG_DIAG_SEVERITY_NONLOCALIZED) : NULL;

    if (!severity || strcmp(severity, "ERROR") == 0) return NULL;
    return PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY);
}

/* Fails them all; the server's own last words are better than libpq's. */
static void fail_all(lq_list *list, int err, const char *text)
{
    char words[sizeof((lq_pg_failure){0}).text];
    const char *last = last_words(lq_pg_first(list));
    lq_list *link;
    lq_pg_query *q;

    if (last) {
        snprintf(words, sizeof words, "%s", last);
        text = words;
    }
    while ((link = lq_list_pop_front(list))) {
        q = LQ_CONTAINER_OF(link, lq_pg_query, link);
        lq_mem_free(q->text); /* of one that is told */
        q->text = NULL;
        q->err = 0;
        lq_pg_query_fail(q, err, text);
        finish_told(q);
    }
}

void lq_pg_conn_close(lq_pg_conn *c, int err)
{
    if (c->state == LQ_PG_CLOSING) return;
    lq_pg_giveup_last(c);
    c->state = LQ_PG_CLOSING;
    lq_timer_stop(timers_of(c), &c->timer);
    lq_list_remove(&c->link);
    lq_list_remove(&c->dirty);
    lq_pg_opening_stop(c);
    lq_pg_cancel_stop(c->cancel);
    c->cancel = NULL;
    c->polls++;
    lq_pg_watch_close(c);
    if (c->pg) PQfinish(c->pg);
    c->pg = NULL;
    fail_all(&c->sent, err, NULL);
    fail_all(&c->unsent, err, NULL);
    fail_all(&c->closing, err, NULL);
    lq_pg_cache_fini(&c->prepared);
    c->load = 0;
    if (--c->polls == 0) c->cfg->on_freed(c);
}

static void lose(lq_pg_conn *c, const lq_pg_failure *f)
{
    lq_pg_failure copy = *f;

    if (c->state == LQ_PG_CLOSING || c->is_lost) return;
    c->is_lost = true;
    /* libpq has closed the socket: the next connection may get its number. */
    lq_pg_watch_close(c);
    fail_all(&c->sent, copy.err, copy.text[0] ? copy.text : NULL);
    c->cfg->on_lost(c, &copy);
    lq_pg_conn_close(c, copy.err);
}

/* libpq says that the connection is of no use any more. */
static void lose_it(lq_pg_conn *c, const char *words)
{
    lq_pg_failure f;

    lq_pg_failure_set(&f, LQ_ELOST, words ? words : PQerrorMessage(c->pg));
    f.err = LQ_ELOST;
    f.sqlstate[0] = '\0';
    lose(c, &f);
}

void lq_pg_conn_failed(lq_pg_conn *c)
{
    lose(c, &c->failure);
}

/* ---- time --------------------------------------------------------------- */

static bool is_paused(const lq_pg_query *q)
{
    return q->pieces && !q->is_abandoned && lq_pg_pieces_are_full(q->pieces);
}

/* When something is to be done; 0: nothing is. */
static uint64_t due_of(const lq_pg_conn *c)
{
    const lq_pg_query *q = lq_pg_first(&c->sent);
    uint64_t due = 0;

    if (c->state == LQ_PG_CONNECTING) return c->connect_by_ms;
    if (c->cancel_by_ms)
        return c->again_ms && c->again_ms < c->cancel_by_ms ? c->again_ms
                                                            : c->cancel_by_ms;
    if (!q || is_paused(q)) return 0;
    if (q->timeout_ms) due = c->head_ms + q->timeout_ms;
    if (q->is_abandoned && !q->is_final && lq_pg_conn_is_alone(c) &&
        (!due || q->since_ms + ABANDONED_MS < due))
        due = q->since_ms + ABANDONED_MS;
    return due;
}

static void arm(lq_pg_conn *c)
{
    uint64_t due = due_of(c);

    if (due == 0 || (lq_timer_is_set(&c->timer) && c->timer.at_ms <= due))
        return;
    if (lq_timer_start(timers_of(c), &c->timer, due) < 0)
        lose_it(c, "not enough memory");
}

static void flush_later(lq_pg_conn *c)
{
    if (!lq_list_is_empty(&c->dirty)) return;
    lq_list_push_back(c->cfg->dirty, &c->dirty);
    lq_loop_again(c->cfg->loop);
}

static void on_due(lq_timer *timer)
{
    lq_pg_conn *c = LQ_CONTAINER_OF(timer, lq_pg_conn, timer);
    uint64_t now_ms = lq_loop_now(c->cfg->loop), due;

    if (c->state == LQ_PG_CONNECTING) {
        if (!c->failure.err)
            lq_pg_failure_set(&c->failure, LQ_ETIMEOUT,
                              "the server did not answer in time");
        lose(c, &c->failure);
        return;
    }
    due = due_of(c);
    if (due && due <= now_ms) {
        if (c->cancel_by_ms && c->cancel_by_ms <= now_ms) {
            lose_it(c, "the server does not answer");
            return;
        }
        if (c->cancel_by_ms)
            lq_pg_giveup_again(c);
        else
            lq_pg_giveup_head(c, now_ms);
    }
    if (c->state == LQ_PG_OPEN) arm(c);
}

/* ---- sending ------------------------------------------------------------ */

static void on_poll(uv_poll_t *handle, int status, int events);
static void read_results(lq_pg_conn *c);

static void watch(lq_pg_conn *c)
{
    const lq_pg_query *q = lq_pg_first(&c->sent);
    int events = c->is_blocked ? UV_WRITABLE : 0;

    if (c->state != LQ_PG_OPEN || PQsocket(c->pg) < 0) return;
    if (!q || !is_paused(q)) events |= UV_READABLE;
    if (lq_pg_watch(c, events, on_poll) < 0) lose_it(c, "cannot be watched");
}

/* Returns whether the connection is still there. */
static bool push_out(lq_pg_conn *c)
{
    int left = PQflush(c->pg);

    if (left < 0) {
        lose_it(c, NULL);
        return false;
    }
    c->is_blocked = left > 0;
    return true;
}

static bool send_one(lq_pg_conn *c, lq_pg_query *q)
{
    if (lq_list_is_empty(&c->sent)) c->head_ms = lq_loop_update(c->cfg->loop);
    lq_list_remove(&q->link);
    lq_list_push_back(&c->sent, &q->link);
    q->state = LQ_PG_SENT;
    if (lq_pg_is_plain(q->kind) ? !lq_pg_plain_send(c, q)
                                : !lq_pg_steps_send(c, q)) {
        lose_it(c, NULL);
        return false;
    }
    return push_out(c);
}

/* Returns whether the connection is still there. */
static bool send_closing(lq_pg_conn *c)
{
    lq_list *link;
    lq_pg_query *q;

    while ((link = lq_list_pop_front(&c->closing))) {
        q = LQ_CONTAINER_OF(link, lq_pg_query, link);
        q->since_ms = lq_loop_now(c->cfg->loop) + OWN_MS;
        c->load++;
        if (!send_one(c, q)) return false;
    }
    return true;
}

/* Whether statements are to be closed first. */
static bool may_close(const lq_pg_conn *c, const lq_pg_query *q)
{
    return !lq_list_is_empty(&c->closing) && q->kind != LQ_PG_SYNC &&
           !lq_pg_is_chunk(q->kind);
}

/* Out of pipeline mode, and on the way there, it is one at a time. A chunk that
 * comes too late finds the connection as it always is. */
static bool may_send_plain(const lq_pg_conn *c, const lq_pg_query *q)
{
    if (!lq_list_is_empty(&c->sent)) return false;
    return c->is_plain ? lq_pg_is_chunk(q->kind) : true;
}

/* A stalled connection sends nothing but the sync that ends that. */
static bool may_send(const lq_pg_conn *c, const lq_pg_query *q)
{
    if (q && (c->is_plain || lq_pg_is_plain(q->kind)) && !may_send_plain(c, q))
        return false;
    return q && !c->is_blocked &&
           (!c->is_stalled || (q->kind == LQ_PG_SYNC && c->syncing));
}

void lq_pg_conn_flush(lq_pg_conn *c)
{
    lq_pg_query *q;

    lq_list_remove(&c->dirty);
    if (c->state != LQ_PG_OPEN) return;
    while (may_send(c, q = lq_pg_first(&c->unsent)))
        if (!(may_close(c, q) ? send_closing(c) : send_one(c, q))) return;
    if ((q = lq_pg_first(&c->sent)) && lq_pg_is_chunk(q->kind)) {
        read_results(c); /* one that is out is over */
        if (c->state != LQ_PG_OPEN) return;
    }
    arm(c);
    watch(c);
}

void lq_pg_conn_add(lq_pg_conn *c, lq_pg_query *q)
{
    q->conn = c;
    q->state = LQ_PG_UNSENT;
    lq_list_push_back(&c->unsent, &q->link);
    c->load++;
    flush_later(c);
}

/* ---- what the server answers -------------------------------------------- */

#define MISFIT "the server's answers do not fit what was asked"

static bool is_code(const PGresult *r, const char *code)
{
    const char *state = PQresultErrorField(r, PG_DIAG_SQLSTATE);

    return state && strcmp(state, code) == 0;
}

/* The server did not know its statement, or knew it for a table that was
 * another one then: nothing has run. */
static bool may_retry(const lq_pg_conn *c, const lq_pg_query *q)
{
    const char *where;

    if (!q->failure || !q->was_cached || q->is_retried || q->is_told ||
        q->is_abandoned || (c->holder && lq_pg_conn_is_in_transaction(c)))
        return false;
    if (is_code(q->failure, "26000")) return true;
    where = PQresultErrorField(q->failure, PG_DIAG_SOURCE_FUNCTION);
    return is_code(q->failure, "0A000") && where &&
           strcmp(where, "RevalidateCachedQuery") == 0;
}

static void retry(lq_pg_conn *c, lq_pg_query *q)
{
    const lq_pg_query *next = lq_pg_first(&c->unsent);
    lq_list *front = &c->unsent; /* but behind a sync */

    if (next && next->kind == LQ_PG_SYNC) front = front->next;
    lq_pg_steps_forget(c, q);
    lq_pg_query_reset(q);
    q->is_retried = true;
    q->state = LQ_PG_UNSENT;
    lq_list_push_front(front, &q->link);
    flush_later(c);
}

/* What the app's own statements have done to ours. */
static void look_at_tags(lq_pg_conn *c, const lq_pg_query *q)
{
    const lq_pg_item *it;
    const char *tag;

    for (it = q->items; it < q->items + q->count; it++) {
        if (it->statement->class != LQ_PG_SESSION || !it->result) continue;
        tag = PQcmdStatus(it->result);
        if (strcmp(tag, "DISCARD ALL") == 0 ||
            strcmp(tag, "DEALLOCATE ALL") == 0)
            lq_pg_cache_clear(&c->prepared);
    }
}

static void finish(lq_pg_conn *c, lq_pg_query *q)
{
    lq_list_remove(&q->link);
    c->head_ms = lq_loop_now(c->cfg->loop);
    lq_pg_giveup_goes_on(c, c->head_ms);
    if (LQ_UNLIKELY(q->failure != NULL)) {
        if (may_retry(c, q)) {
            retry(c, q);
            return;
        }
        lq_pg_query_fail(q, LQ_EINVALID, NULL);
    } else if (q->kind == LQ_PG_RUN) {
        look_at_tags(c, q);
    }
    if (q->kind == LQ_PG_SCRIPT) lq_pg_cache_clear(&c->prepared);
    c->load--;
    if (q->kind == LQ_PG_SYNC) c->syncing--;
    /* What its holder has asked for meanwhile, or what has to be alone. */
    if ((lq_pg_giveup_ends(c) || lq_list_is_empty(&c->sent)) &&
        !lq_list_is_empty(&c->unsent))
        flush_later(c);
    finish_told(q);
    if (c->state == LQ_PG_OPEN) c->cfg->on_change(c);
}

static void keep_failure(lq_pg_conn *c, lq_pg_query *q, PGresult *r)
{
    lq_pg_steps_undo(c, q);
    if (q->failure)
        PQclear(r);
    else
        q->failure = r;
}

static void keep_result(lq_pg_query *q, PGresult *r)
{
    switch (q->steps[q->step]) {
    case LQ_PG_STEP_DESCRIBE: q->items[0].result = r; return;
    case LQ_PG_STEP_RUN: q->items[q->item++].result = r; return;
    default: PQclear(r);
    }
}

static void keep_row(lq_pg_conn *c, lq_pg_query *q, PGresult *r)
{
    bool was_empty;

    c->head_ms = lq_loop_now(c->cfg->loop);
    if (q->is_abandoned || q->is_told || !q->pieces) {
        PQclear(r);
        return;
    }
    was_empty = lq_pg_pieces_are_empty(q->pieces);
    lq_pg_pieces_put(q->pieces, r, PQresultMemorySize(r));
    if (was_empty) q->on_done(q);
}

static void on_result(lq_pg_conn *c, lq_pg_query *q, PGresult *r)
{
    q->has_result = true;
    switch (PQresultStatus(r)) {
    case PGRES_PIPELINE_SYNC:
        PQclear(r);
        if (q->steps[q->step] == LQ_PG_STEP_SYNC)
            finish(c, q);
        else
            lose_it(c, MISFIT);
        break;
    case PGRES_COMMAND_OK:
    case PGRES_TUPLES_OK:
    case PGRES_EMPTY_QUERY: keep_result(q, r); break;
    case PGRES_SINGLE_TUPLE: keep_row(c, q, r); break;
    case PGRES_PIPELINE_ABORTED:
        PQclear(r);
        lq_pg_steps_undo(c, q);
        break;
    case PGRES_FATAL_ERROR:
        if (PQstatus(c->pg) == CONNECTION_BAD) {
            lose_it(c, PQresultErrorMessage(r));
            PQclear(r);
        } else {
            keep_failure(c, q, r);
        }
        break;
    default:
        PQclear(r);
        lose_it(c, "the server has begun something that a query cannot be");
        break;
    }
}

/* Out of pipeline mode. Returns whether there may be more. */
static bool read_plain(lq_pg_conn *c, lq_pg_query *q)
{
    switch (lq_pg_plain_read(c, q)) {
    case LQ_PG_PLAIN_GOES_ON: return true;
    case LQ_PG_PLAIN_TELLS:
        c->head_ms = lq_loop_now(c->cfg->loop);
        if (!q->is_told && !q->is_abandoned) q->on_done(q);
        return true;
    case LQ_PG_PLAIN_OVER:
        if (!lq_pg_plain_leave(c)) break;
        finish(c, q);
        if (c->state == LQ_PG_OPEN) flush_later(c);
        return true;
    case LQ_PG_PLAIN_LOST: break;
    case LQ_PG_PLAIN_WAITS: return false;
    }
    lose_it(c, NULL);
    return false;
}

static void read_results(lq_pg_conn *c)
{
    lq_pg_query *q;
    PGresult *r;
    int empty = 0;

    while (c->state == LQ_PG_OPEN && (q = lq_pg_first(&c->sent)) &&
           !is_paused(q)) {
        if (lq_pg_is_plain(q->kind)) {
            if (!read_plain(c, q)) return;
            continue;
        }
        if (PQisBusy(c->pg)) return;
        r = PQgetResult(c->pg);
        if (r) {
            empty = 0;
            on_result(c, q, r);
        } else if (++empty > 3) {
            lose_it(c, MISFIT);
        } else if (q->has_result && q->steps[q->step] != LQ_PG_STEP_SYNC) {
            q->step++;
            q->has_result = false;
        }
    }
}

static void read_notifications(lq_pg_conn *c)
{
    PGnotify *n;

    while (c->state == LQ_PG_OPEN && (n = PQnotifies(c->pg))) {
        if (c->cfg->on_notify) c->cfg->on_notify(c, n->relname, n->extra);
        PQfreemem(n);
    }
}

/* An error of the socket shows in the read. */
static void on_poll(uv_poll_t *handle, int status, int events)
{
    lq_pg_conn *c = lq_pg_watch_of(handle);

    if (!c) return;
    if (status < 0) {
        c->poll->events = 0;
        events = UV_READABLE;
    }
    if (events & UV_WRITABLE) {
        if (!push_out(c)) return;
        lq_pg_conn_flush(c);
        if (c->state != LQ_PG_OPEN) return;
        read_results(c); /* a chunk that is out is over */
        if (c->state != LQ_PG_OPEN) return;
    }
    if (events & UV_READABLE) {
        if (!PQconsumeInput(c->pg)) {
            lq_pg_watch_close(c);
            read_results(c); /* what has come in front of the end */
            if (c->state == LQ_PG_OPEN) lose_it(c, NULL);
            return;
        }
        read_results(c);
        read_notifications(c);
    }
    if (c->state != LQ_PG_OPEN) return;
    arm(c);
    watch(c);
}

/* ---- for the pool ------------------------------------------------------- */

static bool writes_iso_dates(const lq_pg_conn *c)
{
    const char *style = PQparameterStatus(c->pg, "DateStyle");

    return !style || strncmp(style, "ISO", 3) == 0;
}

static int set_dates(lq_pg_conn *c)
{
    lq_pg_query *q =
        lq_pg_query_text(LQ_PG_RUN, LQ_STR("set datestyle = 'ISO'"));

    if (!q) return -ENOMEM;
    q->is_abandoned = q->is_final = true;
    q->timeout_ms = OWN_MS;
    lq_pg_conn_add(c, q);
    return 0;
}

void lq_pg_conn_opened(lq_pg_conn *c)
{
    c->state = LQ_PG_OPEN;
    lq_timer_stop(timers_of(c), &c->timer);
    c->must_set_dates = !writes_iso_dates(c);
    if (c->must_set_dates && set_dates(c) < 0) {
        lose_it(c, "not enough memory");
        return;
    }
    watch(c);
    if (c->state == LQ_PG_OPEN) c->cfg->on_open(c);
}

void lq_pg_conn_abandon(lq_pg_conn *c, lq_pg_query *q)
{
    q->is_abandoned = true;
    q->since_ms = lq_loop_now(c->cfg->loop);
    arm(c);
    if (c->state == LQ_PG_OPEN && q->pieces) lq_pg_conn_go_on(c, q);
}

void lq_pg_conn_go_on(lq_pg_conn *c, lq_pg_query *q)
{
    if (c->state != LQ_PG_OPEN) return;
    if (q->pieces) lq_pg_pieces_go_on(q->pieces);
    /* What its asker has taken is not the server's time. */
    if (q == lq_pg_first(&c->sent)) c->head_ms = lq_loop_update(c->cfg->loop);
    read_results(c);
    if (c->state != LQ_PG_OPEN) return;
    arm(c);
    watch(c);
}

int lq_pg_conn_open(lq_pg_conn **out, const lq_pg_conn_cfg *cfg)
{
    lq_pg_conn *c = lq_mem_zalloc(sizeof *c);
    int err;

    if (!c) return -ENOMEM;
    c->cfg = cfg;
    lq_list_init(&c->link);
    lq_list_init(&c->dirty);
    lq_list_init(&c->unsent);
    lq_list_init(&c->sent);
    lq_list_init(&c->closing);
    lq_pg_cache_init(&c->prepared, cfg->cache);
    lq_timer_init(&c->timer, on_due);
    if ((err = lq_pg_opening_start(c)) < 0) {
        lq_mem_free(c);
        return err;
    }
    *out = c;
    return 0;
}

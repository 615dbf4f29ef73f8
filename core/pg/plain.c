/* plain.c - see plain.h. */
#include "pg/plain.h"

#include <libpq-fe.h>

#include "base/err.h"
#include "pg/pieces.h"

bool lq_pg_plain_send(lq_pg_conn *c, const lq_pg_query *q)
{
    if (!PQexitPipelineMode(c->pg)) return false;
    c->is_plain = true;
    return PQsendQuery(c->pg, q->items[0].statement->sql) == 1;
}

bool lq_pg_plain_leave(lq_pg_conn *c)
{
    c->is_plain = false;
    return PQenterPipelineMode(c->pg) == 1;
}

/* ---- reading ------------------------------------------------------------ */

static lq_pg_plain keep(lq_pg_query *q, PGresult *r)
{
    if (q->items[0].result) PQclear(q->items[0].result);
    q->items[0].result = r;
    return LQ_PG_PLAIN_GOES_ON;
}

static lq_pg_plain keep_failure(lq_pg_conn *c, lq_pg_query *q, PGresult *r)
{
    bool is_lost = PQstatus(c->pg) == CONNECTION_BAD;

    q->is_ended = true;
    if (q->failure)
        PQclear(r);
    else
        q->failure = r;
    return is_lost ? LQ_PG_PLAIN_LOST : LQ_PG_PLAIN_GOES_ON;
}

/* A copy in a script, or the wrong way round: there is nobody for it. */
static lq_pg_plain refuse_in(lq_pg_conn *c)
{
    return PQputCopyEnd(c->pg, "nothing is there to be copied") == 1
               ? LQ_PG_PLAIN_GOES_ON
               : LQ_PG_PLAIN_LOST;
}

static lq_pg_plain begin_copy(lq_pg_conn *c, lq_pg_query *q, PGresult *r)
{
    bool is_in = PQresultStatus(r) == PGRES_COPY_IN;

    PQclear(r);
    q->is_copying = true;
    if (is_in && (q->kind != LQ_PG_COPY_IN || q->is_abandoned || q->is_told)) {
        q->is_copying = false;
        return refuse_in(c);
    }
    return is_in ? LQ_PG_PLAIN_TELLS : LQ_PG_PLAIN_GOES_ON;
}

static lq_pg_plain read_chunk(lq_pg_conn *c, lq_pg_query *q)
{
    char *bytes;
    int len = PQgetCopyData(c->pg, &bytes, 1);
    bool was_empty;

    if (len == 0) return LQ_PG_PLAIN_WAITS;
    if (len < 0) {
        q->is_copying = false;
        return LQ_PG_PLAIN_GOES_ON; /* the result says how it went */
    }
    if (q->is_abandoned || q->is_told || !q->pieces) {
        PQfreemem(bytes);
        return LQ_PG_PLAIN_GOES_ON;
    }
    was_empty = lq_pg_pieces_are_empty(q->pieces);
    lq_pg_pieces_put(q->pieces, bytes, (size_t)len);
    return was_empty ? LQ_PG_PLAIN_TELLS : LQ_PG_PLAIN_GOES_ON;
}

lq_pg_plain lq_pg_plain_read(lq_pg_conn *c, lq_pg_query *q)
{
    PGresult *r;

    if (q->is_copying && q->kind != LQ_PG_COPY_IN) return read_chunk(c, q);
    if (PQisBusy(c->pg)) return LQ_PG_PLAIN_WAITS;
    r = PQgetResult(c->pg);
    if (!r) return LQ_PG_PLAIN_OVER;
    switch (PQresultStatus(r)) {
    case PGRES_FATAL_ERROR:
    case PGRES_BAD_RESPONSE: return keep_failure(c, q, r);
    case PGRES_COPY_IN:
        if (q->is_copying) { /* libpq says so again until the end */
            PQclear(r);
            return LQ_PG_PLAIN_WAITS;
        }
        return begin_copy(c, q, r);
    case PGRES_COPY_OUT: return begin_copy(c, q, r);
    case PGRES_COPY_BOTH: PQclear(r); return LQ_PG_PLAIN_LOST;
    default: return keep(q, r);
    }
}

/* ---- writing ------------------------------------------------------------ */

static int push_out(lq_pg_conn *c)
{
    int left = PQflush(c->pg);

    if (left < 0) return LQ_ELOST;
    c->is_blocked = left > 0;
    c->head_ms = lq_loop_now(c->cfg->loop);
    lq_pg_conn_rewatch(c);
    return c->state == LQ_PG_OPEN ? 0 : LQ_ELOST;
}

int lq_pg_copy_put(lq_pg_query *q, lq_str bytes)
{
    lq_pg_conn *c = q->conn;

    if (q->is_ended) return LQ_EEOF;
    if (PQputCopyData(c->pg, bytes.ptr, (int)bytes.len) == 1)
        return push_out(c);
    q->is_ended = true; /* the server has: its result says why */
    return LQ_EEOF;
}

int lq_pg_copy_end(lq_pg_query *q, const char *error)
{
    if (q->is_ended) return 0;
    q->is_ended = true;
    if (PQputCopyEnd(q->conn->pg, error) != 1) return 0; /* ended already */
    return push_out(q->conn);
}

/* plain.c - see plain.h. */
#include "pg/plain.h"

#include <libpq-fe.h>

#include "base/err.h"
#include "pg/pieces.h"

/* Nothing to copy into: it has failed at its beginning, or was no such copy. */
static bool refuse_chunk(lq_pg_query *q)
{
    lq_pg_query_fail(q, LQ_EEOF,
                     "the statement takes no data: it is no copy from stdin");
    return true;
}

static bool send_chunk(lq_pg_conn *c, lq_pg_query *q)
{
    const char *bytes = q->value_ptrs[0];

    if (!c->is_copying) return refuse_chunk(q);
    if (q->kind == LQ_PG_COPY_DATA)
        return PQputCopyData(c->pg, bytes, q->value_lens[0]) == 1;
    c->is_copying = false;
    return PQputCopyEnd(c->pg, bytes) == 1;
}

bool lq_pg_plain_send(lq_pg_conn *c, lq_pg_query *q)
{
    if (lq_pg_is_chunk(q->kind)) return send_chunk(c, q);
    if (!PQexitPipelineMode(c->pg)) return false;
    c->is_plain = true;
    return PQsendQuery(c->pg, q->items[0].statement->sql) == 1;
}

bool lq_pg_plain_leave(lq_pg_conn *c)
{
    if (c->is_copying || !c->is_plain) return true;
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

    if (q->failure)
        PQclear(r);
    else
        q->failure = r;
    return is_lost ? LQ_PG_PLAIN_LOST : LQ_PG_PLAIN_GOES_ON;
}

/* A copy in a script, the wrong way round, or given up meanwhile: there is
 * nobody for it. */
static lq_pg_plain begin_in(lq_pg_conn *c, const lq_pg_query *q)
{
    if (q->kind == LQ_PG_COPY_IN && !q->is_told && !q->is_abandoned) {
        c->is_copying = true;
        return LQ_PG_PLAIN_OVER;
    }
    return PQputCopyEnd(c->pg, "nothing is there to be copied") == 1
               ? LQ_PG_PLAIN_GOES_ON
               : LQ_PG_PLAIN_LOST;
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

    if (q->is_copying) return read_chunk(c, q);
    if (q->kind == LQ_PG_COPY_DATA || q->err == LQ_EEOF)
        return c->is_blocked ? LQ_PG_PLAIN_WAITS : LQ_PG_PLAIN_OVER;
    if (PQisBusy(c->pg)) return LQ_PG_PLAIN_WAITS;
    r = PQgetResult(c->pg);
    if (!r) return LQ_PG_PLAIN_OVER;
    switch (PQresultStatus(r)) {
    case PGRES_FATAL_ERROR:
    case PGRES_BAD_RESPONSE: return keep_failure(c, q, r);
    case PGRES_COPY_IN: PQclear(r); return begin_in(c, q);
    case PGRES_COPY_OUT:
        PQclear(r);
        q->is_copying = true;
        return LQ_PG_PLAIN_GOES_ON;
    case PGRES_COPY_BOTH: PQclear(r); return LQ_PG_PLAIN_LOST;
    default: return keep(q, r);
    }
}

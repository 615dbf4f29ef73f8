/* pieces.c - see pieces.h. */
#include "pg/pieces.h"

#include <libpq-fe.h>

#include "base/mem.h"

enum { BYTES_MAX = 512 * 1024 /* one piece more may stand above it */ };

struct lq_pg_pieces {
    bool are_rows;
    bool are_full;
    unsigned first;
    unsigned count;
    size_t bytes;
    lq_str at[LQ_PG_PIECES_MAX];
};

lq_pg_pieces *lq_pg_pieces_new(bool are_rows)
{
    lq_pg_pieces *p = lq_mem_zalloc(sizeof *p);

    if (p) p->are_rows = are_rows;
    return p;
}

void lq_pg_pieces_free(lq_pg_pieces *p)
{
    if (!p) return;
    while (p->count > 0) lq_pg_pieces_drop(p);
    lq_mem_free(p);
}

bool lq_pg_pieces_are_full(const lq_pg_pieces *p)
{
    return p->are_full;
}

void lq_pg_pieces_go_on(lq_pg_pieces *p)
{
    if (p->count == 0) p->are_full = false;
}

bool lq_pg_pieces_are_empty(const lq_pg_pieces *p)
{
    return p->count == 0;
}

void lq_pg_pieces_put(lq_pg_pieces *p, void *piece, size_t len)
{
    p->at[(p->first + p->count++) % LQ_PG_PIECES_MAX] = (lq_str){piece, len};
    p->bytes += len;
    p->are_full = p->count == LQ_PG_PIECES_MAX || p->bytes >= BYTES_MAX;
}

void *lq_pg_pieces_first(const lq_pg_pieces *p, size_t *len)
{
    lq_str piece = p->at[p->first];

    *len = piece.len;
    return (void *)(uintptr_t)piece.ptr;
}

void lq_pg_pieces_drop(lq_pg_pieces *p)
{
    size_t len;
    void *piece = lq_pg_pieces_first(p, &len);

    if (p->are_rows)
        PQclear(piece);
    else
        PQfreemem(piece);
    p->first = (p->first + 1) % LQ_PG_PIECES_MAX;
    p->count--;
    p->bytes -= len;
}

/* pieces.h - an answer that comes bit by bit: rows of a stream, chunks of a
 * copy. A few are kept; the connection is not read while there is no room.
 *
 * Owns:    the pieces that have come and are not taken.
 * Thread:  that of the query.
 * Life:    new -> (put | take)* -> free.
 * Knows:   base; libpq's results by name.
 */
#ifndef LQ_PG_PIECES_H
#define LQ_PG_PIECES_H

#include "base/defs.h"
#include "base/str.h"

enum { LQ_PG_PIECES_MAX = 128 };

typedef struct lq_pg_pieces lq_pg_pieces;

/* Rows are libpq's results, chunks its bytes. NULL: no memory. */
lq_pg_pieces *lq_pg_pieces_new(bool are_rows) LQ_MUST_CHECK;
void lq_pg_pieces_free(lq_pg_pieces *p);

/* From when there is no more room until whoever has taken all goes on. */
bool lq_pg_pieces_are_full(const lq_pg_pieces *p);
void lq_pg_pieces_go_on(lq_pg_pieces *p);
bool lq_pg_pieces_are_empty(const lq_pg_pieces *p);

/* Takes a piece; there must be room. */
void lq_pg_pieces_put(lq_pg_pieces *p, void *piece, size_t len);

/* The oldest: lent until drop. */
void *lq_pg_pieces_first(const lq_pg_pieces *p, size_t *len);
void lq_pg_pieces_drop(lq_pg_pieces *p);

#endif

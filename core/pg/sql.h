/* sql.h - what a statement begins with: enough to know where it may run.
 *
 * Only the first words are read, past blanks and comments. What a function does
 * that a statement calls is not seen.
 *
 * Owns:    nothing.
 * Thread:  none.
 * Knows:   base.
 */
#ifndef LQ_PG_SQL_H
#define LQ_PG_SQL_H

#include "base/str.h"

typedef enum lq_pg_class {
    LQ_PG_PLAIN,       /* may run on any connection */
    LQ_PG_SESSION,     /* changes the session: set, listen, create temp ... */
    LQ_PG_TRANSACTION, /* begins, ends or divides a transaction */
    LQ_PG_COPY,        /* has a protocol of its own */
} lq_pg_class;

lq_pg_class lq_pg_classify(lq_str sql);

#endif

/* pgtype.h - PostgreSQL's types, by their oids: what becomes what in Lua.
 *
 * The built-in ones are known; others (domains, enums, arrays of them ...) are
 * asked from the server once and kept.
 *
 * Owns:    lq_pgtypes: what the server has said.
 * Thread:  that of the state.
 * Life:    init -> (set | find)* -> fini.
 * Knows:   base.
 */
#ifndef LQ_PGTYPE_H
#define LQ_PGTYPE_H

#include "base/defs.h"

typedef enum lq_pgkind {
    LQ_PGKIND_TEXT,   /* what the server writes */
    LQ_PGKIND_STRING, /* ... the same bytes in binary form */
    LQ_PGKIND_INT,
    LQ_PGKIND_FLOAT,
    LQ_PGKIND_BOOL,
    LQ_PGKIND_BYTEA,
    LQ_PGKIND_JSON,
    LQ_PGKIND_ARRAY,
    LQ_PGKIND_UNKNOWN, /* the server is to be asked */
} lq_pgkind;

typedef struct lq_pgtype {
    uint32_t oid;
    lq_pgkind kind;
    uint32_t element; /* of an array */
    char delimiter;   /* between the elements */
} lq_pgtype;

/* What the server says about one. */
typedef struct lq_pgtype_row {
    uint32_t oid;
    uint32_t base;    /* of a domain; 0: it is none */
    uint32_t element; /* of an array; 0: it is none */
    char delimiter;   /* between such values in an array */
} lq_pgtype_row;

typedef struct lq_pgtypes {
    lq_pgtype_row *rows;
    size_t count;
    size_t cap;
} lq_pgtypes;

void lq_pgtypes_init(lq_pgtypes *ts);
void lq_pgtypes_fini(lq_pgtypes *ts);

/* Keeps what was said, in place of what was said before. -ENOMEM. */
int lq_pgtypes_set(lq_pgtypes *ts, const lq_pgtype_row *row) LQ_MUST_CHECK;

/* A domain is its base type. UNKNOWN: it, or what it is made of, is not
 * there. */
lq_pgtype lq_pgtypes_find(const lq_pgtypes *ts, uint32_t oid);

/* Asks for rows of lq_pgtype_row: those of the oids in $1 and of all that they
 * are made of. */
extern const char *const lq_pgtypes_sql;

enum {
    LQ_PGOID_INT8 = 20,
    LQ_PGOID_INT2 = 21,
    LQ_PGOID_INT4 = 23,
    LQ_PGOID_FLOAT4 = 700,
    LQ_PGOID_FLOAT8 = 701,
    LQ_PGOID_JSONB = 3802,
    LQ_PGOID_OIDS = 1028, /* oid[] */
};

#endif

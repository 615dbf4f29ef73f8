/* route_oracle.h - what the router must answer, found the slow way.
 *
 * Every form of every pattern is held against the path, segment by segment;
 * of those that match, the most specific one that has the method wins. Written
 * from what the documentation says about routing; shares no code with
 * core/http but the numbers of methods.
 *
 * Owns:    what it knows of the patterns; their bytes are borrowed.
 * Thread:  none.
 * Life:    new -> (add | match)* -> free.
 * Knows:   base/str, http/method, pattern_oracle.
 */
#ifndef LQ_FUZZ_ROUTE_ORACLE_H
#define LQ_FUZZ_ROUTE_ORACLE_H

#include "base/str.h"

enum { ORACLE_SEGMENTS_MAX = 128, ORACLE_NAMES_MAX = 32 };

typedef struct route_oracle route_oracle;

typedef enum oracle_add {
    ORACLE_ADDED,
    ORACLE_INVALID,
    ORACLE_CONFLICT, /* with the route of `tag` */
} oracle_add;

typedef enum oracle_kind {
    ORACLE_FOUND,
    ORACLE_NONE,
    ORACLE_METHOD, /* patterns, but none with this method */
    ORACLE_BAD_PATH,
} oracle_kind;

typedef struct oracle_match {
    oracle_kind kind;
    int tag;          /* of what was found */
    unsigned methods; /* METHOD: what the patterns have, a bit for each */
    size_t count;     /* of parameters */
    lq_str names[ORACLE_NAMES_MAX], values[ORACLE_NAMES_MAX];
} oracle_match;

route_oracle *route_oracle_new(void);
void route_oracle_free(route_oracle *o);

/* Enters a route; `method` may be LQ_METHOD_ANY. */
oracle_add route_oracle_add(route_oracle *o, int method, lq_str pattern,
                            int tag, int *conflict_tag);

/* `path` begins with a slash. */
void route_oracle_match(const route_oracle *o, int method, lq_str path,
                        oracle_match *out);

/* The methods of all routes, a bit for each. */
unsigned route_oracle_methods(const route_oracle *o);

#endif

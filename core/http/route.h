/* route.h - which handler a method and a path mean.
 *
 * Patterns stand in a tree, one level for each segment. At each node what is
 * more specific is tried first: the literal, constrained variables in order of
 * addition, the variable, the rest; a try that fails further down is taken
 * back. A pattern without the method is passed over, and its methods are
 * remembered for `Allow`.
 *
 * A node stands at one depth and has one parent, so a match visits it at most
 * once, and the work is bounded by the routes and not by the path; long
 * segments before many variables are bounded by a budget beside that.
 *
 * Owns:    the tree, with copies of patterns and routes.
 * Thread:  none; matching changes nothing.
 * Life:    new -> (add | fallback)* -> match* -> free.
 * Knows:   base, method, syntax, tree, url.
 */
#ifndef LQ_ROUTE_H
#define LQ_ROUTE_H

#include "base/err.h"
#include "base/str.h"
#include "http/syntax.h"

typedef struct lq_router lq_router;

/* -1: not set, 0: none. */
typedef struct lq_limits {
    int64_t body;
    int64_t request_timeout_ms;
    int64_t body_timeout_ms;
} lq_limits;

typedef struct lq_route {
    int tag; /* of the caller */
    lq_limits limits;
} lq_route;

/* `value` is a view of the path, still encoded; `name` is lent by the router.
 * The name of the rest is "*". */
typedef struct lq_param {
    lq_str name, value;
} lq_param;

typedef enum lq_match_kind {
    LQ_MATCH_FOUND,
    LQ_MATCH_NONE,     /* no pattern */
    LQ_MATCH_METHOD,   /* patterns, but none with this method */
    LQ_MATCH_BAD_PATH, /* %zz or %00 somewhere in it */
    LQ_MATCH_OPTIONS,  /* OPTIONS, which no pattern has for itself */
} lq_match_kind;

typedef struct lq_match {
    lq_match_kind kind;
    const lq_route *route; /* lent by the router; NULL unless found */
    unsigned allow;        /* METHOD and OPTIONS: a bit for each lq_method,
                            * HEAD and OPTIONS added */
    size_t param_count;
    lq_param params[LQ_PARAMS_MAX]; /* only param_count of them are set */
} lq_match;

/* Gives a router without routes. Returns -ENOMEM. */
int lq_router_new(lq_router **out) LQ_MUST_CHECK;
void lq_router_free(lq_router *r);

/* Enters a route for one method or LQ_METHOD_ANY; copies `pattern` and
 * `route`. Returns -ENOMEM; LQ_EINVALID: the pattern is no good (`err` says
 * what and at which column) or LQ_OTHER was asked for; -EEXIST: it is the same
 * as another one but for names, whose tag is in `conflict_tag` (may be NULL).
 * A route that fails is not entered in any of its forms. */
int lq_router_add(lq_router *r, int method, lq_str pattern,
                  const lq_route *route, int *conflict_tag,
                  lq_err *err) LQ_MUST_CHECK;

/* Only looks at a pattern: LQ_EINVALID as above. */
int lq_route_check(lq_str pattern, lq_err *err) LQ_MUST_CHECK;

/* What is found, without params, where no pattern matches. Copies. */
void lq_router_fallback(lq_router *r, const lq_route *route);

/* Fills `out`. No allocation; `path` is borrowed for as long as the params are
 * read. The path "*" means every route: `OPTIONS *`. */
void lq_router_match(const lq_router *r, int method, lq_str path,
                     lq_match *out);

#endif

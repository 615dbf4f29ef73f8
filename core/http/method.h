/* method.h - request methods by number.
 *
 * Owns:    nothing.
 * Thread:  none.
 * Knows:   base.
 */
#ifndef LQ_METHOD_H
#define LQ_METHOD_H

#include "base/str.h"

enum lq_method {
    LQ_GET,
    LQ_HEAD,
    LQ_POST,
    LQ_PUT,
    LQ_PATCH,
    LQ_DELETE,
    LQ_OPTIONS,
    LQ_OTHER, /* any other token */
    LQ_METHOD_COUNT,
    LQ_METHOD_ANY = LQ_METHOD_COUNT, /* of a route: every method */
};

/* "GET" ...; "*" for other. Lends a constant. */
const char *lq_method_name(int method);

/* The number of a method's name, which is case-sensitive (RFC 9110 9.1). */
int lq_method_from(lq_str name);

#endif

/* access.h - one record a request, for the access log.
 *
 * Made when the answer is complete, or when it is known that it will not be.
 * One whose connection ended before the answer began has the status 499, one
 * that took its connection out of HTTP 101. The bytes are those of the answer's
 * body, without its frames. A connection that ends in the middle of a head has
 * asked for nothing.
 *
 * Owns:    nothing.
 * Thread:  owner loop.
 * Knows:   exchange, log.
 */
#ifndef LQ_ACCESS_H
#define LQ_ACCESS_H

#include "net/exchange.h"

enum { LQ_STATUS_LEFT = 499 };

/* The first byte of a request is there. */
void lq_access_begin(lq_exchange *x);

/* Writes the record of x, unless it has one. `status`: when no answer has
 * begun. */
void lq_access_end(lq_exchange *x, int status);

#endif

/* forwarded.h - what trusted proxies say of a request's client.
 *
 * Read are Forwarded (RFC 7239) and X-Forwarded-For, -Proto, -Host and -Port.
 * Each proxy adds to the right end, so lists are read from there: as long as
 * an address is trusted, the one in front of it is believed. The first that is
 * not trusted is the client's; what stands further left was written by the
 * client and is not even looked at. Scheme and host are those that the
 * outermost proxy on that way tells.
 *
 * What is read must be right as a whole: one malformed member on the way, and
 * nothing is believed. Where both kinds are there they must not contradict
 * each other, as one of them may come from the client.
 *
 * Owns:    nothing: the result is embedded by value.
 * Thread:  none. Pure: a head and ranges in, a struct out.
 * Knows:   address, members, request.
 */
#ifndef LQ_FORWARDED_H
#define LQ_FORWARDED_H

#include "base/address.h"
#include "base/err.h"
#include "http/request.h"

enum {
    LQ_FORWARDED_HOPS = 64, /* proxies on the way, at most */
    LQ_FORWARDED_NODE = 2 * LQ_ADDRESS_TEXT,
    LQ_FORWARDED_HOST = 272,
};

/* Texts end with a NUL; "" is what nobody tells. */
typedef struct lq_forwarded {
    /* An IP address in its shortest form, without brackets; "unknown"; or a
     * name that hides one and begins with '_'. */
    char address[LQ_FORWARDED_NODE];
    uint16_t port;                /* of the client; 0: nobody tells */
    const char *scheme;           /* "http", "https", or NULL: nobody tells */
    char host[LQ_FORWARDED_HOST]; /* host [":" port] */
} lq_forwarded;

/* Fills `out` from a request whose peer is trusted. LQ_EINVALID: `err` (may be
 * NULL) says why nothing is believed, without a byte of the request; `out` is
 * empty. */
int lq_forwarded_read(lq_forwarded *out, const lq_request *r,
                      const lq_trust *trust, lq_err *err);

#endif

/* listen_url.h - where to listen: http://HOST:PORT or unix:/PATH.
 *
 * Looks up no name and opens nothing.
 *
 * Owns:    nothing.
 * Thread:  none.
 * Knows:   base, libc.
 */
#ifndef LQ_LISTEN_URL_H
#define LQ_LISTEN_URL_H

#include "base/err.h"

enum { LQ_HOST_BYTES = 256 };

/* What a URL says; embedded by value. */
typedef struct lq_listen_url {
    const char *path; /* of a unix socket: lent by the URL; else NULL */
    char host[LQ_HOST_BYTES];
    bool is_v6; /* stood in brackets */
    int port;
} lq_listen_url;

/* Returns 0, or LQ_EINVALID; then err names the URL and what is wrong. */
int lq_listen_url_parse(lq_listen_url *u, const char *url, lq_err *err);

/* The same for those who want nothing but the answer. */
int lq_listen_url_check(const char *url, lq_err *err);

/* Sets err to what is wrong with the URL. Returns LQ_EINVALID. */
int lq_listen_url_refuse(lq_err *err, const char *url, const char *why);

#endif

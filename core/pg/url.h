/* url.h - where the server is, read from a URL.
 *
 *   postgres://user:password@host:5432/database?sslmode=require
 *
 * What it does not say comes from libpq's defaults: its environment variables,
 * its password file, the local socket. The password stands in no text that is
 * made here.
 *
 * Owns:    the parts, wiped when they are freed.
 * Thread:  none; whoever holds it.
 * Life:    new -> ... -> free.
 * Knows:   libpq, base.
 */
#ifndef LQ_PG_URL_H
#define LQ_PG_URL_H

#include "base/err.h"
#include "base/str.h"

enum { LQ_PG_HOSTS_MAX = 16, LQ_PG_KEYS_MAX = 64 };

typedef struct lq_pg_url lq_pg_url;

typedef struct lq_pg_host {
    const char *name;    /* "": the local socket; "/...": a folder of sockets */
    const char *address; /* given in the URL; "" */
    const char *port;    /* "": the default */
} lq_pg_host;

/* LQ_EINVALID: `err` says what is wrong; -ENOMEM. */
int lq_pg_url_new(lq_pg_url **out, lq_str text, lq_err *err) LQ_MUST_CHECK;
void lq_pg_url_free(lq_pg_url *u);

/* The hosts that are tried in turn; lent. */
const lq_pg_host *lq_pg_url_hosts(const lq_pg_url *u, int *count);

/* For PQconnectStartParams: everything but the hosts; both have room for
 * LQ_PG_KEYS_MAX. Returns how many. Lends the texts. */
int lq_pg_url_params(const lq_pg_url *u, const char **keys,
                     const char **values);

#endif

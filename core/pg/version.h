/* version.h - which libpq this is.
 *
 * Owns:    nothing.
 * Thread:  any.
 * Knows:   libpq.
 */
#ifndef LQ_PG_VERSION_H
#define LQ_PG_VERSION_H

/* Of the libpq that is loaded: 15 and 14 are 15.14. */
void lq_pg_version(int *major, int *minor);

#endif

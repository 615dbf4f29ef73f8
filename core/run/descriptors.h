/* descriptors.h - how many files the process may have open.
 *
 * Every connection takes a descriptor, so the limit is raised as far as it may
 * be; and a start that could not come to its end is refused before it begins.
 *
 * Owns:    nothing: the limit is the process's.
 * Thread:  main thread, before any other.
 * Knows:   base, libc.
 */
#ifndef LQ_DESCRIPTORS_H
#define LQ_DESCRIPTORS_H

#include "base/err.h"

/* Raises the limit to the hard one. */
void lq_descriptors_raise(void);

/* Whether there is room for that many workers and listeners, and a few
 * connections. Returns -EMFILE; err names the option and both numbers. */
int lq_descriptors_check(int workers, size_t listeners,
                         lq_err *err) LQ_MUST_CHECK;

#endif

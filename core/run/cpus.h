/* cpus.h - how many CPUs this process may use.
 *
 * Owns:    nothing.
 * Thread:  start-up only.
 * Knows:   libc.
 */
#ifndef LQ_CPUS_H
#define LQ_CPUS_H

/* The CPUs of its affinity mask, bounded by its cgroup's quota (rounded up);
 * at least 1. */
int lq_cpus(void);

#endif

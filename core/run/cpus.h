/* cpus.h - how many CPUs this process may use.
 *
 * Owns:    nothing.
 * Thread:  any thread.
 * Knows:   libc, Linux.
 */
#ifndef LQ_CPUS_H
#define LQ_CPUS_H

/* The CPUs of its affinity mask, bounded by its cgroup's quota (rounded up);
 * at least 1. */
int lq_cpus(void);

/* The least quota, rounded up, of the cgroups that the file `list` names
 * (/proc/self/cgroup) and of those above them, whose folders are under `root`
 * (/sys/fs/cgroup): cpu.max of version 2, cpu.cfs_quota_us of version 1.
 * Returns 0 for no limit. */
int lq_cpus_quota(const char *list, const char *root);

#endif

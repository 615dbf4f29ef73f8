/* descriptors.c - see descriptors.h. */
#include "run/descriptors.h"

#include <errno.h>
#include <inttypes.h>
#include <sys/resource.h>

/* What a start takes at its highest, rounded up. */
enum {
    OF_PROCESS = 24, /* standard streams, guard, main loop, log, Lua files */
    OF_WORKER = 6,   /* its loop, its mailbox */
    OF_LISTENER = 2, /* for each worker: a socket, and its copy for relief */
};

void lq_descriptors_raise(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0) return;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
}

int lq_descriptors_check(int workers, size_t listeners, lq_err *err)
{
    uint64_t need =
        OF_PROCESS + (uint64_t)workers * (OF_WORKER + OF_LISTENER * listeners);
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= need)
        return 0;
    return lq_err_set(err, -EMFILE,
                      "--workers %d: at least %" PRIu64 " open files are "
                      "needed, with %zu addresses, but the limit is %" PRIu64
                      " (ulimit -n)",
                      workers, need, listeners, (uint64_t)limit.rlim_cur);
}

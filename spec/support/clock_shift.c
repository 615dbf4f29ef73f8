/* clock_shift.c - lets the wall clock of a process jump, for a spec.
 *
 * Preloaded (LD_PRELOAD) into the program under test. The file that
 * LQ_CLOCK_SHIFT names is mapped shared; it holds one 64-bit integer in the
 * machine's order: the seconds by which the wall clock is ahead. The monotonic
 * clock is that of the system, and so is what the kernel waits by: a deadline
 * made of the wall clock is far off.
 *
 * Owns:    the mapping; it lives as long as the process.
 * Thread:  any thread.
 * Life:    mapped before main.
 * Knows:   glibc.
 */
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

typedef _Atomic int64_t shift;

/* The exception to "no mutable statics": a clock takes no context. */
static shift none;
static shift *ahead_s = &none;

__attribute__((constructor)) static void map_shift(void)
{
    const char *path = getenv("LQ_CLOCK_SHIFT");
    void *shared;
    int fd;

    if (!path) return;
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) abort();
    shared = mmap(NULL, sizeof(shift), PROT_READ, MAP_SHARED, fd, 0);
    close(fd);
    if (shared == MAP_FAILED) abort();
    ahead_s = shared;
}

int clock_gettime(clockid_t clock, struct timespec *t)
{
    int err = (int)syscall(SYS_clock_gettime, clock, t);

    if (err == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        t->tv_sec += *ahead_s;
    return err;
}

int gettimeofday(struct timeval *t, void *zone)
{
    struct timespec now;

    (void)zone;
    clock_gettime(CLOCK_REALTIME, &now);
    *t = (struct timeval){now.tv_sec, now.tv_nsec / 1000};
    return 0;
}

time_t time(time_t *out)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    if (out) *out = now.tv_sec;
    return now.tv_sec;
}

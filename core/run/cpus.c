/* cpus.c - see cpus.h. */
#include "run/cpus.h"

#include <sched.h>
#include <stdio.h>
#include <string.h>

enum { PATH_BYTES = 4096 };

static int in_mask(void)
{
    cpu_set_t set;
    int n;

    if (sched_getaffinity(0, sizeof set, &set) < 0) return 1;
    n = CPU_COUNT(&set);
    return n > 0 ? n : 1;
}

/* "max 100000" or "150000 100000" (cgroup v2). Returns 0 for no limit. */
static int read_quota(const char *path)
{
    long long quota, period;
    FILE *file = fopen(path, "r");
    int n;

    if (!file) return 0;
    n = fscanf(file, "%lld %lld", &quota, &period);
    fclose(file);
    if (n != 2 || quota <= 0 || period <= 0) return 0;
    return (int)((quota + period - 1) / period);
}

/* The least quota of the own cgroup and those above it. */
static int least_quota(char *group)
{
    char path[PATH_BYTES + 64];
    int least = 0, n;
    char *slash;

    for (;;) {
        snprintf(path, sizeof path, "/sys/fs/cgroup%s/cpu.max", group);
        n = read_quota(path);
        if (n > 0 && (least == 0 || n < least)) least = n;
        slash = strrchr(group, '/');
        if (!slash) return least;
        *slash = '\0';
    }
}

static int in_cgroup(void)
{
    char line[PATH_BYTES];
    FILE *file = fopen("/proc/self/cgroup", "r");
    int n = 0;

    if (!file) return 0;
    while (fgets(line, sizeof line, file)) {
        if (strncmp(line, "0::", 3) != 0) continue;
        line[strcspn(line, "\n")] = '\0';
        n = least_quota(line + 3);
    }
    fclose(file);
    return n;
}

int lq_cpus(void)
{
    int mask = in_mask(), quota = in_cgroup();

    return quota > 0 && quota < mask ? quota : mask;
}

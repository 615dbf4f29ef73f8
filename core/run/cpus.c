/* cpus.c - see cpus.h. */
#include "run/cpus.h"

#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { PATH_BYTES = 4096, FOLDER_BYTES = 2 * PATH_BYTES };
enum { CPUS_FIRST = 1024, CPUS_MOST = 1 << 20 };

/* ---- affinity ------------------------------------------------------------ */

/* Returns 0 when a mask of `cpus` bits is too small for this kernel. */
static int count_in_mask(size_t cpus)
{
    cpu_set_t *set = CPU_ALLOC(cpus);
    size_t size = CPU_ALLOC_SIZE(cpus);
    int n = 1;

    if (!set) return 1;
    if (sched_getaffinity(0, size, set) == 0)
        n = CPU_COUNT_S(size, set);
    else if (errno == EINVAL)
        n = 0;
    CPU_FREE(set);
    return n;
}

static int in_mask(void)
{
    size_t cpus;
    int n;

    for (cpus = CPUS_FIRST; cpus <= CPUS_MOST; cpus *= 2) {
        n = count_in_mask(cpus);
        if (n > 0) return n;
    }
    return 1;
}

/* ---- cgroups ------------------------------------------------------------- */

static int rounded_up(long long quota, long long period)
{
    long long n;

    if (quota <= 0 || period <= 0) return 0;
    n = quota / period + (quota % period != 0);
    return n < INT_MAX ? (int)n : INT_MAX;
}

/* Returns how many numbers stood at the front of folder/name, at most two. */
static int read_numbers(const char *folder, const char *name, long long *a,
                        long long *b)
{
    char path[FOLDER_BYTES + 32];
    FILE *file;
    int n;

    snprintf(path, sizeof path, "%s/%s", folder, name);
    file = fopen(path, "re");
    if (!file) return 0;
    n = fscanf(file, "%19lld %19lld", a, b);
    fclose(file);
    return n > 0 ? n : 0;
}

/* "150000 100000", or "max 100000" for none. */
static int quota_v2(const char *folder)
{
    long long quota, period;

    if (read_numbers(folder, "cpu.max", &quota, &period) != 2) return 0;
    return rounded_up(quota, period);
}

/* Two files, -1 for none. */
static int quota_v1(const char *folder)
{
    long long quota, period, none;

    if (read_numbers(folder, "cpu.cfs_quota_us", &quota, &none) < 1) return 0;
    if (read_numbers(folder, "cpu.cfs_period_us", &period, &none) < 1) return 0;
    return rounded_up(quota, period);
}

static int least(int a, int b)
{
    if (a == 0 || b == 0) return a + b;
    return a < b ? a : b;
}

/* Of `group` and those above it, up to the mount. In a container the path may
 * be that of the host: then only the mount itself is there. */
static int quota_above(const char *mount, const char *group, bool is_v2)
{
    char folder[FOLDER_BYTES];
    size_t top = strlen(mount);
    int quota = 0;

    if ((size_t)snprintf(folder, sizeof folder, "%s%s", mount, group) >=
        sizeof folder)
        return 0;
    for (;;) {
        quota = least(quota, is_v2 ? quota_v2(folder) : quota_v1(folder));
        if (strlen(folder) <= top) return quota;
        *strrchr(folder, '/') = '\0';
    }
}

/* Whether `word` is one of a list with commas. */
static bool has_word(const char *list, const char *word)
{
    size_t len;

    for (;; list += len + 1) {
        len = strcspn(list, ",");
        if (len == strlen(word) && memcmp(list, word, len) == 0) return true;
        if (!list[len]) return false;
    }
}

/* A line "NUMBER:CONTROLLERS:/PATH"; version 2 has no controllers in it. */
static int quota_of_line(char *line, const char *root)
{
    char mount[PATH_BYTES];
    char *names = strchr(line, ':'), *group;

    if (!names || !(group = strchr(++names, ':'))) return 0;
    *group++ = '\0';
    group[strcspn(group, "\n")] = '\0';
    if (*group != '/' || strstr(group, "/..")) group = "";
    if (*names && !has_word(names, "cpu")) return 0;
    if ((size_t)snprintf(mount, sizeof mount, "%s%s%s", root, *names ? "/" : "",
                         names) >= sizeof mount)
        return 0;
    return quota_above(mount, group, !*names);
}

int lq_cpus_quota(const char *list, const char *root)
{
    char line[PATH_BYTES];
    FILE *file = fopen(list, "re");
    int quota = 0;

    if (!file) return 0;
    while (fgets(line, sizeof line, file))
        quota = least(quota, quota_of_line(line, root));
    fclose(file);
    return quota;
}

int lq_cpus(void)
{
    int mask = in_mask();
    int quota = lq_cpus_quota("/proc/self/cgroup", "/sys/fs/cgroup");

    return quota > 0 && quota < mask ? quota : mask;
}

/* malloc_count.c - counts the allocations of a process, for a spec to read.
 *
 * Preloaded (LD_PRELOAD) into the program under test. The counters stand in
 * the file that LQ_MALLOC_COUNT names, mapped shared: a spec reads the file
 * while the program runs. Four 64-bit integers in the machine's order:
 * malloc, calloc, realloc, free.
 *
 * Owns:    the mapping; it lives as long as the process.
 * Thread:  any thread.
 * Life:    mapped before main. What is allocated earlier, or in a program
 *          without the variable, is counted where nobody looks.
 * Knows:   glibc.
 */
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum { COUNT_MALLOC, COUNT_CALLOC, COUNT_REALLOC, COUNT_FREE, COUNTERS };

typedef _Atomic unsigned long counter;

void *__libc_malloc(size_t len);
void *__libc_calloc(size_t count, size_t len);
void *__libc_realloc(void *ptr, size_t len);
void __libc_free(void *ptr);

/* The exception to "no mutable statics": malloc takes no context. */
static counter unread[COUNTERS];
static counter *counters = unread;

__attribute__((constructor)) static void map_counters(void)
{
    const char *path = getenv("LQ_MALLOC_COUNT");
    size_t len = sizeof(counter) * COUNTERS;
    void *shared;
    int fd;

    if (!path) return;
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) return;
    if (ftruncate(fd, (off_t)len) == 0) {
        shared = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (shared != MAP_FAILED) counters = shared;
    }
    close(fd);
}

void *malloc(size_t len)
{
    counters[COUNT_MALLOC]++;
    return __libc_malloc(len);
}

void *calloc(size_t count, size_t len)
{
    counters[COUNT_CALLOC]++;
    return __libc_calloc(count, len);
}

void *realloc(void *ptr, size_t len)
{
    counters[COUNT_REALLOC]++;
    return __libc_realloc(ptr, len);
}

void free(void *ptr)
{
    counters[COUNT_FREE]++;
    __libc_free(ptr);
}

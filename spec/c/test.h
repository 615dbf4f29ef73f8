/* test.h - checks of the C tests.
 *
 * A test is a program: it exits 0 and prints "ok N checks", or it prints the
 * place of the check that failed and exits 1. Whatever waits, waits for a
 * condition; an alarm ends the program when that never comes.
 *
 * Owns:    the count of checks.
 * Thread:  any thread may check.
 * Knows:   libc.
 */
#ifndef LQ_TEST_H
#define LQ_TEST_H

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { TEST_DEADLINE_S = 120 };

static atomic_ulong test_checks;

#define CHECK(cond)                                                            \
    do {                                                                       \
        atomic_fetch_add_explicit(&test_checks, 1, memory_order_relaxed);      \
        if (!(cond)) test_failed(__FILE__, __LINE__, #cond);                   \
    } while (0)

_Noreturn static void test_failed(const char *file, int line, const char *cond)
{
    fprintf(stderr, "%s:%d: check failed: %s\n", file, line, cond);
    fflush(stderr);
    _exit(1);
}

/* `count` times LQ_SCALE, by which a soak turns everything up. */
static inline size_t test_scaled(size_t count)
{
    const char *scale = getenv("LQ_SCALE");
    double scaled = (double)count * (scale ? atof(scale) : 1.0);

    return scaled < 1.0 ? 1 : (size_t)scaled;
}

static inline void test_begin(void)
{
    double scale = (double)test_scaled(1000) / 1000.0;

    alarm((unsigned)(TEST_DEADLINE_S * (scale > 1.0 ? scale : 1.0)));
}

/* The program's exit status. */
static inline int test_end(void)
{
    printf("ok %lu checks\n", atomic_load(&test_checks));
    return 0;
}

#endif

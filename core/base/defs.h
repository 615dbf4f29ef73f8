/* defs.h - the few macros that every file may use.
 *
 * Owns:    nothing.
 * Thread:  none.
 * Knows:   nothing.
 */
#ifndef LQ_DEFS_H
#define LQ_DEFS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The struct of which `member` stands at `ptr`. */
#define LQ_CONTAINER_OF(ptr, type, member)                                     \
    ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

#define LQ_COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* The caller cannot ignore the result. */
#define LQ_MUST_CHECK __attribute__((warn_unused_result))

/* Stands before a prototype that any thread may call. */
#define LQ_ANY_THREAD

#define LQ_LIKELY(x) __builtin_expect(!!(x), 1)
#define LQ_UNLIKELY(x) __builtin_expect(!!(x), 0)

/* What our own code guarantees; on in every build. Never about input. */
#define LQ_ASSERT(cond)                                                        \
    (LQ_LIKELY(cond) ? (void)0 : lq_assert_failed(__FILE__, __LINE__, #cond))

/* The expensive ones: debug builds only. */
#ifdef LQ_DEBUG
#define LQ_DEBUG_ASSERT(cond) LQ_ASSERT(cond)
#else
#define LQ_DEBUG_ASSERT(cond) ((void)0)
#endif

/* Ends the thread when it is a worker's, else the process: broken.h. */
_Noreturn void lq_assert_failed(const char *file, int line, const char *cond);

#endif

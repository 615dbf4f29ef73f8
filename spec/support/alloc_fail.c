/* alloc_fail.c - lets the n-th allocation fail, in VARIANT=allocfail alone.
 *
 * The linker puts these functions in front of those of base/mem.h (--wrap), so
 * that core/ knows nothing of them. All of our C code and, in a build with the
 * address sanitizer, every block of a Lua state comes through here; what libuv,
 * llhttp and the C library allocate does not. The plan stands in the file that
 * LQ_ALLOC_FAIL names, which the process maps and its spec writes: so a server
 * can be told between two requests. Shrinking a block never fails, as Lua
 * expects, and does not count.
 *
 * LQ_ALLOC_FAIL_TRACE: prints where each allocation stands that fails.
 *
 * Thread: any. Holds nothing but the mapping.
 */
#include <fcntl.h>
#include <malloc.h>
#include <sanitizer/common_interface_defs.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* As spec/support/alloc_fail.lua packs it. */
typedef struct plan {
    int64_t first; /* the allocation that fails, from 1; 0: none */
    int64_t count; /* how many fail from there on */
    _Atomic int64_t asked;
    _Atomic int64_t failed;
} plan;

static plan *the_plan;
static bool traces;

__attribute__((constructor)) static void map_plan(void)
{
    const char *path = getenv("LQ_ALLOC_FAIL");
    int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    void *at;

    if (fd < 0) return;
    at = mmap(NULL, sizeof(plan), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (at != MAP_FAILED) the_plan = at;
    traces = getenv("LQ_ALLOC_FAIL_TRACE") != NULL;
}

static bool fails(void)
{
    plan *p = the_plan;
    int64_t number;

    if (!p) return false;
    number = atomic_fetch_add(&p->asked, 1) + 1;
    if (!p->first || number < p->first || number - p->first >= p->count)
        return false;
    atomic_fetch_add(&p->failed, 1);
    if (traces) {
        fprintf(stderr, "allocation %lld fails\n", (long long)number);
        __sanitizer_print_stack_trace();
    }
    return true;
}

void *__real_lq_mem_alloc(size_t len);
void *__real_lq_mem_zalloc(size_t len);
void *__real_lq_mem_realloc(void *ptr, size_t len);
void *__real_lq_mem_aligned(size_t align, size_t len);
char *__real_lq_mem_strndup(const char *s, size_t len);

void *__wrap_lq_mem_alloc(size_t len);
void *__wrap_lq_mem_zalloc(size_t len);
void *__wrap_lq_mem_realloc(void *ptr, size_t len);
void *__wrap_lq_mem_aligned(size_t align, size_t len);
char *__wrap_lq_mem_strndup(const char *s, size_t len);

void *__wrap_lq_mem_alloc(size_t len)
{
    return fails() ? NULL : __real_lq_mem_alloc(len);
}

void *__wrap_lq_mem_zalloc(size_t len)
{
    return fails() ? NULL : __real_lq_mem_zalloc(len);
}

/* The sanitizer's usable size is the one that was asked for. */
void *__wrap_lq_mem_realloc(void *ptr, size_t len)
{
    bool grows = !ptr || malloc_usable_size(ptr) < len;

    return grows && fails() ? NULL : __real_lq_mem_realloc(ptr, len);
}

void *__wrap_lq_mem_aligned(size_t align, size_t len)
{
    return fails() ? NULL : __real_lq_mem_aligned(align, len);
}

char *__wrap_lq_mem_strndup(const char *s, size_t len)
{
    return fails() ? NULL : __real_lq_mem_strndup(s, len);
}

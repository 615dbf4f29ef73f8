/* alloc_test.c - the allocator of a state: limit, reserve, trim. */
#include <string.h>

#include "lua/alloc.h"
#include "test.h"

enum { BLOCKS = 20000, KINDS = 40 };

/* Lengths around the border between small and large. */
static size_t len_of(size_t i)
{
    return 1 + i % KINDS * 16;
}

static size_t count_chunks(const lq_alloc *a)
{
    size_t n = 0;
    const void *chunk = a->chunks, *next;

    for (; chunk; chunk = next, n++) memcpy(&next, chunk, sizeof next);
    return n;
}

static void fill(lq_alloc *a, char **blocks)
{
    size_t i;

    for (i = 0; i < BLOCKS; i++) {
        blocks[i] = lq_alloc_lua(a, NULL, 0, len_of(i));
        CHECK(blocks[i]);
        memset(blocks[i], (int)i & 0xff, len_of(i));
    }
}

static void check_bytes(const char *block, size_t i)
{
    bool is_same = true;
    size_t at;

    for (at = 0; at < len_of(i); at++)
        if ((unsigned char)block[at] != (i & 0xff)) is_same = false;
    CHECK(is_same);
}

static void drop(lq_alloc *a, char *block, size_t i)
{
    check_bytes(block, i);
    CHECK(!lq_alloc_lua(a, block, len_of(i), 0));
}

static void test_trim_gives_all_back(void)
{
    static char *blocks[BLOCKS];
    lq_alloc a;
    size_t i;

    lq_alloc_init(&a);
    lq_alloc_trim(&a);
    fill(&a, blocks);
    lq_alloc_trim(&a);
    for (i = 0; i < BLOCKS; i++) drop(&a, blocks[i], i);
    CHECK(a.used == 0);
    lq_alloc_trim(&a);
    CHECK(count_chunks(&a) == 0);
    fill(&a, blocks); /* it works as before */
    for (i = 0; i < BLOCKS; i++) drop(&a, blocks[i], i);
    lq_alloc_fini(&a);
}

/* Every n-th block stays: its bytes too, and no chunk that it is not in. */
static void test_trim_leaves_what_is_used(void)
{
    static char *blocks[BLOCKS];
    const size_t every = 1009;
    lq_alloc a;
    size_t i, before;

    lq_alloc_init(&a);
    fill(&a, blocks);
    before = count_chunks(&a);
    for (i = 0; i < BLOCKS; i++)
        if (i % every) drop(&a, blocks[i], i);
    lq_alloc_trim(&a);
    CHECK(count_chunks(&a) <= BLOCKS / every + 1);
    CHECK(count_chunks(&a) <= before);
    for (i = 1; i < BLOCKS; i++) {
        if (i % every == 0) continue;
        blocks[i] = lq_alloc_lua(&a, NULL, 0, len_of(i));
        CHECK(blocks[i]);
        memset(blocks[i], (int)i & 0xff, len_of(i));
    }
    lq_alloc_trim(&a);
    for (i = 0; i < BLOCKS; i++) drop(&a, blocks[i], i);
    lq_alloc_trim(&a);
    CHECK(count_chunks(&a) == 0);
    lq_alloc_fini(&a);
}

static void test_limit(void)
{
    lq_alloc a;
    void *first, *second;

    lq_alloc_init(&a);
    a.limit = 1000;
    first = lq_alloc_lua(&a, NULL, 5, 600); /* 5: a kind, not a length */
    CHECK(first && a.used == 600);
    CHECK(!lq_alloc_lua(&a, NULL, 0, 401));
    CHECK(!lq_alloc_lua(&a, first, 600, 1001));
    CHECK(a.used == 600);
    second = lq_alloc_lua(&a, NULL, 0, 400);
    CHECK(second && a.used == 1000);
    a.reserve = 100;
    first = lq_alloc_lua(&a, first, 600, 700);
    CHECK(first && a.used == 1100);
    a.reserve = 0;
    first = lq_alloc_lua(&a, first, 700, 650); /* still beyond, but less */
    CHECK(first && a.used == 1050);
    lq_alloc_lua(&a, first, 650, 0);
    lq_alloc_lua(&a, second, 400, 0);
    CHECK(a.used == 0);
    lq_alloc_fini(&a);
}

/* What Lua's collector has left when it was asked decides. */
static void test_limit_behind_a_refusal(void)
{
    lq_alloc a;
    void *first, *second, *small[2];

    lq_alloc_init(&a);
    a.limit = 1600;
    first = lq_alloc_lua(&a, NULL, 0, 1501);
    small[0] = lq_alloc_lua(&a, NULL, 0, 10);
    CHECK(small[0] != NULL);
    CHECK(!lq_alloc_lua(&a, NULL, 0, 90));
    CHECK(!lq_alloc_lua(&a, NULL, 0, 9)); /* there would be room */
    CHECK(a.used == 1511);
    small[1] = lq_alloc_lua(&a, NULL, 0, 9);
    CHECK(small[1] != NULL);
    CHECK(!lq_alloc_lua(&a, NULL, 0, 90));
    first = lq_alloc_lua(&a, first, 1501, 1400);
    second = lq_alloc_lua(&a, NULL, 0, 181);
    CHECK(second && a.used == 1600);
    lq_alloc_lua(&a, first, 1400, 0);
    lq_alloc_lua(&a, second, 181, 0);
    lq_alloc_lua(&a, small[0], 10, 0);
    lq_alloc_lua(&a, small[1], 9, 0);
    lq_alloc_fini(&a);
}

int main(void)
{
    test_begin();
    test_trim_gives_all_back();
    test_trim_leaves_what_is_used();
    test_limit();
    test_limit_behind_a_refusal();
    return test_end();
}

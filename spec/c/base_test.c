/* base_test.c - lists and buffers. */
#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "base/buf.h"
#include "base/list.h"
#include "test.h"

typedef struct item {
    int value;
    lq_list link;
} item;

static int value_of(lq_list *link)
{
    return link ? LQ_CONTAINER_OF(link, item, link)->value : -1;
}

static void test_list_order(void)
{
    item items[3] = {{.value = 0}, {.value = 1}, {.value = 2}};
    lq_list head;
    int i;

    lq_list_init(&head);
    CHECK(lq_list_is_empty(&head));
    CHECK(!lq_list_pop_front(&head));
    for (i = 0; i < 3; i++) lq_list_push_back(&head, &items[i].link);
    CHECK(!lq_list_is_empty(&head));
    for (i = 0; i < 3; i++) CHECK(value_of(lq_list_pop_front(&head)) == i);
    CHECK(lq_list_is_empty(&head));
}

static void test_list_remove(void)
{
    item items[3] = {{.value = 0}, {.value = 1}, {.value = 2}};
    lq_list head;
    int i;

    lq_list_init(&head);
    for (i = 0; i < 3; i++) lq_list_push_back(&head, &items[i].link);
    lq_list_remove(&items[1].link);
    CHECK(lq_list_is_empty(&items[1].link));
    lq_list_remove(&items[1].link);
    CHECK(value_of(lq_list_pop_front(&head)) == 0);
    CHECK(value_of(lq_list_pop_front(&head)) == 2);
    CHECK(lq_list_is_empty(&head));
}

static void test_list_move(void)
{
    item items[4] = {{.value = 0}, {.value = 1}, {.value = 2}, {.value = 3}};
    lq_list from, to;
    int i;

    lq_list_init(&from);
    lq_list_init(&to);
    lq_list_move(&from, &to);
    CHECK(lq_list_is_empty(&to));
    lq_list_push_back(&to, &items[0].link);
    for (i = 1; i < 4; i++) lq_list_push_back(&from, &items[i].link);
    lq_list_move(&from, &to);
    CHECK(lq_list_is_empty(&from));
    for (i = 0; i < 4; i++) CHECK(value_of(lq_list_pop_front(&to)) == i);
}

static void test_buf_append_and_consume(void)
{
    lq_buf b;

    lq_buf_init(&b);
    CHECK(lq_buf_len(&b) == 0);
    CHECK(lq_buf_append(&b, "hello, ", 7) == 0);
    CHECK(lq_buf_append(&b, "world", 5) == 0);
    CHECK(lq_buf_append(&b, NULL, 0) == 0);
    CHECK(lq_buf_len(&b) == 12);
    CHECK(memcmp(lq_buf_ptr(&b), "hello, world", 12) == 0);
    lq_buf_consume(&b, 7);
    CHECK(lq_buf_len(&b) == 5 && memcmp(lq_buf_ptr(&b), "world", 5) == 0);
    lq_buf_truncate(&b, 2);
    CHECK(lq_buf_len(&b) == 2 && memcmp(lq_buf_ptr(&b), "wo", 2) == 0);
    lq_buf_consume(&b, 2);
    CHECK(lq_buf_len(&b) == 0 && b.head == 0);
    lq_buf_fini(&b);
    CHECK(!b.data && b.cap == 0);
}

/* A queue that is written and read at the same pace stays small. */
static void test_buf_reuses_the_front(void)
{
    unsigned char in = 0, expected = 0;
    size_t i, k;
    lq_buf b;

    lq_buf_init(&b);
    for (i = 0; i < 5000; i++) {
        for (k = 0; k < 7; k++, in++) CHECK(lq_buf_append(&b, &in, 1) == 0);
        if (i < 8) continue;
        for (k = 0; k < 7; k++, expected++) {
            CHECK((unsigned char)*lq_buf_ptr(&b) == expected);
            lq_buf_consume(&b, 1);
        }
    }
    CHECK(lq_buf_len(&b) == 56);
    CHECK(b.cap <= 512);
    lq_buf_fini(&b);
}

static void test_buf_grows(void)
{
    size_t i, count = 50000;
    uint32_t value;
    lq_buf b;

    lq_buf_init(&b);
    for (i = 0; i < count; i++) {
        value = (uint32_t)i;
        CHECK(lq_buf_append(&b, &value, sizeof value) == 0);
    }
    for (i = 0; i < count; i++) {
        memcpy(&value, lq_buf_ptr(&b), sizeof value);
        CHECK(value == i);
        lq_buf_consume(&b, sizeof value);
    }
    lq_buf_fini(&b);
}

static void test_buf_keeps_its_memory(void)
{
    lq_buf b;
    char *data;

    lq_buf_init(&b);
    CHECK(lq_buf_reserve(&b, 1000) == 0);
    data = b.data;
    lq_buf_put(&b, "abc", 3);
    lq_buf_clear(&b);
    CHECK(lq_buf_len(&b) == 0);
    CHECK(lq_buf_reserve(&b, 1000) == 0 && b.data == data);
    lq_buf_fini(&b);
}

static void test_buf_refuses_absurd_sizes(void)
{
    lq_buf b;

    lq_buf_init(&b);
    CHECK(lq_buf_append(&b, "x", 1) == 0);
    CHECK(lq_buf_reserve(&b, SIZE_MAX) == -ENOMEM);
    CHECK(lq_buf_reserve(&b, SIZE_MAX / 2) == -ENOMEM);
    CHECK(lq_buf_len(&b) == 1 && *lq_buf_ptr(&b) == 'x');
    lq_buf_fini(&b);
}

int main(void)
{
    test_begin();
    test_list_order();
    test_list_remove();
    test_list_move();
    test_buf_append_and_consume();
    test_buf_reuses_the_front();
    test_buf_grows();
    test_buf_keeps_its_memory();
    test_buf_refuses_absurd_sizes();
    return test_end();
}

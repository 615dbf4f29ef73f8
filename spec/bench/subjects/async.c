/* async.c - the limit for a call between two threads: each sleeps in its loop
 * until the other one signals, and answers at once.
 *
 * Usage: async COUNT. Prints the median of the round trips in microseconds.
 *
 * Owns:    two loops and a thread.
 * Thread:  main, and the one that answers.
 * Knows:   libuv.
 */
#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

typedef struct side {
    uv_loop_t loop;
    uv_async_t wake;
    struct side *other;
    int left;
    uint64_t begun;
    uint64_t *took; /* NULL: this side answers */
    int count;
} side;

static void end(side *s)
{
    uv_close((uv_handle_t *)&s->wake, NULL);
}

static void on_wake(uv_async_t *handle)
{
    side *s = handle->data;
    uint64_t now = uv_hrtime();

    if (s->took) s->took[s->count++] = now - s->begun;
    s->begun = uv_hrtime();
    if (s->left-- > 0) uv_async_send(&s->other->wake);
    if (s->left < 0) end(s);
}

static int open_side(side *s, side *other, int left)
{
    s->other = other;
    s->left = left;
    if (uv_loop_init(&s->loop) < 0) return -1;
    s->wake.data = s;
    return uv_async_init(&s->loop, &s->wake, on_wake);
}

static void run(void *arg)
{
    side *s = arg;

    uv_run(&s->loop, UV_RUN_DEFAULT);
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
    int count = argc > 1 ? atoi(argv[1]) : 10000;
    side asks = {.took = calloc((size_t)count + 2, sizeof(uint64_t))};
    side answers = {.took = NULL};
    uv_thread_t thread;

    if (count < 1 || !asks.took) return 2;
    /* The one that answers does so count times, then ends at the next wake. */
    if (open_side(&asks, &answers, count) < 0 ||
        open_side(&answers, &asks, count) < 0 ||
        uv_thread_create(&thread, run, &answers) < 0)
        return 2;
    asks.left--;
    asks.begun = uv_hrtime();
    uv_async_send(&answers.wake);
    while (asks.count < count && uv_run(&asks.loop, UV_RUN_ONCE)) {
    }
    answers.left = 0;
    uv_async_send(&answers.wake);
    uv_thread_join(&thread);
    qsort(asks.took, (size_t)asks.count, sizeof *asks.took, compare);
    printf("%.2f\n", (double)asks.took[asks.count / 2] / 1000);
    free(asks.took);
    return 0;
}

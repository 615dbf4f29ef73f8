/* log_test.c - the queue of the log, and the thread that writes it. */
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/stat.h>
#include <uv.h>

#include "base/err.h"
#include "base/mem.h"
#include "log/writer.h"
#include "loop/thread.h"
#include "test.h"

enum { SENDERS = 4, RECORDS = 1000000, WINDOW = 10000 };

/* ---- senders ------------------------------------------------------------- */

typedef struct fixture {
    lq_log_queue *q;
    size_t per_sender;
    size_t window; /* records of a sender that may be under way; 0: any */
    _Atomic int started;
    _Atomic int ended;
    _Atomic size_t refused;
    _Atomic size_t taken[SENDERS];

    /* The consumer's. */
    size_t next[SENDERS]; /* the number that comes next, at least */
    uint64_t lost[SENDERS];
    uint64_t last_ns;
} fixture;

typedef struct sender {
    lq_thread thread;
    fixture *f;
    int id;
    lq_log log;
    size_t refused;
} sender;

static void send_one(sender *s, size_t number)
{
    fixture *f = s->f;
    lq_record r = {.level = LQ_LOG_INFO};
    char text[32];
    int len = snprintf(text, sizeof text, "%zu", number), err;

    while (f->window && number - atomic_load(&f->taken[s->id]) >= f->window)
        sched_yield();
    r.parts[LQ_PART_MESSAGE] = (lq_str){text, (size_t)len};
    r.parts[LQ_PART_FIELDS] = LQ_STR("user=7 path=/users/7");
    err = lq_log_queue_push(s->log.queue, s->log.source, &r);
    CHECK(err == 0 || err == LQ_EOVERLOADED);
    if (err < 0) s->refused++;
    if (err < 0) atomic_fetch_add(&f->refused, 1);
}

static void send_all(void *arg)
{
    sender *s = arg;
    size_t i;

    atomic_fetch_add(&s->f->started, 1);
    while (atomic_load(&s->f->started) < SENDERS) sched_yield();
    for (i = 0; i < s->f->per_sender; i++) send_one(s, i);
    lq_log_fini(&s->log);
    atomic_fetch_add(&s->f->ended, 1);
}

static void start_senders(fixture *f, sender *senders)
{
    const lq_log like = {.who = "?", .level = LQ_LOG_INFO, .queue = f->q};
    int i;

    for (i = 0; i < SENDERS; i++) {
        senders[i] = (sender){.f = f, .id = i};
        CHECK(lq_log_init(&senders[i].log, &like, "w", i) == 0);
        CHECK(lq_thread_start(&senders[i].thread, "lq:sender", send_all,
                              &senders[i]) == 0);
    }
}

static void join_senders(sender *senders)
{
    int i;

    for (i = 0; i < SENDERS; i++) lq_thread_join(&senders[i].thread);
}

/* ---- the consumer -------------------------------------------------------- */

/* The number of a record comes behind the last one of its sender, and its time
 * not before that of any other. */
static void check_record(fixture *f, const lq_record *r)
{
    int id = r->origin->worker;
    size_t number = strtoul(r->parts[LQ_PART_MESSAGE].ptr, NULL, 10);

    CHECK(id >= 0 && id < SENDERS);
    CHECK(number >= f->next[id]);
    CHECK(r->at_ns >= f->last_ns);
    CHECK(
        lq_str_equal(r->parts[LQ_PART_FIELDS], LQ_STR("user=7 path=/users/7")));
    f->next[id] = number + 1;
    f->last_ns = r->at_ns;
    atomic_fetch_add(&f->taken[id], 1);
}

static void check_batch(fixture *f, lq_log_batch *b)
{
    const lq_log_block *block;
    lq_log_source *s;
    lq_record r;
    size_t at;

    for (block = b->blocks; block; block = block->next)
        for (at = 0; at < block->len; check_record(f, &r))
            at += lq_record_unpack(&r, block->bytes + at);
    for (s = b->told; s; s = lq_log_queue_next_told(s)) {
        f->lost[lq_log_source_origin(s)->worker] += *lq_log_source_lost(s);
        *lq_log_source_lost(s) = 0;
    }
}

/* Takes until the senders have ended and everything is there. */
static void consume(fixture *f, uint64_t pause_us)
{
    lq_log_batch b;
    bool is_last;

    do {
        is_last = atomic_load(&f->ended) == SENDERS;
        lq_log_queue_take(f->q, &b, false, 1);
        check_batch(f, &b);
        lq_log_queue_settle(f->q, &b);
        if (pause_us) usleep((useconds_t)pause_us);
    } while (!is_last);
}

static double seconds_since(uint64_t began_ns)
{
    return (double)(uv_hrtime() - began_ns) / 1e9;
}

/* ---- the queue ----------------------------------------------------------- */

/* Four threads, one million records: all arrive, those of each in order. */
static void test_all_arrive_in_order(void)
{
    fixture f = {.per_sender = test_scaled(RECORDS) / SENDERS,
                 .window = WINDOW};
    sender senders[SENDERS];
    uint64_t began_ns;
    int i;

    CHECK(lq_log_queue_new(&f.q) == 0);
    began_ns = uv_hrtime();
    start_senders(&f, senders);
    consume(&f, 0);
    printf("%.0f records a second through the queue\n",
           (double)(f.per_sender * SENDERS) / seconds_since(began_ns));
    join_senders(senders);
    for (i = 0; i < SENDERS; i++) {
        CHECK(f.taken[i] == f.per_sender);
        CHECK(senders[i].refused == 0 && f.lost[i] == 0);
    }
    lq_log_queue_free(f.q);
}

/* A consumer that is late and then too slow: what is refused is counted, to the
 * last one. */
static void test_counts_what_is_dropped(void)
{
    fixture f = {.per_sender = test_scaled(2 * RECORDS) / SENDERS};
    sender senders[SENDERS];
    int i;

    CHECK(lq_log_queue_new(&f.q) == 0);
    start_senders(&f, senders);
    while (atomic_load(&f.refused) == 0) sched_yield();
    consume(&f, 20 * 1000);
    join_senders(senders);
    for (i = 0; i < SENDERS; i++) {
        CHECK(f.taken[i] + f.lost[i] == f.per_sender);
        CHECK(f.lost[i] == senders[i].refused);
    }
    lq_log_queue_free(f.q);
}

static size_t batch_bytes(const lq_log_batch *b)
{
    const lq_log_block *block;
    size_t bytes = 0;

    for (block = b->blocks; block; block = block->next)
        bytes += block->cap + sizeof *block;
    return bytes;
}

static size_t fill(lq_log_queue *q, lq_log_source *s, size_t len)
{
    lq_record r = {.level = LQ_LOG_INFO};
    char *bytes = lq_mem_zalloc(len);
    size_t count = 0;

    CHECK(bytes);
    r.parts[LQ_PART_MESSAGE] = (lq_str){bytes, len};
    while (lq_log_queue_push(q, s, &r) == 0) count++;
    lq_mem_free(bytes);
    return count;
}

/* A source has its quota, whatever the size of its records, and takes nothing
 * from the others. */
static void test_is_bounded(void)
{
    static const size_t sizes[] = {1,     100,   4000,   33000,
                                   40000, 65000, 100000, 3000000};
    lq_log_source *a, *b;
    lq_log_batch batch;
    lq_log_queue *q;
    size_t i, count;

    for (i = 0; i < LQ_COUNT_OF(sizes); i++) {
        CHECK(lq_log_queue_new(&q) == 0);
        CHECK((a = lq_log_queue_join(q, "a", 1)));
        CHECK((b = lq_log_queue_join(q, "b", 2)));
        count = fill(q, a, sizes[i]);
        CHECK(count * sizes[i] <= LQ_LOG_QUOTA);
        CHECK(sizes[i] > 4000 || count * (sizes[i] + 200) > LQ_LOG_QUOTA);
        CHECK(fill(q, b, sizes[i]) == count);
        lq_log_queue_take(q, &batch, false, 0);
        CHECK(batch_bytes(&batch) <= 2 * (size_t)LQ_LOG_QUOTA + (1 << 18));
        CHECK(*lq_log_source_lost(a) == 1 && *lq_log_source_lost(b) == 1);
        CHECK(fill(q, a, sizes[i]) == count); /* beside what was taken */
        *lq_log_source_lost(a) = *lq_log_source_lost(b) = 0;
        lq_log_queue_settle(q, &batch);
        lq_log_queue_free(q);
    }
}

/* What is larger than the quota never fits. */
static void test_refuses_what_never_fits(void)
{
    lq_log_source *s;
    lq_log_queue *q;

    CHECK(lq_log_queue_new(&q) == 0);
    CHECK((s = lq_log_queue_join(q, "a", 1)));
    CHECK(fill(q, s, LQ_LOG_QUOTA) == 0);
    CHECK(fill(q, s, LQ_LOG_QUOTA - 64) == 1);
    lq_log_queue_free(q);
}

static void test_refuses_after_close(void)
{
    lq_record r = {.level = LQ_LOG_INFO};
    lq_log_source *s;
    lq_log_batch b;
    lq_log_queue *q;

    r.parts[LQ_PART_MESSAGE] = LQ_STR("text");
    CHECK(lq_log_queue_new(&q) == 0);
    CHECK((s = lq_log_queue_join(q, "a", 1)));
    CHECK(lq_log_queue_push(q, s, &r) == 0);
    lq_log_queue_close(q, 0);
    CHECK(lq_log_queue_push(q, s, &r) == LQ_ECLOSED);
    CHECK(lq_log_queue_is_late(q));
    lq_log_queue_take(q, &b, true, 1000);
    CHECK(b.is_last && b.blocks && !b.told);
    CHECK(lq_log_queue_flush(q, 0) == LQ_ETIMEOUT);
    lq_log_queue_settle(q, &b);
    CHECK(lq_log_queue_flush(q, 0) == 0);
    CHECK(lq_log_queue_await_end(q, 0) == LQ_ETIMEOUT);
    lq_log_queue_end(q);
    CHECK(lq_log_queue_await_end(q, 0) == 0);
    lq_log_queue_free(q);
}

/* ---- the thread ---------------------------------------------------------- */

typedef struct folder {
    char path[64];
    char file[80];
} folder;

static void make_folder(folder *d)
{
    snprintf(d->path, sizeof d->path, "/tmp/luaqueduct-log-XXXXXX");
    CHECK(mkdtemp(d->path));
    snprintf(d->file, sizeof d->file, "%s/log", d->path);
}

/* Counts the lines of a file, which must be whole and in order, and removes
 * it. Returns -1 when there is none. */
static long read_lines(const char *path, size_t *next)
{
    FILE *file = fopen(path, "r");
    char line[256];
    long count = 0;
    int id;
    size_t number;

    if (!file) return -1;
    while (fgets(line, sizeof line, file)) {
        CHECK(line[strlen(line) - 1] == '\n');
        if (strstr(line, "records dropped")) continue;
        CHECK(sscanf(line, "%*s info  w%d: %zu user=7 path=/users/7", &id,
                     &number) == 2);
        CHECK(id >= 0 && id < SENDERS && number >= next[id]);
        next[id] = number + 1;
        count++;
    }
    fclose(file);
    unlink(path);
    return count;
}

static void init_names(sender *senders, char (*names)[16], const lq_log *like)
{
    int i;

    for (i = 0; i < SENDERS; i++) {
        snprintf(names[i], sizeof names[i], "w%d", i);
        CHECK(lq_log_init(&senders[i].log, like, names[i], i) == 0);
    }
}

static bool always(void *data)
{
    (void)data;
    return true;
}

/* Everything through the thread into a file; `rotate` bytes a file. */
static void write_everything(size_t per_sender, uint64_t rotate)
{
    fixture f = {.per_sender = per_sender};
    sender senders[SENDERS];
    char names[SENDERS][16], path[96];
    size_t next[SENDERS] = {0}, refused = 0;
    long count = 0, n;
    lq_log like = {.who = "?", .level = LQ_LOG_INFO};
    lq_writer_cfg cfg = {.rotate_size = rotate, .rotate_keep = 999};
    lq_writer *w = NULL;
    uint64_t began_ns;
    folder d;
    int i;

    make_folder(&d);
    cfg.path = d.file;
    CHECK(lq_writer_start(&w, &cfg, NULL) == 0);
    like.queue = f.q = lq_writer_queue(w);
    memset(senders, 0, sizeof senders);
    init_names(senders, names, &like);
    began_ns = uv_hrtime();
    for (i = 0; i < SENDERS; i++) {
        senders[i].f = &f;
        senders[i].id = i;
        CHECK(lq_thread_start(&senders[i].thread, "lq:sender", send_all,
                              &senders[i]) == 0);
    }
    join_senders(senders);
    CHECK(lq_writer_finish(w, LQ_WRITER_GRACE_MS, always, NULL));
    lq_writer_free(w);
    printf("%.0f records a second into a file%s\n",
           (double)(per_sender * SENDERS) / seconds_since(began_ns),
           rotate ? ", rotated" : "");
    for (i = 999; i >= 0; i--) {
        snprintf(path, sizeof path, i ? "%s.%d" : "%s", d.file, i);
        n = read_lines(path, next);
        if (n > 0) count += n;
        CHECK(n >= 0 || i > 0);
    }
    for (i = 0; i < SENDERS; i++) refused += senders[i].refused;
    CHECK((size_t)count + refused == per_sender * SENDERS);
    CHECK(rmdir(d.path) == 0);
}

static void test_writes_everything(void)
{
    write_everything(test_scaled(RECORDS) / SENDERS, 0);
    write_everything(test_scaled(RECORDS / 10) / SENDERS, test_scaled(100000));
}

int main(void)
{
    test_begin();
    test_is_bounded();
    test_refuses_what_never_fits();
    test_refuses_after_close();
    test_all_arrive_in_order();
    test_counts_what_is_dropped();
    test_writes_everything();
    return test_end();
}

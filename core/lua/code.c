/* code.c - see code.h. */
#include "lua/code.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

#include "base/buf.h"
#include "base/mem.h"

enum {
    BUCKETS = 256,
    CHUNK = 16 * 1024,
    LARGEST = 64 * 1024 * 1024,
};

/* What of a file changes when it is written, replaced, made or removed. All
 * zero: it is not there. */
typedef struct state {
    uint64_t device;
    uint64_t inode;
    uint64_t size;
    uint64_t changed_ns;
} state;

typedef struct file {
    struct file *next; /* in its bucket */
    int error;         /* of reading; 0: `text` is there */
    bool is_read;      /* else only noted */
    state seen;
    lq_buf text;
    char path[];
} file;

struct lq_code {
    _Atomic int refs;
    uv_mutex_t lock;
    file *buckets[BUCKETS]; /* guarded by lock, with all files */
};

/* ---- life --------------------------------------------------------------- */

lq_code *lq_code_new(void)
{
    lq_code *code = lq_mem_zalloc(sizeof *code);

    if (code && uv_mutex_init(&code->lock) < 0) {
        lq_mem_free(code);
        return NULL;
    }
    if (code) atomic_init(&code->refs, 1);
    return code;
}

lq_code *lq_code_ref(lq_code *code)
{
    atomic_fetch_add(&code->refs, 1);
    return code;
}

static void free_file(file *f)
{
    lq_buf_fini(&f->text);
    lq_mem_free(f);
}

void lq_code_unref(lq_code *code)
{
    file *f, *next;
    int i;

    if (!code || atomic_fetch_sub(&code->refs, 1) > 1) return;
    for (i = 0; i < BUCKETS; i++)
        for (f = code->buckets[i]; f; f = next) {
            next = f->next;
            free_file(f);
        }
    uv_mutex_destroy(&code->lock);
    lq_mem_free(code);
}

/* ---- one file ----------------------------------------------------------- */

static state state_of(const struct stat *st)
{
    return (state){
        .device = (uint64_t)st->st_dev,
        .inode = (uint64_t)st->st_ino,
        .size = (uint64_t)st->st_size,
        .changed_ns = (uint64_t)st->st_mtim.tv_sec * 1000000000 +
                      (uint64_t)st->st_mtim.tv_nsec,
    };
}

static state look_at(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 ? state_of(&st) : (state){0};
}

static bool is_same(const state *a, const state *b)
{
    return a->device == b->device && a->inode == b->inode &&
           a->size == b->size && a->changed_ns == b->changed_ns;
}

/* Up to its end, be it a pipe's. Returns -errno. */
static int read_all(int fd, lq_buf *text)
{
    ssize_t n = 1;

    while (n != 0) {
        if (lq_buf_len(text) > LARGEST) return -EFBIG;
        if (lq_buf_reserve(text, CHUNK) < 0) return -ENOMEM;
        n = read(fd, text->data + text->tail, CHUNK);
        if (n < 0 && errno != EINTR) return -errno;
        if (n > 0) text->tail += (size_t)n;
    }
    return 0;
}

/* Its state is taken first: a change while it is read is seen later. */
static int read_file(file *f)
{
    struct stat st;
    int fd = open(f->path, O_RDONLY | O_CLOEXEC), err;

    if (fd < 0) return -errno;
    err = fstat(fd, &st) < 0 ? -errno : S_ISDIR(st.st_mode) ? -EISDIR : 0;
    if (err == 0) {
        f->seen = state_of(&st);
        err = read_all(fd, &f->text);
    }
    close(fd);
    return err;
}

/* ---- all of them -------------------------------------------------------- */

/* FNV-1a. */
static uint64_t mix(uint64_t hash, const void *bytes, size_t len)
{
    const unsigned char *at = bytes;

    while (len-- > 0) hash = (hash ^ *at++) * 0x100000001b3;
    return hash;
}

static file **bucket_of(lq_code *code, const char *path)
{
    uint64_t hash = mix(0xcbf29ce484222325, path, strlen(path));

    return &code->buckets[hash % BUCKETS];
}

static file *find(file **bucket, const char *path)
{
    file *f = *bucket;

    while (f && strcmp(f->path, path) != 0) f = f->next;
    return f;
}

static file *new_file(const char *path)
{
    size_t len = strlen(path);
    file *f = lq_mem_zalloc(sizeof *f + len + 1);

    if (f) memcpy(f->path, path, len);
    return f;
}

static void put(file **bucket, file *f)
{
    f->next = *bucket;
    *bucket = f;
}

/* Under the lock. NULL: no memory. */
static file *read_once(lq_code *code, const char *path)
{
    file **bucket = bucket_of(code, path), *f = find(bucket, path);
    bool is_new = !f;

    if (f && f->is_read) return f;
    if (is_new && !(f = new_file(path))) return NULL;
    f->error = read_file(f);
    f->is_read = f->error != -ENOMEM;
    if (is_new && f->is_read) put(bucket, f);
    if (f->is_read) return f;
    if (is_new) free_file(f);
    return NULL;
}

int lq_code_read(lq_code *code, const char *path, lq_str *text)
{
    file *f;
    int err;

    uv_mutex_lock(&code->lock);
    f = read_once(code, path);
    err = f ? f->error : -ENOMEM;
    if (err == 0) *text = (lq_str){lq_buf_ptr(&f->text), lq_buf_len(&f->text)};
    uv_mutex_unlock(&code->lock);
    return err;
}

void lq_code_note(lq_code *code, const char *path)
{
    file **bucket = bucket_of(code, path), *f;

    uv_mutex_lock(&code->lock);
    f = find(bucket, path);
    if (!f && (f = new_file(path))) {
        f->seen = look_at(path);
        put(bucket, f);
    }
    uv_mutex_unlock(&code->lock);
}

const char *lq_code_look(lq_code *code, uint64_t *mark)
{
    const char *changed = NULL;
    size_t i;
    state now;
    file *f;

    uv_mutex_lock(&code->lock);
    for (i = 0; i < BUCKETS; i++)
        for (f = code->buckets[i]; f; f = f->next) {
            now = look_at(f->path);
            if (is_same(&now, &f->seen)) continue;
            changed = f->path;
            *mark = mix(*mark, &now, sizeof now);
        }
    uv_mutex_unlock(&code->lock);
    return changed;
}

void lq_code_accept(lq_code *code)
{
    size_t i;
    file *f;

    uv_mutex_lock(&code->lock);
    for (i = 0; i < BUCKETS; i++)
        for (f = code->buckets[i]; f; f = f->next) f->seen = look_at(f->path);
    uv_mutex_unlock(&code->lock);
}

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
    MISSING_MAX = 4096, /* files that cannot be read, and are kept as such */
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

    /* Guarded by lock. */
    file *buckets[BUCKETS]; /* with all files */
    int missing;            /* of them */
};

/* ---- life ---------------------------------------------------------------- */

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

/* ---- one file ------------------------------------------------------------ */

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

/* Its state is taken first: a change while it is read is seen later. Returns
 * -errno. */
static int read_file(file *f)
{
    struct stat st;
    int fd, err;

    f->seen = look_at(f->path);
    fd = open(f->path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return -errno;
    err = fstat(fd, &st) < 0 ? -errno : S_ISDIR(st.st_mode) ? -EISDIR : 0;
    if (err == 0) {
        f->seen = state_of(&st);
        err = read_all(fd, &f->text);
    }
    close(fd);
    return err;
}

/* ---- all of them --------------------------------------------------------- */

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

/* What was only noted is read now. */
static void take_over(file *f, file *fresh)
{
    f->error = fresh->error;
    f->is_read = true;
    f->seen = fresh->seen;
    f->text = fresh->text;
    lq_buf_init(&fresh->text);
}

/* Takes `fresh`, which has been read, unless another thread was quicker.
 * Returns what stands for the path, or NULL: names that nobody has a file for
 * may come from requests, and are not kept for ever. */
static file *keep(lq_code *code, file *fresh)
{
    file **bucket = bucket_of(code, fresh->path);
    file *f = find(bucket, fresh->path);

    if (!f && fresh->error && code->missing >= MISSING_MAX) return NULL;
    if (!f || !f->is_read) code->missing += fresh->error != 0;
    if (f && !f->is_read) take_over(f, fresh);
    if (f) {
        free_file(fresh);
        return f;
    }
    fresh->is_read = true;
    put(bucket, fresh);
    return fresh;
}

static file *find_read(lq_code *code, const char *path)
{
    file *f = find(bucket_of(code, path), path);

    return f && f->is_read ? f : NULL;
}

static int give_text(const file *f, lq_str *text)
{
    if (f->error) return f->error;
    *text = (lq_str){lq_buf_ptr(&f->text), lq_buf_len(&f->text)};
    return 0;
}

bool lq_code_is_passing(int err)
{
    switch (err) {
    case -ENOMEM:
    case -EMFILE:
    case -ENFILE:
    case -EINTR:
    case -EIO:
    case -ESTALE:
    case -ETIMEDOUT: return true;
    default: return false;
    }
}

/* Not under the lock: a file system that hangs is not to hang those who want
 * other files, or look at them. */
static int read_anew(lq_code *code, const char *path, lq_str *text)
{
    file *fresh = new_file(path), *f;
    int err;

    if (!fresh) return -ENOMEM;
    err = fresh->error = read_file(fresh);
    if (lq_code_is_passing(err)) {
        free_file(fresh);
        return err;
    }
    uv_mutex_lock(&code->lock);
    f = keep(code, fresh);
    if (f) err = give_text(f, text);
    uv_mutex_unlock(&code->lock);
    if (!f) free_file(fresh);
    return err;
}

int lq_code_read(lq_code *code, const char *path, lq_str *text)
{
    file *f;
    int err = 0;

    uv_mutex_lock(&code->lock);
    f = find_read(code, path);
    if (f) err = give_text(f, text);
    uv_mutex_unlock(&code->lock);
    return f ? err : read_anew(code, path, text);
}

void lq_code_note(lq_code *code, const char *path)
{
    file **bucket = bucket_of(code, path), *f;
    state seen = look_at(path);

    uv_mutex_lock(&code->lock);
    f = find(bucket, path);
    if (!f && (f = new_file(path))) {
        f->seen = seen;
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

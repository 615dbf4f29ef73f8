/* sink.c - see sink.h. */
#include "log/sink.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { FILE_MODE = 0640, ROTATE_AGAIN_MS = 1000 };

static uint64_t now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* ---- opening ------------------------------------------------------------- */

/* A FIFO is opened for both directions, so that no reader is awaited and none
 * that leaves is an error. */
static int open_path(const char *path)
{
    const int common = O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
    struct stat st;
    int fd;

    if (stat(path, &st) == 0 && S_ISFIFO(st.st_mode))
        fd = open(path, O_RDWR | common);
    else
        fd = open(path, O_WRONLY | O_APPEND | O_CREAT | common, FILE_MODE);
    return fd < 0 ? -errno : fd;
}

/* Standard error is shared with other processes: O_NONBLOCK would be theirs,
 * too. What can be opened a second time gets a description of its own. */
static int open_stderr(bool *waits_itself)
{
    struct stat st;
    int fd = -1;

    *waits_itself = false;
    if (fstat(STDERR_FILENO, &st) < 0) return -errno;
    if (S_ISREG(st.st_mode) || S_ISSOCK(st.st_mode)) return STDERR_FILENO;
    if (S_ISFIFO(st.st_mode) || S_ISCHR(st.st_mode))
        fd = open("/proc/self/fd/2",
                  O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    *waits_itself = fd < 0;
    return fd < 0 ? STDERR_FILENO : fd;
}

static void close_fd(lq_sink *s)
{
    if (s->fd >= 0 && s->fd != STDERR_FILENO) close(s->fd);
    s->fd = -1;
}

static bool is_same_file(int a, int b)
{
    struct stat at_a, at_b;

    if (a < 0 || fstat(a, &at_a) < 0 || fstat(b, &at_b) < 0) return false;
    return at_a.st_dev == at_b.st_dev && at_a.st_ino == at_b.st_ino;
}

/* Goes over to `fd`. */
static void take_fd(lq_sink *s, int fd)
{
    struct stat st;

    s->is_torn = s->is_torn && is_same_file(s->fd, fd);
    close_fd(s);
    s->fd = fd;
    if (fstat(fd, &st) < 0) st = (struct stat){0};
    s->type = st.st_mode & S_IFMT;
    s->size = S_ISREG(st.st_mode) ? (uint64_t)st.st_size : 0;
}

int lq_sink_open(lq_sink *s, const lq_sink_cfg *cfg, lq_err *err)
{
    bool waits_itself = false;
    int fd = cfg->path ? open_path(cfg->path) : open_stderr(&waits_itself);
    char text[128];

    if (fd < 0)
        return lq_err_set(err, fd, "--log-file: %.100s: %s",
                          cfg->path ? cfg->path : "standard error",
                          lq_strerror(fd, text, sizeof text));
    *s = (lq_sink){.cfg = *cfg, .fd = -1, .waits_itself = waits_itself};
    take_fd(s, fd);
    return 0;
}

void lq_sink_close(lq_sink *s)
{
    close_fd(s);
}

bool lq_sink_is_terminal(const lq_sink *s)
{
    return s->fd >= 0 && isatty(s->fd);
}

int lq_sink_reopen(lq_sink *s)
{
    int fd;

    s->wants_reopen = false;
    if (!s->cfg.path) return 0;
    fd = open_path(s->cfg.path);
    if (fd < 0) return fd;
    take_fd(s, fd);
    return 0;
}

void lq_sink_ask_reopen(lq_sink *s)
{
    s->wants_reopen = true;
}

/* Nobody will ever read what is written to it. */
static bool is_removed(const lq_sink *s)
{
    struct stat st;

    return s->fd >= 0 && fstat(s->fd, &st) == 0 && st.st_nlink == 0;
}

/* Another file, or none, stands at the path. */
static bool is_moved(const lq_sink *s)
{
    struct stat at_path, open_one;

    if (s->fd < 0) return true;
    if (stat(s->cfg.path, &at_path) < 0) return errno == ENOENT;
    if (fstat(s->fd, &open_one) < 0) return true;
    return at_path.st_dev != open_one.st_dev ||
           at_path.st_ino != open_one.st_ino;
}

void lq_sink_check(lq_sink *s)
{
    struct stat st;
    int fd;

    if (!s->cfg.path) return;
    if (is_moved(s)) {
        fd = open_path(s->cfg.path);
        if (fd >= 0)
            take_fd(s, fd);
        else if (is_removed(s))
            close_fd(s);
    } else if (S_ISREG(s->type) && fstat(s->fd, &st) == 0) {
        s->size = (uint64_t)st.st_size; /* others may write to it, too */
    }
}

/* ---- rotation ------------------------------------------------------------ */

/* PATH.1 for 1; PATH for 0. Returns false when it is too long. */
static bool name_of(const lq_sink *s, int number, char *out, size_t cap)
{
    int len = number ? snprintf(out, cap, "%s.%d", s->cfg.path, number)
                     : snprintf(out, cap, "%s", s->cfg.path);

    return len > 0 && (size_t)len < cap;
}

static int move_up(const lq_sink *s, int number)
{
    char from[PATH_MAX], to[PATH_MAX];

    if (!name_of(s, number, from, sizeof from) ||
        !name_of(s, number + 1, to, sizeof to))
        return -ENAMETOOLONG;
    if (rename(from, to) < 0 && errno != ENOENT) return -errno;
    return 0;
}

/* How many files there are in a row, from PATH.1 on. */
static int count_old(const lq_sink *s)
{
    char path[PATH_MAX];
    struct stat st;
    int count = 0;

    while (count < s->cfg.rotate_keep - 1 &&
           name_of(s, count + 1, path, sizeof path) && lstat(path, &st) == 0)
        count++;
    return count;
}

/* Until a new file is there the old one is written to, whatever its name. */
static void rotate(lq_sink *s)
{
    int i, fd, err = 0;

    s->tried_ms = now_ms();
    for (i = count_old(s); i >= 0 && err == 0; i--) err = move_up(s, i);
    if (err < 0) return;
    fd = open_path(s->cfg.path);
    if (fd < 0) return;
    take_fd(s, fd);
    s->tried_ms = 0;
}

static bool is_rotated(const lq_sink *s)
{
    return s->cfg.rotate_size && S_ISREG(s->type) && s->cfg.path;
}

/* How many bytes of the lines may go into the file as it is; 0: it is to be
 * rotated first. A line that is longer than the limit has a file to itself. */
static size_t portion(const lq_sink *s, const char *lines, size_t len)
{
    uint64_t limit = s->cfg.rotate_size;
    uint64_t left = s->size < limit ? limit - s->size : 0;
    const char *end;

    if (!is_rotated(s) || left >= len) return len;
    if (s->tried_ms && now_ms() - s->tried_ms < ROTATE_AGAIN_MS) return len;
    end = left ? memrchr(lines, '\n', (size_t)left) : NULL;
    if (!end && s->size > 0) return 0;
    if (!end) end = memchr(lines, '\n', len);
    return end ? (size_t)(end + 1 - lines) : len;
}

/* ---- writing ------------------------------------------------------------- */

/* Waits until the descriptor takes bytes. Returns LQ_ETIMEOUT when it is to be
 * given up, or reopened. A reader that is slow gets no more time than one that
 * does nothing. */
static int wait_writable(lq_sink *s)
{
    struct pollfd p = {.fd = s->fd, .events = POLLOUT};

    while (poll(&p, 1, LQ_SINK_WAIT_MS) <= 0)
        if (!s->cfg.goes_on(s->cfg.data) || s->wants_reopen) return LQ_ETIMEOUT;
    return s->cfg.goes_on(s->cfg.data) ? 0 : LQ_ETIMEOUT;
}

/* One system call. Returns the bytes written or -errno. */
static ssize_t write_once(lq_sink *s, const char *bytes, size_t len)
{
    ssize_t n;

    if (s->waits_itself) {
        int err = wait_writable(s);

        if (err < 0) return err;
        if (len > PIPE_BUF) len = PIPE_BUF; /* so much fits without a wait */
    }
    if (S_ISSOCK(s->type))
        n = send(s->fd, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL);
    else
        n = write(s->fd, bytes, len);
    return n < 0 ? -errno : n;
}

/* Returns how many bytes were written; s->error says why not all. */
static size_t write_all(lq_sink *s, const char *bytes, size_t len)
{
    size_t at = 0;
    ssize_t n;

    s->error = 0;
    while (at < len && s->error == 0) {
        n = write_once(s, bytes + at, len - at);
        if (n > 0)
            at += (size_t)n;
        else if (n == -EAGAIN)
            s->error = wait_writable(s);
        else if (n != -EINTR)
            s->error = n < 0 ? (int)n : -EIO;
    }
    return at;
}

/* Takes the last `len` bytes off a regular file, unless somebody else has
 * written behind them. */
static bool take_back(lq_sink *s, size_t len)
{
    off_t at = lseek(s->fd, 0, SEEK_CUR);
    struct stat st;

    if (!S_ISREG(s->type) || at < (off_t)len) return false;
    if (fstat(s->fd, &st) < 0 || st.st_size != at) return false;
    if (ftruncate(s->fd, at - (off_t)len) < 0) return false;
    return lseek(s->fd, at - (off_t)len, SEEK_SET) >= 0;
}

/* What was torn gets an end, so that the next line is one of its own. */
static bool mend(lq_sink *s)
{
    if (s->is_torn && write_all(s, "\n", 1) == 1) s->is_torn = false;
    return !s->is_torn;
}

static size_t write_lines(lq_sink *s, const char *lines, size_t len)
{
    size_t done, whole;
    const char *end;

    if (s->fd < 0) s->error = -ENOENT;
    if (s->fd < 0 || !mend(s)) return 0;
    done = write_all(s, lines, len);
    if (done == len) {
        s->size += len;
        return len;
    }
    end = done ? memrchr(lines, '\n', done) : NULL;
    whole = end ? (size_t)(end + 1 - lines) : 0;
    if (done > whole && !take_back(s, done - whole)) s->is_torn = true;
    s->size += whole;
    return whole;
}

size_t lq_sink_write(lq_sink *s, const char *lines, size_t len)
{
    size_t at = 0, n, done;

    s->error = 0;
    while (at < len) {
        n = portion(s, lines + at, len - at);
        if (n == 0) {
            rotate(s);
            continue;
        }
        done = write_lines(s, lines + at, n);
        at += done;
        if (done == n) continue;
        if (!s->wants_reopen) break;
        (void)!lq_sink_reopen(s); /* if not, the old one is tried again */
    }
    return at;
}

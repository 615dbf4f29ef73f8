/* broken.c - see broken.h. */
#include "base/broken.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

enum { SAY_MS = 500 };

/* What the signal carries. The flag orders the writes of one thread before the
 * reads of the other: that the kernel does is not for the compiler to know. */
typedef struct note {
    _Atomic bool is_written;
    lq_broken broken;
} note;

int lq_broken_open(void)
{
    sigset_t set;
    int fd;

    sigemptyset(&set);
    sigaddset(&set, SIGRTMIN);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return fd < 0 ? -errno : fd;
}

void lq_broken_close(int fd)
{
    if (fd >= 0) close(fd);
}

static bool is_ours(const struct signalfd_siginfo *info)
{
    return info->ssi_code == SI_QUEUE && info->ssi_pid == (uint32_t)getpid();
}

bool lq_broken_read(int fd, lq_broken *out)
{
    struct signalfd_siginfo info;
    note *n;

    do {
        if (read(fd, &info, sizeof info) != sizeof info) return false;
    } while (!is_ours(&info));
    n = (note *)(uintptr_t)info.ssi_ptr;
    if (!atomic_load_explicit(&n->is_written, memory_order_acquire)) abort();
    *out = n->broken;
    free(n);
    return true;
}

static bool is_worker(void)
{
    char name[16] = "";

    pthread_getname_np(pthread_self(), name, sizeof name);
    return strncmp(name, LQ_BROKEN_WORKER, strlen(LQ_BROKEN_WORKER)) == 0;
}

/* Not lq_mem: it may count, or fail on purpose. */
static bool tell(const char *text)
{
    note *n = malloc(sizeof *n);

    if (!n) return false;
    n->broken.thread = pthread_self();
    snprintf(n->broken.text, sizeof n->broken.text, "%s", text);
    atomic_store_explicit(&n->is_written, true, memory_order_release);
    if (sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_ptr = n}) == 0)
        return true;
    free(n);
    return false;
}

/* A pipe that nobody reads must not keep it from ending: as much as fits into
 * one without a wait. */
static void say(const char *text)
{
    struct pollfd p = {.fd = STDERR_FILENO, .events = POLLOUT};
    char line[512];
    int len = snprintf(line, sizeof line, "luaqueduct: %.400s\n", text);

    if (poll(&p, 1, SAY_MS) > 0 && write(STDERR_FILENO, line, (size_t)len) < 0)
        return;
}

_Noreturn void lq_broken_end(const char *text)
{
    if (is_worker() && tell(text)) pthread_exit(NULL);
    say(text);
    abort();
}

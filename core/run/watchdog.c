/* watchdog.c - see watchdog.h. */
#include "run/watchdog.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

enum { WATCH_SIGNAL = SIGURG, LOST_AFTER = 3 /* limits */ };

static uint64_t beat_of(const lq_pulse *p)
{
    return atomic_load_explicit(&p->beats, memory_order_relaxed);
}

static bool is_busy(const lq_pulse *p)
{
    return atomic_load_explicit(&p->busy_since_ms, memory_order_relaxed) != 0;
}

/* On the watched thread, anywhere in it. A signal that comes late must not hit
 * what began meanwhile. */
static void on_signal(int number, siginfo_t *info, void *context)
{
    lq_watch *w = info->si_value.sival_ptr;
    int saved = errno;

    (void)number;
    (void)context;
    if (info->si_code == SI_QUEUE && info->si_pid == getpid() &&
        is_busy(w->pulse) &&
        beat_of(w->pulse) ==
            atomic_load_explicit(&w->stuck_beat, memory_order_relaxed))
        lq_interrupt(w->running);
    errno = saved;
}

int lq_watchdog_install(void)
{
    struct sigaction action = {
        .sa_sigaction = on_signal,
        .sa_flags = SA_SIGINFO | SA_RESTART,
    };

    sigemptyset(&action.sa_mask);
    return sigaction(WATCH_SIGNAL, &action, NULL) < 0 ? -errno : 0;
}

void lq_watch_init(lq_watch *w, lq_running *running, const lq_pulse *pulse)
{
    *w = (lq_watch){.running = running, .pulse = pulse};
}

void lq_watch_allow(bool allow)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, WATCH_SIGNAL);
    pthread_sigmask(allow ? SIG_UNBLOCK : SIG_BLOCK, &set, NULL);
}

static void interrupt(lq_watch *w, uv_thread_t thread)
{
    union sigval value = {.sival_ptr = w};

    w->is_signalled = true;
    atomic_store_explicit(&w->stuck_beat, w->beat, memory_order_relaxed);
    pthread_sigqueue(thread, WATCH_SIGNAL, value);
}

bool lq_watch_look(lq_watch *w, uv_thread_t thread, uint64_t now_ms,
                   uint64_t limit_ms)
{
    uint64_t beat = beat_of(w->pulse);

    if (!is_busy(w->pulse) || beat != w->beat || w->since_ms == 0) {
        w->beat = beat;
        w->since_ms = now_ms;
        w->is_signalled = false;
        return false;
    }
    if (!w->is_signalled && now_ms - w->since_ms >= limit_ms)
        interrupt(w, thread);
    return now_ms - w->since_ms >= LOST_AFTER * limit_ms;
}

/* thread.c - see thread.h. */
#include "loop/thread.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>

/* Said aloud: the default is `ulimit -s`, which may be anything. */
static const uv_thread_options_t options = {
    .flags = UV_THREAD_HAS_STACK_SIZE,
    .stack_size = 8 * 1024 * 1024,
};

static void run(void *arg)
{
    lq_thread *t = arg;

    pthread_setname_np(pthread_self(), t->name);
    t->fn(t->arg);
}

/* Everything but faults: a fault that is blocked ends the process without a
 * word from whoever would report it. */
static void fill_mask(sigset_t *mask)
{
    static const int faults[] = {SIGABRT, SIGBUS,  SIGFPE, SIGILL,
                                 SIGSEGV, SIGTRAP, SIGSYS};
    size_t i;

    sigfillset(mask);
    for (i = 0; i < LQ_COUNT_OF(faults); i++) sigdelset(mask, faults[i]);
}

int lq_thread_start(lq_thread *t, const char *name, void (*fn)(void *arg),
                    void *arg)
{
    sigset_t blocked, before;
    int err;

    t->fn = fn;
    t->arg = arg;
    snprintf(t->name, sizeof t->name, "%s", name);
    fill_mask(&blocked);
    pthread_sigmask(SIG_SETMASK, &blocked, &before);
    err = uv_thread_create_ex(&t->id, &options, run, t);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return err;
}

void lq_thread_join(lq_thread *t)
{
    int err = uv_thread_join(&t->id);

    LQ_ASSERT(err == 0);
}

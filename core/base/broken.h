/* broken.h - the end of a thread whose state is not to be used any more.
 *
 * After a panic of Lua or a failed invariant nothing below on the stack may go
 * on. The thread of a worker tells the main thread, through a signal that
 * nobody but a descriptor takes, and ends where it stands; what it had is left
 * behind. Any other thread aborts the process.
 *
 * Owns:    the signal SIGRTMIN of the process.
 * Thread:  end - any thread. Everything else - main thread.
 * Life:    open -> read* -> close.
 * Knows:   libc.
 */
#ifndef LQ_BROKEN_H
#define LQ_BROKEN_H

#include <pthread.h>

#include "base/defs.h"

/* The name of a worker's thread begins so. */
#define LQ_BROKEN_WORKER "lq:w"

typedef struct lq_broken {
    pthread_t thread; /* ends, or has ended: to be joined */
    char text[512];   /* why */
} lq_broken;

/* Gives a descriptor that becomes readable, or -errno. The signal is blocked
 * in this thread, and in those that it starts. */
int lq_broken_open(void) LQ_MUST_CHECK;
void lq_broken_close(int fd);

/* Takes one thread that has broken. Returns false when there is none. */
bool lq_broken_read(int fd, lq_broken *out) LQ_MUST_CHECK;

/* Holds no lock. Copies text. */
LQ_ANY_THREAD _Noreturn void lq_broken_end(const char *text);

#endif

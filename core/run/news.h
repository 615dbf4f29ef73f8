/* news.h - what the runtime tells its guard.
 *
 * It goes over a pair of sockets that keeps messages apart. The end of one side
 * tells the other that its process has died.
 *
 * Owns:    nothing.
 * Thread:  none; the runtime's end is its main thread's.
 * Knows:   base, libc.
 */
#ifndef LQ_NEWS_H
#define LQ_NEWS_H

#include "base/defs.h"

typedef enum lq_news {
    LQ_NEWS_READY =
        1, /* all accept; the text: "listening on URL (4 workers)" */
    LQ_NEWS_RELOADING, /* new code is being loaded */
    LQ_NEWS_RELOADED,  /* ... no longer, and what HUPs asked for is done; with
                          a text: it has failed, and why */
    LQ_NEWS_STOPPING,  /* what is in flight is finished, then it ends */
    LQ_NEWS_ALIVE,     /* the main thread goes round */
    LQ_NEWS_LEAVING,   /* what is in flight is finished beside the next runtime,
                          which is to be started now */
} lq_news;

enum { LQ_NEWS_BYTES = 64 * 1024 }; /* of a text, with its end */

/* Both ends are closed on exec and do not block. -errno. */
int lq_news_pair(int fds[2]) LQ_MUST_CHECK;

/* NULL: no text; what is too long is cut. Never waits; a guard that is gone is
 * no error here. */
void lq_news_send(int fd, lq_news what, const char *text);

/* Into `text`, which has LQ_NEWS_BYTES. Returns what it is, 0 when nothing
 * waits, or -EPIPE: the other end is gone. */
int lq_news_receive(int fd, char *text) LQ_MUST_CHECK;

#endif

/* supervisor.h - the main thread of the runtime: start, ready line, signals,
 * stop.
 *
 * Owns:    the workers, the packed context, the main loop.
 * Thread:  main thread.
 * Life:    lq_supervisor_run does it all and returns the exit status.
 * Knows:   everything below.
 */
#ifndef LQ_SUPERVISOR_H
#define LQ_SUPERVISOR_H

#include "run/news.h"
#include "run/options.h"
#include "run/paths.h"
#include "run/sockets.h"

typedef struct lq_supervisor_cfg {
    const lq_options *options;
    const lq_paths *paths;
    lq_sockets *sockets; /* bound; borrowed */
    int guard_fd;        /* ends when the guard dies; -1: there is none */
    int ask_fd;          /* to its guard, of lq_ask_pair; taken; -1: none */
    bool is_again;       /* the guard has started one before */
    uint64_t alive_ms;   /* LQ_NEWS_ALIVE so often; 0: nobody asks */
    /* Gets the news; the text is lent, NULL: none. Does not wait. */
    void (*tell)(void *data, lq_news what, const char *text);
    void *data;
} lq_supervisor_cfg;

/* Serves until it is told to stop. Returns the exit status: 0 a graceful stop,
 * 1 the app could not start or a second signal came. Does not return when a
 * thread is stuck. */
int lq_supervisor_run(const lq_supervisor_cfg *cfg);

#endif

/* succession.h - the generations of the app's code: which one serves, and which
 * comes next.
 *
 * The first one is the start. A reload, asked for or because a file has changed
 * (--watch), makes the next one beside it; when all its workers accept, the old
 * one retires. One that cannot be made is dropped.
 *
 * Owns:    the services, the generations until they have ended, and the text of
 * the newest one that failed. Thread:  main thread. Life:    init -> start ->
 * (reload | watch | bury)* -> end -> on_ended -> fini. Knows:   generation.
 */
#ifndef LQ_SUCCESSION_H
#define LQ_SUCCESSION_H

#include "run/generation.h"
#include "run/news.h"

typedef struct lq_succession lq_succession;

typedef struct lq_succession_cfg {
    lq_loop *loop;
    lq_worker_cfg worker; /* all but what a generation and its crew set */

    /* The first generation is prepared: the sockets are to listen. Returns
     * false when that has failed, and has been told. */
    bool (*on_prepared)(void *data, const lq_crew *crew);
    void (*on_serving)(void *data); /* the first generation accepts */
    /* The first generation could not be made, or has failed in App:ready(). */
    void (*on_failed)(void *data, const char *text);
    /* LQ_NEWS_RELOADING and LQ_NEWS_RELOADED. */
    void (*tell)(void *data, lq_news what, const char *text);
    /* After end: nobody accepts any more; maybe more than once. */
    void (*on_quiet)(void *data);
    /* After end: everybody is gone or given up. Without respawning also before
     * it: nobody serves any more. */
    void (*on_ended)(void *data);
    void *data;
} lq_succession_cfg;

struct lq_succession {
    lq_succession_cfg cfg;
    lq_services *services;  /* NULL: not yet */
    lq_list generations;    /* all that are not freed */
    lq_generation *current; /* serves; NULL: not yet */
    lq_generation *next;    /* loads and prepares; NULL: none */
    int number;             /* of the newest that has been tried */
    bool wants_reload;      /* once more, behind the one under way */
    bool is_ending;
    /* --watch. */
    lq_timer look;
    lq_code *failed; /* what the newest reload has read, if it failed */
    uint64_t seen;   /* what the files were at the last look; 0: as they are */
    int looks;       /* since the first change */
};

/* Copies cfg; what it points to is borrowed. */
void lq_succession_init(lq_succession *s, const lq_succession_cfg *cfg);
/* When all have ended and no thread is lost. */
void lq_succession_fini(lq_succession *s);

/* Makes the first generation. -ENOMEM, or libuv's codes: nothing has begun. */
int lq_succession_start(lq_succession *s) LQ_MUST_CHECK;

/* Makes the next one; while one is under way, once more behind it. */
void lq_succession_reload(lq_succession *s);

/* An order for everybody (LQ_WORKER_DRAIN, _STOP); on_ended follows, at once
 * when nobody is there. */
void lq_succession_end(lq_succession *s, int order);

/* A thread has broken: whosoever it is, it is replaced or fails. */
void lq_succession_bury(lq_succession *s, const lq_broken *broken);

/* Every LQ_SPREAD_BUSY_MS or so: looks for threads that hang, and frees the
 * generations that are over. */
void lq_succession_watch(lq_succession *s);

/* Whether the newest reload has failed: the files are not those that serve. */
bool lq_succession_has_failed(const lq_succession *s);

/* Threads that are stuck or have broken, and cannot be joined: of generations
 * that serve or have served, or of those that never came so far. */
int lq_succession_lost(const lq_succession *s, bool have_served);

#endif

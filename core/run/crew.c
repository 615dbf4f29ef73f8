/* crew.c - see crew.h. */
#include "run/crew.h"

#include <errno.h>
#include <stdio.h>

#include "base/mem.h"

enum {
    FIRST_DELAY_MS = 100,
    LONGEST_DELAY_MS = 10000,
    LATE_MS = 1000, /* for a successor that was told to stop */
    OTHER_TIMERS = 16,
};

typedef enum stage {
    STARTING, /* until all are prepared */
    OPENING,  /* until all accept */
    SERVING,
    ENDING,
} stage;

/* A number, 1 to N, and who fills it. */
typedef struct place {
    lq_crew *crew;
    int id;
    int restarts;
    int quick;           /* deaths in a row */
    uint64_t started_ms; /* the newest start */
    lq_timer due;        /* the successor starts, or must be prepared */
    lq_worker *current;  /* in the roster */
    lq_worker *next;     /* prepares */
    bool is_late;        /* ... for too long */
    bool has_accepted;   /* the first one, or a successor */
    char name[96];       /* "worker 3", "service nest" */
} place;

struct lq_crew {
    lq_crew_cfg cfg;
    lq_list members; /* every worker that runs */
    int alive;       /* without the lost ones */
    int lost;
    stage stage;
    bool has_ended; /* on_ended has been called */
    int prepared;
    int accepting;
    int count;
    place places[];
};

/* A worker whose thread runs. */
typedef struct member {
    lq_list link;
    lq_worker *worker;
    place *place;
    lq_pulse *pulse; /* the spread's */
    bool is_draining;
    bool is_watched; /* it accepts, has accepted, or is to end */
    bool is_lost;    /* replaced, as its thread does not come back ... */
    bool is_buried;  /* ... because it has broken */
} member;

/* ---- one place ----------------------------------------------------------- */

static place *place_of(lq_crew *crew, const lq_report *r)
{
    return &crew->places[r->id - 1];
}

static uint64_t now_ms(const lq_crew *crew)
{
    return lq_loop_now(crew->cfg.loop);
}

/* What a successor has for its preparation. */
static int start_deadline(place *p)
{
    double limit = p->crew->cfg.worker.options->start_timeout;

    if (limit <= 0) return 0;
    return lq_timer_start(lq_loop_timers(p->crew->cfg.loop), &p->due,
                          p->started_ms + (uint64_t)(limit * 1000));
}

static void name_place(place *p)
{
    const lq_crew *crew = p->crew;
    const lq_service_spec *service = crew->cfg.worker.service;

    if (!service)
        snprintf(p->name, sizeof p->name, "worker %d", p->id);
    else if (crew->count == 1)
        snprintf(p->name, sizeof p->name, "service %s", service->name);
    else
        snprintf(p->name, sizeof p->name, "service %s, instance %d",
                 service->name, p->id);
}

static member *new_member(lq_crew *crew)
{
    member *m = lq_mem_zalloc(sizeof *m);

    if (m) m->pulse = lq_spread_lend_pulse(crew->cfg.worker.spread);
    if (m && m->pulse) return m;
    lq_mem_free(m);
    return NULL;
}

static void free_member(lq_crew *crew, member *m)
{
    lq_spread_take_pulse(crew->cfg.worker.spread, m->pulse);
    lq_mem_free(m);
}

static int start_worker(place *p)
{
    lq_crew *crew = p->crew;
    lq_worker_cfg cfg = crew->cfg.worker;
    member *m = new_member(crew);
    int err;

    if (!m) return -ENOMEM;
    cfg.pulse = m->pulse;
    cfg.id = p->id;
    cfg.restarts = p->restarts;
    err = lq_worker_start(&m->worker, &cfg);
    if (err < 0) {
        free_member(crew, m);
        return err;
    }
    lq_list_push_back(&crew->members, &m->link);
    crew->alive++;
    m->place = p;
    p->next = m->worker;
    p->is_late = false;
    p->started_ms = now_ms(crew);
    return crew->stage == SERVING ? start_deadline(p) : 0;
}

uint64_t lq_crew_delay(int quick)
{
    uint64_t delay_ms = FIRST_DELAY_MS;

    if (quick <= 1) return 0;
    while (--quick > 1 && delay_ms < LONGEST_DELAY_MS) delay_ms *= 2;
    return delay_ms < LONGEST_DELAY_MS ? delay_ms : LONGEST_DELAY_MS;
}

/* Its worker has gone or is going: a successor comes. */
static void replace(place *p)
{
    lq_crew *crew = p->crew;
    uint64_t now = lq_loop_update(crew->cfg.loop), delay_ms;

    if (crew->stage != SERVING || crew->cfg.worker.options->no_respawn) return;
    if (now - p->started_ms >= LQ_CREW_QUICK_MS) p->quick = 0;
    delay_ms = lq_crew_delay(++p->quick);
    lq_log_printf(crew->cfg.log, LQ_LOG_WARN,
                  "%s has ended: it is started again in %llu ms", p->name,
                  (unsigned long long)delay_ms);
    if (lq_timer_start(lq_loop_timers(crew->cfg.loop), &p->due,
                       now + delay_ms) < 0)
        lq_log_printf(crew->cfg.log, LQ_LOG_ERROR,
                      "there is no memory to start %s again", p->name);
}

static member *find(lq_crew *crew, const lq_worker *w)
{
    lq_list *link = crew->members.next;

    while (LQ_CONTAINER_OF(link, member, link)->worker != w) link = link->next;
    return LQ_CONTAINER_OF(link, member, link);
}

/* Nobody hands it a connection any more. A service has none. */
static void leave_roster(place *p, const lq_worker *w)
{
    lq_roster *roster = p->crew->cfg.worker.roster;

    if (roster) lq_roster_clear(roster, p->id - 1, w);
}

/* Its thread does not come back: others go on as if it had ended. */
static void abandon(member *m)
{
    place *p = m->place;
    lq_crew *crew = p->crew;
    bool had_place = p->current == m->worker;

    m->is_lost = true;
    crew->alive--;
    crew->lost++;
    if (had_place) {
        p->current = NULL;
        leave_roster(p, m->worker);
    }
    lq_worker_give_up(m->worker);
    if (p->next == m->worker) {
        p->next = NULL;
        replace(p);
    } else if (had_place && !m->is_draining) {
        replace(p);
    }
}

/* The successor is not prepared in time: it is told to stop, and given up when
 * it does not hear. */
static void on_late(place *p)
{
    lq_crew *crew = p->crew;
    uint64_t at_ms = lq_loop_now(crew->cfg.loop) + LATE_MS;

    if (p->is_late) {
        abandon(find(crew, p->next));
        return;
    }
    p->is_late = true;
    lq_log_printf(crew->cfg.log, LQ_LOG_ERROR,
                  "%s has not prepared within --start-timeout", p->name);
    (void)!lq_worker_tell(p->next, LQ_WORKER_STOP);
    (void)!lq_timer_start(lq_loop_timers(crew->cfg.loop), &p->due, at_ms);
}

static void on_due(lq_timer *timer)
{
    place *p = LQ_CONTAINER_OF(timer, place, due);

    if (p->next) {
        on_late(p);
        return;
    }
    p->restarts++;
    if (start_worker(p) < 0) replace(p);
}

/* ---- reports ------------------------------------------------------------- */

/* Others may hand it connections from now on. */
static void enter_roster(place *p)
{
    lq_roster *roster = p->crew->cfg.worker.roster;

    if (roster) lq_roster_set(roster, p->id - 1, p->current);
}

static void take_place(place *p, lq_worker *w)
{
    lq_timer_stop(lq_loop_timers(p->crew->cfg.loop), &p->due);
    p->current = w;
    p->next = NULL;
    if (p->crew->stage == SERVING) enter_roster(p);
}

static void on_prepared(lq_crew *crew, const lq_report *r)
{
    place *p = place_of(crew, r);

    if (crew->stage == ENDING || p->next != r->worker || p->is_late) return;
    take_place(p, r->worker);
    if (crew->stage == SERVING)
        (void)!lq_worker_tell(r->worker, LQ_WORKER_ACCEPT);
    else if (++crew->prepared == crew->count)
        crew->cfg.on_prepared(crew->cfg.data);
}

/* Whether a failure of this worker is one of the whole start. The first ones
 * also fail in App:ready(), when all accept. */
static bool is_start(lq_crew *crew, const lq_report *r)
{
    return crew->stage == STARTING || crew->stage == OPENING ||
           (crew->cfg.is_first && place_of(crew, r)->restarts == 0);
}

static void on_failed(lq_crew *crew, const lq_report *r)
{
    const char *text = r->text ? r->text : "not enough memory";

    if (crew->stage == ENDING) return;
    if (is_start(crew, r)) {
        crew->cfg.on_failed(crew->cfg.data, text);
        return;
    }
    lq_log_printf(crew->cfg.log, LQ_LOG_ERROR, "%s: %s",
                  place_of(crew, r)->name, text);
    if (place_of(crew, r)->next == r->worker)
        (void)!lq_worker_tell(r->worker, LQ_WORKER_STOP);
}

static void on_accepting(lq_crew *crew, const lq_report *r)
{
    place *p = place_of(crew, r);

    find(crew, r->worker)->is_watched = true;
    if (p->has_accepted) {
        lq_log_printf(crew->cfg.log, LQ_LOG_INFO, "%s serves again", p->name);
        return;
    }
    p->has_accepted = true;
    if (++crew->accepting < crew->count || crew->stage == ENDING) return;
    crew->stage = SERVING;
    crew->cfg.on_accepting(crew->cfg.data);
}

/* It may still accept. */
static bool is_awaited(const member *m)
{
    return !m->is_draining && !m->is_lost;
}

static void check_quiet(lq_crew *crew)
{
    lq_list *link;

    if (crew->stage != ENDING) return;
    for (link = crew->members.next; link != &crew->members; link = link->next)
        if (is_awaited(LQ_CONTAINER_OF(link, member, link))) return;
    crew->cfg.on_quiet(crew->cfg.data);
}

static void on_draining(lq_crew *crew, const lq_report *r)
{
    place *p = place_of(crew, r);

    find(crew, r->worker)->is_draining = true;
    if (p->current == r->worker) replace(p);
    check_quiet(crew);
}

/* Nobody is left: in the end, or without respawning. */
static void check_ended(lq_crew *crew)
{
    bool is_over =
        crew->stage == ENDING || crew->cfg.worker.options->no_respawn;

    if (crew->alive > 0 || !is_over || crew->has_ended) return;
    crew->has_ended = true;
    crew->cfg.on_ended(crew->cfg.data);
}

/* Nobody stands in for one that has ended before all accept: not in the first
 * start, and never without respawning. */
static bool is_start_over(const lq_crew *crew)
{
    if (crew->stage == STARTING || crew->stage == OPENING) return true;
    return crew->stage == SERVING && crew->accepting < crew->count &&
           crew->cfg.worker.options->no_respawn;
}

/* The place is empty when the worker that goes still had it. */
static void leave_place(place *p, const lq_worker *w, bool was_draining)
{
    bool had_next = p->next == w, had_place = p->current == w;

    if (had_next) p->next = NULL;
    if (had_place) {
        p->current = NULL;
        leave_roster(p, w);
    }
    if (had_next || (had_place && !was_draining)) replace(p);
}

static void on_ended(lq_crew *crew, const lq_report *r)
{
    member *m = find(crew, r->worker);
    bool was_draining = m->is_draining;

    lq_worker_join(r->worker);
    if (m->is_lost)
        crew->lost--;
    else
        crew->alive--;
    lq_list_remove(&m->link);
    leave_place(place_of(crew, r), r->worker, was_draining);
    lq_worker_free(r->worker);
    free_member(crew, m);
    if (is_start_over(crew))
        crew->cfg.on_failed(crew->cfg.data, "a worker ended by itself");
    else if (crew->stage == SERVING && crew->cfg.worker.options->no_respawn)
        lq_log_printf(crew->cfg.log, LQ_LOG_WARN, "%s has ended",
                      place_of(crew, r)->name);
    else
        check_quiet(crew);
    check_ended(crew);
}

void lq_crew_report(lq_crew *crew, const lq_report *r)
{
    switch (r->msg.type) {
    case LQ_REPORT_PREPARED: on_prepared(crew, r); break;
    case LQ_REPORT_FAILED: on_failed(crew, r); break;
    case LQ_REPORT_ACCEPTING: on_accepting(crew, r); break;
    case LQ_REPORT_DRAINING: on_draining(crew, r); break;
    case LQ_REPORT_ENDED: on_ended(crew, r); break;
    default: break;
    }
}

/* ---- workers that hang --------------------------------------------------- */

static void give_up(lq_crew *crew, member *m)
{
    lq_log_printf(crew->cfg.log, LQ_LOG_ERROR,
                  "%s is stuck (in a C function, a finalizer or a hook): "
                  "it is given up, and its clients are cut",
                  m->place->name);
    abandon(m);
}

void lq_crew_watch(lq_crew *crew)
{
    uint64_t now = now_ms(crew);
    lq_list *link, *next;
    member *m;

    for (link = crew->members.next; link != &crew->members; link = next) {
        next = link->next;
        m = LQ_CONTAINER_OF(link, member, link);
        if (m->is_watched && !m->is_lost && lq_worker_watch(m->worker, now))
            give_up(crew, m);
    }
    check_ended(crew);
}

/* NULL: none. */
static member *find_thread(lq_crew *crew, pthread_t thread)
{
    lq_list *link;
    member *m;

    for (link = crew->members.next; link != &crew->members; link = link->next) {
        m = LQ_CONTAINER_OF(link, member, link);
        if (!m->is_buried && lq_worker_is(m->worker, thread)) return m;
    }
    return NULL;
}

void lq_crew_bury(lq_crew *crew, const lq_broken *broken)
{
    member *m = find_thread(crew, broken->thread);

    if (!m) return;
    if (!m->is_lost) abandon(m);
    m->is_buried = true;
    lq_worker_bury(m->worker, broken->text);
    if (is_start_over(crew)) crew->cfg.on_failed(crew->cfg.data, broken->text);
    check_quiet(crew);
    check_ended(crew);
}

int lq_crew_lost(const lq_crew *crew)
{
    return crew->lost;
}

/* ---- all of them --------------------------------------------------------- */

static void tell_all(lq_crew *crew, int order)
{
    lq_list *link;
    member *m;

    for (link = crew->members.next; link != &crew->members; link = link->next) {
        m = LQ_CONTAINER_OF(link, member, link);
        (void)!lq_worker_tell(m->worker, order);
        if (order != LQ_WORKER_ACCEPT) m->is_watched = true;
    }
}

int lq_crew_start(lq_crew *crew)
{
    int i, err = 0;

    for (i = 0; i < crew->count && err == 0; i++)
        err = start_worker(&crew->places[i]);
    return err;
}

void lq_crew_open(lq_crew *crew)
{
    int i;

    if (crew->stage != STARTING) return;
    crew->stage = crew->cfg.is_first ? OPENING : SERVING;
    for (i = 0; i < crew->count; i++) enter_roster(&crew->places[i]);
    tell_all(crew, LQ_WORKER_ACCEPT);
}

void lq_crew_end(lq_crew *crew, int order)
{
    int i;

    crew->stage = ENDING;
    for (i = 0; i < crew->count; i++)
        lq_timer_stop(lq_loop_timers(crew->cfg.loop), &crew->places[i].due);
    tell_all(crew, order);
    check_quiet(crew);
    check_ended(crew);
}

int lq_crew_prepared(const lq_crew *crew)
{
    return crew->prepared;
}

/* The timers of this crew, of one that retires beside it, and of the main
 * thread: a place whose timer cannot start would stay empty. */
static int reserve_timers(lq_loop *loop, int count)
{
    return lq_timers_reserve(lq_loop_timers(loop),
                             2 * (size_t)count + OTHER_TIMERS);
}

int lq_crew_new(lq_crew **out, const lq_crew_cfg *cfg)
{
    int count = cfg->count, i;
    lq_crew *crew = lq_mem_zalloc(sizeof *crew + (size_t)count * sizeof(place));

    if (!crew || reserve_timers(cfg->loop, count) < 0) {
        lq_mem_free(crew);
        return -ENOMEM;
    }
    crew->cfg = *cfg;
    crew->cfg.worker.crew = crew;
    crew->count = count;
    lq_list_init(&crew->members);
    for (i = 0; i < count; i++) {
        crew->places[i].crew = crew;
        crew->places[i].id = i + 1;
        name_place(&crew->places[i]);
        lq_timer_init(&crew->places[i].due, on_due);
    }
    *out = crew;
    return 0;
}

void lq_crew_free(lq_crew *crew)
{
    if (!crew) return;
    LQ_ASSERT(crew->alive == 0 && crew->lost == 0);
    lq_mem_free(crew);
}

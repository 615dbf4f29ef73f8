/* succession.c - see succession.h. */
#include "run/succession.h"

#include <errno.h>

#include "base/err.h"

enum {
    LOOK_MS = 100,     /* --watch: at the files, so often */
    LOOKS_MAX = 20,    /* ... until a burst of writes is over, at most */
    MOST_HANGING = 64, /* threads of generations that have failed */
};

static lq_generation *generation_at(const lq_list *link)
{
    return LQ_CONTAINER_OF(link, lq_generation, link);
}

static int number_of(const lq_generation *g)
{
    return g->cfg.worker.generation;
}

/* ---- --watch ------------------------------------------------------------ */

static void look_again(lq_succession *s)
{
    (void)!lq_timer_start(lq_loop_timers(s->cfg.loop), &s->look,
                          lq_loop_update(s->cfg.loop) + LOOK_MS);
}

/* After a start or a reload: what has changed since is news. */
static void begin_looking(lq_succession *s)
{
    s->seen = 0;
    s->looks = 0;
    if (s->cfg.worker.options->watch) look_again(s);
}

/* What is compared with the files from now on is how they are now. */
static void stop_looking(lq_succession *s)
{
    lq_timer_stop(lq_loop_timers(s->cfg.loop), &s->look);
    lq_code_accept(s->current->code);
    lq_code_unref(s->failed);
    s->failed = NULL;
}

/* Once files have changed, and the writing is over. */
static void on_look(lq_timer *timer)
{
    lq_succession *s = LQ_CONTAINER_OF(timer, lq_succession, look);
    uint64_t mark = 1;
    const char *changed = lq_code_look(s->current->code, &mark), *other;

    if (s->failed && (other = lq_code_look(s->failed, &mark))) changed = other;
    if ((other = lq_services_look(s->services, &mark))) changed = other;
    if (changed && (mark == s->seen || s->looks >= LOOKS_MAX)) {
        lq_log_printf(s->cfg.worker.log, LQ_LOG_INFO, "%s has changed: reload",
                      changed);
        lq_succession_reload(s);
        return;
    }
    s->seen = changed ? mark : 0;
    s->looks = changed ? s->looks + 1 : 0;
    look_again(s);
}

/* ---- one generation ------------------------------------------------------ */

/* Not while one more is to follow. */
static void tell_reloaded(const lq_succession *s, const char *error)
{
    if (!s->wants_reload) s->cfg.tell(s->cfg.data, LQ_NEWS_RELOADED, error);
}

/* What was asked for meanwhile. */
static void go_on(lq_succession *s)
{
    begin_looking(s);
    if (s->wants_reload) lq_succession_reload(s);
}

static void on_failed(lq_generation *g, const char *text);

/* What the first one needs is asked for at the start. */
static bool can_open(lq_succession *s, lq_generation *g)
{
    lq_err err;

    if (!s->current) return s->cfg.on_prepared(s->cfg.data, g->crew);
    if (lq_ports_listen(s->cfg.worker.ports, g->crew, &err) == 0) return true;
    on_failed(g, err.text);
    return false;
}

static void on_prepared(lq_generation *g)
{
    if (can_open(g->cfg.data, g)) lq_generation_open(g);
}

static void on_accepting(lq_generation *g)
{
    lq_succession *s = g->cfg.data;
    lq_generation *old = s->current;

    s->current = g;
    s->next = NULL;
    lq_services_settle(s->services, &g->declared, number_of(g));
    if (old) {
        lq_ports_gate(s->cfg.worker.ports, g->crew);
        lq_generation_end(old, LQ_WORKER_RETIRE);
        tell_reloaded(s, NULL);
    } else {
        s->cfg.on_serving(s->cfg.data);
    }
    if (!s->is_ending) go_on(s);
}

static void on_failed(lq_generation *g, const char *text)
{
    lq_succession *s = g->cfg.data;

    if (!s->current || g == s->current) {
        s->cfg.on_failed(s->cfg.data, text);
        return;
    }
    lq_log_printf(s->cfg.worker.log, LQ_LOG_ERROR,
                  "the reload has failed, generation %d goes on: %s",
                  number_of(s->current), text);
    tell_reloaded(s, text);
    s->failed = lq_code_ref(g->code);
    s->number--;
    s->next = NULL;
    lq_generation_end(g, LQ_WORKER_STOP);
    lq_services_settle(s->services, &s->current->declared,
                       number_of(s->current));
    go_on(s);
}

/* Of those that have been opened one after the other, an old one: from now on
 * its successor is alone. */
static void on_quiet(lq_generation *g)
{
    lq_succession *s = g->cfg.data;
    const lq_list *link = s->generations.next;

    lq_ports_forget(s->cfg.worker.ports, g->crew);
    if (!s->is_ending) {
        if (g != s->current)
            lq_log_printf(s->cfg.worker.log, LQ_LOG_INFO,
                          "reloaded: generation %d serves", number_of(g) + 1);
        return;
    }
    while (link != &s->generations && generation_at(link)->is_quiet)
        link = link->next;
    if (link == &s->generations) s->cfg.on_quiet(s->cfg.data);
}

static bool is_over(const lq_succession *s)
{
    const lq_list *link = s->generations.next;

    while (link != &s->generations && generation_at(link)->has_ended)
        link = link->next;
    return link == &s->generations;
}

/* The workers have gone: nobody calls the services any more. Without respawning
 * the generation that serves may end by itself. */
static void on_ended(lq_generation *g)
{
    lq_succession *s = g->cfg.data;

    lq_ports_forget(s->cfg.worker.ports, g->crew);
    if (!s->is_ending ? g == s->current
                      : is_over(s) && lq_services_have_ended(s->services))
        s->cfg.on_ended(s->cfg.data);
    else if (s->is_ending && is_over(s))
        lq_services_end(s->services, LQ_WORKER_DRAIN);
}

static void on_services_ended(void *data)
{
    lq_succession *s = data;

    if (is_over(s)) s->cfg.on_ended(s->cfg.data);
}

/* ---- all of them --------------------------------------------------------- */

bool lq_succession_has_failed(const lq_succession *s)
{
    return s->failed != NULL;
}

int lq_succession_lost(const lq_succession *s, bool have_served)
{
    const lq_list *link;
    int lost = 0;

    for (link = s->generations.next; link != &s->generations; link = link->next)
        if (generation_at(link)->has_served == have_served)
            lost += lq_generation_lost(generation_at(link));
    if (have_served && s->services) lost += lq_services_lost(s->services);
    return lost;
}

static int make_services(lq_succession *s)
{
    lq_services_cfg cfg = {
        .loop = s->cfg.loop,
        .worker = s->cfg.worker,
        .on_ended = on_services_ended,
        .data = s,
    };

    if (s->services) return 0;
    cfg.worker.sockets = NULL;
    cfg.worker.ports = NULL;
    cfg.worker.roster = NULL;
    s->services = lq_services_new(&cfg);
    return s->services ? 0 : -ENOMEM;
}

static int make(lq_succession *s, lq_generation **out)
{
    lq_generation_cfg cfg = {
        .loop = s->cfg.loop,
        .worker = s->cfg.worker,
        .services = s->services,
        .is_first = !s->current,
        .on_prepared = on_prepared,
        .on_accepting = on_accepting,
        .on_failed = on_failed,
        .on_quiet = on_quiet,
        .on_ended = on_ended,
        .data = s,
    };

    cfg.worker.generation = s->number;
    return lq_generation_new(out, &cfg);
}

int lq_succession_start(lq_succession *s)
{
    lq_generation *g;
    int err;

    if ((err = make_services(s)) < 0) return err;
    s->number++;
    err = make(s, &g);
    if (err == 0 && (err = lq_generation_start(g)) < 0) lq_generation_free(g);
    if (err < 0) {
        s->number--;
        return err;
    }
    s->next = g;
    lq_list_push_back(&s->generations, &g->link);
    return 0;
}

static void give_up_reload(lq_succession *s, const char *why)
{
    lq_log_printf(s->cfg.worker.log, LQ_LOG_ERROR, "the reload has failed: %s",
                  why);
    tell_reloaded(s, why);
    begin_looking(s);
}

void lq_succession_reload(lq_succession *s)
{
    char text[128];
    int err;

    if (s->is_ending) return;
    s->wants_reload = s->next != NULL;
    if (s->wants_reload) return;
    stop_looking(s);
    s->cfg.tell(s->cfg.data, LQ_NEWS_RELOADING, NULL);
    if (lq_succession_lost(s, false) >= MOST_HANGING) {
        give_up_reload(s, "threads of earlier ones still hang in C functions; "
                          "a restart would end them");
        return;
    }
    err = lq_succession_start(s);
    if (err < 0) give_up_reload(s, lq_strerror(err, text, sizeof text));
}

/* One that nobody has opened is not worth a drain. */
void lq_succession_end(lq_succession *s, int order)
{
    lq_list *link;
    lq_generation *g;

    s->is_ending = true;
    lq_timer_stop(lq_loop_timers(s->cfg.loop), &s->look);
    if (!s->services) {
        s->cfg.on_ended(s->cfg.data);
        return;
    }
    if (is_over(s) || order == LQ_WORKER_STOP)
        lq_services_end(s->services, order);
    for (link = s->generations.next; link != &s->generations;
         link = link->next) {
        g = generation_at(link);
        lq_generation_end(g, g == s->next ? LQ_WORKER_STOP : order);
    }
}

void lq_succession_bury(lq_succession *s, const lq_broken *broken)
{
    lq_list *link;

    for (link = s->generations.next; link != &s->generations; link = link->next)
        lq_generation_bury(generation_at(link), broken);
    if (s->services) lq_services_bury(s->services, broken);
}

/* All but the one that serves. Not out of their own callbacks. */
static void free_ended(lq_succession *s)
{
    lq_list *link, *next;
    lq_generation *g;

    for (link = s->generations.next; link != &s->generations; link = next) {
        next = link->next;
        g = generation_at(link);
        if (!g->has_ended || lq_generation_lost(g) > 0 || g == s->current)
            continue;
        lq_list_remove(&g->link);
        lq_generation_free(g);
    }
}

void lq_succession_watch(lq_succession *s)
{
    lq_list *link;

    for (link = s->generations.next; link != &s->generations; link = link->next)
        lq_generation_watch(generation_at(link));
    lq_services_watch(s->services);
    free_ended(s);
}

void lq_succession_init(lq_succession *s, const lq_succession_cfg *cfg)
{
    *s = (lq_succession){.cfg = *cfg};
    lq_list_init(&s->generations);
    lq_timer_init(&s->look, on_look);
}

void lq_succession_fini(lq_succession *s)
{
    s->current = NULL;
    free_ended(s);
    lq_code_unref(s->failed);
    lq_services_free(s->services);
}

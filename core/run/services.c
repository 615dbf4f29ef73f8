/* services.c - see services.h. */
#include "run/services.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"

/* ---- what is declared ---------------------------------------------------- */

typedef struct declaration {
    lq_list link;
    lq_service_spec spec; /* points into the rest */
    lq_buf arg;
    char *name;
    char *path;
} declaration;

static declaration *declaration_at(const lq_list *link)
{
    return LQ_CONTAINER_OF(link, declaration, link);
}

void lq_declarations_init(lq_declarations *d)
{
    lq_list_init(&d->list);
}

static void free_declaration(declaration *one)
{
    if (!one) return;
    lq_buf_fini(&one->arg);
    lq_mem_free(one->name);
    lq_mem_free(one->path);
    lq_mem_free(one);
}

void lq_declarations_fini(lq_declarations *d)
{
    lq_list *link;

    while ((link = lq_list_pop_front(&d->list)))
        free_declaration(declaration_at(link));
}

void lq_declarations_move(lq_declarations *from, lq_declarations *to)
{
    lq_list_move(&from->list, &to->list);
}

static declaration *copy(const lq_service_spec *spec)
{
    declaration *one = lq_mem_zalloc(sizeof *one);

    if (!one) return NULL;
    lq_list_init(&one->link);
    lq_buf_init(&one->arg);
    one->name = lq_mem_strndup(spec->name, strlen(spec->name));
    one->path = lq_mem_strndup(spec->path, strlen(spec->path));
    if (!one->name || !one->path ||
        lq_buf_append(&one->arg, spec->arg.ptr, spec->arg.len) < 0) {
        free_declaration(one);
        return NULL;
    }
    one->spec = *spec;
    one->spec.name = one->name;
    one->spec.path = one->path;
    one->spec.arg = (lq_str){lq_buf_ptr(&one->arg), lq_buf_len(&one->arg)};
    return one;
}

static declaration *find_declaration(const lq_declarations *d, const char *name)
{
    const lq_list *link = d->list.next;

    for (; link != &d->list; link = link->next)
        if (strcmp(declaration_at(link)->name, name) == 0)
            return declaration_at(link);
    return NULL;
}

int lq_declarations_add(lq_declarations *d, const lq_service_spec *spec)
{
    declaration *one = copy(spec), *old = find_declaration(d, spec->name);

    if (!one) return -ENOMEM;
    lq_list_push_back(&d->list, &one->link);
    if (old) {
        lq_list_remove(&old->link);
        free_declaration(old);
    }
    return 0;
}

static bool is_same(const lq_service_spec *a, const lq_service_spec *b)
{
    return strcmp(a->path, b->path) == 0 && lq_str_equal(a->arg, b->arg) &&
           a->instances == b->instances && a->queue == b->queue &&
           !(a->busy_timeout < b->busy_timeout) &&
           !(a->busy_timeout > b->busy_timeout);
}

/* ---- the set ------------------------------------------------------------- */

/* A declaration at work: one crew. */
typedef struct version {
    lq_list link;       /* in the set */
    struct service *of; /* NULL: it has been dismissed */
    declaration *declared;
    lq_code *code;
    lq_crew *crew;
    bool has_ended;
} version;

typedef enum stage {
    PREPARING, /* for the first time */
    SERVING,
    LEAVING,   /* the current version ends, for the next one */
    SWAPPING,  /* the next version prepares */
    RETURNING, /* it could not: the one before prepares again */
    ENDING,    /* for good */
} stage;

typedef struct service {
    lq_list link;
    lq_services *all;
    stage stage;
    version *current;
    version *next;
    bool is_stale; /* the next reload tries again */
} service;

struct lq_services {
    lq_services_cfg cfg;
    lq_list services;
    lq_list versions; /* all that are not freed */
    bool is_ending;
    bool has_ended; /* on_ended has been called */
    /* prepare */
    int awaited;
    void (*on_ready)(void *data);
    void (*on_failed)(void *data, const char *text);
    void *waiter; /* NULL: nobody waits */
};

static service *service_at(const lq_list *link)
{
    return LQ_CONTAINER_OF(link, service, link);
}

static version *version_at(const lq_list *link)
{
    return LQ_CONTAINER_OF(link, version, link);
}

static const char *name_of(const service *s)
{
    return s->current->declared->name;
}

static void set_name(service *s, lq_hub_name_state state)
{
    (void)!lq_hub_set_name(s->all->cfg.worker.hub, name_of(s), state);
}

static const lq_log *log_of(const service *s)
{
    return s->all->cfg.worker.log;
}

static void check_ended(lq_services *ss)
{
    if (!ss->is_ending || ss->has_ended || !lq_list_is_empty(&ss->services))
        return;
    ss->has_ended = true;
    ss->cfg.on_ended(ss->cfg.data);
}

/* One of those that prepare waits for is there, or one cannot. */
static void settle_waiter(lq_services *ss, const char *error)
{
    void *waiter = ss->waiter;

    if (!waiter || (!error && --ss->awaited > 0)) return;
    ss->waiter = NULL;
    if (error)
        ss->on_failed(waiter, error);
    else
        ss->on_ready(waiter);
}

/* ---- versions ------------------------------------------------------------ */

static void free_version(version *v)
{
    lq_list_remove(&v->link);
    lq_crew_free(v->crew);
    lq_code_unref(v->code);
    free_declaration(v->declared);
    lq_mem_free(v);
}

static void on_prepared(void *data);
static void on_accepting(void *data);
static void on_failed(void *data, const char *text);
static void on_version_ended(void *data);

static void on_quiet(void *data)
{
    (void)data;
}

static int make_crew(version *v, int generation)
{
    const lq_services_cfg *cfg = &v->of->all->cfg;
    lq_crew_cfg crew = {
        .loop = cfg->loop,
        .log = cfg->worker.log,
        .worker = cfg->worker,
        .count = v->declared->spec.instances,
        .is_first = true,
        .on_prepared = on_prepared,
        .on_accepting = on_accepting,
        .on_failed = on_failed,
        .on_quiet = on_quiet,
        .on_ended = on_version_ended,
        .data = v,
    };

    crew.worker.service = &v->declared->spec;
    crew.worker.code = v->code;
    crew.worker.generation = generation;
    return lq_crew_new(&v->crew, &crew);
}

/* NULL: no memory. With `code`, a reference to which is taken, or its own. */
static version *new_version(service *s, const lq_service_spec *spec,
                            lq_code *code, int generation)
{
    version *v = lq_mem_zalloc(sizeof *v);

    if (!v) return NULL;
    v->of = s;
    lq_list_init(&v->link);
    v->declared = copy(spec);
    v->code = code ? lq_code_ref(code) : lq_code_new();
    if (!v->declared || !v->code || make_crew(v, generation) < 0) {
        free_version(v);
        return NULL;
    }
    lq_list_push_back(&s->all->versions, &v->link);
    return v;
}

/* What becomes of it is nobody's business any more. */
static void dismiss(version *v, int order)
{
    v->of = NULL;
    if (!v->has_ended) lq_crew_end(v->crew, order);
}

/* Starts it, and lets its end be known when it cannot be. */
static void start(version *v)
{
    char buf[96], why[160];
    int err = lq_crew_start(v->crew);

    if (err == 0) return;
    snprintf(why, sizeof why, "its thread could not be started: %s",
             lq_strerror(err, buf, sizeof buf));
    on_failed(v, why);
}

/* ---- one service --------------------------------------------------------- */

static void forget(service *s)
{
    lq_services *ss = s->all;

    set_name(s, LQ_HUB_UNKNOWN);
    if (s->next) dismiss(s->next, LQ_WORKER_STOP);
    dismiss(s->current, LQ_WORKER_STOP);
    lq_list_remove(&s->link);
    lq_mem_free(s);
    check_ended(ss);
}

static void on_prepared(void *data)
{
    version *v = data;

    if (v->of && v->of->stage != ENDING) lq_crew_open(v->crew);
}

static void on_accepting(void *data)
{
    version *v = data;
    service *s = v->of;

    if (!s || s->stage == ENDING) return;
    if (s->stage == SWAPPING) {
        dismiss(s->current, LQ_WORKER_STOP);
        s->current = v;
        s->next = NULL;
        s->is_stale = false;
        lq_log_printf(log_of(s), LQ_LOG_INFO, "service %s runs its new code",
                      name_of(s));
    } else if (s->stage == RETURNING) {
        lq_log_printf(log_of(s), LQ_LOG_INFO, "service %s runs its old code",
                      name_of(s));
    }
    set_name(s, LQ_HUB_DOWN); /* nobody waits for it when it falls */
    if (s->stage == PREPARING) {
        s->stage = SERVING;
        settle_waiter(s->all, NULL);
    }
    s->stage = SERVING;
}

/* The code that served before, as it was read then. */
static void return_to_old(service *s)
{
    version *old = s->current, *again;

    s->stage = RETURNING;
    s->is_stale = true;
    lq_code_accept(old->code);
    again = new_version(s, &old->declared->spec, old->code, 1);
    if (!again) {
        set_name(s, LQ_HUB_DOWN);
        lq_log_printf(log_of(s), LQ_LOG_ERROR,
                      "service %s: no memory to start its old code again",
                      name_of(s));
        return;
    }
    dismiss(old, LQ_WORKER_STOP);
    s->current = again;
    start(again);
}

static void on_failed(void *data, const char *text)
{
    version *v = data;
    service *s = v->of;
    char message[4096];

    if (!s || s->stage == ENDING) return;
    snprintf(message, sizeof message, "service %s: %s", name_of(s), text);
    if (s->stage == PREPARING) {
        settle_waiter(s->all, message);
    } else if (s->stage == SWAPPING) {
        lq_log_printf(log_of(s), LQ_LOG_ERROR,
                      "the new code has failed, the old one starts again: %s",
                      message);
        s->next = NULL;
        dismiss(v, LQ_WORKER_STOP);
        return_to_old(s);
    } else {
        lq_log_printf(log_of(s), LQ_LOG_ERROR, "%s", message);
        if (s->stage == RETURNING) set_name(s, LQ_HUB_DOWN);
    }
}

static void on_version_ended(void *data)
{
    version *v = data;
    service *s = v->of;

    v->has_ended = true;
    if (!s) return;
    if (s->stage == LEAVING && v == s->current) {
        s->stage = SWAPPING;
        start(s->next);
    } else if (s->stage == ENDING || v == s->current) {
        forget(s);
    }
}

/* The old one ends first: two at a time there never are. */
static void swap(service *s, const declaration *d, int generation)
{
    s->next = new_version(s, &d->spec, NULL, generation);
    if (!s->next) {
        s->is_stale = true;
        lq_log_printf(log_of(s), LQ_LOG_ERROR,
                      "service %s: no memory for its new code", name_of(s));
        return;
    }
    s->stage = LEAVING;
    set_name(s, LQ_HUB_AWAITED);
    lq_crew_end(s->current->crew, LQ_WORKER_DRAIN);
}

static void end(service *s, int order)
{
    s->stage = ENDING;
    set_name(s, LQ_HUB_DOWN);
    if (s->next) dismiss(s->next, LQ_WORKER_STOP);
    s->next = NULL;
    if (s->current->has_ended)
        forget(s);
    else
        lq_crew_end(s->current->crew, order);
}

/* -ENOMEM. */
static int add(lq_services *ss, const declaration *d, int generation)
{
    service *s = lq_mem_zalloc(sizeof *s);

    if (!s) return -ENOMEM;
    s->all = ss;
    s->stage = PREPARING;
    lq_list_init(&s->link);
    s->current = new_version(s, &d->spec, NULL, generation);
    if (!s->current) {
        lq_mem_free(s);
        return -ENOMEM;
    }
    lq_list_push_back(&ss->services, &s->link);
    set_name(s, LQ_HUB_AWAITED);
    return 0;
}

/* ---- all of them --------------------------------------------------------- */

static service *find(const lq_services *ss, const char *name)
{
    const lq_list *link = ss->services.next;

    for (; link != &ss->services; link = link->next)
        if (strcmp(name_of(service_at(link)), name) == 0)
            return service_at(link);
    return NULL;
}

/* Those that have just been added. */
static void start_added(lq_services *ss)
{
    lq_list *link, *next;
    service *s;

    for (link = ss->services.next; link != &ss->services && ss->waiter;
         link = next) {
        next = link->next;
        s = service_at(link);
        if (s->stage == PREPARING) start(s->current);
    }
}

void lq_services_prepare(lq_services *ss, const lq_declarations *d,
                         int generation, void (*on_ready)(void *data),
                         void (*on_failed_)(void *data, const char *text),
                         void *data)
{
    const lq_list *link;

    ss->on_ready = on_ready;
    ss->on_failed = on_failed_;
    ss->waiter = data;
    ss->awaited = 1; /* itself */
    for (link = d->list.next; link != &d->list; link = link->next) {
        if (find(ss, declaration_at(link)->name)) continue;
        if (add(ss, declaration_at(link), generation) < 0) {
            settle_waiter(ss, "not enough memory for the services");
            return;
        }
        ss->awaited++;
    }
    start_added(ss);
    settle_waiter(ss, NULL);
}

void lq_services_forget(lq_services *ss, const void *data)
{
    if (ss->waiter == data) ss->waiter = NULL;
}

static bool has_changed(const service *s, const declaration *d)
{
    uint64_t mark = 0;

    return s->is_stale || !is_same(&s->current->declared->spec, &d->spec) ||
           lq_code_look(s->current->code, &mark);
}

void lq_services_settle(lq_services *ss, const lq_declarations *d,
                        int generation)
{
    lq_list *link, *next;
    const declaration *one;
    service *s;

    for (link = ss->services.next; link != &ss->services; link = next) {
        next = link->next;
        s = service_at(link);
        one = find_declaration(d, name_of(s));
        if (!one)
            end(s, LQ_WORKER_DRAIN);
        else if (s->stage == SERVING && has_changed(s, one))
            swap(s, one, generation);
    }
}

void lq_services_end(lq_services *ss, int order)
{
    lq_list *link, *next;

    ss->is_ending = true;
    ss->waiter = NULL;
    for (link = ss->services.next; link != &ss->services; link = next) {
        next = link->next;
        end(service_at(link), order);
    }
    check_ended(ss);
}

bool lq_services_have_ended(const lq_services *ss)
{
    return ss->has_ended;
}

void lq_services_bury(lq_services *ss, const lq_broken *broken)
{
    lq_list *link, *next;

    for (link = ss->versions.next; link != &ss->versions; link = next) {
        next = link->next;
        if (!version_at(link)->has_ended)
            lq_crew_bury(version_at(link)->crew, broken);
    }
}

void lq_services_watch(lq_services *ss)
{
    lq_list *link, *next;
    version *v;

    for (link = ss->versions.next; link != &ss->versions; link = next) {
        next = link->next;
        v = version_at(link);
        lq_crew_watch(v->crew);
        if (v->has_ended && !v->of && lq_crew_lost(v->crew) == 0)
            free_version(v);
    }
}

int lq_services_lost(const lq_services *ss)
{
    const lq_list *link;
    int lost = 0;

    for (link = ss->versions.next; link != &ss->versions; link = link->next)
        lost += lq_crew_lost(version_at(link)->crew);
    return lost;
}

const char *lq_services_look(lq_services *ss, uint64_t *mark)
{
    const char *changed = NULL, *one;
    const lq_list *link;

    for (link = ss->services.next; link != &ss->services; link = link->next) {
        one = lq_code_look(service_at(link)->current->code, mark);
        if (one) changed = one;
    }
    return changed;
}

lq_services *lq_services_new(const lq_services_cfg *cfg)
{
    lq_services *ss = lq_mem_zalloc(sizeof *ss);

    if (!ss) return NULL;
    ss->cfg = *cfg;
    lq_list_init(&ss->services);
    lq_list_init(&ss->versions);
    return ss;
}

void lq_services_free(lq_services *ss)
{
    lq_list *link;

    if (!ss) return;
    while ((link = ss->versions.next) != &ss->versions)
        free_version(version_at(link));
    lq_mem_free(ss);
}

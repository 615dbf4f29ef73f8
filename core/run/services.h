/* services.h - the services of the runtime: one set for all generations.
 *
 * A service is a crew of its own, whose workers have no sockets. Those that a
 * generation declares and that are not there yet start before its workers do.
 * Once the generation serves, those whose declaration or code has changed are
 * swapped: the old one ends, the new one prepares, calls wait meanwhile; when
 * the new one cannot, the old code starts again. What is not declared any more
 * ends.
 *
 * Owns:    the services, with code and declaration of each.
 * Thread:  main thread.
 * Life:    new -> (prepare -> settle)* -> end -> on_ended -> free.
 * Knows:   crew.
 */
#ifndef LQ_SERVICES_H
#define LQ_SERVICES_H

#include "base/list.h"
#include "run/crew.h"

typedef struct lq_services lq_services;

/* ---- what is declared ---------------------------------------------------- */

/* A list of copies; all zero but for the list, which is initialised. */
typedef struct lq_declarations {
    lq_list list;
} lq_declarations;

void lq_declarations_init(lq_declarations *d);
void lq_declarations_fini(lq_declarations *d);
/* Two of one name: the later one counts. -ENOMEM. */
int lq_declarations_add(lq_declarations *d,
                        const lq_service_spec *spec) LQ_MUST_CHECK;
void lq_declarations_move(lq_declarations *from, lq_declarations *to);

/* ---- the services -------------------------------------------------------- */

typedef struct lq_services_cfg {
    lq_loop *loop;
    lq_worker_cfg worker; /* as of a generation; without sockets and roster */
    /* After end: nobody is left. */
    void (*on_ended)(void *data);
    void *data;
} lq_services_cfg;

/* Copies cfg. NULL: no memory. */
lq_services *lq_services_new(const lq_services_cfg *cfg) LQ_MUST_CHECK;
/* After on_ended. NULL is allowed. */
void lq_services_free(lq_services *ss);

/* Starts what is declared and not there. One of the callbacks comes, maybe
 * before this returns; until then nothing else is prepared. */
void lq_services_prepare(lq_services *ss, const lq_declarations *d,
                         int generation, void (*on_ready)(void *data),
                         void (*on_failed)(void *data, const char *text),
                         void *data);
/* Nobody waits for that any more. */
void lq_services_forget(lq_services *ss, const void *data);

/* From now on these are what is to be there. */
void lq_services_settle(lq_services *ss, const lq_declarations *d,
                        int generation);

/* LQ_WORKER_DRAIN or _STOP for all; a sterner one may follow. */
void lq_services_end(lq_services *ss, int order);
bool lq_services_have_ended(const lq_services *ss);

void lq_services_bury(lq_services *ss, const lq_broken *broken);
void lq_services_watch(lq_services *ss);
int lq_services_lost(const lq_services *ss);

/* --watch: as lq_code_look. */
const char *lq_services_look(lq_services *ss, uint64_t *mark);

#endif

/* answers.h - the calls that a service answers.
 *
 * One at a time, in order of arrival, each in a task; or, when it is
 * concurrent, all at once.
 *
 * Owns:    the calls that wait and those that are answered.
 * Thread:  that of the state.
 * Life:    new -> serve -> take* -> drain? -> free, when the tasks are over.
 * Knows:   call_wire, task, hub.
 */
#ifndef LQ_ANSWERS_H
#define LQ_ANSWERS_H

#include "hub/hub.h"
#include "lua/vm.h"

typedef struct lq_answers lq_answers;

/* NULL: no memory. */
lq_answers *lq_answers_new(lq_vm *vm) LQ_MUST_CHECK;
/* NULL is allowed. */
void lq_answers_free(lq_answers *a);

/* From now on it answers: with the functions of the table on top of L, which is
 * popped; at most `queue` calls wait. */
void lq_answers_serve(lq_answers *a, lua_State *L, size_t queue,
                      bool is_concurrent);

/* A request or a cast. */
void lq_answers_take(lq_answers *a, const lq_note *note);

/* on_idle comes, once, when no call is answered or waits any more, at once if
 * so. */
void lq_answers_drain(lq_answers *a, void (*on_idle)(void *data), void *data);

#endif

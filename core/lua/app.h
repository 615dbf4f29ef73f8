/* app.h - the user's app in one state, driven through its life cycle.
 *
 * lua/luaqueduct/app.lua does the steps; each runs in a task and may wait.
 *
 * Owns:    the module's anchor, the text of an error, the packed context.
 * Thread:  that of the state.
 * Life:    init -> run, one step at a time -> fini.
 * Knows:   task, pack.
 */
#ifndef LQ_APP_H
#define LQ_APP_H

#include "http/route.h"
#include "lua/vm.h"

typedef struct lq_app lq_app;

struct lq_app {
    lq_vm *vm;
    int module_ref;
    lq_task *step; /* under way, NULL: none */
    /* What a step left behind; lent until the next one. */
    char *error;             /* with the traceback; NULL: there is no memory */
    lq_buf text;             /* context (initialize), routes */
    const lq_router *router; /* start */
    void (*on_done)(lq_app *app, bool ok);
    void *data;
};

/* Loads the module. Returns -ENOMEM, or LQ_EINVALID with app->error. */
int lq_app_init(lq_app *app, lq_vm *vm) LQ_MUST_CHECK;
void lq_app_fini(lq_app *app);

/* Why a step, or init, has failed; lent until the next step. */
const char *lq_app_error(const lq_app *app);

/* The step under way, if any, ends where it waits; its on_done is not called.
 */
void lq_app_cancel(lq_app *app);

/* Begins a step: "initialize" (arg: script, arg2: packed options) -> text;
 * "start" (script, packed context) -> router; "ready", "close", "routes" ->
 * text. on_done comes once, out of the loop or before this returns. */
void lq_app_run(lq_app *app, const char *step, lq_str arg, lq_str arg2,
                void (*on_done)(lq_app *app, bool ok));

#endif

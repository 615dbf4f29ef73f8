/* ending.c - see ending.h. */
#include "run/ending.h"

#include "lua/answers.h"
#include "lua/connection.h"
#include "lua/subscription.h"
#include "lua/task.h"

enum {
    CLOSE_MS = 1000,      /* for App:close() behind the drain's deadline */
    LEAVE_MS = 10 * 1000, /* for connections that stay, without a deadline */
};

static void closed_one(lq_worker *w)
{
    if (--w->closing == 0) lq_loop_stop(&w->loop);
}

static void on_front_closed(void *data)
{
    closed_one(data);
}

static void on_mailbox_closed(lq_mailbox *mb)
{
    closed_one(mb->data);
}

static void on_hub_closed(void *data)
{
    closed_one(data);
}

void lq_ending_cut(lq_worker *w)
{
    if (w->state == LQ_WORKER_CLOSING) return;
    w->state = LQ_WORKER_CLOSING;
    lq_front_refuse(&w->front);
    lq_timer_stop(lq_loop_timers(&w->loop), &w->deadline);
    lq_timer_stop(lq_loop_timers(&w->loop), &w->over);
    lq_timer_stop(lq_loop_timers(&w->loop), &w->again);
    if (w->vm.subscriptions) lq_subscriptions_close(w->vm.subscriptions);
    lq_connections_close(w->vm.connections);
    if (w->vm.L) lq_tasks_cancel(&w->vm);
    w->closing = 2 + (w->vm.hub != NULL);
    lq_mailbox_close(&w->mailbox, on_mailbox_closed);
    lq_front_close(&w->front, on_front_closed);
    if (w->vm.hub) lq_hub_close(w->vm.hub, on_hub_closed, w);
}

static void on_app_closed(lq_app *app, bool ok)
{
    lq_worker *w = app->data;

    if (!ok)
        lq_log_printf(&w->log, LQ_LOG_ERROR, "error in close: %s",
                      lq_app_error(app));
    if (w->state != LQ_WORKER_LEAVING) return; /* cut at the deadline */
    /* Not inside the task that has just ended: it is still to be recycled. */
    if (lq_timer_start(lq_loop_timers(&w->loop), &w->deadline,
                       lq_loop_now(&w->loop)) < 0)
        lq_ending_cut(w);
}

/* Nothing is under way any more: App:close() has its turn. */
static void leave(lq_worker *w)
{
    if (w->state >= LQ_WORKER_LEAVING) return;
    w->state = LQ_WORKER_LEAVING;
    lq_front_refuse(&w->front);
    lq_app_cancel(&w->app); /* App:ready() may still be at it */
    if (w->has_started)
        lq_app_run(&w->app, "close", LQ_STR(""), LQ_STR(""), on_app_closed);
    else
        lq_ending_cut(w);
}

/* While it drains: nothing is under way, and nothing can come. */
void lq_ending_look(lq_worker *w)
{
    if (w->state == LQ_WORKER_DRAINING && lq_front_is_idle(&w->front) &&
        lq_connections_are_over(w->vm.connections) &&
        (!w->is_stopping || w->is_alone))
        leave(w);
}

/* The drain has taken too long: what is left is cut. */
static void on_deadline(lq_timer *timer)
{
    lq_worker *w = LQ_CONTAINER_OF(timer, lq_worker, deadline);

    uint64_t at_ms = lq_loop_now(&w->loop) + CLOSE_MS;

    if (w->state == LQ_WORKER_LEAVING) {
        lq_ending_cut(w);
        return;
    }
    /* Nothing is left unread. */
    (void)lq_front_end_idle(&w->front);
    lq_connections_cut(w->vm.connections);
    leave(w); /* App:close() has a deadline of its own */
    if (w->state == LQ_WORKER_LEAVING &&
        lq_timer_start(lq_loop_timers(&w->loop), &w->deadline, at_ms) < 0)
        lq_ending_cut(w);
}

static void stop_listening(lq_worker *w)
{
    if (!w->cfg.service) lq_front_stop(&w->front);
    if (w->cfg.service && w->vm.hub) lq_hub_hide(w->vm.hub);
    w->state = LQ_WORKER_DRAINING;
    lq_worker_report(w, LQ_REPORT_DRAINING, NULL);
}

static void on_over(lq_timer *timer)
{
    lq_worker *w = LQ_CONTAINER_OF(timer, lq_worker, over);

    if (w->state != LQ_WORKER_DRAINING) return;
    if (w->cfg.service)
        leave(w);
    else
        lq_ending_look(w);
}

/* Not inside what has just ended. */
void lq_ending_on_connections_over(void *data)
{
    lq_worker *w = data;

    if (w->state == LQ_WORKER_DRAINING)
        (void)!lq_timer_start(lq_loop_timers(&w->loop), &w->over,
                              lq_loop_now(&w->loop));
}

/* A service has answered its last call. Not inside the task of it. */
static void on_calls_over(void *data)
{
    lq_worker *w = data;

    if (w->state == LQ_WORKER_DRAINING &&
        lq_timer_start(lq_loop_timers(&w->loop), &w->over,
                       lq_loop_now(&w->loop)) < 0)
        leave(w);
}

/* Connections that stay leave one after another, so that their clients do not
 * all come at once to whoever serves next; unless nobody does. */
static void end_connections(lq_worker *w)
{
    uint64_t wait_ms = lq_ms_of(w->cfg.options->drain_timeout);

    if (wait_ms == 0) wait_ms = LEAVE_MS;
    lq_connections_leave(w->vm.connections,
                         w->is_stopping ? 0 : wait_ms / 5 * 4);
}

/* App:close() has a deadline too where no connection is left to wait for. */
void lq_ending_retire(lq_worker *w)
{
    uint64_t wait_ms = lq_ms_of(w->cfg.options->drain_timeout);

    if (w->state >= LQ_WORKER_DRAINING) return;
    stop_listening(w);
    if (wait_ms && lq_timer_start(lq_loop_timers(&w->loop), &w->deadline,
                                  lq_loop_update(&w->loop) + wait_ms) < 0) {
        lq_ending_cut(w);
        return;
    }
    if (w->front.is_net_open) {
        end_connections(w);
        lq_ending_look(w);
    } else if (w->vm.answers) {
        lq_answers_drain(w->vm.answers, on_calls_over, w);
    } else {
        leave(w);
    }
}

static void end_idle(lq_worker *w)
{
    uint64_t at_ms = lq_loop_now(&w->loop) + LQ_NET_NEW_MS;

    if (w->state == LQ_WORKER_DRAINING && lq_front_end_idle(&w->front))
        (void)!lq_timer_start(lq_loop_timers(&w->loop), &w->again, at_ms);
}

static void on_again(lq_timer *timer)
{
    end_idle(LQ_CONTAINER_OF(timer, lq_worker, again));
}

void lq_ending_drain(lq_worker *w)
{
    w->is_stopping = true;
    lq_front_be_last(&w->front);
    lq_ending_retire(w);
    end_connections(w);
    end_idle(w);
}

void lq_ending_be_alone(lq_worker *w)
{
    w->is_alone = true;
    lq_ending_look(w);
}

void lq_ending_init(lq_worker *w)
{
    lq_timer_init(&w->deadline, on_deadline);
    lq_timer_init(&w->over, on_over);
    lq_timer_init(&w->again, on_again);
}

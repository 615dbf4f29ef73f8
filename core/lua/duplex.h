/* duplex.h - read, write and close of what has bytes both ways: a detached
 * connection, one that we have opened.
 *
 * One task reads and one writes at a time; each waits in its own slot. What
 * stands behind it is reached through a table of functions.
 *
 * Owns:    what stands behind it, from set to the end.
 * Thread:  that of the state.
 * Life:    embedded in the userdata: init -> set -> (read | write)* -> end,
 *          when it is closed, collected, or its task fails or is cancelled.
 * Knows:   task.
 */
#ifndef LQ_DUPLEX_H
#define LQ_DUPLEX_H

#include <lua.h>

#include "base/str.h"
#include "lua/task.h"

typedef struct lq_duplex_ops {
    /* What is there, lent until something happens; and takes some of it. */
    lq_str (*read)(const void *c);
    void (*take)(void *c, size_t len);
    /* Why nothing more comes; 0: something may. */
    int (*read_error)(const void *c);
    /* Whether a task waits for more than is there. */
    void (*want)(void *c, bool wants_more);
    /* Copies the bytes; why they cannot be sent, or -ENOMEM. */
    int (*write)(void *c, const char *bytes, size_t len);
    /* Why nothing can be sent; 0: something can. */
    int (*write_error)(const void *c);
    size_t (*unsent)(const void *c);
    /* What was written goes out, then it closes. No event follows. */
    void (*end)(void *c);
} lq_duplex_ops;

/* The first thing in its userdata. */
typedef struct lq_duplex {
    const lq_duplex_ops *ops;
    void *c; /* NULL: closed */
    lq_task *reader;
    lq_task *writer;
    lq_task_ward ward;
    int error; /* why it is closed */
    bool has_timeout;
} lq_duplex;

void lq_duplex_init(lq_duplex *d, const lq_duplex_ops *ops);

/* Takes `c`. With `t` it ends when that task fails or is cancelled. */
void lq_duplex_set(lq_duplex *d, void *c, lq_task *t);

/* Bytes, an end, an error, or room for more: who waits for it looks. */
void lq_duplex_event(lq_duplex *d);

/* Gives back what stands behind it, which is over; who waits is told `err`. */
void lq_duplex_lose(lq_duplex *d, int err);

/* Closes it; who waits is told so. */
void lq_duplex_end(lq_duplex *d);

/* The metatable of userdata that begin with a lq_duplex, registered as `type`,
 * left on the stack. */
void lq_duplex_push_type(lua_State *L, const char *type);

#endif

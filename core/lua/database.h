/* database.h - what the files of luaqueduct.core.db share: the shells, and how
 * a task asks and waits.
 *
 * Owns:    the shells; vm->dbs.
 * Thread:  that of the state.
 * Life:    databases: open -> close. Sessions: acquire -> nested ones -> over.
 * Knows:   pool, pgvalue, task.
 */
#ifndef LQ_DATABASE_H
#define LQ_DATABASE_H

#include "lua/db.h"
#include "lua/pgvalue.h"
#include "lua/task.h"
#include "pg/pool.h"

/* Of one state. */
struct lq_dbs {
    lq_list open;   /* databases that are not closed */
    size_t pending; /* names that are being looked up, last cancels, and shared
                       pools that have not let go */
    lq_buf bytes;   /* parameters on their way into a query */
    lq_buf params;  /* ... where they stand there: lq_pgparam */
    lq_buf scratch; /* an element of an array */
    lq_pg_query *decoding; /* freed by the next one, should an error raise */
};

typedef struct lq_database {
    lq_list link;     /* of dbs->open */
    lq_pg_pool *pool; /* NULL: closed */
    lq_pg_cache statements;
    lq_pgtypes types;
    bool has_null;
    bool listens;  /* notifications are kept; elsewhere nobody takes them */
    lq_list notes; /* notifications that nobody has taken */
    size_t note_count;
    struct lq_db_session *listener; /* whose task waits for one; or NULL */
} lq_database;

typedef enum lq_db_session_state {
    LQ_DB_SESSION_OPEN,
    LQ_DB_SESSION_SUSPENDED, /* one inside it has the word */
    LQ_DB_SESSION_OVER,
} lq_db_session_state;

/* A connection of one's own, or what a part of its time is lent to: a
 * transaction, a stream, a copy. */
typedef struct lq_db_session {
    lq_database *db;             /* in user value 1 */
    struct lq_db_session *outer; /* in user value 2; NULL: it has the lease */
    lq_pg_lease *lease;          /* the outermost one's; see lq_db_lease_of */
    lq_task *task;               /* waits for it to be ready */
    lq_db_session_state state;
    bool is_undone;   /* a rollback has been sent, and nothing behind it */
    bool has_changed; /* statements have run that change the session */
} lq_db_session;

/* Who is asked. */
typedef struct lq_db_target {
    lq_database *db;
    lq_db_session *session; /* NULL: any connection */
} lq_db_target;

enum { LQ_DB_UNKNOWN_MAX = 32 /* types asked for at once */ };

/* What becomes of the answer of lq_db_ask. */
enum {
    LQ_DB_ROWS,
    LQ_DB_ROW,
    LQ_DB_VALUE,
    LQ_DB_BATCH,
    LQ_DB_STREAM, /* the types of its columns are asked first */
    LQ_DB_STREAM_READY,
};

/* It is over: its connection, or its part of the time, goes back. */
void lq_db_end_session(lq_db_session *s);

lq_db_session *lq_db_check_session(lua_State *L, int i);
/* dbcopy.c: a copy statement. */
lq_str lq_db_check_copy(lua_State *L, int i);
/* The database or session at 1; raises when it is closed or over. */
lq_db_target lq_db_check_target(lua_State *L);
/* ... behind a wait: it may be closed, and whoever asks again checks. */
lq_db_target lq_db_target_of(lua_State *L);

/* The connection that it is a part of the time of; NULL: it, or one outside it,
 * is over. */
lq_pg_lease *lq_db_lease_of(const lq_db_session *s);

/* The query is freed by the next one that is decoded, or by finish. */
lq_pg_query *lq_db_decode(lq_vm *vm, lq_pg_query *q);
void lq_db_finish_decoding(lq_vm *vm);

/* Takes `q`: pushes nil and its error; returns 2. */
int lq_db_push_failure(lua_State *L, lq_vm *vm, lq_pg_query *q);

/* Takes `q`: asks and waits; k finds it in t->wait. */
int lq_db_wait(lua_State *L, lq_task *t, const lq_db_target *to, lq_pg_query *q,
               lua_KFunction k);

/* The way of a query, from what is not known yet to the answer, with the target
 * at 1 and SQL and parameters behind it. */
int lq_db_ask(lua_State *L, lq_task *t, int tag);

/* A query of that kind with the statement at 2, of which all is known, and its
 * parameters. NULL: a parameter is wrong, and nil and the error are on the
 * stack. Raises. */
lq_pg_query *lq_db_make_query(lua_State *L, const lq_db_target *to,
                              lq_pg_kind kind);

/* dbstream.c: for LQ_DB_STREAM_READY, once all is known. */
int lq_db_begin_stream(lua_State *L, const lq_db_target *to);

/* What is kept about its statements may be why `q` has failed. */
void lq_db_forget(lq_database *d, const lq_pg_query *q);

/* ... those of its statements that are too long to be kept. */
void lq_db_forget_long(lq_database *d, const lq_pg_query *q);

/* Add functions to the module on top of the stack. */
void lq_db_open_sessions(lua_State *L); /* dbsession.c */
void lq_db_open_streams(lua_State *L);  /* dbstream.c */
void lq_db_open_copies(lua_State *L);   /* dbcopy.c */
void lq_db_open_notes(lua_State *L);    /* dbnotes.c */

/* dbnotes.c: for lq_pg_pool_cfg.on_notify, with the database. */
void lq_db_on_notify(void *data, const char *channel, const char *payload);
void lq_db_drop_notes(lq_database *d);

struct luaL_Reg;

/* Pushes the table of methods of a new type, to which Lua adds its own. */
void lq_db_push_type(lua_State *L, const char *name,
                     const struct luaL_Reg *meta, const struct luaL_Reg *list);

/* Adds query, one, value, batch to the table on top of the stack: methods of
 * databases and sessions. */
void lq_db_set_query_methods(lua_State *L);

#endif

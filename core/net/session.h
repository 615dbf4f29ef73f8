/* session.h - messages over a detached connection, a WebSocket's or TCP's.
 *
 * What comes is cut into messages, which are told one at a time: while the one
 * above is busy with a message the next ones wait, unread at last. What is sent
 * is bounded, too: beyond LQ_SESSION_FULL the sender is told to wait, beyond
 * the session's limit it is over.
 *
 * Owns:    a session: its connection, its subscriptions. lq_sessions: all
 *          sessions of one worker, what they share.
 * Thread:  owner loop.
 * Life:    open -> (message | send)* -> FINISHING (it has said good-bye, the
 *          peer has not) -> OVER: it has given up the connection, on_over has
 *          been called, once. The memory belongs to whoever opened it, who
 *          calls lq_session_release behind on_over.
 * Knows:   conn, encoding, audience; the two kinds know it.
 */
#ifndef LQ_SESSION_H
#define LQ_SESSION_H

#include "net/audience.h"
#include "net/conn.h"
#include "net/encoding.h"

enum { LQ_SESSION_FULL = 64 * 1024 /* bytes unsent: the sender is to wait */ };

typedef struct lq_session lq_session;

/* Why a session is over. */
typedef enum lq_session_end {
    LQ_END_NONE,
    LQ_END_CLOSED, /* one side said so */
    LQ_END_EOF,    /* the peer's bytes have ended, without a word */
    LQ_END_RESET,
    LQ_END_IDLE,      /* nothing came or went for too long */
    LQ_END_TOO_LARGE, /* a message */
    LQ_END_INVALID,   /* against the protocol */
    LQ_END_SLOW,      /* the peer does not take what it is sent */
    LQ_END_ERROR,     /* of the one above, or no memory */
    LQ_END_STOP,      /* the worker goes */
} lq_session_end;

/* What the sessions of one route or listener have in common. */
typedef struct lq_session_cfg {
    const struct lq_session_kind *kind;
    size_t max_message;  /* bytes */
    size_t max_buffered; /* bytes unsent */
    uint64_t quiet_ms;   /* WebSocket: between pings; TCP: until it ends as
                          * idle; 0: never */
    /* A message, lent. Returns whether the one above is still busy with it:
     * then lq_session_go_on follows. May send, finish or cut. */
    bool (*on_message)(lq_session *s, lq_str message, bool is_binary);
    /* What stood unsent has become little, after a send that said so. */
    void (*on_drain)(lq_session *s);
    /* It is over, for s->end. The connection is gone. */
    void (*on_over)(lq_session *s);
    /* For the reader: */
    uint64_t received; /* messages */
    uint64_t sent;
    uint64_t opened;
    uint64_t slow; /* sessions that ended as SLOW */
} lq_session_cfg;

/* What a kind of session does its own way. */
typedef struct lq_session_kind {
    /* Finds the next message in the bytes, which may change. Returns 1 and the
     * message, lent; 0: there is none, or the session has been finished. */
    int (*next)(lq_session *s, char *bytes, size_t len, size_t *used,
                lq_str *message, bool *is_binary);
    /* The message that next has lent is not needed any more. NULL: nothing was
     * kept for it. */
    void (*on_taken)(lq_session *s);
    /* Appends a message as it goes out. -ENOMEM, LQ_ETOOLARGE, LQ_EINVALID. */
    int (*encode)(lq_session *s, lq_str message, bool is_binary, lq_buf *out);
    /* It is written what lq_encode has made for it and others. NULL: that is
     * nothing to it. */
    void (*on_shared)(lq_session *s);
    /* Says good-bye behind what was sent. */
    void (*finish)(lq_session *s, int code, lq_str reason);
    /* cfg.quiet_ms are over, or what FINISHING has. */
    void (*on_due)(lq_session *s);
} lq_session_kind;

typedef enum lq_session_state {
    LQ_SESSION_OPEN,
    LQ_SESSION_FINISHING,
    LQ_SESSION_OVER,
} lq_session_state;

struct lq_session {
    lq_holder holder;
    lq_conn *conn; /* NULL: OVER */
    struct lq_sessions *all;
    lq_session_cfg *cfg;
    lq_list link;          /* of all->open, then of all->over */
    lq_list subscriptions; /* audience.h */
    uint64_t id;           /* counts the worker's */
    lq_address peer;
    uint8_t state;
    uint8_t end;      /* lq_session_end, as soon as it is known */
    uint16_t code;    /* WebSocket: of the end; 0: none */
    uint8_t encoding; /* of what an audience is sent */
    bool is_busy;     /* the one above handles a message */
    bool is_leaving;  /* it ends when that is over */
    bool is_late;     /* it has opened while all leave */
    bool has_heard;   /* anything at all */
    bool wants_drain;
    bool is_pinged;   /* WebSocket: and has not said a word since */
    bool is_excepted; /* for audience.c */
};

typedef struct lq_sessions {
    lq_net *net;
    lq_list open;
    lq_list over; /* not released */
    size_t open_count;
    size_t count; /* opened and not released */
    lq_encoder encoder;
    lq_audience audience;
    lq_ws_inflater *inflater; /* keeps no context; NULL: not needed so far */
    lq_timer leaving;         /* some of them end now */
    uint64_t leave_from_ms;
    uint64_t leave_by_ms;
    size_t leave_count; /* of them in all */
    size_t left_count;  /* so far */
    /* The last one has been released. NULL: nobody asks. */
    void (*on_idle)(struct lq_sessions *);
    void *data;
} lq_sessions;

/* `cfg` of the audience is copied. -ENOMEM. */
int lq_sessions_init(lq_sessions *ss, lq_net *net,
                     const lq_audience_cfg *cfg) LQ_MUST_CHECK;
/* All must have been released. */
void lq_sessions_fini(lq_sessions *ss);

/* Those that are open end with STOP, spread over so many ms; 0: now. One that
 * is busy ends behind its message. */
void lq_sessions_leave(lq_sessions *ss, uint64_t within_ms);
/* ... at once, busy or not: what was sent may be lost. */
void lq_sessions_cut(lq_sessions *ss);

/* `s` takes the connection, which is detached and has no holder. is_busy: as
 * after a message. */
void lq_session_open(lq_session *s, lq_sessions *ss, lq_session_cfg *cfg,
                     lq_conn *c, bool is_busy);

/* The message has been handled. */
void lq_session_go_on(lq_session *s);

/* Returns 1; 0: it was taken, and the sender is to wait for on_drain;
 * LQ_ECLOSED: it is no longer open, or has just become too slow; -ENOMEM; of
 * framings LQ_ETOOLARGE, LQ_EINVALID. */
int lq_session_send(lq_session *s, lq_str message,
                    bool is_binary) LQ_MUST_CHECK;

/* For audience.c: bytes that are encoded already. */
void lq_session_write(lq_session *s, lq_str bytes);

/* Ends it in order; nothing happens unless it is open. `code`: of a WebSocket,
 * 0: the one of `end`. */
void lq_session_finish(lq_session *s, lq_session_end end, int code,
                       lq_str reason);

/* For the kinds: all is said. What was written goes out; on_over is called. */
void lq_session_part(lq_session *s);
/* ... and what was written does not. */
void lq_session_cut(lq_session *s, lq_session_end end);

/* For the kinds: when on_due is called next; 0: never. */
void lq_session_set_due(lq_session *s, uint64_t in_ms);

/* Behind on_over: the one above is done with it. */
void lq_session_release(lq_session *s);

#endif

/* load.h - many clients at once, for specs that Lua is too slow for.
 *
 * A client is a peer: it connects, sends what its plan gives it, and then
 * closes, resets, reads to the end or holds still. How many there are at a
 * time is a number on the command line; all stand in one epoll loop.
 *
 * Owns:    the sockets of its peers.
 * Thread:  main.
 * Life:    load_run from the first peer to the last.
 * Knows:   Linux.
 */
#ifndef LOAD_H
#define LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LOAD_OUT_CAP = 16 * 1024, LOAD_IN_CAP = 64 * 1024 };

typedef enum load_action {
    LOAD_CLOSE,      /* when everything is sent */
    LOAD_RESET,      /* when everything is sent, and `wait_ms` later */
    LOAD_READ,       /* up to the end, which the server makes */
    LOAD_HALF_CLOSE, /* ends its direction, then reads */
    LOAD_HOLD,       /* never reads; waits for the server's end */
    LOAD_FLOOD,      /* sends `out` again and again until nothing more is
                      * taken, never reads */
} load_action;

typedef struct load_peer {
    /* Of the plan. */
    load_action action;
    uint64_t number; /* 1, 2, ... */
    unsigned wait_ms;
    size_t out_len;
    size_t cut; /* where the first packet ends; 0: sent at once */
    const char *out;
    char *room; /* where load_add writes what `out` is, LOAD_OUT_CAP bytes */

    /* Of the loop. */
    int fd;
    size_t sent, in_len;
    char *in;     /* LOAD_IN_CAP bytes; NULL: nothing came */
    double since; /* when everything was sent, or the connect began */
    bool is_sent, is_connected, was_reset, is_over;
} load_peer;

typedef struct load {
    /* Set before load_run. */
    const char *address;
    int port;
    uint64_t count;
    unsigned at_once;
    double timeout; /* seconds that a peer may take */
    int buffer;     /* bytes, of each direction; 0: the system's */
    uint64_t random;
    /* Fills out, out_len, action. */
    void (*plan)(struct load *l, load_peer *p);
    /* What came is complete: why it is wrong, or NULL. May be NULL. */
    const char *(*check)(struct load *l, const load_peer *p);

    /* Results. */
    uint64_t started, done, failed, resets, held;
    double first_end, last_end; /* seconds a held peer was held */
    double seconds;
} load;

/* Runs all peers; prints the first failures on stderr. */
void load_run(load *l);

double load_now(void);
/* Sources take turns, so that the ports of one are never used up. */
void load_bind_source(int fd, uint64_t number);
uint64_t load_random(load *l, uint64_t below);
void load_add(load_peer *p, const void *bytes, size_t len);
void load_print(load_peer *p, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* One answer at the front of `bytes`. Returns its length; 0 when it is not
 * whole or not an answer. */
typedef struct load_answer {
    int status;
    bool ends; /* Connection: close, or it goes up to the end */
    const char *body;
    size_t body_len;
} load_answer;
size_t load_read_answer(const char *bytes, size_t len, load_answer *out);

/* The plans, one for each command. */
void load_plan_storm(load *l, load_peer *p);
const char *load_check_storm(load *l, const load_peer *p);
void load_plan_garbage(load *l, load_peer *p);
const char *load_check_garbage(load *l, const load_peer *p);
void load_plan_mixed(load *l, load_peer *p);
const char *load_check_mixed(load *l, const load_peer *p);
void load_plan_leave(load *l, load_peer *p);
const char *load_check_leave(load *l, const load_peer *p);
void load_plan_half(load *l, load_peer *p);
void load_plan_plain(load *l, load_peer *p);
void load_plan_streams(load *l, load_peer *p);
void load_plan_waits(load *l, load_peer *p);

/* A request every 50 ms on one connection until SIGTERM; prints how long they
 * took. Returns the exit status. */
int load_pulse(const char *address, int port);
/* A connection every 5 ms until SIGTERM, each with one request; prints what has
 * become of them. Returns the exit status. */
int load_steady(const char *address, int port);

/* `count` clients that ask without a pause until SIGTERM, half of them on kept
 * connections; prints what became of the requests. Returns the exit status.
 * With may_stop the server may be told to stop: then it ends by itself. */
int load_busy(const char *address, int port, int count, bool may_stop);

/* `count` clients that ask for everything, 1 % of it faults, until SIGTERM;
 * says which connections end and what became of the requests. Returns the exit
 * status. */
int load_soak(const char *address, int port, int count, uint64_t seed);

#endif

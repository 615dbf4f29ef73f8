/* options.h - the command line.
 *
 * Owns:    nothing: the texts are lent by argv and live as long as it.
 * Thread:  parse and print_help - start-up only (getopt has state of its
 *          own). The struct is read by any thread afterwards.
 * Life:    parse -> fini.
 * Knows:   base, option_table, option_value, listen_url, getopt.
 */
#ifndef LQ_OPTIONS_H
#define LQ_OPTIONS_H

#include <stdio.h>

#include "base/address.h"
#include "base/err.h"
#include "base/str.h"

typedef enum lq_command {
    LQ_COMMAND_SERVE,
    LQ_COMMAND_ROUTES,
    LQ_COMMAND_MIGRATE,
    LQ_COMMAND_VERSION,
    LQ_COMMAND_HELP,
} lq_command;

enum { LQ_LISTEN_MAX = 64, LQ_TRUST_MAX = 64, LQ_PAIRS_MAX = 256 };

/* --option K=V. */
typedef struct lq_pair {
    lq_str key;
    const char *value;
} lq_pair;

/* --log-rotate SIZE[,KEEP]. */
typedef struct lq_rotation {
    uint64_t size; /* bytes; 0: never */
    uint64_t keep;
} lq_rotation;

/* --hub-queue N,SIZE: what a worker may have waiting. */
typedef struct lq_hub_limit {
    uint64_t messages;
    uint64_t bytes;
} lq_hub_limit;

/* migrate ACTION [N|NAME]. */
typedef struct lq_migrate_args {
    const char *action;
    const char *argument; /* NULL: none */
    const char *dir;
    const char *url; /* NULL: the environment has it */
} lq_migrate_args;

/* Embedded by value; points into itself (listen), so it is not copied. */
typedef struct lq_options {
    lq_command command;
    lq_command help_for; /* of LQ_COMMAND_HELP, which is: all of them */
    const char *app;
    int workers;
    const char *listen[LQ_LISTEN_MAX]; /* each passed lq_listen_url_check */
    size_t listen_count;
    char short_listen[300]; /* what -a and -p make */
    bool is_listen_preset;  /* nobody has said where */
    bool share_port;
    bool no_respawn;
    bool watch;
    lq_range trusted[LQ_TRUST_MAX]; /* proxies */
    size_t trusted_count;
    lq_pair pairs[LQ_PAIRS_MAX]; /* in the order given; of migrate: all */
    size_t pair_count;
    /* Seconds, 0: no limit, else at least 0.001. */
    double drain_timeout;
    double header_timeout;
    double busy_timeout;
    double idle_timeout;
    double body_timeout;
    double write_timeout;
    double request_timeout;
    double start_timeout;
    /* Bytes, 0: no limit. */
    uint64_t header_limit;
    uint64_t body_limit;
    uint64_t memory_limit;
    uint64_t max_connections;
    int log_level;
    int log_format;       /* lq_log_format */
    const char *log_file; /* NULL: standard error */
    lq_rotation log_rotation;
    lq_hub_limit hub_queue;
    uint64_t spin_us;
    bool access_log;
    lq_migrate_args migrate;
} lq_options;

/* Fills `o` from a whole command line; writes nothing and leaves argv as it
 * is. LQ_EINVALID: err tells in one line what is wrong with which option. */
int lq_options_parse(lq_options *o, int argc, char **argv,
                     lq_err *err) LQ_MUST_CHECK;
void lq_options_fini(lq_options *o);

/* The help of one command, or of all. */
void lq_options_print_help(FILE *to, lq_command command);

/* What an option gives in seconds, in ms. */
static inline uint64_t lq_ms_of(double seconds)
{
    return (uint64_t)(seconds * 1000 + 0.5);
}

#endif

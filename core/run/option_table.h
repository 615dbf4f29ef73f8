/* option_table.h - what a command line may hold: the commands and their
 * options, in the order of the help.
 *
 * One table feeds getopt, gives the defaults and prints the help.
 *
 * Owns:    nothing: constant tables.
 * Thread:  none.
 * Knows:   options.
 */
#ifndef LQ_OPTION_TABLE_H
#define LQ_OPTION_TABLE_H

#include "run/options.h"

typedef struct lq_command_row {
    const char *names[3];
    lq_command command;
    const char *argument; /* NULL: takes none */
    const char *help;
} lq_command_row;

typedef enum lq_option_kind {
    LQ_KIND_HEADING,
    LQ_KIND_WORKERS,
    LQ_KIND_LISTEN,
    LQ_KIND_ADDRESS,
    LQ_KIND_PORT,
    LQ_KIND_FLAG,
    LQ_KIND_PAIR,
    LQ_KIND_RANGE,
    LQ_KIND_SECONDS,
    LQ_KIND_SIZE,
    LQ_KIND_COUNT,
    LQ_KIND_LEVEL,
    LQ_KIND_FORMAT,
    LQ_KIND_FILE,
    LQ_KIND_URL,
    LQ_KIND_ROTATION,
    LQ_KIND_HUB_QUEUE,
    LQ_KIND_HELP,
} lq_option_kind;

typedef struct lq_option_row {
    lq_option_kind kind;
    int commands; /* which take it: a bit for each */
    char letter;  /* 0: none */
    const char *name;
    const char *argument; /* NULL: takes none */
    size_t at;            /* of the value in lq_options */
    const char *preset;   /* NULL: none */
    const char *most;     /* of a number */
    const char *help;     /* lines after the first are further lines */
} lq_option_row;

enum { LQ_OPTIONS_MAX = 64 }; /* rows that there may be */

/* Commands in the order of the help; NULL behind the last. */
const lq_command_row *lq_command_at(size_t i);

/* The command with such a name, or NULL. */
const lq_command_row *lq_command_find(const char *name);

const lq_command_row *lq_command_row_of(lq_command command);

/* Options in the order of the help, its headings among them; NULL behind the
 * last. */
const lq_option_row *lq_option_at(size_t i);

/* Whether `command` takes the option. */
bool lq_option_is_of(lq_command command, const lq_option_row *row);

/* The largest value of a number; 0 where there is none. */
uint64_t lq_option_most(const lq_option_row *row);

/* Writes what a value has to be, cut off at `cap` bytes. */
void lq_option_put_expected(const lq_option_row *row, char *out, size_t cap);

#endif

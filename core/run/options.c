/* options.c - see options.h.
 *
 * One table says what there is: it feeds getopt, gives the defaults and prints
 * the help. getopt is told to hand over arguments in order, so it moves
 * nothing in argv; the abbreviations it would allow are refused before.
 */
#include "run/options.h"

#include <getopt.h>
#include <stdlib.h>

#include "log/log.h"
#include "run/cpus.h"
#include "run/sockets.h"

#define DIGITS "0123456789"

/* ---- what there is ------------------------------------------------------ */

typedef struct command_row {
    const char *names[3];
    lq_command command;
    const char *argument; /* NULL: takes none */
    const char *help;
} command_row;

static const command_row commands[] = {
    {{"serve"}, LQ_COMMAND_SERVE, "[APP]", "serves an app (app.lua)"},
    {{"routes"}, LQ_COMMAND_ROUTES, "[APP]", "prints an app's routing table"},
    {{"version", "--version", "-V"},
     LQ_COMMAND_VERSION,
     NULL,
     "prints the versions of luaqueduct and its parts"},
    {{"help", "--help", "-h"},
     LQ_COMMAND_HELP,
     "[COMMAND]",
     "prints this, or what one command takes"},
};

typedef enum kind {
    KIND_HEADING,
    KIND_WORKERS,
    KIND_LISTEN,
    KIND_ADDRESS,
    KIND_PORT,
    KIND_FLAG,
    KIND_PAIR,
    KIND_SECONDS,
    KIND_SIZE,
    KIND_COUNT,
    KIND_LEVEL,
    KIND_HELP,
} kind;

enum { SERVE = 1 << LQ_COMMAND_SERVE, ROUTES = 1 << LQ_COMMAND_ROUTES };
enum {
    OTHERS = 1 << LQ_COMMAND_VERSION,
    EVERY = SERVE | ROUTES | OTHERS | 1 << LQ_COMMAND_HELP
};

typedef struct option_row {
    kind kind;
    int commands; /* which take it: a bit for each */
    char letter;  /* 0: none */
    const char *name;
    const char *argument; /* NULL: takes none */
    size_t at;            /* of the value in lq_options */
    const char *preset;   /* NULL: none */
    const char *most;     /* of a number */
    const char *help;     /* lines after the first are further lines */
} option_row;

#define HEADING(commands, text)                                                \
    {                                                                          \
        KIND_HEADING, commands, 0, NULL, NULL, 0, NULL, NULL, text             \
    }
#define SECONDS(name, field, preset, help)                                     \
    {                                                                          \
        KIND_SECONDS, SERVE, 0, name, "S", offsetof(lq_options, field),        \
            preset, "1000000000", help                                         \
    }

static const option_row rows[] = {
    HEADING(SERVE, "Listening"),
    {KIND_LISTEN, SERVE, 0, "listen", "URL", 0, NULL, NULL,
     "http://127.0.0.1:8888 unless given, http://[::1]:80\n"
     "or unix:/path.sock; port 0: a free one; repeatable"},
    {KIND_ADDRESS, SERVE, 'a', "address", "ADDR", 0, "127.0.0.1", NULL,
     "with -p short for one --listen"},
    {KIND_PORT, SERVE, 'p', "port", "PORT", 0, "8888", "65535",
     "with -a short for one --listen"},
    {KIND_FLAG, SERVE, 0, "share-port", NULL, offsetof(lq_options, share_port),
     NULL, NULL, "lets several runtimes listen on the same port"},
    HEADING(SERVE, "Workers and the app"),
    {KIND_WORKERS, SERVE, 'j', "workers", "N|auto",
     offsetof(lq_options, workers), "auto", "1024",
     "worker threads; auto: the CPUs this process may\n"
     "use, cgroup and affinity included"},
    HEADING(ROUTES, "The app"),
    {KIND_PAIR, SERVE | ROUTES, 0, "option", "K=V", 0, NULL, NULL,
     "sets options.context.K to the string V; repeatable"},
    HEADING(SERVE, "Time limits"),
    SECONDS("start-timeout", start_timeout, "60",
            "what has not prepared by then ends the start"),
    SECONDS("drain-timeout", drain_timeout, "10",
            "how long a stop waits for what is in flight"),
    SECONDS("header-timeout", header_timeout, "10",
            "408 when a whole request head takes longer"),
    SECONDS("idle-timeout", idle_timeout, "75",
            "a kept connection with no request ends"),
    SECONDS("body-timeout", body_timeout, "30",
            "408 after such a silence while a body arrives"),
    SECONDS("write-timeout", write_timeout, "30",
            "longest time in which a client takes nothing of\n"
            "an answer"),
    SECONDS("request-timeout", request_timeout, "30",
            "503 when a handler takes longer; it is ended"),
    HEADING(SERVE, "Size limits"),
    {KIND_SIZE, SERVE, 0, "header-limit", "SIZE",
     offsetof(lq_options, header_limit), "32K", "1G",
     "431 when a request's head is larger"},
    {KIND_SIZE, SERVE, 0, "body-limit", "SIZE",
     offsetof(lq_options, body_limit), "10M", "1048576G",
     "413 when a request's body is larger"},
    {KIND_COUNT, SERVE, 0, "max-connections", "N",
     offsetof(lq_options, max_connections), "0", "1000000000",
     "of each worker; 0: as many as the limit of file\n"
     "descriptors allows"},
    HEADING(SERVE | ROUTES, "Log and help"),
    {KIND_LEVEL, SERVE | ROUTES, 0, "log-level", "LEVEL",
     offsetof(lq_options, log_level), "info", NULL,
     "debug, info, warn or error"},
    HEADING(OTHERS, "Options"),
    {KIND_HELP, EVERY, 'h', "help", NULL, 0, NULL, NULL, "prints this"},
};

static bool takes(lq_command command, const option_row *row)
{
    return row->commands & 1 << command;
}

static const command_row *find_command(const char *name)
{
    size_t i, k;

    for (i = 0; i < LQ_COUNT_OF(commands); i++)
        for (k = 0; k < 3 && commands[i].names[k]; k++)
            if (strcmp(commands[i].names[k], name) == 0) return &commands[i];
    return NULL;
}

static const command_row *row_of(lq_command command)
{
    size_t i = 0;

    while (commands[i].command != command) i++;
    return &commands[i];
}

/* ---- values ------------------------------------------------------------- */

static bool read_count(lq_str text, uint64_t most, uint64_t *out)
{
    uint64_t value = 0, digit;
    size_t i;

    for (i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9') return false;
        digit = (uint64_t)(text.ptr[i] - '0');
        if (digit > most || value > (most - digit) / 10) return false;
        value = value * 10 + digit;
    }
    *out = value;
    return text.len > 0;
}

/* Digits, perhaps with K, M or G behind. */
static bool read_size(const char *text, uint64_t most, uint64_t *out)
{
    lq_str digits = {text, strspn(text, DIGITS)};
    const char *unit = text + digits.len;
    int shift = 0;

    switch (*unit) {
    case '\0': break;
    case 'K': shift = 10; break;
    case 'M': shift = 20; break;
    case 'G': shift = 30; break;
    default: return false;
    }
    if (*unit && unit[1]) return false;
    if (!read_count(digits, most >> shift, out)) return false;
    *out <<= shift;
    return true;
}

/* Digits, perhaps with a fraction. Own code, as strtod follows the locale and
 * takes "0x1p3" and "inf". What is not 0 stays so when it becomes ms. */
static bool read_seconds(const char *text, uint64_t most, double *out)
{
    lq_str whole = {text, strspn(text, DIGITS)}, part = {NULL, 0};
    uint64_t seconds, fraction = 0;
    double value, scale = 1;
    size_t i;

    if (!read_count(whole, most, &seconds)) return false;
    if (text[whole.len] == '.') {
        part.ptr = text + whole.len + 1;
        part.len = strspn(part.ptr, DIGITS);
        if (part.len == 0 || part.ptr[part.len]) return false;
    } else if (text[whole.len]) {
        return false;
    }
    for (i = 0; i < part.len && i < 9; i++, scale *= 10)
        fraction = fraction * 10 + (uint64_t)(part.ptr[i] - '0');
    value = (double)seconds + (double)fraction / scale;
    if (value > (double)most) return false;
    *out = value > 0 && value < 0.001 ? 0.001 : value;
    return true;
}

static bool read_workers(const char *text, uint64_t most, int *out)
{
    uint64_t n;
    int cpus;

    if (strcmp(text, "auto") == 0) {
        cpus = lq_cpus();
        *out = cpus < (int)most ? cpus : (int)most;
        return true;
    }
    if (!read_count((lq_str){text, strlen(text)}, most, &n)) return false;
    *out = (int)n;
    return n > 0;
}

static bool read_level(const char *text, int *out)
{
    int level = lq_log_level_from(text);

    if (level >= 0) *out = level;
    return level >= 0;
}

static bool add_pair(lq_options *o, const char *text)
{
    const char *eq = strchr(text, '=');

    if (!eq || eq == text || o->pair_count == LQ_PAIRS_MAX) return false;
    o->pairs[o->pair_count++] = (lq_pair){{text, (size_t)(eq - text)}, eq + 1};
    return true;
}

static uint64_t most_of(const option_row *row)
{
    uint64_t most = 0;

    if (row->most && !read_size(row->most, UINT64_MAX, &most)) LQ_ASSERT(false);
    return most;
}

/* ---- one option --------------------------------------------------------- */

/* A command line on its way into the options. */
typedef struct parse {
    lq_options *o;
    lq_err *err;
    const char *address; /* what -a and -p said */
    const char *port;
    bool is_short; /* the option was given by its letter */
    bool has_app;
    bool is_over; /* the rest does not count */
} parse;

static const char *name_of(const parse *p)
{
    return row_of(p->o->command)->names[0];
}

static void put_expected(const option_row *row, char *out, size_t cap)
{
    const char *text = "";

    switch (row->kind) {
    case KIND_WORKERS: text = "auto or a number from 1 to"; break;
    case KIND_PORT: text = "a number from 0 to"; break;
    case KIND_COUNT: text = "a number from 0 (no limit) to"; break;
    case KIND_SECONDS:
        text = "seconds such as 2.5, from 0 (no limit) to";
        break;
    case KIND_SIZE:
        text = "a size such as 512, 64K or 10M, from 0 (no limit) to";
        break;
    case KIND_PAIR: text = "K=V, at most 256 times"; break;
    case KIND_LEVEL: text = "debug, info, warn or error"; break;
    case KIND_LISTEN: text = "http://HOST:PORT or unix:/PATH"; break;
    case KIND_ADDRESS: text = "an IP address or the name of a host"; break;
    default: break;
    }
    snprintf(out, cap, "%s%s%s", text, row->most ? " " : "",
             row->most ? row->most : "");
}

static int refuse_value(const parse *p, const option_row *row,
                        const char *value)
{
    char expected[96], name[32];

    put_expected(row, expected, sizeof expected);
    if (p->is_short)
        snprintf(name, sizeof name, "-%c, --%s", row->letter, row->name);
    else
        snprintf(name, sizeof name, "--%s", row->name);
    if (!value)
        return lq_err_set(p->err, LQ_EINVALID,
                          "%s: %s needs a value: expected %s", name_of(p), name,
                          expected);
    return lq_err_set(p->err, LQ_EINVALID, "%s: %s: expected %s, not '%.60s'",
                      name_of(p), name, expected, value);
}

static int refuse_option(const parse *p, const char *text)
{
    size_t len = strcspn(text, "=");

    return lq_err_set(p->err, LQ_EINVALID,
                      "%s: unknown option %.*s; luaqueduct %s --help lists "
                      "what is expected",
                      name_of(p), len < 60 ? (int)len : 60, text, name_of(p));
}

static int add_listen(const parse *p, const char *url)
{
    lq_options *o = p->o;
    lq_err err;

    if (o->listen_count == LQ_LISTEN_MAX)
        return lq_err_set(p->err, LQ_EINVALID,
                          "%s: --listen: expected at most %d of them, --port "
                          "and --address included",
                          name_of(p), LQ_LISTEN_MAX);
    if (lq_sockets_check(url, &err) < 0)
        return lq_err_set(p->err, LQ_EINVALID, "%s: %s", name_of(p), err.text);
    o->listen[o->listen_count++] = url;
    return 0;
}

/* Stores what needs nothing but itself to be right. */
static bool set_value(parse *p, const option_row *row, const char *text)
{
    void *at = (char *)p->o + row->at;
    uint64_t most = most_of(row), port;

    switch (row->kind) {
    case KIND_WORKERS: return read_workers(text, most, at);
    case KIND_ADDRESS: p->address = text; return true;
    case KIND_PORT:
        p->port = text;
        return read_count((lq_str){text, strlen(text)}, most, &port);
    case KIND_FLAG: *(bool *)at = true; return true;
    case KIND_PAIR: return add_pair(p->o, text);
    case KIND_SECONDS: return read_seconds(text, most, at);
    case KIND_SIZE: return read_size(text, most, at);
    case KIND_COUNT: return read_count((lq_str){text, strlen(text)}, most, at);
    case KIND_LEVEL: return read_level(text, at);
    default: return false;
    }
}

static int take_option(parse *p, const option_row *row, const char *value)
{
    if (row->kind == KIND_HELP) {
        p->o->help_for = p->o->command;
        p->o->command = LQ_COMMAND_HELP;
        p->is_over = true;
        return 0;
    }
    if (row->kind == KIND_LISTEN) return add_listen(p, value);
    return set_value(p, row, value) ? 0 : refuse_value(p, row, value);
}

static int take_argument(parse *p, const char *text)
{
    const command_row *row = row_of(p->o->command), *about;

    if (!row->argument || p->has_app)
        return lq_err_set(p->err, LQ_EINVALID,
                          "%s: expected %s, '%.60s' is too much", row->names[0],
                          row->argument ? "one argument" : "no arguments",
                          text);
    p->has_app = true;
    if (row->command != LQ_COMMAND_HELP) {
        p->o->app = text;
        if (*text) return 0;
        return lq_err_set(p->err, LQ_EINVALID,
                          "%s: APP: expected the path of a Lua file, not ''",
                          row->names[0]);
    }
    about = find_command(text);
    if (about) p->o->help_for = about->command;
    if (about) return 0;
    return lq_err_set(p->err, LQ_EINVALID,
                      "help: expected serve, routes or version, not '%.60s'",
                      text);
}

/* ---- the whole line ----------------------------------------------------- */

/* What getopt wants to know. */
typedef struct table {
    struct option longs[LQ_COUNT_OF(rows) + 1];
    char shorts[LQ_COUNT_OF(rows) * 2 + 3];
} table;

enum { FIRST_VALUE = 256 }; /* above every letter */

static void fill_table(table *t, lq_command command)
{
    struct option *next = t->longs;
    char *letter = t->shorts;
    size_t i;

    memset(t, 0, sizeof *t);
    *letter++ = '-'; /* arguments come in order */
    *letter++ = ':'; /* no value is told apart from no such option */
    for (i = 0; i < LQ_COUNT_OF(rows); i++) {
        if (!rows[i].name || !takes(command, &rows[i])) continue;
        *next++ = (struct option){
            rows[i].name, rows[i].argument ? required_argument : no_argument,
            NULL, FIRST_VALUE + (int)i};
        if (rows[i].letter) *letter++ = rows[i].letter;
        if (rows[i].letter && rows[i].argument) *letter++ = ':';
    }
}

static const option_row *find_row(int value)
{
    size_t i;

    if (value >= FIRST_VALUE) return &rows[value - FIRST_VALUE];
    for (i = 0; i < LQ_COUNT_OF(rows); i++)
        if (rows[i].letter && rows[i].letter == value) return &rows[i];
    return NULL;
}

/* getopt would take `--work` for `--workers`. */
static bool is_abbreviated(const table *t, const char *text)
{
    size_t len = strcspn(text, "="), i;

    if (strncmp(text, "--", 2) != 0 || !text[2]) return false;
    for (i = 0; t->longs[i].name; i++)
        if (strlen(t->longs[i].name) == len - 2 &&
            memcmp(t->longs[i].name, text + 2, len - 2) == 0)
            return false;
    return true;
}

/* What getopt returned for the argument `text`. */
static int take(parse *p, int value, const char *text)
{
    const option_row *row;

    if (value == 1) return take_argument(p, optarg);
    p->is_short = strncmp(text, "--", 2) != 0;
    row = find_row(value == '?' || value == ':' ? optopt : value);
    if (!row || (value == '?' && optopt < FIRST_VALUE))
        return refuse_option(p, text);
    if (value == ':') return refuse_value(p, row, NULL);
    if (value == '?')
        return lq_err_set(p->err, LQ_EINVALID,
                          "%s: --%s: expected no value, not '%.60s'",
                          name_of(p), row->name, strchr(text, '=') + 1);
    return take_option(p, row, optarg);
}

/* argv[0] is the command's name. */
static int parse_arguments(parse *p, int argc, char **argv)
{
    const char *text;
    table t;
    int value, code = 0;

    fill_table(&t, p->o->command);
    optind = 0; /* begins anew */
    opterr = 0;
    while (code == 0 && !p->is_over) {
        text = argv[optind ? optind : 1];
        if (text && is_abbreviated(&t, text)) return refuse_option(p, text);
        value = getopt_long(argc, argv, t.shorts, t.longs, NULL);
        if (value == -1) break;
        code = take(p, value, text);
    }
    while (code == 0 && !p->is_over && optind < argc) /* behind `--` */
        code = take_argument(p, argv[optind++]);
    return code;
}

/* -a and -p make one more listener; without any there is the default. */
static int finish_listen(parse *p)
{
    const char *address = p->address ? p->address : "127.0.0.1";
    const char *port = p->port ? p->port : "8888";
    bool is_v6 = strchr(address, ':') && *address != '[';
    lq_options *o = p->o;
    int len;

    if (o->listen_count && !p->address && !p->port) return 0;
    len = snprintf(o->short_listen, sizeof o->short_listen, "http://%s%s%s:%s",
                   is_v6 ? "[" : "", address, is_v6 ? "]" : "", port);
    if ((size_t)len < sizeof o->short_listen &&
        lq_sockets_check(o->short_listen, NULL) == 0)
        return add_listen(p, o->short_listen);
    return lq_err_set(p->err, LQ_EINVALID,
                      "%s: --address: expected an IP address or the name of a "
                      "host, not '%.60s'",
                      name_of(p), address);
}

static void set_defaults(parse *p)
{
    size_t i;

    for (i = 0; i < LQ_COUNT_OF(rows); i++)
        if (rows[i].preset && !set_value(p, &rows[i], rows[i].preset))
            LQ_ASSERT(false);
    p->address = p->port = NULL;
}

static int parse_all(parse *p, int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "";
    const command_row *row = find_command(name);
    int code;

    if (!*name)
        return lq_err_set(p->err, LQ_EINVALID,
                          "a command is expected: serve, routes, version or "
                          "help");
    if (!row)
        return lq_err_set(p->err, LQ_EINVALID,
                          "unknown command '%.60s': expected serve, routes, "
                          "version or help",
                          name);
    *p->o = (lq_options){
        .command = row->command, .help_for = row->command, .app = "app.lua"};
    set_defaults(p);
    code = parse_arguments(p, argc - 1, argv + 1);
    if (code < 0 || p->o->command != LQ_COMMAND_SERVE) return code;
    return finish_listen(p);
}

int lq_options_parse(lq_options *o, int argc, char **argv, lq_err *err)
{
    lq_err ignored;
    parse p = {.o = o, .err = err ? err : &ignored};
    int code = parse_all(&p, argc, argv);
    char *at;

    if (code == 0) return 0;
    /* One line, whatever stands in argv. */
    for (at = p.err->text; *at; at++)
        if ((unsigned char)*at < ' ' || *at == 0x7f) *at = '?';
    return code;
}

void lq_options_fini(lq_options *o)
{
    o->listen_count = o->pair_count = 0;
}

/* ---- help --------------------------------------------------------------- */

enum { COLUMN = 28 };

static void print_left(FILE *to, const char *left)
{
    fprintf(to, "%-*s", COLUMN, left);
}

/* The lines of `text`, the further ones under the first. */
static void print_right(FILE *to, const char *text, const char *preset)
{
    for (; *text; text++) {
        fputc(*text, to);
        if (*text == '\n') print_left(to, "");
    }
    if (preset) fprintf(to, " (%s)", preset);
    fputc('\n', to);
}

static void print_option(FILE *to, const option_row *row)
{
    char left[64], letter[8] = "    ";

    if (row->kind == KIND_HEADING) {
        fprintf(to, "\n%s:\n", row->help);
        return;
    }
    if (row->letter) snprintf(letter, sizeof letter, "-%c, ", row->letter);
    snprintf(left, sizeof left, "  %s--%s %s", letter, row->name,
             row->argument ? row->argument : "");
    print_left(to, left);
    print_right(to, row->help, row->preset);
}

static void print_options(FILE *to, lq_command command)
{
    size_t i;

    for (i = 0; i < LQ_COUNT_OF(rows); i++)
        if (takes(command, &rows[i])) print_option(to, &rows[i]);
}

static void print_commands(FILE *to)
{
    char left[64];
    size_t i;

    fprintf(to, "Usage: luaqueduct COMMAND [options]\n\n"
                "Serves HTTP applications in plain Lua 5.4 on every core.\n\n"
                "Commands:\n");
    for (i = 0; i < LQ_COUNT_OF(commands); i++) {
        snprintf(left, sizeof left, "  %s %s", commands[i].names[0],
                 commands[i].argument ? commands[i].argument : "");
        print_left(to, left);
        print_right(to, commands[i].help, NULL);
    }
    fprintf(to, "\nOptions of serve, with their defaults in parentheses:\n");
}

static void print_command(FILE *to, const command_row *row)
{
    fprintf(to, "Usage: luaqueduct %s%s%s [options]\n\nIt %s.", row->names[0],
            row->argument ? " " : "", row->argument ? row->argument : "",
            row->help);
    if (row->command == LQ_COMMAND_SERVE)
        fprintf(to, " Defaults stand in parentheses.");
    fputc('\n', to);
}

static void print_notes(FILE *to)
{
    fprintf(to,
            "\nS is seconds and may have decimals; SIZE is digits with K, M "
            "or G (powers of\n1024); 0 turns a limit off. An option given "
            "twice: the last one wins, unless\nit is repeatable.\n\n"
            "Signals: TERM and INT finish what is in flight and stop, a second "
            "one stops\nat once.\n\n"
            "Exit status: 0 a graceful stop, 1 the app could not start, 2 "
            "wrong usage.\n");
}

void lq_options_print_help(FILE *to, lq_command command)
{
    bool is_all = command == LQ_COMMAND_HELP;
    bool is_serve = is_all || command == LQ_COMMAND_SERVE;

    if (is_all)
        print_commands(to);
    else
        print_command(to, row_of(command));
    print_options(to, is_all ? LQ_COMMAND_SERVE : command);
    if (is_serve) print_notes(to);
}

/* options.c - see options.h: a command line, argument by argument.
 *
 * What there is stands in option_table.c; it feeds getopt and gives the
 * defaults. getopt is told to hand over arguments in order, so it moves
 * nothing in argv; the abbreviations it would allow are refused before.
 */
#include "run/options.h"

#include <getopt.h>
#include <string.h>

#include "run/option_table.h"
#include "run/option_value.h"
#include "run/listen_url.h"
#include "run/migrate_args.h"

/* ---- one option ---------------------------------------------------------- */

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
    return lq_command_row_of(p->o->command)->names[0];
}

static int refuse_value(const parse *p, const lq_option_row *row,
                        const char *value)
{
    char expected[96], name[32];

    lq_option_put_expected(row, expected, sizeof expected);
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

static bool add_pair(lq_options *o, const char *text)
{
    const char *eq = strchr(text, '=');

    if (!eq || eq == text || o->pair_count == LQ_PAIRS_MAX) return false;
    o->pairs[o->pair_count++] = (lq_pair){{text, (size_t)(eq - text)}, eq + 1};
    return true;
}

static bool add_trusted(lq_options *o, const char *text)
{
    lq_range *next = &o->trusted[o->trusted_count];

    if (o->trusted_count == LQ_TRUST_MAX ||
        !lq_range_read(next, (lq_str){text, strlen(text)}))
        return false;
    o->trusted_count++;
    return true;
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
    if (lq_listen_url_check(url, &err) < 0)
        return lq_err_set(p->err, LQ_EINVALID, "%s: %s", name_of(p), err.text);
    o->listen[o->listen_count++] = url;
    return 0;
}

/* Stores what needs nothing but itself to be right. */
static bool set_value(parse *p, const lq_option_row *row, const char *text)
{
    void *at = (char *)p->o + row->at;
    uint64_t most = lq_option_most(row), port;

    switch (row->kind) {
    case LQ_KIND_WORKERS: return lq_option_read_workers(text, most, at);
    case LQ_KIND_ADDRESS: p->address = text; return true;
    case LQ_KIND_PORT:
        p->port = text;
        return lq_option_read_count((lq_str){text, strlen(text)}, most, &port);
    case LQ_KIND_FLAG: *(bool *)at = true; return true;
    case LQ_KIND_PAIR: return add_pair(p->o, text);
    case LQ_KIND_RANGE: return add_trusted(p->o, text);
    case LQ_KIND_SECONDS: return lq_option_read_seconds(text, most, at);
    case LQ_KIND_SIZE: return lq_option_read_size(text, most, at);
    case LQ_KIND_COUNT:
        return lq_option_read_count((lq_str){text, strlen(text)}, most, at);
    case LQ_KIND_LEVEL: return lq_option_read_level(text, at);
    case LQ_KIND_FORMAT: return lq_option_read_format(text, at);
    case LQ_KIND_FILE:
    case LQ_KIND_URL: *(const char **)at = text; return *text;
    case LQ_KIND_ROTATION: return lq_option_read_rotation(text, most, at);
    case LQ_KIND_HUB_QUEUE: return lq_option_read_hub_queue(text, most, at);
    default: return false;
    }
}

static int take_option(parse *p, const lq_option_row *row, const char *value)
{
    if (row->kind == LQ_KIND_HELP) {
        p->o->help_for = p->o->command;
        p->o->command = LQ_COMMAND_HELP;
        p->is_over = true;
        return 0;
    }
    if (row->kind == LQ_KIND_LISTEN) return add_listen(p, value);
    return set_value(p, row, value) ? 0 : refuse_value(p, row, value);
}

static int take_argument(parse *p, const char *text)
{
    const lq_command_row *row = lq_command_row_of(p->o->command), *about;

    if (row->command == LQ_COMMAND_MIGRATE)
        return lq_migrate_args_take(p->o, text, p->err);
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
    about = lq_command_find(text);
    if (about) p->o->help_for = about->command;
    if (about) return 0;
    return lq_err_set(p->err, LQ_EINVALID,
                      "help: expected serve, routes, migrate or version, not "
                      "'%.60s'",
                      text);
}

/* ---- the whole line ------------------------------------------------------ */

/* What getopt wants to know. */
typedef struct table {
    struct option longs[LQ_OPTIONS_MAX + 1];
    char shorts[LQ_OPTIONS_MAX * 2 + 3];
} table;

enum { FIRST_VALUE = 256 }; /* above every letter */

static void fill_table(table *t, lq_command command)
{
    struct option *next = t->longs;
    char *letter = t->shorts;
    const lq_option_row *row;
    size_t i;

    memset(t, 0, sizeof *t);
    *letter++ = '-'; /* arguments come in order */
    *letter++ = ':'; /* no value is told apart from no such option */
    for (i = 0; (row = lq_option_at(i)); i++) {
        if (!row->name || !lq_option_is_of(command, row)) continue;
        *next++ = (struct option){
            row->name, row->argument ? required_argument : no_argument, NULL,
            FIRST_VALUE + (int)i};
        if (row->letter) *letter++ = row->letter;
        if (row->letter && row->argument) *letter++ = ':';
    }
}

static const lq_option_row *find_row(int value)
{
    const lq_option_row *row;
    size_t i;

    if (value >= FIRST_VALUE)
        return lq_option_at((size_t)(value - FIRST_VALUE));
    for (i = 0; (row = lq_option_at(i)); i++)
        if (row->letter && row->letter == value) return row;
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
    const lq_option_row *row;

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

    o->is_listen_preset = !o->listen_count && !p->address && !p->port;
    if (o->listen_count && !p->address && !p->port) return 0;
    len = snprintf(o->short_listen, sizeof o->short_listen, "http://%s%s%s:%s",
                   is_v6 ? "[" : "", address, is_v6 ? "]" : "", port);
    if ((size_t)len < sizeof o->short_listen &&
        lq_listen_url_check(o->short_listen, NULL) == 0)
        return add_listen(p, o->short_listen);
    return lq_err_set(p->err, LQ_EINVALID,
                      "%s: --address: expected an IP address or the name of a "
                      "host, not '%.60s'",
                      name_of(p), address);
}

static void set_defaults(parse *p)
{
    const lq_option_row *row;
    size_t i;

    for (i = 0; (row = lq_option_at(i)); i++)
        if (row->preset && !set_value(p, row, row->preset)) LQ_ASSERT(false);
    p->address = p->port = NULL;
}

static int parse_all(parse *p, int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "";
    const lq_command_row *row = lq_command_find(name);
    int code;

    if (!*name)
        return lq_err_set(p->err, LQ_EINVALID,
                          "a command is expected: serve, routes, migrate, "
                          "version or help");
    if (!row)
        return lq_err_set(p->err, LQ_EINVALID,
                          "unknown command '%.60s': expected serve, routes, "
                          "migrate, version or help",
                          name);
    *p->o = (lq_options){
        .command = row->command, .help_for = row->command, .app = "app.lua"};
    set_defaults(p);
    code = parse_arguments(p, argc - 1, argv + 1);
    if (code == 0 && p->o->command == LQ_COMMAND_MIGRATE)
        return lq_migrate_args_finish(p->o, p->err);
    if (code < 0 || p->o->command != LQ_COMMAND_SERVE) return code;
    if (p->o->log_rotation.size && !p->o->log_file)
        return lq_err_set(p->err, LQ_EINVALID,
                          "serve: --log-rotate: expected with --log-file PATH "
                          "only");
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
    o->listen_count = o->pair_count = o->trusted_count = 0;
}

/* options.c - see options.h.
 *
 * One table says what there is: it parses, and it prints the help.
 */
#include "run/options.h"

#include <math.h>
#include <stdlib.h>

#include "log/log.h"
#include "run/cpus.h"

typedef enum kind {
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

typedef struct option_row {
    const char *name;
    char letter; /* 0: none */
    kind kind;
    size_t at; /* in lq_options */
    const char *arg;
    const char *help;
} option_row;

#define AT(field) offsetof(lq_options, field)

static const option_row rows[] = {
    {"workers", 'j', KIND_WORKERS, AT(workers), "N|auto",
     "worker threads (auto: the CPUs this process may use)"},
    {"listen", 0, KIND_LISTEN, 0, "URL",
     "http://127.0.0.1:8888, http://[::1]:80, unix:/path.sock; repeatable"},
    {"address", 'a', KIND_ADDRESS, 0, "ADDR",
     "short for one --listen, with -p"},
    {"port", 'p', KIND_PORT, 0, "PORT", "0 picks a free one"},
    {"share-port", 0, KIND_FLAG, AT(share_port), NULL,
     "let several runtimes listen on the same port"},
    {"option", 0, KIND_PAIR, 0, "K=V",
     "sets options.context.K to the string V; repeatable"},
    {"start-timeout", 0, KIND_SECONDS, AT(start_timeout), "S",
     "how long preparing may take (60)"},
    {"drain-timeout", 0, KIND_SECONDS, AT(drain_timeout), "S",
     "how long a stop waits for what is under way (10)"},
    {"header-timeout", 0, KIND_SECONDS, AT(header_timeout), "S",
     "a request's head must arrive within it (10)"},
    {"idle-timeout", 0, KIND_SECONDS, AT(idle_timeout), "S",
     "a kept connection without a request (75)"},
    {"body-timeout", 0, KIND_SECONDS, AT(body_timeout), "S",
     "longest silence while a body arrives (30)"},
    {"write-timeout", 0, KIND_SECONDS, AT(write_timeout), "S",
     "longest time in which a client takes nothing of an answer (30)"},
    {"request-timeout", 0, KIND_SECONDS, AT(request_timeout), "S",
     "a handler unfinished by then is cancelled (30)"},
    {"header-limit", 0, KIND_SIZE, AT(header_limit), "SIZE",
     "of a request's head (32K)"},
    {"body-limit", 0, KIND_SIZE, AT(body_limit), "SIZE",
     "of a request's body (10M)"},
    {"max-connections", 0, KIND_COUNT, AT(max_connections), "N",
     "of one worker (0: as many as there are descriptors)"},
    {"log-level", 0, KIND_LEVEL, AT(log_level), "LEVEL",
     "debug, info, warn or error (info)"},
    {"help", 'h', KIND_HELP, 0, NULL, "this text"},
};

/* ---- values
 * ---------------------------------------------------------------------------
 */

static bool read_seconds(const char *text, double *out)
{
    char *end;
    double value;

    if (*text < '0' || *text > '9' || strpbrk(text, "xXeEnNpP")) return false;
    value = strtod(text, &end);
    if (*end || !isfinite(value) || value > 1e9) return false;
    *out = value;
    return true;
}

static bool read_count(const char *text, uint64_t max, uint64_t *out)
{
    uint64_t value = 0;

    if (!*text) return false;
    for (; *text; text++) {
        if (*text < '0' || *text > '9') return false;
        if (value > (max - (uint64_t)(*text - '0')) / 10) return false;
        value = value * 10 + (uint64_t)(*text - '0');
    }
    *out = value;
    return true;
}

static bool read_size(const char *text, uint64_t *out)
{
    char digits[24];
    size_t len = strlen(text);
    int shift = 0;

    if (len == 0 || len >= sizeof digits) return false;
    memcpy(digits, text, len + 1);
    switch (digits[len - 1]) {
    case 'K': shift = 10; break;
    case 'M': shift = 20; break;
    case 'G': shift = 30; break;
    default: break;
    }
    if (shift) digits[len - 1] = '\0';
    if (!read_count(digits, (uint64_t)INT64_MAX >> shift, out)) return false;
    *out <<= shift;
    return true;
}

static bool read_workers(const char *text, int *out)
{
    uint64_t n;

    if (strcmp(text, "auto") == 0) {
        *out = lq_cpus();
        return true;
    }
    if (!read_count(text, 1024, &n) || n == 0) return false;
    *out = (int)n;
    return true;
}

static bool add_pair(lq_options *o, const char *text)
{
    const char *eq = strchr(text, '=');

    if (!eq || eq == text || o->pair_count == LQ_PAIRS_MAX) return false;
    o->pairs[o->pair_count++] = (lq_pair){{text, (size_t)(eq - text)}, eq + 1};
    return true;
}

static bool add_listen(lq_options *o, const char *url)
{
    if (o->listen_count == LQ_LISTEN_MAX - 1) return false;
    o->listen[o->listen_count++] = url;
    return true;
}

/* ---- parsing
 * -----------------------------------------------------------------------------
 */

/* What -a and -p said. */
typedef struct shorthand {
    const char *address;
    const char *port;
} shorthand;

static const char *expected(kind k)
{
    switch (k) {
    case KIND_WORKERS: return "auto or a number from 1 to 1024";
    case KIND_PORT: return "a number from 0 to 65535";
    case KIND_PAIR: return "K=V (at most 256 of them)";
    case KIND_SECONDS: return "seconds, such as 2.5 (0: no limit)";
    case KIND_SIZE: return "a size, such as 512, 64K, 10M or 1G";
    case KIND_COUNT: return "a number from 0 to 1000000000";
    case KIND_LEVEL: return "debug, info, warn or error";
    case KIND_LISTEN: return "at most 63 of them";
    default: return "an address";
    }
}

static bool set_value(lq_options *o, shorthand *s, const option_row *row,
                      const char *text)
{
    void *at = (char *)o + row->at;
    uint64_t port;

    switch (row->kind) {
    case KIND_WORKERS: return read_workers(text, at);
    case KIND_LISTEN: return add_listen(o, text);
    case KIND_ADDRESS: s->address = text; return *text && strlen(text) < 256;
    case KIND_PORT: s->port = text; return read_count(text, 65535, &port);
    case KIND_FLAG: *(bool *)at = true; return true;
    case KIND_PAIR: return add_pair(o, text);
    case KIND_SECONDS: return read_seconds(text, at);
    case KIND_SIZE: return read_size(text, at);
    case KIND_COUNT: return read_count(text, 1000000000, at);
    case KIND_LEVEL:
        *(int *)at = lq_log_level_from(text);
        return *(int *)at >= 0;
    case KIND_HELP: o->command = LQ_COMMAND_HELP; return true;
    }
    return false;
}

static const option_row *find_row(const char *name, size_t len)
{
    size_t i;

    for (i = 0; i < LQ_COUNT_OF(rows); i++)
        if (strlen(rows[i].name) == len && memcmp(rows[i].name, name, len) == 0)
            return &rows[i];
    return NULL;
}

static const option_row *find_letter(char letter)
{
    size_t i;

    for (i = 0; i < LQ_COUNT_OF(rows); i++)
        if (rows[i].letter == letter && letter) return &rows[i];
    return NULL;
}

/* One option: its value stands behind `=` (or the letter), or is the next
 * argument. Returns how many arguments it took. */
static int parse_option(lq_options *o, shorthand *s, char **at, lq_err *err)
{
    const char *text = at[0], *value = NULL;
    bool is_long = text[1] == '-';
    size_t len = is_long ? strcspn(text + 2, "=") : 1;
    const option_row *row =
        is_long ? find_row(text + 2, len) : find_letter(text[1]);
    const char *rest = text + (is_long ? 2 : 1) + len;
    int used = 1;

    if (!row)
        return lq_err_set(err, LQ_EINVALID,
                          "unknown option %.*s (see luaqueduct serve --help)",
                          (int)(len + (is_long ? 2 : 1)), text);
    if (!row->arg && *rest)
        return lq_err_set(err, LQ_EINVALID, "option %s takes no value", text);
    if (row->arg) {
        if (*rest)
            value = is_long ? rest + 1 : rest;
        else
            value = at[used++];
        if (!value)
            return lq_err_set(err, LQ_EINVALID, "option --%s needs a value: %s",
                              row->name, expected(row->kind));
    }
    if (set_value(o, s, row, value ? value : "")) return used;
    return lq_err_set(err, LQ_EINVALID,
                      "option --%s: '%.100s' is not valid; "
                      "expected %s",
                      row->name, value, expected(row->kind));
}

static void set_defaults(lq_options *o)
{
    *o = (lq_options){
        .app = "app.lua",
        .workers = lq_cpus(),
        .drain_timeout = 10,
        .header_timeout = 10,
        .idle_timeout = 75,
        .body_timeout = 30,
        .write_timeout = 30,
        .request_timeout = 30,
        .start_timeout = 60,
        .header_limit = 32 * 1024,
        .body_limit = 10 * 1024 * 1024,
        .log_level = LQ_LOG_INFO,
    };
}

/* -a and -p make one more listener; without any there is the default. */
static void finish_listen(lq_options *o, const shorthand *s)
{
    const char *address = s->address ? s->address : "127.0.0.1";
    bool is_v6 = strchr(address, ':') && *address != '[';

    if (o->listen_count && !s->address && !s->port) return;
    snprintf(o->short_listen, sizeof o->short_listen, "http://%s%s%s:%s",
             is_v6 ? "[" : "", address, is_v6 ? "]" : "",
             s->port ? s->port : "8888");
    o->listen[o->listen_count++] = o->short_listen;
}

static int parse_arguments(lq_options *o, int argc, char **argv, lq_err *err)
{
    shorthand s = {NULL, NULL};
    bool has_app = false, only_apps = false;
    int i = 2, n;

    while (i < argc) {
        if (!only_apps && strcmp(argv[i], "--") == 0) {
            only_apps = true;
            i++;
        } else if (!only_apps && argv[i][0] == '-' && argv[i][1]) {
            n = parse_option(o, &s, &argv[i], err);
            if (n < 0) return n;
            i += n;
        } else if (has_app) {
            return lq_err_set(err, LQ_EINVALID,
                              "one app is enough: '%.100s' is too much",
                              argv[i]);
        } else {
            o->app = argv[i++];
            has_app = true;
        }
    }
    finish_listen(o, &s);
    return 0;
}

static bool is_any(const char *text, const char *a, const char *b,
                   const char *c)
{
    return strcmp(text, a) == 0 || strcmp(text, b) == 0 || strcmp(text, c) == 0;
}

int lq_options_parse(lq_options *o, int argc, char **argv, lq_err *err)
{
    const char *name = argc > 1 ? argv[1] : "";
    lq_command command;
    int code;

    set_defaults(o);
    if (is_any(name, "serve", "serve", "serve"))
        command = LQ_COMMAND_SERVE;
    else if (strcmp(name, "routes") == 0)
        command = LQ_COMMAND_ROUTES;
    else if (is_any(name, "version", "--version", "-V"))
        command = LQ_COMMAND_VERSION;
    else if (is_any(name, "help", "--help", "-h"))
        command = LQ_COMMAND_HELP;
    else if (!*name)
        return lq_err_set(err, LQ_EINVALID,
                          "a command is needed: serve, "
                          "routes, version or help (see luaqueduct --help)");
    else
        return lq_err_set(err, LQ_EINVALID,
                          "unknown command '%.100s': there "
                          "are serve, routes, version and help",
                          name);
    o->command = o->help_for = command;
    code = parse_arguments(o, argc, argv, err);
    return code;
}

void lq_options_fini(lq_options *o)
{
    o->listen_count = o->pair_count = 0;
}

/* ---- help
 * ----------------------------------------------------------------------------------
 */

static void print_row(FILE *to, const option_row *row)
{
    char left[64];

    snprintf(left, sizeof left, "%c%c%c --%s %s", row->letter ? '-' : ' ',
             row->letter ? row->letter : ' ', row->letter ? ',' : ' ',
             row->name, row->arg ? row->arg : "");
    fprintf(to, "  %-30s %s\n", left, row->help);
}

void lq_options_print_help(FILE *to, lq_command command)
{
    size_t i;

    (void)command;
    fprintf(to, "luaqueduct: fast, multi-core network applications in plain "
                "Lua 5.4\n\n"
                "  luaqueduct serve [APP] [options]   serve the app (app.lua)\n"
                "  luaqueduct routes [APP]            print its routing table\n"
                "  luaqueduct version                 versions of the parts\n"
                "  luaqueduct help                    this text\n\nOptions:\n");
    for (i = 0; i < LQ_COUNT_OF(rows); i++) print_row(to, &rows[i]);
    fprintf(to, "\nSeconds may have decimals, 0 turns a limit off. SIZE is "
                "digits with K, M or G.\nSignals: TERM and INT finish what is "
                "under way and stop; a second one stops at once.\nExit status: "
                "0 stopped, 1 the app could not start, 2 wrong usage.\n");
}

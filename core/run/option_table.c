/* option_table.c - see option_table.h. */
#include "run/option_table.h"

#include <string.h>

#include "run/option_value.h"

enum { SERVE = 1 << LQ_COMMAND_SERVE, ROUTES = 1 << LQ_COMMAND_ROUTES };
enum {
    MIGRATE = 1 << LQ_COMMAND_MIGRATE,
    OTHERS = 1 << LQ_COMMAND_VERSION,
    EVERY = SERVE | ROUTES | MIGRATE | OTHERS | 1 << LQ_COMMAND_HELP
};

static const lq_command_row commands[] = {
    {{"serve"}, LQ_COMMAND_SERVE, "[APP]", "serves an app (app.lua)"},
    {{"routes"}, LQ_COMMAND_ROUTES, "[APP]", "prints an app's routing table"},
    {{"migrate"},
     LQ_COMMAND_MIGRATE,
     "ACTION",
     "changes a database by SQL files: up, down [N],\n"
     "status or new NAME"},
    {{"version", "--version", "-V"},
     LQ_COMMAND_VERSION,
     NULL,
     "prints the versions of luaqueduct and its parts"},
    {{"help", "--help", "-h"},
     LQ_COMMAND_HELP,
     "[COMMAND]",
     "prints this, or what one command takes"},
};

#define HEADING(commands, text)                                                \
    {                                                                          \
        LQ_KIND_HEADING, commands, 0, NULL, NULL, 0, NULL, NULL, text          \
    }
#define SECONDS(name, field, preset, help)                                     \
    {                                                                          \
        LQ_KIND_SECONDS, SERVE, 0, name, "S", offsetof(lq_options, field),     \
            preset, "1000000000", help                                         \
    }

static const lq_option_row rows[] = {
    HEADING(SERVE, "Listening"),
    {LQ_KIND_LISTEN, SERVE, 0, "listen", "URL", 0, NULL, NULL,
     "http://127.0.0.1:8888 unless given, http://[::1]:80\n"
     "or unix:/path.sock; port 0: a free one; repeatable;\n"
     "beside the sockets of systemd, if it passes any"},
    {LQ_KIND_ADDRESS, SERVE, 'a', "address", "ADDR", 0, "127.0.0.1", NULL,
     "with -p short for one --listen"},
    {LQ_KIND_PORT, SERVE, 'p', "port", "PORT", 0, "8888", "65535",
     "with -a short for one --listen"},
    {LQ_KIND_FLAG, SERVE, 0, "share-port", NULL,
     offsetof(lq_options, share_port), NULL, NULL,
     "lets several runtimes listen on the same port"},
    {LQ_KIND_RANGE, SERVE, 0, "trust-proxy", "CIDR", 0, NULL, NULL,
     "takes remote address, scheme and host from\n"
     "Forwarded or X-Forwarded-* of these peers: an\n"
     "address, 10.0.0.0/8 or the like, or unix; repeatable"},
    HEADING(SERVE, "Workers and the app"),
    {LQ_KIND_WORKERS, SERVE, 'j', "workers", "N|auto",
     offsetof(lq_options, workers), "auto", "1024",
     "worker threads; auto: the CPUs this process may\n"
     "use, cgroup and affinity included"},
    {LQ_KIND_FLAG, SERVE, 0, "no-respawn", NULL,
     offsetof(lq_options, no_respawn), NULL, NULL, "leaves a dead worker dead"},
    {LQ_KIND_FLAG, SERVE, 0, "watch", NULL, offsetof(lq_options, watch), NULL,
     NULL, "reloads when a Lua file that the app loaded changes"},
    HEADING(ROUTES, "The app"),
    {LQ_KIND_PAIR, SERVE | ROUTES, 0, "option", "K=V", 0, NULL, NULL,
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
    SECONDS("busy-timeout", busy_timeout, "5",
            "a handler that computes for longer without waiting\n"
            "is interrupted: 503"),
    SECONDS("request-timeout", request_timeout, "30",
            "503 when a handler takes longer; it is ended"),
    HEADING(SERVE, "Size limits"),
    {LQ_KIND_SIZE, SERVE, 0, "header-limit", "SIZE",
     offsetof(lq_options, header_limit), "32K", "1G",
     "431 when a request's head is larger"},
    {LQ_KIND_SIZE, SERVE, 0, "body-limit", "SIZE",
     offsetof(lq_options, body_limit), "10M", "1048576G",
     "413 when a request's body is larger"},
    {LQ_KIND_SIZE, SERVE, 0, "memory-limit", "SIZE",
     offsetof(lq_options, memory_limit), "0", "1048576G",
     "Lua heap of one worker; 0: none"},
    {LQ_KIND_COUNT, SERVE, 0, "spin", "US", offsetof(lq_options, spin_us), "0",
     "1000",
     "microseconds for which a thread looks for messages\n"
     "before it sleeps: quicker calls, a busy CPU"},
    {LQ_KIND_HUB_QUEUE, SERVE, 0, "hub-queue", "N,SIZE",
     offsetof(lq_options, hub_queue), "65536,16M", "16777216",
     "what may wait for each worker: messages, bytes\nof them"},
    {LQ_KIND_COUNT, SERVE, 0, "max-connections", "N",
     offsetof(lq_options, max_connections), "0", "1000000000",
     "of each worker; 0: as many as the limit of file\n"
     "descriptors allows"},
    HEADING(SERVE | ROUTES, "Log and help"),
    {LQ_KIND_LEVEL, SERVE | ROUTES, 0, "log-level", "LEVEL",
     offsetof(lq_options, log_level), "info", NULL,
     "debug, info, warn or error"},
    {LQ_KIND_FORMAT, SERVE, 0, "log-format", "FORMAT",
     offsetof(lq_options, log_format), "text", NULL,
     "text (coloured only on a terminal) or json"},
    {LQ_KIND_FILE, SERVE, 0, "log-file", "PATH", offsetof(lq_options, log_file),
     NULL, NULL, "standard error unless given"},
    {LQ_KIND_ROTATION, SERVE, 0, "log-rotate", "SIZE[,KEEP]",
     offsetof(lq_options, log_rotation), NULL, "1048576G",
     "renames the log file to PATH.1 and so on before it\n"
     "grows beyond SIZE; KEEP (5) old ones stay"},
    {LQ_KIND_FLAG, SERVE, 0, "access-log", NULL,
     offsetof(lq_options, access_log), NULL, NULL, "logs each request"},
    HEADING(MIGRATE, "The database and the files"),
    {LQ_KIND_URL, MIGRATE, 0, "url", "URL", offsetof(lq_options, migrate.url),
     NULL, NULL,
     "postgres://USER:PASSWORD@HOST/NAME; what\n"
     "DATABASE_URL says unless given"},
    {LQ_KIND_FILE, MIGRATE, 0, "dir", "PATH", offsetof(lq_options, migrate.dir),
     "migrations", NULL, "where 0001_name.sql and so on are"},
    HEADING(MIGRATE, "Help"),
    HEADING(OTHERS, "Options"),
    {LQ_KIND_HELP, EVERY, 'h', "help", NULL, 0, NULL, NULL, "prints this"},
};

const lq_command_row *lq_command_at(size_t i)
{
    return i < LQ_COUNT_OF(commands) ? &commands[i] : NULL;
}

const lq_command_row *lq_command_find(const char *name)
{
    size_t i, k;

    for (i = 0; i < LQ_COUNT_OF(commands); i++)
        for (k = 0; k < 3 && commands[i].names[k]; k++)
            if (strcmp(commands[i].names[k], name) == 0) return &commands[i];
    return NULL;
}

const lq_command_row *lq_command_row_of(lq_command command)
{
    size_t i = 0;

    while (commands[i].command != command) i++;
    return &commands[i];
}

const lq_option_row *lq_option_at(size_t i)
{
    _Static_assert(LQ_COUNT_OF(rows) <= LQ_OPTIONS_MAX, "room for all");
    return i < LQ_COUNT_OF(rows) ? &rows[i] : NULL;
}

bool lq_option_is_of(lq_command command, const lq_option_row *row)
{
    return row->commands & 1 << command;
}

uint64_t lq_option_most(const lq_option_row *row)
{
    uint64_t most = 0;

    if (row->most && !lq_option_read_size(row->most, UINT64_MAX, &most))
        LQ_ASSERT(false);
    return most;
}

void lq_option_put_expected(const lq_option_row *row, char *out, size_t cap)
{
    const char *text = "";

    switch (row->kind) {
    case LQ_KIND_WORKERS: text = "auto or a number from 1 to"; break;
    case LQ_KIND_PORT: text = "a number from 0 to"; break;
    case LQ_KIND_COUNT: text = "a number from 0 (no limit) to"; break;
    case LQ_KIND_SECONDS:
        text = "seconds such as 2.5, from 0 (no limit) to";
        break;
    case LQ_KIND_SIZE:
        text = "a size such as 512, 64K or 10M, from 0 (no limit) to";
        break;
    case LQ_KIND_RANGE:
        text = "an IP address, a range such as 10.0.0.0/8, or unix, "
               "at most 64 times";
        break;
    case LQ_KIND_PAIR: text = "K=V, at most 256 times"; break;
    case LQ_KIND_LEVEL: text = "debug, info, warn or error"; break;
    case LQ_KIND_FORMAT: text = "text or json"; break;
    case LQ_KIND_FILE: text = "the path of a file"; break;
    case LQ_KIND_URL: text = "a URL such as postgres:///app"; break;
    case LQ_KIND_ROTATION:
        text = "a size such as 64M, or 64M,10 to keep 1 to 999 files, up to";
        break;
    case LQ_KIND_HUB_QUEUE:
        text = "messages and bytes such as 65536,16M, messages from 1 to";
        break;
    case LQ_KIND_LISTEN: text = "http://HOST:PORT or unix:/PATH"; break;
    case LQ_KIND_ADDRESS: text = "an IP address or the name of a host"; break;
    default: break;
    }
    snprintf(out, cap, "%s%s%s", text, row->most ? " " : "",
             row->most ? row->most : "");
}

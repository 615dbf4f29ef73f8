/* database.c - the limit for a server that asks PostgreSQL: libuv, llhttp and
 * libpq in pipeline mode, and nothing else.
 *
 *   database PORT POOL CONNINFO
 *
 * GET /one, /queries (20), /updates (20 read, 20 written) and /fortunes.
 * POOL connections take the requests in turn; the queries of a request are one
 * batch with one sync, sent at once. What goes wrong ends the process.
 *
 * Owns:    the loop, the clients, the connections to the database.
 * Thread:  main thread.
 * Life:    until a signal ends the process.
 * Knows:   uv, llhttp, libpq.
 */
#include <arpa/inet.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <libpq-fe.h>
#include <llhttp.h>
#include <uv.h>

enum {
    WORLD_ROWS = 10000,
    QUERIES = 20,
    POOL_CAP = 64,
    IN_CAP = 8192,
    FORTUNES_CAP = 64,
    INT4 = 23,
};

typedef enum kind { ONE, MANY, UPDATES, FORTUNES, NOTHING } kind;

typedef struct world {
    int id, number;
} world;

typedef struct backend {
    PGconn *pg;
    uv_poll_t poll;
    int events;          /* what is polled for */
    struct client *head; /* asked for, not yet answered; oldest first */
    struct client **tail;
} backend;

typedef struct server {
    uv_loop_t loop;
    uv_tcp_t listener;
    uv_timer_t clock;
    llhttp_settings_t settings;
    char date[64];
    uint64_t seed;
    int count, turn; /* of backends; who is next */
    backend backends[POOL_CAP];
    size_t len; /* of body */
    char body[64 * 1024];
} server;

typedef struct client {
    uv_tcp_t tcp;
    llhttp_t parser;
    server *server;
    struct client *next; /* in a backend's line */
    kind kind;
    bool is_asked;   /* waits for the database */
    bool is_written; /* UPDATES: the rows are read, and written now */
    bool is_closed;
    size_t in_len;
    int count; /* of rows */
    world rows[QUERIES];
    char in[IN_CAP];
} client;

static _Noreturn void die(const char *what, const char *why)
{
    fprintf(stderr, "%s: %s\n", what, why);
    exit(1);
}

static void check(int err, const char *what)
{
    if (err < 0) die(what, uv_strerror(err));
}

/* ---- answers ------------------------------------------------------------- */

static void on_written(uv_write_t *req, int status)
{
    (void)status;
    free(req);
}

/* What the socket does not take at once follows in a copy. */
static void write_bytes(client *c, const char *bytes, size_t len)
{
    uv_buf_t buf = uv_buf_init((char *)(uintptr_t)bytes, (unsigned)len);
    int sent = uv_try_write((uv_stream_t *)&c->tcp, &buf, 1);
    size_t done = sent > 0 ? (size_t)sent : 0;
    uv_write_t *req;

    if (done == len || (sent < 0 && sent != UV_EAGAIN)) return;
    req = malloc(sizeof *req + len - done);
    if (!req) die("malloc", "no memory");
    memcpy(req + 1, bytes + done, len - done);
    buf = uv_buf_init((char *)(req + 1), (unsigned)(len - done));
    if (uv_write(req, (uv_stream_t *)&c->tcp, &buf, 1, on_written) < 0)
        free(req);
}

static void respond(client *c, const char *type)
{
    server *s = c->server;
    char out[sizeof s->body + 256];
    int head = snprintf(out, 256,
                        "HTTP/1.1 200 OK\r\nServer: bare\r\nDate: %s\r\n"
                        "Content-Type: %s\r\nContent-Length: %zu\r\n\r\n",
                        s->date, type, s->len);

    memcpy(out + head, s->body, s->len);
    write_bytes(c, out, (size_t)head + s->len);
}

static void add(server *s, const char *text, size_t len)
{
    if (len > sizeof s->body - s->len) die("answer", "too long");
    memcpy(s->body + s->len, text, len);
    s->len += len;
}

static void add_text(server *s, const char *text)
{
    add(s, text, strlen(text));
}

static void add_world(server *s, const world *w)
{
    char text[64];
    int len = snprintf(text, sizeof text, "{\"id\":%d,\"randomNumber\":%d}",
                       w->id, w->number);

    add(s, text, (size_t)len);
}

static void respond_worlds(client *c)
{
    server *s = c->server;
    int i;

    s->len = 0;
    if (c->kind != ONE) add_text(s, "[");
    for (i = 0; i < c->count; i++) {
        if (i) add_text(s, ",");
        add_world(s, &c->rows[i]);
    }
    if (c->kind != ONE) add_text(s, "]");
    respond(c, "application/json");
}

static void add_escaped(server *s, const char *text)
{
    size_t plain;

    for (;;) {
        plain = strcspn(text, "&<>\"'");
        add(s, text, plain);
        text += plain;
        switch (*text++) {
        case '&': add_text(s, "&amp;"); break;
        case '<': add_text(s, "&lt;"); break;
        case '>': add_text(s, "&gt;"); break;
        case '"': add_text(s, "&quot;"); break;
        case '\'': add_text(s, "&#39;"); break;
        default: return;
        }
    }
}

typedef struct fortune {
    const char *id, *message;
} fortune;

static int compare_fortunes(const void *a, const void *b)
{
    return strcmp(((const fortune *)a)->message, ((const fortune *)b)->message);
}

static void respond_fortunes(client *c, const PGresult *result)
{
    server *s = c->server;
    fortune rows[FORTUNES_CAP];
    int i, count = PQntuples(result);

    if (count >= FORTUNES_CAP) die("fortunes", "too many");
    for (i = 0; i < count; i++)
        rows[i] = (fortune){PQgetvalue(result, i, 0), PQgetvalue(result, i, 1)};
    rows[count++] = (fortune){"0", "Additional fortune added at request time."};
    qsort(rows, (size_t)count, sizeof *rows, compare_fortunes);
    s->len = 0;
    add_text(s,
             "<!DOCTYPE html><html><head><title>Fortunes</title></head><body>"
             "<table><tr><th>id</th><th>message</th></tr>");
    for (i = 0; i < count; i++) {
        add_text(s, "<tr><td>");
        add_text(s, rows[i].id);
        add_text(s, "</td><td>");
        add_escaped(s, rows[i].message);
        add_text(s, "</td></tr>");
    }
    add_text(s, "</table></body></html>");
    respond(c, "text/html; charset=utf-8");
}

/* ---- the database -------------------------------------------------------- */

static void fail(const backend *b)
{
    die("database", PQerrorMessage(b->pg));
}

static int random_number(server *s)
{
    s->seed = s->seed * 6364136223846793005u + 1442695040888963407u;
    return (int)((s->seed >> 33) % WORLD_ROWS) + 1;
}

static void on_poll(uv_poll_t *poll, int status, int events);

static void flush(backend *b)
{
    int left = PQflush(b->pg), events;

    if (left < 0) fail(b);
    events = left ? UV_READABLE | UV_WRITABLE : UV_READABLE;
    if (events == b->events) return;
    b->events = events;
    check(uv_poll_start(&b->poll, events, on_poll), "poll");
}

/* Sends a prepared statement with `count` integers. */
static void send_statement(backend *b, const char *name, int count,
                           const int *numbers)
{
    const char *values[2];
    int words[2], i, lens[2] = {4, 4}, formats[2] = {1, 1};

    for (i = 0; i < count; i++) {
        words[i] = (int)htonl((uint32_t)numbers[i]);
        values[i] = (const char *)&words[i];
    }
    if (!PQsendQueryPrepared(b->pg, name, count, values, lens, formats,
                             strcmp(name, "fortunes") != 0))
        fail(b);
}

/* The end of what `c` asks: it stands in line from now on. */
static void end_batch(backend *b, client *c)
{
    c->next = NULL;
    *b->tail = c;
    b->tail = &c->next;
    if (!PQpipelineSync(b->pg)) fail(b);
    flush(b);
}

static void ask(client *c)
{
    server *s = c->server;
    backend *b = &s->backends[s->turn++ % s->count];
    int i, id, queries = c->kind == ONE ? 1 : QUERIES;

    c->is_asked = true;
    c->is_written = false;
    c->count = 0;
    if (c->kind == FORTUNES) {
        send_statement(b, "fortunes", 0, NULL);
    } else {
        for (i = 0; i < queries; i++) {
            id = random_number(s);
            send_statement(b, "world", 1, &id);
        }
    }
    end_batch(b, c);
}

static int compare_worlds(const void *a, const void *b)
{
    return ((const world *)a)->id - ((const world *)b)->id;
}

/* In the order of their ids, so that two clients never wait for each other. */
static void update(backend *b, client *c)
{
    int i;

    c->is_written = true;
    qsort(c->rows, QUERIES, sizeof *c->rows, compare_worlds);
    for (i = 0; i < QUERIES; i++) {
        int numbers[2];

        c->rows[i].number = random_number(c->server);
        numbers[0] = c->rows[i].number;
        numbers[1] = c->rows[i].id;
        send_statement(b, "update", 2, numbers);
    }
    end_batch(b, c);
}

static int integer(const PGresult *result, int column)
{
    uint32_t word;

    memcpy(&word, PQgetvalue(result, 0, column), sizeof word);
    return (int)ntohl(word);
}

static void parse(client *c);

static void on_closed(uv_handle_t *handle)
{
    client *c = handle->data;

    c->is_closed = true;
    if (!c->is_asked) free(c);
}

static void end_client(client *c)
{
    if (!uv_is_closing((uv_handle_t *)&c->tcp))
        uv_close((uv_handle_t *)&c->tcp, on_closed);
}

/* The sync behind what the oldest client asked has come. */
static void finish_batch(backend *b)
{
    client *c = b->head;

    b->head = c->next;
    if (!b->head) b->tail = &b->head;
    if (c->kind == UPDATES && !c->is_written) {
        update(b, c);
        return;
    }
    c->is_asked = false;
    if (c->is_closed) {
        free(c);
        return;
    }
    if (uv_is_closing((uv_handle_t *)&c->tcp)) return;
    if (c->kind != FORTUNES) respond_worlds(c);
    parse(c);
}

static void on_result(backend *b, const PGresult *result)
{
    client *c = b->head;

    switch (PQresultStatus(result)) {
    case PGRES_PIPELINE_SYNC: finish_batch(b); break;
    case PGRES_COMMAND_OK: break;
    case PGRES_TUPLES_OK:
        if (c->kind != FORTUNES)
            c->rows[c->count++] =
                (world){integer(result, 0), integer(result, 1)};
        else if (!uv_is_closing((uv_handle_t *)&c->tcp))
            respond_fortunes(c, result);
        break;
    default: fail(b);
    }
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    backend *b = poll->data;
    PGresult *result;

    check(status, "poll");
    if (events & UV_WRITABLE) flush(b);
    if (!(events & UV_READABLE)) return;
    if (!PQconsumeInput(b->pg)) fail(b);
    while (b->head && !PQisBusy(b->pg)) {
        result = PQgetResult(b->pg);
        if (!result) continue; /* stands behind each query */
        on_result(b, result);
        PQclear(result);
    }
}

static void prepare(backend *b, const char *name, const char *sql, int count)
{
    const Oid types[2] = {INT4, INT4};
    PGresult *result = PQprepare(b->pg, name, sql, count, types);

    if (PQresultStatus(result) != PGRES_COMMAND_OK) fail(b);
    PQclear(result);
}

static void open_backend(server *s, backend *b, const char *conninfo)
{
    b->pg = PQconnectdb(conninfo);
    if (PQstatus(b->pg) != CONNECTION_OK) fail(b);
    prepare(b, "world", "select id, randomnumber from world where id = $1", 1);
    prepare(b, "update", "update world set randomnumber = $1 where id = $2", 2);
    prepare(b, "fortunes", "select id, message from fortune", 0);
    PQsetnonblocking(b->pg, 1);
    if (!PQenterPipelineMode(b->pg)) fail(b);
    b->tail = &b->head;
    b->poll.data = b;
    check(uv_poll_init(&s->loop, &b->poll, PQsocket(b->pg)), "poll");
    flush(b);
}

/* ---- clients ------------------------------------------------------------- */

static int on_url(llhttp_t *parser, const char *at, size_t len)
{
    static const char *const paths[] = {"/one", "/queries", "/updates",
                                        "/fortunes"};
    client *c = parser->data;
    size_t i;

    for (i = 0; i < NOTHING; i++) {
        if (strlen(paths[i]) == len && memcmp(paths[i], at, len) == 0)
            c->kind = (kind)i;
    }
    return 0;
}

static int on_message_complete(llhttp_t *parser)
{
    (void)parser;
    return HPE_PAUSED;
}

/* One request at a time: what stands behind it waits for its answer. */
static void parse(client *c)
{
    size_t used;
    int err;

    if (c->in_len == 0) return;
    c->kind = NOTHING;
    err = llhttp_execute(&c->parser, c->in, c->in_len);
    if (err != HPE_PAUSED) { /* half a request, or none: wrk sends whole ones */
        end_client(c);
        return;
    }
    used = (size_t)(llhttp_get_error_pos(&c->parser) - c->in);
    llhttp_resume(&c->parser);
    memmove(c->in, c->in + used, c->in_len - used);
    c->in_len -= used;
    if (c->kind == NOTHING)
        end_client(c);
    else
        ask(c);
}

static void on_alloc(uv_handle_t *handle, size_t wanted, uv_buf_t *buf)
{
    client *c = handle->data;

    (void)wanted;
    *buf = uv_buf_init(c->in + c->in_len, (unsigned)(IN_CAP - c->in_len));
}

static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *buf)
{
    client *c = stream->data;

    (void)buf;
    if (count < 0) {
        end_client(c);
        return;
    }
    c->in_len += (size_t)count;
    if (!c->is_asked) parse(c);
}

static void on_connection(uv_stream_t *listener, int status)
{
    server *s = listener->data;
    client *c = calloc(1, sizeof *c);

    check(status, "connection");
    if (!c) die("calloc", "no memory");
    c->server = s;
    c->tcp.data = c;
    llhttp_init(&c->parser, HTTP_REQUEST, &s->settings);
    c->parser.data = c;
    check(uv_tcp_init(&s->loop, &c->tcp), "tcp");
    check(uv_accept(listener, (uv_stream_t *)&c->tcp), "accept");
    uv_tcp_nodelay(&c->tcp, 1);
    check(uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read), "read");
}

static void on_clock(uv_timer_t *clock)
{
    server *s = clock->data;
    time_t now = time(NULL);
    struct tm utc;

    gmtime_r(&now, &utc);
    strftime(s->date, sizeof s->date, "%a, %d %b %Y %H:%M:%S GMT", &utc);
}

static void serve(server *s, int port)
{
    struct sockaddr_in address;

    llhttp_settings_init(&s->settings);
    s->settings.on_url = on_url;
    s->settings.on_message_complete = on_message_complete;
    s->listener.data = s->clock.data = s;
    s->seed = uv_hrtime();
    uv_timer_init(&s->loop, &s->clock);
    uv_timer_start(&s->clock, on_clock, 0, 1000);
    on_clock(&s->clock);
    check(uv_ip4_addr("127.0.0.1", port, &address), "address");
    check(uv_tcp_init(&s->loop, &s->listener), "listener");
    check(uv_tcp_bind(&s->listener, (const struct sockaddr *)&address, 0),
          "bind");
    check(uv_listen((uv_stream_t *)&s->listener, 4096, on_connection),
          "listen");
    uv_run(&s->loop, UV_RUN_DEFAULT);
}

int main(int argc, char **argv)
{
    server *s = calloc(1, sizeof *s);
    int i;

    if (!s || argc != 4) die("usage", "database PORT POOL CONNINFO");
    signal(SIGPIPE, SIG_IGN);
    check(uv_loop_init(&s->loop), "loop");
    s->count = atoi(argv[2]);
    if (s->count < 1 || s->count > POOL_CAP) die("POOL", "1 to 64");
    for (i = 0; i < s->count; i++) open_backend(s, &s->backends[i], argv[3]);
    serve(s, atoi(argv[1]));
    return 0;
}

/* prototype.c - the stack of luaqueduct with nothing around it.
 *
 * libuv, llhttp and one Lua state: each request is one call of one Lua
 * function in a coroutine that is used again and again. Neither limits nor
 * time limits, no bodies, no errors told to the client: what these cost is
 * what the comparison shows.
 *
 *   prototype PORT SCRIPT
 *
 * The script calls route(PATTERN, FUNCTION); a pattern is a path, or ends in
 * "/:name". The function gets the request (req.method, req.path) and the
 * parameter, and returns a string, or a table that is sent as JSON.
 *
 * Owns:    the loop, the Lua state, the connections.
 * Thread:  main thread.
 * Life:    until a signal ends the process.
 * Knows:   uv, llhttp, lua.
 */
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <lauxlib.h>
#include <llhttp.h>
#include <lua.h>
#include <lualib.h>
#include <uv.h>

#define REQUEST "prototype.request"

enum { IN_CAP = 64 * 1024, PATH_CAP = 256, MAX_ROUTES = 8, MAX_DEPTH = 16 };

typedef struct buffer {
    char *data;
    size_t len, cap;
} buffer;

typedef struct route {
    char *pattern;
    size_t len; /* of the path, or of what stands before the parameter */
    bool has_parameter;
    int handler; /* in the registry */
} route;

typedef struct server {
    uv_loop_t loop;
    uv_tcp_t listener;
    uv_timer_t clock;
    llhttp_settings_t settings;
    lua_State *L, *co;
    route routes[MAX_ROUTES];
    int route_count;
    size_t date_len;
    char date[64];
    buffer out;  /* the answers to one read */
    buffer json; /* the body in progress */
    char in[IN_CAP];
} server;

typedef struct conn {
    uv_tcp_t tcp;
    server *server;
    llhttp_t parser;
    size_t path_len;
    char path[PATH_CAP];
} conn;

typedef struct request {
    uint8_t method;
    size_t path_len;
    char path[];
} request;

/* ---- bytes --------------------------------------------------------------- */

static char *reserve(buffer *b, size_t len)
{
    if (b->cap - b->len < len) {
        while (b->cap - b->len < len) b->cap = b->cap ? b->cap * 2 : 4096;
        b->data = realloc(b->data, b->cap);
        if (!b->data) abort();
    }
    return b->data + b->len;
}

static void put(buffer *b, const char *bytes, size_t len)
{
    memcpy(reserve(b, len), bytes, len);
    b->len += len;
}

#define PUT(b, literal) put((b), (literal), sizeof(literal) - 1)

static void put_number(buffer *b, size_t number)
{
    char digits[20], *p = digits + sizeof digits;

    do {
        *--p = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    put(b, p, (size_t)(digits + sizeof digits - p));
}

/* ---- JSON ---------------------------------------------------------------- */

static void put_quoted(buffer *b, const char *s, size_t len)
{
    size_t i;

    PUT(b, "\"");
    for (i = 0; i < len; i++) {
        unsigned char c = (unsigned char)s[i];

        if (c < 0x20)
            b->len += (size_t)snprintf(reserve(b, 7), 7, "\\u%04x", c);
        else {
            if (c == '"' || c == '\\') PUT(b, "\\");
            put(b, s + i, 1);
        }
    }
    PUT(b, "\"");
}

/* The value on top of the stack; a table is an object with string keys. */
static void put_json(buffer *b, lua_State *L, int depth)
{
    const char *s;
    size_t len;
    bool first = true;

    if (depth > MAX_DEPTH || !lua_checkstack(L, 4)) return;
    if (lua_type(L, -1) != LUA_TTABLE) {
        s = luaL_tolstring(L, -1, &len);
        if (lua_type(L, -2) == LUA_TSTRING)
            put_quoted(b, s, len);
        else
            put(b, s, len);
        lua_pop(L, 1);
        return;
    }
    PUT(b, "{");
    for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
        if (lua_type(L, -2) != LUA_TSTRING) continue;
        if (!first) PUT(b, ",");
        first = false;
        s = lua_tolstring(L, -2, &len);
        put_quoted(b, s, len);
        PUT(b, ":");
        put_json(b, L, depth + 1);
    }
    PUT(b, "}");
}

/* ---- one request --------------------------------------------------------- */

static bool matches(const route *r, const char *path, size_t len)
{
    if (len < r->len || memcmp(path, r->pattern, r->len) != 0) return false;
    if (!r->has_parameter) return len == r->len;
    return len > r->len && !memchr(path + r->len, '/', len - r->len);
}

static const route *find_route(const server *s, const char *path, size_t len)
{
    int i;

    for (i = 0; i < s->route_count; i++) {
        if (matches(&s->routes[i], path, len)) return &s->routes[i];
    }
    return NULL;
}

static void put_answer(server *s, const char *type, const char *body,
                       size_t len)
{
    PUT(&s->out, "HTTP/1.1 200 OK\r\nServer: prototype\r\nDate: ");
    put(&s->out, s->date, s->date_len);
    PUT(&s->out, "\r\nContent-Type: ");
    put(&s->out, type, strlen(type));
    PUT(&s->out, "\r\nContent-Length: ");
    put_number(&s->out, len);
    PUT(&s->out, "\r\n\r\n");
    put(&s->out, body, len);
}

/* Leaves the function's result on the coroutine's stack. */
static bool call(conn *c, const route *r)
{
    lua_State *co = c->server->co;
    request *req;
    int count = 0;

    lua_settop(co, 0);
    lua_rawgeti(co, LUA_REGISTRYINDEX, r->handler);
    req = lua_newuserdatauv(co, sizeof *req + c->path_len, 0);
    req->method = c->parser.method;
    req->path_len = c->path_len;
    memcpy(req->path, c->path, c->path_len);
    luaL_setmetatable(co, REQUEST);
    if (r->has_parameter) {
        lua_pushlstring(co, c->path + r->len, c->path_len - r->len);
    }
    return lua_resume(co, c->server->L, r->has_parameter ? 2 : 1, &count) ==
               LUA_OK &&
           count == 1;
}

static int on_message_complete(llhttp_t *parser)
{
    conn *c = parser->data;
    server *s = c->server;
    const route *r = find_route(s, c->path, c->path_len);
    const char *body;
    size_t len;

    if (!r || !call(c, r)) return HPE_USER; /* nobody asks for that here */
    if (lua_type(s->co, -1) == LUA_TTABLE) {
        s->json.len = 0;
        put_json(&s->json, s->co, 0);
        put_answer(s, "application/json", s->json.data, s->json.len);
        return 0;
    }
    body = lua_tolstring(s->co, -1, &len);
    if (!body) return HPE_USER;
    put_answer(s, "text/plain; charset=utf-8", body, len);
    return 0;
}

static int on_message_begin(llhttp_t *parser)
{
    ((conn *)parser->data)->path_len = 0;
    return 0;
}

static int on_url(llhttp_t *parser, const char *at, size_t len)
{
    conn *c = parser->data;

    if (len > PATH_CAP - c->path_len) return HPE_USER;
    memcpy(c->path + c->path_len, at, len);
    c->path_len += len;
    return 0;
}

/* ---- connections --------------------------------------------------------- */

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void close_conn(conn *c)
{
    uv_handle_t *handle = (uv_handle_t *)&c->tcp;

    if (!uv_is_closing(handle)) uv_close(handle, on_closed);
}

static void on_written(uv_write_t *write, int status)
{
    if (status < 0) close_conn(write->handle->data);
    free(write);
}

/* What the socket did not take at once. */
static void write_later(conn *c, const char *bytes, size_t len)
{
    uv_write_t *write = malloc(sizeof *write + len);
    uv_buf_t buf = uv_buf_init((char *)(write + 1), (unsigned)len);

    if (!write) abort();
    memcpy(buf.base, bytes, len);
    if (uv_write(write, (uv_stream_t *)&c->tcp, &buf, 1, on_written) < 0) {
        free(write);
        close_conn(c);
    }
}

static void flush(conn *c)
{
    buffer *out = &c->server->out;
    uv_buf_t buf = uv_buf_init(out->data, (unsigned)out->len);
    int sent = 0;

    if (out->len == 0) return;
    sent = uv_try_write((uv_stream_t *)&c->tcp, &buf, 1);
    if (sent == UV_EAGAIN) sent = 0;
    if (sent < 0)
        close_conn(c);
    else if ((size_t)sent < out->len)
        write_later(c, out->data + sent, out->len - (size_t)sent);
    out->len = 0;
}

static void on_read(uv_stream_t *stream, ssize_t len, const uv_buf_t *buf)
{
    conn *c = stream->data;

    if (len == 0) return;
    if (len > 0 &&
        llhttp_execute(&c->parser, buf->base, (size_t)len) == HPE_OK) {
        flush(c);
        return;
    }
    c->server->out.len = 0;
    close_conn(c);
}

/* One buffer for all: it is parsed before anything else is read. */
static void on_alloc(uv_handle_t *handle, size_t hint, uv_buf_t *buf)
{
    conn *c = handle->data;

    (void)hint;
    *buf = uv_buf_init(c->server->in, IN_CAP);
}

static void on_connection(uv_stream_t *stream, int status)
{
    server *s = stream->data;
    conn *c = status < 0 ? NULL : malloc(sizeof *c);

    if (!c) return;
    c->server = s;
    c->path_len = 0;
    uv_tcp_init(&s->loop, &c->tcp);
    c->tcp.data = c;
    llhttp_init(&c->parser, HTTP_REQUEST, &s->settings);
    c->parser.data = c;
    if (uv_accept(stream, (uv_stream_t *)&c->tcp) < 0 ||
        uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read) < 0) {
        close_conn(c);
        return;
    }
    uv_tcp_nodelay(&c->tcp, 1);
}

/* ---- start --------------------------------------------------------------- */

static void on_clock(uv_timer_t *timer)
{
    server *s = timer->data;
    time_t now = time(NULL);
    struct tm tm;

    gmtime_r(&now, &tm);
    s->date_len =
        strftime(s->date, sizeof s->date, "%a, %d %b %Y %H:%M:%S GMT", &tm);
}

/* req.method, req.path */
static int request_index(lua_State *L)
{
    const request *req = luaL_checkudata(L, 1, REQUEST);
    const char *key = luaL_checkstring(L, 2);

    if (strcmp(key, "path") == 0)
        lua_pushlstring(L, req->path, req->path_len);
    else if (strcmp(key, "method") == 0)
        lua_pushstring(L, llhttp_method_name(req->method));
    else
        lua_pushnil(L);
    return 1;
}

/* route(pattern, handler) */
static int add_route(lua_State *L)
{
    server *s = lua_touserdata(L, lua_upvalueindex(1));
    const char *pattern = luaL_checkstring(L, 1);
    const char *colon = strchr(pattern, ':');
    route *r = &s->routes[s->route_count];

    luaL_checktype(L, 2, LUA_TFUNCTION);
    if (s->route_count == MAX_ROUTES) return luaL_error(L, "too many routes");
    r->pattern = strdup(pattern);
    r->len = colon ? (size_t)(colon - pattern) : strlen(pattern);
    r->has_parameter = colon != NULL;
    lua_settop(L, 2);
    r->handler = luaL_ref(L, LUA_REGISTRYINDEX);
    s->route_count++;
    return 0;
}

static bool load_script(server *s, const char *path)
{
    s->L = luaL_newstate();
    if (!s->L) return false;
    luaL_openlibs(s->L);
    lua_gc(s->L, LUA_GCGEN, 0, 0);
    luaL_newmetatable(s->L, REQUEST);
    lua_pushcfunction(s->L, request_index);
    lua_setfield(s->L, -2, "__index");
    s->co = lua_newthread(s->L);
    luaL_ref(s->L, LUA_REGISTRYINDEX);
    lua_pushlightuserdata(s->L, s);
    lua_pushcclosure(s->L, add_route, 1);
    lua_setglobal(s->L, "route");
    if (luaL_dofile(s->L, path) == LUA_OK) return true;
    fprintf(stderr, "%s\n", lua_tostring(s->L, -1));
    return false;
}

static bool listen_on(server *s, int port)
{
    struct sockaddr_in address;

    s->settings.on_message_begin = on_message_begin;
    s->settings.on_url = on_url;
    s->settings.on_message_complete = on_message_complete;
    uv_timer_init(&s->loop, &s->clock);
    s->clock.data = s;
    on_clock(&s->clock);
    uv_timer_start(&s->clock, on_clock, 1000, 1000);
    uv_tcp_init(&s->loop, &s->listener);
    s->listener.data = s;
    return uv_ip4_addr("127.0.0.1", port, &address) == 0 &&
           uv_tcp_bind(&s->listener, (struct sockaddr *)&address, 0) == 0 &&
           uv_listen((uv_stream_t *)&s->listener, 4096, on_connection) == 0;
}

int main(int argc, char **argv)
{
    server *s = calloc(1, sizeof *s);

    if (argc != 3 || !s) {
        fputs("usage: prototype PORT SCRIPT\n", stderr);
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    llhttp_settings_init(&s->settings);
    if (uv_loop_init(&s->loop) < 0 || !load_script(s, argv[2]) ||
        !listen_on(s, atoi(argv[1]))) {
        fputs("prototype: cannot serve\n", stderr);
        return 1;
    }
    return uv_run(&s->loop, UV_RUN_DEFAULT);
}

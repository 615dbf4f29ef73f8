/* load_plans.c - what the peers of each command send, and what is right.
 *
 * The app they expect is spec/support/load_app.lua.
 *
 * Owns:    nothing.
 * Thread:  main.
 * Life:    functions without state.
 * Knows:   load.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "load.h"

#define GET "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
#define LAST "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"

/* ---- reading answers ----------------------------------------------------- */

/* The value of field `name` in the head; *len is its length. */
static const char *field(const char *head, const char *end, const char *name,
                         size_t *len)
{
    size_t name_len = strlen(name);
    const char *line = memchr(head, '\n', (size_t)(end - head)), *stop;

    for (; line && ++line < end;
         line = memchr(line, '\n', (size_t)(end - line))) {
        if ((size_t)(end - line) <= name_len + 2 || line[name_len] != ':' ||
            strncasecmp(line, name, name_len) != 0)
            continue;
        line += name_len + 2;
        stop = memchr(line, '\r', (size_t)(end - line));
        *len = (size_t)((stop ? stop : end) - line);
        return line;
    }
    return NULL;
}

/* The length of a body in chunks; 0 when it is not whole. */
static size_t chunked_len(const char *at, size_t len)
{
    const char *begin = at, *end = at + len;
    char *rest;
    size_t size;

    while (end - at > 4) {
        size = strtoul(at, &rest, 16);
        if (rest == at || end - rest < 4 || memcmp(rest, "\r\n", 2) != 0)
            return 0;
        at = rest + 2;
        if ((size_t)(end - at) < size + 2) return 0;
        at += size + 2;
        if (size == 0) return (size_t)(at - begin);
    }
    return 0;
}

/* Sets the body by the head in front of it; false when it is not whole. */
static bool find_body(const char *head, size_t len, load_answer *a)
{
    const char *end = a->body, *value;
    size_t left = len - (size_t)(end - head), value_len;

    /* No app answers with what looks like an answer: this is one to HEAD. */
    if (a->status < 200 || a->status == 204 || a->status == 304 || left == 0 ||
        (left >= 5 && memcmp(end, "HTTP/", 5) == 0))
        return true;
    value = field(head, end, "content-length", &value_len);
    if (value) {
        a->body_len = strtoul(value, NULL, 10);
        return a->body_len <= left;
    }
    if (field(head, end, "transfer-encoding", &value_len)) {
        a->body_len = chunked_len(end, left);
        return a->body_len > 0;
    }
    a->body_len = left;
    return a->ends;
}

size_t load_read_answer(const char *bytes, size_t len, load_answer *out)
{
    load_answer a = {0};
    const char *end = memmem(bytes, len, "\r\n\r\n", 4), *value;
    size_t value_len;

    if (!end || len < 13 || memcmp(bytes, "HTTP/1.1 ", 9) != 0) return 0;
    a.status = atoi(bytes + 9);
    a.body = end + 4;
    value = field(bytes, a.body, "connection", &value_len);
    a.ends = value && value_len == 5 && memcmp(value, "close", 5) == 0;
    if (a.status < 100 || a.status > 599 || !find_body(bytes, len, &a))
        return 0;
    *out = a;
    return (size_t)(a.body - bytes) + a.body_len;
}

static bool is_body(const load_answer *a, const char *text)
{
    return a->body_len == strlen(text) &&
           memcmp(a->body, text, a->body_len) == 0;
}

/* ---- storm: opened, closed and reset in every way ------------------------ */

void load_plan_storm(load *l, load_peer *p)
{
    static const char *const parts[] = {
        "",
        "G",
        "GET / HTTP/1.1\r\nHost: a\r\n",
        GET GET GET,
        "POST /body HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nab",
        "GET /wait/7 HTTP/1.1\r\nHost: a\r\n\r\n"};
    static const load_action ends[] = {LOAD_CLOSE, LOAD_RESET, LOAD_RESET,
                                       LOAD_HALF_CLOSE};
    const char *part = parts[load_random(l, sizeof parts / sizeof *parts)];

    p->action = ends[load_random(l, sizeof ends / sizeof *ends)];
    p->wait_ms = (unsigned)load_random(l, 2) * (unsigned)load_random(l, 8);
    if (load_random(l, 4) == 0) {
        p->action = LOAD_READ;
        part = LAST;
    }
    p->out = part;
    p->out_len = strlen(part);
}

const char *load_check_storm(load *l, const load_peer *p)
{
    load_answer a;

    (void)l;
    if (p->action != LOAD_READ) return NULL;
    if (load_read_answer(p->in, p->in_len, &a) != p->in_len)
        return "no whole answer";
    return a.status == 200 && is_body(&a, "hello") ? NULL : "a wrong answer";
}

/* ---- mixed: good and failing requests, one to one ------------------------ */

enum { PAIRS = 50 };

void load_plan_mixed(load *l, load_peer *p)
{
    int i;

    (void)l;
    p->action = LOAD_READ;
    for (i = 0; i < PAIRS; i++)
        load_print(p, GET "GET /boom/%d HTTP/1.1\r\nHost: a\r\n\r\n", i % 5);
    load_print(p, LAST);
}

const char *load_check_mixed(load *l, const load_peer *p)
{
    const char *at = p->in;
    size_t left = p->in_len, len;
    load_answer a;
    int i;

    (void)l;
    for (i = 0; i <= PAIRS * 2; i++) {
        len = load_read_answer(at, left, &a);
        if (len == 0) return "an answer is missing";
        if (i % 2
                ? a.status != 500 || !is_body(&a, "500 Internal Server Error\n")
                : a.status != 200 || !is_body(&a, "hello"))
            return "a wrong answer";
        at += len;
        left -= len;
    }
    return left ? "too much came" : NULL;
}

/* ---- leave: every second client resets while its handler waits ----------- */

enum { WAITS = 3 };

void load_plan_leave(load *l, load_peer *p)
{
    int i;

    p->action = p->number % 2 ? LOAD_RESET : LOAD_READ;
    p->wait_ms = (unsigned)load_random(l, 15);
    for (i = 0; i < WAITS; i++)
        load_print(p, "GET /wait/%llu.%d HTTP/1.1\r\nHost: a\r\n%s\r\n",
                   (unsigned long long)p->number, i,
                   i == WAITS - 1 ? "Connection: close\r\n" : "");
}

const char *load_check_leave(load *l, const load_peer *p)
{
    const char *at = p->in;
    size_t left = p->in_len, len;
    load_answer a;
    char text[64];
    int i;

    (void)l;
    if (p->action == LOAD_RESET) return NULL;
    for (i = 0; i < WAITS; i++) {
        snprintf(text, sizeof text, "%llu.%d", (unsigned long long)p->number,
                 i);
        len = load_read_answer(at, left, &a);
        if (len == 0) return "an answer is missing";
        if (a.status != 200 || !is_body(&a, text)) return "a stranger's answer";
        at += len;
        left -= len;
    }
    return left ? "too much came" : NULL;
}

/* ---- half: requests that never go on ------------------------------------- */

void load_plan_half(load *l, load_peer *p)
{
    static const char *const halves[] = {
        "GET /some/path?with=query HTTP/1.1\r\nHost: localhost:8888\r\n"
        "User-Agent: half\r\nAccept: */*\r\nX-Long",
        "POST /body HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhalf",
        "POST /body HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: "
        "chunked\r\n\r\n8\r\nha",
        "GET / HTTP"};

    (void)l;
    p->action = LOAD_HOLD;
    p->out = halves[p->number % (sizeof halves / sizeof *halves)];
    p->out_len = strlen(p->out);
}

/* ---- who pipelines and never reads --------------------------------------- */

#define TIMES4(text) text text text text
#define PIPELINE(text) TIMES4(TIMES4(TIMES4(text)))

static void flood(load_peer *p, const char *text)
{
    p->action = LOAD_FLOOD;
    p->out = text;
    p->out_len = strlen(text);
}

void load_plan_plain(load *l, load_peer *p)
{
    (void)l;
    flood(p, PIPELINE(GET));
}

void load_plan_streams(load *l, load_peer *p)
{
    (void)l;
    flood(p, PIPELINE("GET /endless HTTP/1.1\r\nHost: a\r\n\r\n"));
}

void load_plan_waits(load *l, load_peer *p)
{
    (void)l;
    flood(p, PIPELINE("GET /wait/1 HTTP/1.1\r\nHost: a\r\n\r\n"));
}

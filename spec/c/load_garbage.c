/* load_garbage.c - good requests with something wrong in them.
 *
 * Owns:    nothing.
 * Thread:  main.
 * Life:    functions without state; what is sent follows from the seed.
 * Knows:   load.
 */
#include <string.h>

#include "load.h"

#define WITH_LEN(text)                                                         \
    {                                                                          \
        text, sizeof(text) - 1                                                 \
    }

typedef struct text {
    const char *bytes;
    size_t len;
} text;

static const text good[] = {
    WITH_LEN("GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
    WITH_LEN("GET /echo/a%20b/c?d=e&f=%41&g HTTP/1.1\r\nHost: a.b:80\r\n"
             "Cookie: a=b; c=\"d\"\r\nX-A: 1\r\nx-a: 2\r\nAccept: */*\r\n\r\n"),
    WITH_LEN("POST /body HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\n"
             "hello world"),
    WITH_LEN("POST /body HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
             "Trailer: X\r\n\r\n5;a=b\r\nhello\r\n006\r\n world\r\n0\r\n"
             "X: y\r\n\r\n"),
    WITH_LEN("POST /json HTTP/1.1\r\nHost: a\r\nContent-Length: 27\r\n\r\n"
             "{\"a\":[1,2.5,null],\"b\":\"\\u00e4\"}"),
    WITH_LEN("POST /form HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n"
             "Expect: 100-continue\r\n\r\na=b&c=%20+d"),
    WITH_LEN("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"),
    WITH_LEN("GET http://b.c/stream?x HTTP/1.1\r\nHost: a\r\nTE: trailers\r\n"
             "\r\n"),
    WITH_LEN("HEAD / HTTP/1.1\r\nHost: a\r\nConnection: upgrade, x\r\n"
             "Upgrade: websocket\r\n\r\n"),
    WITH_LEN("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"),
    WITH_LEN("PUT /wait/1 HTTP/1.1\r\nHost: [::1]:1\r\nContent-Length: 0\r\n"
             "\r\n"),
    WITH_LEN("GET /wait/1 HTTP/1.1\r\nHost: a\r\n\r\n"),
};

static const text pieces[] = {
    WITH_LEN("\r\n"),
    WITH_LEN("\n"),
    WITH_LEN("\r"),
    WITH_LEN("\0"),
    WITH_LEN("\r\n\r\n"),
    WITH_LEN(" "),
    WITH_LEN("\t"),
    WITH_LEN(":"),
    WITH_LEN(","),
    WITH_LEN(";"),
    WITH_LEN("%"),
    WITH_LEN("%00"),
    WITH_LEN("#"),
    WITH_LEN("?"),
    WITH_LEN("0"),
    WITH_LEN("-1"),
    WITH_LEN("+"),
    WITH_LEN("0x"),
    WITH_LEN("\x7f"),
    WITH_LEN("\xff"),
    WITH_LEN("\xc3\xa4"),
    WITH_LEN("9999999999999999999"),
    WITH_LEN("FFFFFFFFFFFFFFFF"),
    WITH_LEN("HTTP/2.0"),
    WITH_LEN("\r\nHost: b"),
    WITH_LEN("\r\n x"),
    WITH_LEN("\r\nContent-Length: 5"),
    WITH_LEN("\r\nTransfer-Encoding: chunked"),
    WITH_LEN("\r\nTransfer-Encoding: x"),
    WITH_LEN("\r\nConnection: close"),
    WITH_LEN("\r\nExpect: x"),
    WITH_LEN("GET / HTTP/1.1\r\n"),
    WITH_LEN(
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
};

#define COUNT_OF(list) (sizeof(list) / sizeof *(list))

/* Puts `len` bytes in at `at`. */
static void insert(load_peer *p, size_t at, const char *bytes, size_t len)
{
    if (p->out_len + len > LOAD_OUT_CAP) return;
    memmove(p->room + at + len, p->room + at, p->out_len - at);
    memcpy(p->room + at, bytes, len);
    p->out_len += len;
}

static void repeat(load *l, load_peer *p, size_t at)
{
    char copy[64];
    size_t len = 1 + load_random(l, sizeof copy);

    if (len > p->out_len - at) len = p->out_len - at;
    memcpy(copy, p->room + at, len);
    insert(p, load_random(l, p->out_len), copy, len);
}

static void cut_out(load *l, load_peer *p, size_t at)
{
    size_t len = 1 + load_random(l, 16);

    if (len > p->out_len - at) len = p->out_len - at;
    memmove(p->room + at, p->room + at + len, p->out_len - at - len);
    p->out_len -= len;
}

static void mutate(load *l, load_peer *p)
{
    size_t at;
    const text *piece = &pieces[load_random(l, COUNT_OF(pieces))];

    if (p->out_len == 0) return;
    at = load_random(l, p->out_len);
    switch (load_random(l, 7)) {
    case 0: p->room[at] = (char)load_random(l, 256); break;
    case 1: p->room[at] ^= (char)(1 << load_random(l, 8)); break;
    case 2: cut_out(l, p, at); break;
    case 3: repeat(l, p, at); break;
    case 4: p->out_len = at; break;
    default: insert(p, at, piece->bytes, piece->len); break;
    }
}

static void add_noise(load *l, load_peer *p)
{
    char bytes[300];
    size_t i, len = load_random(l, sizeof bytes);

    for (i = 0; i < len; i++) bytes[i] = (char)load_random(l, 256);
    load_add(p, bytes, len);
}

void load_plan_garbage(load *l, load_peer *p)
{
    size_t i, count = 1 + load_random(l, 3);
    const text *t;

    p->action = LOAD_HALF_CLOSE;
    if (load_random(l, 16) == 0) {
        add_noise(l, p);
    } else {
        for (i = 0; i < count; i++) {
            t = &good[load_random(l, COUNT_OF(good))];
            load_add(p, t->bytes, t->len);
        }
        for (i = 1 + load_random(l, 4); i > 0; i--) mutate(l, p);
    }
    if (p->out_len > 1) p->cut = load_random(l, p->out_len);
}

/* The app answers nothing of these. */
static bool is_refusal(int status)
{
    return status >= 400 && status != 404 && status != 405 && status != 422;
}

/* Whole answers, none of which tells of a failure of the server's own, and
 * nothing behind the one that ends the connection. */
const char *load_check_garbage(load *l, const load_peer *p)
{
    const char *at = p->in;
    size_t left = p->in_len, len;
    load_answer a = {0};

    (void)l;
    while (left > 0) {
        if (a.ends) return "something came behind the end";
        len = load_read_answer(at, left, &a);
        if (len == 0) return "what came is no whole answer";
        if (a.status >= 500 && a.status != 501 && a.status != 505)
            return "the server failed";
        if (is_refusal(a.status) && !a.ends)
            return "a refusal does not end the connection";
        at += len;
        left -= len;
    }
    return NULL;
}

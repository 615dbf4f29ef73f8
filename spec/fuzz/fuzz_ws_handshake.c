/* fuzz_ws_handshake.c - what a client says when it opens a WebSocket.
 *
 * An input is one of four, by its first byte: `E`, what the server can do and
 * Sec-WebSocket-Extensions; `P`, subprotocols; `K`, a key; else the lines of a
 * head. Answers must be those of a naive reading; a head that is accepted must
 * have all that RFC 6455 4.2.1 demands.
 *
 * Owns:    nothing that outlives an input.
 * Thread:  none.
 * Knows:   base, http; libcrypto.
 */
#include <ctype.h>
#include <openssl/sha.h>

#include "fuzz.h"
#include "http/method.h"
#include "http/parse.h"
#include "http/ws_handshake.h"

enum { PARTS_MAX = 512 };

/* ---- extensions, read naively -------------------------------------------- */

/* A mark (`,`, `;`, `=`), a word (`w`) or what stood in quotes (`q`). */
typedef struct part {
    char kind;
    char text[64]; /* cut: nothing that is known is so long */
} part;

typedef struct parts {
    part list[PARTS_MAX];
    int count, at;
} parts;

static bool is_word_byte(int c)
{
    return c > ' ' && c < 0x7f && !strchr("\"(),/:;<=>?@[\\]{}", c);
}

static void add_byte(part *p, size_t *len, char c)
{
    if (*len + 1 < sizeof p->text) p->text[(*len)++] = c;
}

/* What stands in quotes; returns what is behind them, NULL for a fault. */
static const char *read_quoted(part *p, const char *at, const char *end)
{
    size_t len = 0;

    for (at++; at < end && *at != '"'; at++) {
        /* An escape is kept as it is: no known value has one. */
        if (*at == '\\') add_byte(p, &len, *at++);
        if (at == end || !is_word_byte(*at)) return NULL;
        add_byte(p, &len, *at);
    }
    return at < end && len ? at + 1 : NULL;
}

static const char *read_part(part *p, const char *at, const char *end)
{
    size_t len = 0;

    *p = (part){.kind = 'w'};
    if (strchr(",;=", *at) && *at) {
        p->kind = *at;
        return at + 1;
    }
    if (*at == '"') {
        p->kind = 'q';
        return read_quoted(p, at, end);
    }
    if (!is_word_byte(*at)) return NULL;
    while (at < end && is_word_byte(*at)) add_byte(p, &len, *at++);
    return at;
}

/* False for bytes that make no parts; whole is false when there are more than
 * this reading cares for. */
static bool read_parts(parts *p, lq_str in, bool *whole)
{
    const char *at = in.ptr, *end = in.ptr + in.len;

    p->count = p->at = 0;
    *whole = true;
    for (;;) {
        while (at < end && (*at == ' ' || *at == '\t')) at++;
        if (at == end) return true;
        if (p->count == PARTS_MAX) return *whole = false;
        at = read_part(&p->list[p->count++], at, end);
        if (!at) return false;
    }
}

static char kind_at(const parts *p, int at)
{
    return at < p->count ? p->list[at].kind : '.';
}

/* The length of an offer at `at`, in parts; 0 for what is none. */
static int offer_len(const parts *p, int at)
{
    int from = at;

    if (kind_at(p, at++) != 'w') return 0;
    while (kind_at(p, at) == ';') {
        if (kind_at(p, at + 1) != 'w') return 0;
        at += 2;
        if (kind_at(p, at) != '=') continue;
        if (!strchr("wq", kind_at(p, at + 1))) return 0;
        at += 2;
    }
    return at - from;
}

/* How often a parameter stands in an offer, and the value of the last. */
static int count_of(const parts *p, int at, int len, const char *name,
                    const char **value)
{
    int i, count = 0;

    for (i = at + 1; i < at + len; i++) {
        if (p->list[i].kind != ';' || strcasecmp(p->list[i + 1].text, name))
            continue;
        count++;
        *value = kind_at(p, i + 2) == '=' ? p->list[i + 3].text : NULL;
    }
    return count;
}

static int params_of(const parts *p, int at, int len)
{
    int i, count = 0;

    for (i = at; i < at + len; i++) count += p->list[i].kind == ';';
    return count;
}

/* 8 to 15; 0: anything else. */
static int bits_of(const char *value)
{
    static const char *const names[] = {"8",  "9",  "10", "11",
                                        "12", "13", "14", "15"};
    size_t i;

    for (i = 0; value && i < LQ_COUNT_OF(names); i++)
        if (!strcmp(value, names[i])) return 8 + (int)i;
    return 0;
}

static int smaller(int a, int b)
{
    return a < b ? a : b;
}

/* The answer to an offer, "" when it cannot be done. */
static void answer(const parts *p, int at, int len,
                   const lq_ws_deflate_cfg *cfg, char *out, size_t cap)
{
    const char *server = NULL, *client = NULL, *sn = NULL, *cn = NULL;
    int servers = count_of(p, at, len, "server_max_window_bits", &server);
    int clients = count_of(p, at, len, "client_max_window_bits", &client);
    int sns = count_of(p, at, len, "server_no_context_takeover", &sn);
    int cns = count_of(p, at, len, "client_no_context_takeover", &cn);
    int server_bits = cfg->window_bits, client_bits = 15;
    char words[2][48] = {"", ""};

    *out = '\0';
    if (strcasecmp(p->list[at].text, "permessage-deflate") || servers > 1 ||
        clients > 1 || sns > 1 || cns > 1 || sn || cn ||
        servers + clients + sns + cns != params_of(p, at, len) ||
        (servers && bits_of(server) < 9) || (client && !bits_of(client)))
        return;
    if (servers) server_bits = smaller(server_bits, bits_of(server));
    if (clients)
        client_bits = smaller(cfg->window_bits, client ? bits_of(client) : 15);
    if (servers || server_bits < 15)
        snprintf(words[0], sizeof words[0], "; server_max_window_bits=%d",
                 server_bits);
    if (client_bits < 15)
        snprintf(words[1], sizeof words[1], "; client_max_window_bits=%d",
                 client_bits);
    snprintf(
        out, cap, "permessage-deflate%s%s%s%s",
        sns || !cfg->context_takeover ? "; server_no_context_takeover" : "",
        cns || !cfg->context_takeover ? "; client_no_context_takeover" : "",
        words[0], words[1]);
}

/* The answer to all offers; false: malformed. */
static bool read_naively(parts *p, const lq_ws_deflate_cfg *cfg, char *out,
                         size_t cap)
{
    int len;

    *out = '\0';
    while (p->at < p->count) {
        if (kind_at(p, p->at) == ',') {
            p->at++;
            continue;
        }
        len = offer_len(p, p->at);
        if (len == 0) return false;
        if (!*out) answer(p, p->at, len, cfg, out, cap);
        p->at += len;
        if (!strchr(",.", kind_at(p, p->at))) return false;
    }
    return true;
}

static void check_bits(const lq_ws_deflate_params *p)
{
    FUZZ_CHECK(p->server_bits >= 9 && p->server_bits <= 15);
    FUZZ_CHECK(p->client_bits >= 8 && p->client_bits <= 15);
}

static void try_extensions(lq_str in)
{
    lq_ws_deflate_cfg cfg = {.window_bits = 15};
    lq_ws_deflate_params params;
    char expected[256] = "", line[LQ_WS_EXTENSION_MAX];
    static const lq_str none = {NULL, 0};
    size_t len = 0;
    bool is_good, is_whole;
    int err;
    parts *p = malloc(sizeof *p);

    FUZZ_CHECK(p);
    if (in.len) {
        cfg.context_takeover = in.ptr[0] & 1;
        cfg.window_bits = 9 + (unsigned char)in.ptr[0] / 2 % 7;
        in = (lq_str){in.ptr + 1, in.len - 1};
    }
    is_good = read_parts(p, in.ptr ? in : none, &is_whole) &&
              read_naively(p, &cfg, expected, sizeof expected);
    err = lq_ws_negotiate(in, &cfg, &params);
    FUZZ_CHECK(err == 0 || (err == LQ_EINVALID && !params.on));
    if (err == 0 && params.on) {
        check_bits(&params);
        len = lq_ws_extension_line(&params, line, sizeof line);
        FUZZ_CHECK(len > 0 && lq_ws_extension_line(&params, line, len) == 0);
        FUZZ_CHECK(lq_ws_extension_line(&params, line, len + 1) == len);
    }
    if (is_whole) {
        FUZZ_CHECK(is_good == (err == 0));
        FUZZ_CHECK(err < 0 ||
                   lq_str_equal((lq_str){line, len},
                                (lq_str){expected, strlen(expected)}));
    }
    free(p);
}

/* ---- subprotocols -------------------------------------------------------- */

static void try_protocols(lq_str in)
{
    static const lq_str ours[] = {{"chat", 4}, {"a", 1}, {"v2.x", 4}};
    char *text = malloc(in.len + 1), *rest = text, *word;
    int chosen = lq_ws_choose_protocol(in, ours, LQ_COUNT_OF(ours));
    int expected = -1, i;
    size_t len;

    FUZZ_CHECK(text);
    if (in.len) memcpy(text, in.ptr, in.len);
    text[in.len] = '\0';
    while (expected < 0 && (word = strsep(&rest, ","))) {
        word += strspn(word, " \t");
        for (len = strlen(word); len && strchr(" \t", word[len - 1]); len--)
            word[len - 1] = '\0';
        for (i = 2; i >= 0; i--)
            if (!strcmp(word, ours[i].ptr)) expected = i;
    }
    if (strlen(text) == in.len || memchr(in.ptr, '\0', in.len) == NULL)
        FUZZ_CHECK(chosen == expected);
    free(text);
}

/* ---- keys ---------------------------------------------------------------- */

static void expect_accept(lq_str key, char out[LQ_WS_ACCEPT_LEN])
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                 "abcdefghijklmnopqrstuvwxyz0123456789+/";
    char text[64];
    unsigned char digest[21] = {0};
    unsigned v;
    int i;

    snprintf(text, sizeof text, "%.*s%s", (int)key.len, key.ptr,
             "258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    SHA1((unsigned char *)text, strlen(text), digest);
    for (i = 0; i < LQ_WS_ACCEPT_LEN; i++) {
        v = (unsigned)digest[i / 4 * 3] << 16 |
            (unsigned)digest[i / 4 * 3 + 1] << 8 | digest[i / 4 * 3 + 2];
        out[i] = digits[v >> (18 - 6 * (i % 4)) & 63];
    }
    out[LQ_WS_ACCEPT_LEN - 1] = '=';
}

static void try_key(lq_str in)
{
    char out[LQ_WS_ACCEPT_LEN], expected[LQ_WS_ACCEPT_LEN];
    bool is_key = in.len == 24 && in.ptr[22] == '=' && in.ptr[23] == '=';
    size_t i;
    int err = lq_ws_accept_key(in, out);

    for (i = 0; is_key && i < 22; i++)
        is_key = isascii(in.ptr[i]) &&
                 (isalnum(in.ptr[i]) || in.ptr[i] == '+' || in.ptr[i] == '/');
    FUZZ_CHECK(err == (is_key ? 0 : LQ_EINVALID));
    if (err < 0) return;
    expect_accept(in, expected);
    FUZZ_CHECK(!memcmp(out, expected, sizeof out));
}

/* ---- heads --------------------------------------------------------------- */

/* The value of the only line of that name. */
static lq_str only(const lq_request *r, const char *name)
{
    lq_str found = {NULL, 0};
    uint32_t i, count = 0;

    for (i = 0; i < r->header_count; i++) {
        lq_str n = lq_request_name(r, i);

        if (n.len != strlen(name) || strncasecmp(n.ptr, name, n.len)) continue;
        found = lq_request_value(r, i);
        count++;
    }
    FUZZ_CHECK(count == 1);
    return found;
}

static bool mentions(const lq_request *r, const char *name, const char *word)
{
    uint32_t i;
    size_t at, len = strlen(word);

    for (i = 0; i < r->header_count; i++) {
        lq_str n = lq_request_name(r, i), v = lq_request_value(r, i);

        if (n.len != strlen(name) || strncasecmp(n.ptr, name, n.len)) continue;
        for (at = 0; at + len <= v.len; at++)
            if (!strncasecmp(v.ptr + at, word, len)) return true;
    }
    return false;
}

static void check_accepted(const lq_request *r)
{
    char out[LQ_WS_ACCEPT_LEN];

    FUZZ_CHECK(r->method == LQ_GET && r->minor == 1 && !r->has_body);
    FUZZ_CHECK(mentions(r, "upgrade", "websocket"));
    FUZZ_CHECK(mentions(r, "connection", "upgrade"));
    FUZZ_CHECK(lq_str_equal(only(r, "sec-websocket-version"), LQ_STR("13")));
    FUZZ_CHECK(lq_ws_accept_key(only(r, "sec-websocket-key"), out) == 0);
}

/* All lines of a list, joined, have what each of them has. */
static void check_joined(const lq_request *r, lq_arena *arena)
{
    static const lq_str ours[] = {{"chat", 4}};
    lq_str all;
    uint32_t i;
    bool has = false;

    FUZZ_CHECK(lq_ws_list_field(r, LQ_STR("sec-websocket-protocol"), arena,
                                &all) == 0);
    for (i = 0; i < r->header_count; i++)
        if (lq_str_equal_nocase(lq_request_name(r, i),
                                LQ_STR("sec-websocket-protocol")))
            has |= lq_ws_choose_protocol(lq_request_value(r, i), ours, 1) == 0;
    FUZZ_CHECK(has == (all.ptr && lq_ws_choose_protocol(all, ours, 1) == 0));
}

static void try_head(lq_str in)
{
    static const lq_parse_limits limits = {1 << 20, 100, 1 << 20};
    const char *why = NULL;
    lq_arena arena;
    lq_parser p;
    size_t used;
    int event, status;

    lq_arena_init(&arena);
    FUZZ_CHECK(lq_parser_init(&p, &arena, &limits) == 0);
    event = lq_parser_feed(&p, in.ptr, in.len, &used);
    if (event == LQ_PARSE_HEAD || event == LQ_PARSE_DONE) {
        status = lq_ws_check(&p.request, &why);
        FUZZ_CHECK(status == 0 || status == 400 || status == 426);
        FUZZ_CHECK((status == 0) == (why == NULL));
        if (status == 0) check_accepted(&p.request);
        check_joined(&p.request, &arena);
    }
    lq_arena_fini(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    char *copy;
    lq_str in;

    if (len == 0) return 0;
    copy = fuzz_copy(data + 1, len - 1);
    in = (lq_str){copy, len - 1};
    if (data[0] == 'E')
        try_extensions(in);
    else if (data[0] == 'P')
        try_protocols(in);
    else if (data[0] == 'K')
        try_key(in);
    else
        try_head(in);
    free(copy);
    return 0;
}

/* ws_handshake.c - see ws_handshake.h. */
#include "http/ws_handshake.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>

#include "http/members.h"
#include "http/method.h"
#include "http/ws_frame.h"

enum {
    KEY_LEN = 24, /* 16 bytes in base64 */
    KEY_DIGITS = 22,
    SHA1_LEN = 20,
    BITS_MIN = 8, /* of a window; zlib cannot write with so few */
    BITS_LEAST = 9,
    BITS_MAX = 15,
};

/* ---- the request --------------------------------------------------------- */

static uint32_t count_lines(const lq_request *r, lq_str name)
{
    uint32_t count = 0, i;

    for (i = 0; i < r->header_count; i++)
        if (lq_str_equal_nocase(lq_request_name(r, i), name)) count++;
    return count;
}

static bool list_has(const lq_request *r, lq_str name, lq_str word)
{
    lq_members list = lq_members_of(r, name, false);
    lq_str member;

    while (lq_members_previous(&list, &member))
        if (lq_str_equal_nocase(member, word)) return true;
    return false;
}

static bool is_base64(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c >= '0' && c <= '9') || c == '+' || c == '/';
}

static bool is_key(lq_str key)
{
    size_t i;

    if (key.len != KEY_LEN) return false;
    for (i = 0; i < KEY_DIGITS; i++)
        if (!is_base64(key.ptr[i])) return false;
    return key.ptr[KEY_DIGITS] == '=' && key.ptr[KEY_DIGITS + 1] == '=';
}

static int refuse(const char **why, int status, const char *text)
{
    *why = text;
    return status;
}

static int check_fields(const lq_request *r, const char **why)
{
    if (count_lines(r, LQ_STR("sec-websocket-version")) != 1)
        return refuse(why, 400, "Sec-WebSocket-Version must be there once.");
    if (!lq_str_equal(lq_request_header(r, LQ_STR("sec-websocket-version")),
                      LQ_STR("13")))
        return refuse(why, 426, "The version of WebSocket here is 13.");
    if (count_lines(r, LQ_STR("sec-websocket-key")) != 1)
        return refuse(why, 400, "Sec-WebSocket-Key must be there once.");
    if (!is_key(lq_request_header(r, LQ_STR("sec-websocket-key"))))
        return refuse(why, 400,
                      "Sec-WebSocket-Key must be 16 bytes in base64.");
    return 0;
}

int lq_ws_check(const lq_request *r, const char **why)
{
    if (!list_has(r, LQ_STR("upgrade"), LQ_STR("websocket")))
        return refuse(why, 426, "Only WebSocket is spoken here.");
    if (!list_has(r, LQ_STR("connection"), LQ_STR("upgrade")))
        return refuse(why, 400, "Connection does not say upgrade.");
    if (r->method != LQ_GET)
        return refuse(why, 400, "A WebSocket is opened with GET.");
    if (r->minor < 1)
        return refuse(why, 400, "A WebSocket is opened with HTTP/1.1.");
    if (r->has_body)
        return refuse(why, 400, "A WebSocket is opened without a body.");
    return check_fields(r, why);
}

int lq_ws_accept_key(lq_str key, char out[LQ_WS_ACCEPT_LEN])
{
    static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    unsigned char digest[EVP_MAX_MD_SIZE];
    char text[KEY_LEN + sizeof guid - 1];
    unsigned char encoded[LQ_WS_ACCEPT_LEN + 1]; /* with a NUL */

    if (!is_key(key)) return LQ_EINVALID;
    memcpy(text, key.ptr, KEY_LEN);
    memcpy(text + KEY_LEN, guid, sizeof guid - 1);
    if (!EVP_Digest(text, sizeof text, digest, NULL, EVP_sha1(), NULL))
        return -ENOMEM;
    EVP_EncodeBlock(encoded, digest, SHA1_LEN);
    memcpy(out, encoded, LQ_WS_ACCEPT_LEN);
    return 0;
}

/* ---- lists --------------------------------------------------------------- */

static size_t joined_len(const lq_request *r, lq_str name)
{
    size_t len = 0;
    uint32_t i;

    for (i = 0; i < r->header_count; i++)
        if (lq_str_equal_nocase(lq_request_name(r, i), name))
            len += lq_request_value(r, i).len + 1;
    return len;
}

static void join(const lq_request *r, lq_str name, char *out)
{
    lq_str value;
    uint32_t i;

    for (i = 0; i < r->header_count; i++) {
        if (!lq_str_equal_nocase(lq_request_name(r, i), name)) continue;
        value = lq_request_value(r, i);
        if (value.len) memcpy(out, value.ptr, value.len);
        out += value.len;
        *out++ = ',';
    }
}

int lq_ws_list_field(const lq_request *r, lq_str lower_name, lq_arena *arena,
                     lq_str *out)
{
    size_t len;
    char *text;

    *out = lq_request_header(r, lower_name);
    if (count_lines(r, lower_name) <= 1) return 0;
    len = joined_len(r, lower_name);
    text = lq_arena_alloc(arena, len);
    if (!text) return -ENOMEM;
    join(r, lower_name, text);
    *out = (lq_str){text, len - 1};
    return 0;
}

/* Takes the part up to the next comma off `rest`. */
static lq_str next_member(lq_str *rest)
{
    const char *comma = memchr(rest->ptr, ',', rest->len);
    size_t len = comma ? (size_t)(comma - rest->ptr) : rest->len;
    lq_str member = {rest->ptr, len};

    if (comma) len++;
    *rest = (lq_str){rest->ptr + len, rest->len - len};
    return lq_members_trim(member);
}

int lq_ws_choose_protocol(lq_str value, const lq_str *ours, size_t count)
{
    lq_str member;
    size_t i;

    while (value.len) {
        member = next_member(&value);
        for (i = 0; member.len && i < count; i++)
            if (lq_str_equal(member, ours[i])) return (int)i;
    }
    return -1;
}

/* ---- extensions ---------------------------------------------------------- */

/* One offer as it is read. A parameter has a value, or ptr is NULL. */
typedef struct offer {
    lq_ws_deflate_params params;
    bool is_ours; /* permessage-deflate, and nothing against it so far */
    bool has_server_bits, has_client_bits;
} offer;

static void skip_spaces(lq_str *s)
{
    while (s->len && (s->ptr[0] == ' ' || s->ptr[0] == '\t'))
        s->ptr++, s->len--;
}

/* Takes `c` and the white space around it off the front. */
static bool skip_char(lq_str *s, char c)
{
    skip_spaces(s);
    if (s->len == 0 || s->ptr[0] != c) return false;
    s->ptr++, s->len--;
    skip_spaces(s);
    return true;
}

/* Takes a token off the front; false when there is none. */
static bool read_token(lq_str *s, lq_str *out)
{
    *out = (lq_str){s->ptr, lq_request_token_len(*s)};
    *s = (lq_str){s->ptr + out->len, s->len - out->len};
    return out->len > 0;
}

/* A value: a token, also in quotes (RFC 6455 9.1). One with a backslash in it
 * is a token of which nothing here has the like: it is passed over as such. */
static bool read_value(lq_str *s, lq_str *out)
{
    size_t i = 1;

    if (s->len == 0 || s->ptr[0] != '"') return read_token(s, out);
    while (i < s->len && s->ptr[i] != '"') {
        if (s->ptr[i] == '\\') i++;
        if (i < s->len && lq_request_token_len((lq_str){s->ptr + i, 1}) == 0)
            return false;
        i++;
    }
    if (i >= s->len || i == 1) return false;
    *out = (lq_str){s->ptr + 1, i - 1};
    *s = (lq_str){s->ptr + i + 1, s->len - i - 1};
    return true;
}

/* The bits of a window, 0 for what is no such number. */
static int bits_of(lq_str value)
{
    int bits;

    if (value.len == 1 && (value.ptr[0] == '8' || value.ptr[0] == '9'))
        return value.ptr[0] - '0';
    if (value.len != 2 || value.ptr[0] != '1') return 0;
    bits = 10 + value.ptr[1] - '0';
    return bits >= 10 && bits <= BITS_MAX ? bits : 0;
}

/* A parameter without a value that may stand there once. */
static bool set_flag(bool *flag, lq_str value)
{
    bool is_good = !*flag && !value.ptr;

    *flag = true;
    return is_good;
}

static bool set_server_bits(offer *o, lq_str value)
{
    int bits = bits_of(value);

    if (o->has_server_bits || bits < BITS_LEAST) return false;
    o->has_server_bits = true;
    o->params.server_bits = bits;
    return true;
}

static bool set_client_bits(offer *o, lq_str value)
{
    int bits = value.ptr ? bits_of(value) : BITS_MAX;

    if (o->has_client_bits || bits < BITS_MIN) return false;
    o->has_client_bits = true;
    o->params.client_bits = bits;
    return true;
}

/* Whether the offer can be done with this parameter. */
static bool set_param(offer *o, lq_str name, lq_str value)
{
    lq_ws_deflate_params *p = &o->params;

    if (lq_str_equal_nocase(name, LQ_STR("server_no_context_takeover")))
        return set_flag(&p->server_no_context_takeover, value);
    if (lq_str_equal_nocase(name, LQ_STR("client_no_context_takeover")))
        return set_flag(&p->client_no_context_takeover, value);
    if (lq_str_equal_nocase(name, LQ_STR("server_max_window_bits")))
        return set_server_bits(o, value);
    if (lq_str_equal_nocase(name, LQ_STR("client_max_window_bits")))
        return set_client_bits(o, value);
    return false;
}

/* Takes an extension with its parameters off the front; false for what is
 * none. */
static bool read_offer(lq_str *s, offer *o)
{
    lq_str name, value;

    *o = (offer){.params = {.server_bits = BITS_MAX, .client_bits = BITS_MAX}};
    if (!read_token(s, &name)) return false;
    o->is_ours = lq_str_equal_nocase(name, LQ_STR("permessage-deflate"));
    while (skip_char(s, ';')) {
        value = (lq_str){NULL, 0};
        if (!read_token(s, &name)) return false;
        if (skip_char(s, '=') && !read_value(s, &value)) return false;
        if (o->is_ours) o->is_ours = set_param(o, name, value);
    }
    return true;
}

/* What is answered to an offer that can be done. */
static lq_ws_deflate_params answer_to(const offer *o,
                                      const lq_ws_deflate_cfg *cfg)
{
    lq_ws_deflate_params p = o->params;

    p.on = true;
    p.says_server_bits = o->has_server_bits;
    if (p.server_bits > cfg->window_bits) p.server_bits = cfg->window_bits;
    if (o->has_client_bits && p.client_bits > cfg->window_bits)
        p.client_bits = cfg->window_bits;
    if (!cfg->context_takeover)
        p.server_no_context_takeover = p.client_no_context_takeover = true;
    return p;
}

int lq_ws_negotiate(lq_str value, const lq_ws_deflate_cfg *cfg,
                    lq_ws_deflate_params *out)
{
    lq_ws_deflate_params found = {.on = false};
    offer o;

    *out = found;
    do { /* empty members are allowed, RFC 9110 5.6.1 */
        while (skip_char(&value, ',')) continue;
        if (value.len == 0) break;
        if (!read_offer(&value, &o)) return LQ_EINVALID;
        if (o.is_ours && !found.on) found = answer_to(&o, cfg);
    } while (skip_char(&value, ','));
    if (value.len) return LQ_EINVALID;
    *out = found;
    return 0;
}

size_t lq_ws_extension_line(const lq_ws_deflate_params *params, char *out,
                            size_t cap)
{
    bool says_server = params->says_server_bits || params->server_bits < 15;
    char server[40] = "", client[40] = "";
    int len;

    if (says_server)
        snprintf(server, sizeof server, "; server_max_window_bits=%d",
                 params->server_bits);
    if (params->client_bits < BITS_MAX)
        snprintf(client, sizeof client, "; client_max_window_bits=%d",
                 params->client_bits);
    len = snprintf(
        out, cap, "permessage-deflate%s%s%s%s",
        params->server_no_context_takeover ? "; server_no_context_takeover"
                                           : "",
        params->client_no_context_takeover ? "; client_no_context_takeover"
                                           : "",
        server, client);
    return len > 0 && (size_t)len < cap ? (size_t)len : 0;
}

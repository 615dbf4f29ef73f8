/* forwarded.c - see forwarded.h. */
#include "http/forwarded.h"

#include <stdio.h>

#include "http/members.h"

/* ---- what they are made of ----------------------------------------------- */

static int refuse(lq_err *err, const char *why)
{
    return lq_err_set(err, LQ_EINVALID, "%s", why);
}

/* A '_' and more of letters, digits, '.', '_' and '-'. */
static bool is_hidden_name(lq_str s)
{
    size_t i;
    char c;

    if (s.len < 2 || s.ptr[0] != '_') return false;
    for (i = 1; i < s.len; i++) {
        c = s.ptr[i];
        if ((c < '0' || c > '9') && ((c | 0x20) < 'a' || (c | 0x20) > 'z') &&
            c != '.' && c != '_' && c != '-')
            return false;
    }
    return true;
}

/* Digits up to 65535; -1 for anything else. */
static int read_port(lq_str s)
{
    int port = 0;
    size_t i;

    if (s.len == 0 || s.len > 5) return -1;
    for (i = 0; i < s.len; i++) {
        if (s.ptr[i] < '0' || s.ptr[i] > '9') return -1;
        port = port * 10 + s.ptr[i] - '0';
    }
    return port <= 65535 ? port : -1;
}

/* Cuts `node` into its name and what stands behind, which begins with the
 * colon of the port. An address in brackets loses them. */
static bool cut_node(lq_str node, lq_str *name, lq_str *rest)
{
    bool has_bracket = node.len && node.ptr[0] == '[';
    const char *end;

    if (has_bracket) node.ptr++, node.len--;
    end = node.len ? memchr(node.ptr, has_bracket ? ']' : ':', node.len) : NULL;
    if (has_bracket && !end) return false;
    *name = (lq_str){node.ptr, end ? (size_t)(end - node.ptr) : node.len};
    *rest = (lq_str){node.ptr + name->len, node.len - name->len};
    if (!has_bracket) return true;
    rest->ptr++, rest->len--;
    return name->len && memchr(name->ptr, ':', name->len);
}

static bool read_node_port(lq_str rest, uint16_t *out)
{
    int port;

    *out = 0;
    if (rest.len == 0) return true;
    if (rest.ptr[0] != ':') return false;
    rest.ptr++, rest.len--;
    if (is_hidden_name(rest)) return true;
    port = read_port(rest);
    if (port >= 0) *out = (uint16_t)port;
    return port >= 0;
}

/* Who sent something: RFC 7239, 6. Fills address and port of `out`; `hop` is
 * the address, none when it is hidden. */
static bool read_node(lq_forwarded *out, lq_str node, lq_address *hop)
{
    lq_str name, rest;

    *hop = (lq_address){.kind = LQ_ADDRESS_NONE};
    if (!cut_node(node, &name, &rest) || !read_node_port(rest, &out->port))
        return false;
    if (lq_address_read(hop, name) ||
        lq_str_equal_nocase(name, LQ_STR("unknown"))) {
        lq_address_write(hop, out->address);
        return true;
    }
    if (!is_hidden_name(name) || name.len >= sizeof out->address) return false;
    memcpy(out->address, name.ptr, name.len);
    out->address[name.len] = '\0';
    return true;
}

/* Those of a WebSocket are told by some proxies, too. */
static bool read_scheme(lq_forwarded *out, lq_str s)
{
    if (lq_str_equal_nocase(s, LQ_STR("http")) ||
        lq_str_equal_nocase(s, LQ_STR("ws")))
        out->scheme = "http";
    else if (lq_str_equal_nocase(s, LQ_STR("https")) ||
             lq_str_equal_nocase(s, LQ_STR("wss")))
        out->scheme = "https";
    else
        return false;
    return true;
}

static bool read_host(lq_forwarded *out, lq_str s)
{
    if (s.len == 0 || s.len >= sizeof out->host || s.ptr[0] == ':' ||
        !lq_request_is_authority(s))
        return false;
    memcpy(out->host, s.ptr, s.len);
    out->host[s.len] = '\0';
    return true;
}

/* ---- Forwarded ----------------------------------------------------------- */

/* One member taken apart; the values have no quotes, ptr is NULL for what is
 * not there. */
typedef struct element {
    lq_str by, node, host, proto;
    char bytes[2 * LQ_FORWARDED_HOST]; /* of values that had quotes */
    size_t used;
    bool is_cut; /* the last value did not fit */
} element;

/* A token, or a string in quotes without them; takes it off `rest`. */
static const char *take_value(element *e, lq_str *rest, lq_str *value)
{
    size_t i, start = e->used;
    char c;

    e->is_cut = false;
    if (rest->len == 0 || rest->ptr[0] != '"') {
        *value = (lq_str){rest->ptr, lq_request_token_len(*rest)};
        rest->ptr += value->len;
        rest->len -= value->len;
        return value->len ? NULL : "Forwarded has a value that is no token";
    }
    for (i = 1; i < rest->len && rest->ptr[i] != '"'; i++) {
        if (rest->ptr[i] == '\\' && ++i == rest->len) break;
        c = rest->ptr[i];
        if (((unsigned char)c < ' ' && c != '\t') || c == 0x7f)
            return "Forwarded has a control character";
        e->is_cut = e->used == sizeof e->bytes;
        if (!e->is_cut) e->bytes[e->used++] = c;
    }
    if (i >= rest->len) return "Forwarded has a quote that is not closed";
    *value = (lq_str){e->bytes + start, e->used - start};
    rest->ptr += i + 1;
    rest->len -= i + 1;
    return NULL;
}

/* Where the value of a parameter belongs; NULL: not needed. */
static lq_str *slot_of(element *e, lq_str name)
{
    if (lq_str_equal_nocase(name, LQ_STR("for"))) return &e->node;
    if (lq_str_equal_nocase(name, LQ_STR("host"))) return &e->host;
    if (lq_str_equal_nocase(name, LQ_STR("proto"))) return &e->proto;
    if (lq_str_equal_nocase(name, LQ_STR("by"))) return &e->by;
    return NULL;
}

static const char *take_pair(element *e, lq_str *rest)
{
    lq_str name = {rest->ptr, lq_request_token_len(*rest)}, value;
    lq_str *slot = slot_of(e, name);
    size_t used = e->used;
    const char *why;

    rest->ptr += name.len;
    rest->len -= name.len;
    if (name.len == 0 || rest->len == 0 || rest->ptr[0] != '=')
        return "Forwarded has a parameter without name or value";
    rest->ptr++, rest->len--;
    if ((why = take_value(e, rest, &value))) return why;
    if (!slot) e->used = used; /* its bytes are not needed */
    if (slot && slot->ptr) return "Forwarded has a parameter twice";
    if (slot && e->is_cut) return "Forwarded has a value that is too long";
    if (slot) *slot = value;
    return NULL;
}

/* Pairs with semicolons between them, where white space is not taken amiss. */
static const char *read_element(element *e, lq_str text)
{
    lq_str rest = text;
    const char *why;

    e->by = e->node = e->host = e->proto = (lq_str){NULL, 0};
    e->used = 0;
    while (rest.len) {
        if (rest.ptr[0] != ';') {
            if ((why = take_pair(e, &rest))) return why;
            rest = lq_members_trim(rest);
            if (rest.len && rest.ptr[0] != ';')
                return "Forwarded has something behind a value";
        }
        if (rest.len)
            rest = lq_members_trim((lq_str){rest.ptr + 1, rest.len - 1});
    }
    return NULL;
}

/* Takes over what an element tells. */
static const char *use_element(lq_forwarded *out, const element *e,
                               lq_address *hop)
{
    hop->kind = LQ_ADDRESS_NONE;
    if (e->proto.ptr && !read_scheme(out, e->proto))
        return "Forwarded has an unknown scheme";
    if (e->host.ptr && !read_host(out, e->host))
        return "Forwarded has a malformed host";
    if (e->node.ptr && !read_node(out, e->node, hop))
        return "Forwarded has a malformed address";
    return NULL;
}

static int read_standard(lq_forwarded *out, const lq_request *r,
                         const lq_trust *trust, lq_err *err)
{
    lq_members m = lq_members_of(r, LQ_STR("forwarded"), true);
    const char *why;
    lq_address hop;
    lq_str text;
    element e;
    int hops = 0;

    while (lq_members_previous(&m, &text)) {
        if (++hops > LQ_FORWARDED_HOPS)
            return refuse(err, "Forwarded has too many members");
        why = read_element(&e, text);
        if (!why) why = use_element(out, &e, &hop);
        if (why) return refuse(err, why);
        if (!lq_trust_has(trust, &hop)) break;
    }
    return 0;
}

/* ---- X-Forwarded-* ------------------------------------------------------ */

/* An IPv6 address may stand here without brackets. */
static bool read_plain_node(lq_forwarded *out, lq_str node, lq_address *hop)
{
    if (!lq_address_read(hop, node)) return read_node(out, node, hop);
    lq_address_write(hop, out->address);
    out->port = 0;
    return true;
}

/* Sets *hops to the number of members that count, which is at least 1. */
static int read_x_for(lq_forwarded *out, const lq_request *r,
                      const lq_trust *trust, int *hops, lq_err *err)
{
    lq_members m = lq_members_of(r, LQ_STR("x-forwarded-for"), false);
    lq_address hop;
    lq_str text;
    int n = 0;

    while (lq_members_previous(&m, &text)) {
        if (++n > LQ_FORWARDED_HOPS)
            return refuse(err, "X-Forwarded-For has too many members");
        if (!read_plain_node(out, text, &hop))
            return refuse(err, "X-Forwarded-For has a malformed address");
        if (!lq_trust_has(trust, &hop)) break;
    }
    *hops = n ? n : 1;
    return 0;
}

/* What the outermost of `hops` proxies says in a list; some write a list, some
 * only one value. ptr is NULL when there is nothing. */
static lq_str member_at(const lq_request *r, lq_str name, int hops)
{
    lq_members m = lq_members_of(r, name, false);
    lq_str text, found = {NULL, 0};

    while (hops-- > 0 && lq_members_previous(&m, &text)) found = text;
    return found;
}

/* Whether an authority has a port: a colon behind the brackets, if any. */
static bool has_port(lq_str host)
{
    const char *bracket = host.len ? memchr(host.ptr, ']', host.len) : NULL;
    const char *from = bracket ? bracket : host.ptr;

    return host.len &&
           memchr(from, ':', (size_t)(host.ptr + host.len - from)) != NULL;
}

/* Adds a port that is not told otherwise. 80 and 443 are those of the schemes:
 * where they do not fit, a proxy tells its own. */
static bool add_port(lq_forwarded *out, lq_str host, lq_str text)
{
    char joined[LQ_FORWARDED_HOST + 8];
    int port = read_port(text), len;

    if (port < 1) return false;
    if (port == 80 || port == 443 || host.len == 0 || has_port(host) ||
        host.len >= LQ_FORWARDED_HOST)
        return true;
    len = snprintf(joined, sizeof joined, "%.*s:%d", (int)host.len, host.ptr,
                   port);
    return read_host(out, (lq_str){joined, (size_t)len});
}

static int read_x(lq_forwarded *out, const lq_request *r, const lq_trust *trust,
                  lq_err *err)
{
    lq_str proto, host, port;
    int hops = 1, code = read_x_for(out, r, trust, &hops, err);

    if (code < 0) return code;
    proto = member_at(r, LQ_STR("x-forwarded-proto"), hops);
    host = member_at(r, LQ_STR("x-forwarded-host"), hops);
    port = member_at(r, LQ_STR("x-forwarded-port"), hops);
    if (proto.ptr && !read_scheme(out, proto))
        return refuse(err, "X-Forwarded-Proto has an unknown scheme");
    if (host.ptr && !read_host(out, host))
        return refuse(err, "X-Forwarded-Host is malformed");
    if (!host.ptr) host = lq_request_host(r);
    if (port.ptr && !add_port(out, host, port))
        return refuse(err, "X-Forwarded-Port is malformed");
    return 0;
}

/* ---- both ---------------------------------------------------------------- */

/* Whether two texts are the same, or one of them is not told. */
static bool agree(const char *a, const char *b)
{
    return !*a || !*b || strcasecmp(a, b) == 0;
}

/* Takes over from `other` what `out` does not tell; false when they differ. */
static bool join(lq_forwarded *out, const lq_forwarded *other)
{
    if (!agree(out->address, other->address) ||
        !agree(out->host, other->host) ||
        (out->scheme && other->scheme &&
         strcmp(out->scheme, other->scheme) != 0))
        return false;
    if (!*out->address)
        memcpy(out->address, other->address, sizeof out->address);
    if (!*out->host) memcpy(out->host, other->host, sizeof out->host);
    if (!out->scheme) out->scheme = other->scheme;
    if (!out->port) out->port = other->port;
    return true;
}

int lq_forwarded_read(lq_forwarded *out, const lq_request *r,
                      const lq_trust *trust, lq_err *err)
{
    lq_forwarded standard = {.port = 0}, x = {.port = 0};
    int code = read_standard(&standard, r, trust, err);

    *out = (lq_forwarded){.port = 0};
    if (code == 0) code = read_x(&x, r, trust, err);
    if (code == 0 && !join(&standard, &x))
        code = refuse(err, "Forwarded and X-Forwarded-* contradict each other");
    if (code == 0) *out = standard;
    return code;
}

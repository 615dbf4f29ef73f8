/* fuzz_forwarded.c - what proxies tell of a client.
 *
 * An input is a list of lines. The first byte of a line is the name of a field
 * (see `names`), the rest its value. What is believed must be well formed, must
 * be what a naive reading from the left finds where such a one finds no fault,
 * and must not depend on what the client has written in front of it.
 *
 * Owns:    nothing that outlives an input.
 * Thread:  none.
 * Knows:   base, http.
 */
#include <arpa/inet.h>

#include "fuzz.h"
#include "http/forwarded.h"

enum { LINES_MAX = 32, ELEMENTS_MAX = 256 };

static const struct {
    char key;
    const char *name;
} names[] = {
    {'F', "Forwarded"},         {'f', "X-Forwarded-For"},
    {'p', "X-Forwarded-Proto"}, {'h', "X-Forwarded-Host"},
    {'o', "X-Forwarded-Port"},  {'H', "Host"},
};

/* ---- a head from an input ------------------------------------------------ */

typedef struct head {
    lq_request r;
    lq_header headers[LINES_MAX + 1];
    char *bytes;
    size_t len;
} head;

static const char *name_of(char key)
{
    size_t i;

    for (i = 0; i < LQ_COUNT_OF(names); i++)
        if (names[i].key == key) return names[i].name;
    return "X";
}

/* Adds a line; without bytes it is only counted. */
static void add_line(head *h, const char *name, lq_str value)
{
    lq_header *line = &h->headers[h->r.header_count++];
    size_t name_len = strlen(name);

    if (h->bytes) memcpy(h->bytes + h->len, name, name_len);
    line->name = (uint32_t)h->len;
    line->name_len = (uint32_t)name_len;
    h->len += name_len;
    if (h->bytes && value.len) memcpy(h->bytes + h->len, value.ptr, value.len);
    line->value = (uint32_t)h->len;
    line->value_len = (uint32_t)value.len;
    h->len += value.len;
}

static void add_input(head *h, lq_str input, lq_str in_front)
{
    const uint32_t most = in_front.ptr ? LINES_MAX + 1 : LINES_MAX;
    const char *end;
    size_t len;

    h->len = h->r.header_count = 0;
    if (in_front.ptr) add_line(h, "forwarded", in_front);
    while (input.len && h->r.header_count < most) {
        end = memchr(input.ptr, '\n', input.len);
        len = end ? (size_t)(end - input.ptr) : input.len;
        if (len)
            add_line(h, name_of(*input.ptr), (lq_str){input.ptr + 1, len - 1});
        if (end) len++;
        input.ptr += len;
        input.len -= len;
    }
}

/* Everything in one block, so that the sanitizer sees its end. in_front: one
 * more line of Forwarded, above the others. */
static void head_init(head *h, lq_str input, lq_str in_front)
{
    *h = (head){.r.headers = h->headers};
    add_input(h, input, in_front);
    h->bytes = malloc(h->len ? h->len : 1);
    FUZZ_CHECK(h->bytes);
    h->r.base = h->bytes;
    add_input(h, input, in_front);
}

static void head_fini(head *h)
{
    free(h->bytes);
}

/* ---- a naive reading of Forwarded, from the left ------------------------- */

typedef struct element {
    char node[256], host[512], proto[256];
    bool has_node, has_host, has_proto;
} element;

typedef struct naive {
    element elements[ELEMENTS_MAX];
    int count;
    bool has_fault; /* or is more than this reading cares for */
} naive;

static bool is_token_byte(int c)
{
    return c > ' ' && c < 0x7f && !strchr("\"(),/:;<=>?@[\\]{}", c);
}

static const char *skip_spaces(const char *at, const char *end)
{
    while (at < end && (*at == ' ' || *at == '\t')) at++;
    return at;
}

static const char *naive_value(const char *at, const char *end, char *out,
                               size_t cap)
{
    size_t len = 0;
    bool is_quoted = at < end && *at == '"';

    if (is_quoted) at++;
    for (; at < end; at++) {
        if (is_quoted && *at == '"') break;
        if (is_quoted && *at == '\\' && ++at == end) return NULL;
        if (!is_quoted && !is_token_byte(*at)) break;
        if (((unsigned char)*at < ' ' && *at != '\t') || *at == 0x7f)
            return NULL;
        if (*at == '\0' || len + 1 == cap) return NULL;
        out[len++] = *at;
    }
    out[len] = '\0';
    if (is_quoted) return at < end ? at + 1 : NULL;
    return len ? at : NULL;
}

/* One pair at `at`; returns what is behind it, NULL for a fault. */
static const char *naive_pair(element *e, const char *at, const char *end)
{
    char name[64], ignored[512], *out = ignored;
    size_t len = 0, cap = sizeof ignored;
    bool *has = NULL;

    while (at < end && is_token_byte(*at) && len + 1 < sizeof name)
        name[len++] = *at++;
    name[len] = '\0';
    if (len == 0 || at == end || *at++ != '=') return NULL;
    if (strcasecmp(name, "by") == 0) return NULL; /* not cared for */
    if (strcasecmp(name, "for") == 0)
        out = e->node, cap = sizeof e->node, has = &e->has_node;
    if (strcasecmp(name, "host") == 0)
        out = e->host, cap = sizeof e->host, has = &e->has_host;
    if (strcasecmp(name, "proto") == 0)
        out = e->proto, cap = sizeof e->proto, has = &e->has_proto;
    if (has && *has) return NULL;
    if (has) *has = true;
    return naive_value(at, end, out, cap);
}

/* Pairs with semicolons between them, up to a comma. */
static const char *naive_element(element *e, const char *at, const char *end)
{
    bool is_apart = true; /* from the pair in front */

    *e = (element){.has_node = false};
    while (at && (at = skip_spaces(at, end)) < end && *at != ',') {
        if (*at != ';' && !is_apart) return NULL;
        is_apart = *at == ';';
        at = is_apart ? at + 1 : naive_pair(e, at, end);
    }
    return at;
}

/* One line: elements with commas between them. */
static bool naive_line(naive *n, const char *at, const char *end)
{
    while (at) {
        while (at < end && (*at == ',' || *at == ' ' || *at == '\t')) at++;
        if (at == end) return true;
        if (n->count == ELEMENTS_MAX) return false;
        at = naive_element(&n->elements[n->count++], at, end);
    }
    return false;
}

static void naive_read(naive *n, const lq_request *r)
{
    uint32_t i;
    lq_str value;

    n->count = 0;
    n->has_fault = false;
    for (i = 0; i < r->header_count && !n->has_fault; i++) {
        if (!lq_str_equal_nocase(lq_request_name(r, i), LQ_STR("forwarded")))
            continue;
        value = lq_request_value(r, i);
        n->has_fault = !naive_line(n, value.ptr, value.ptr + value.len);
    }
}

/* ---- what must hold ------------------------------------------------------ */

static void check_form(const lq_forwarded *f)
{
    char text[LQ_ADDRESS_TEXT];
    lq_address a;
    lq_str address = {f->address, strlen(f->address)};

    FUZZ_CHECK(!f->scheme || !strcmp(f->scheme, "http") ||
               !strcmp(f->scheme, "https"));
    FUZZ_CHECK(!*f->host ||
               lq_request_is_authority((lq_str){f->host, strlen(f->host)}));
    FUZZ_CHECK(*f->host != ':');
    if (!*f->address || *f->address == '_' || !strcmp(f->address, "unknown"))
        return;
    FUZZ_CHECK(lq_address_read(&a, address));
    lq_address_write(&a, text);
    FUZZ_CHECK(!strcmp(text, f->address));
}

/* The address of a plain IPv4 node, without its port; NULL for another. */
static const char *plain_address(const char *node, char *out, size_t cap)
{
    size_t len = strcspn(node, ":");
    struct in_addr ignored;

    if (len >= cap) return NULL;
    memcpy(out, node, len);
    out[len] = '\0';
    return inet_pton(AF_INET, out, &ignored) == 1 ? out : NULL;
}

/* Walks as the headers say: 10.0.0.0/8 is trusted. */
static void check_naive(const naive *n, const lq_forwarded *f)
{
    const char *address = "", *host = "";
    char text[INET_ADDRSTRLEN];
    const element *e;
    int i;

    for (i = n->count - 1; i >= 0; i--) {
        e = &n->elements[i];
        if (e->has_host) host = e->host;
        if (!e->has_node) break;
        address = plain_address(e->node, text, sizeof text);
        if (!address) return; /* not cared for */
        if (strncmp(address, "10.", 3) != 0) break;
    }
    FUZZ_CHECK(!strcmp(address, f->address));
    FUZZ_CHECK(!strcmp(host, f->host));
}

static bool is_same(const lq_forwarded *a, const lq_forwarded *b)
{
    return !strcmp(a->address, b->address) && a->port == b->port &&
           a->scheme == b->scheme && !strcmp(a->host, b->host);
}

static bool has_x(const lq_request *r)
{
    uint32_t i;

    for (i = 0; i < r->header_count; i++)
        if (lq_request_name(r, i).len > 9) return true;
    return false;
}

/* Whether the way ended at an address that is not trusted. */
static bool has_ended(const lq_forwarded *f, const lq_trust *trust)
{
    lq_str text = {f->address, strlen(f->address)};
    lq_address a = {.kind = LQ_ADDRESS_NONE};

    return text.len && (!lq_address_read(&a, text) || !lq_trust_has(trust, &a));
}

/* The client may put whatever it wants in front: here the input again. */
static void check_in_front(lq_str input, const lq_forwarded *f,
                           const lq_trust *trust)
{
    lq_forwarded again;
    head h;

    head_init(&h, input, input);
    FUZZ_CHECK(lq_forwarded_read(&again, &h.r, trust, NULL) == 0);
    FUZZ_CHECK(is_same(&again, f));
    head_fini(&h);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static const lq_str nothing = {NULL, 0};
    lq_str input = {(const char *)data, len};
    lq_range range;
    lq_trust trust = {&range, 1};
    lq_forwarded f;
    lq_err err;
    naive n;
    head h;
    int code;

    FUZZ_CHECK(lq_range_read(&range, LQ_STR("10.0.0.0/8")));
    head_init(&h, input, nothing);
    code = lq_forwarded_read(&f, &h.r, &trust, &err);
    check_form(&f);
    FUZZ_CHECK(code == 0 || (code == LQ_EINVALID && *err.text));
    FUZZ_CHECK(code == 0 || (!*f.address && !*f.host && !f.scheme && !f.port));
    if (code == 0 && !has_x(&h.r)) {
        naive_read(&n, &h.r);
        if (!n.has_fault) check_naive(&n, &f);
        if (has_ended(&f, &trust)) check_in_front(input, &f, &trust);
    }
    head_fini(&h);
    return 0;
}

/* request.c - see request.h. */
#include "http/request.h"

#include "base/address.h"
#include "http/method.h"

/* ---- bytes --------------------------------------------------------------- */

enum { TOKEN = 1, HOST = 2, URL = 4, MORE = URL | HOST, ALL = MORE | TOKEN };

/* What a token, a host's name and a target are made of: for a target all that
 * can be seen but the number sign; for a host a % only in front of two
 * hexadecimal digits, so not here. */
static const unsigned char classes[256] = {
    ['0' ... '9'] = ALL, ['A' ... 'Z'] = ALL, ['a' ... 'z'] = ALL,
    ['!'] = ALL,         ['"'] = URL,         ['#'] = TOKEN,
    ['$'] = ALL,         ['%'] = URL | TOKEN, ['&'] = ALL,
    ['\''] = ALL,        ['('] = MORE,        [')'] = MORE,
    ['*'] = ALL,         ['+'] = ALL,         [','] = MORE,
    ['-'] = ALL,         ['.'] = ALL,         ['/'] = URL,
    [':'] = URL,         [';'] = MORE,        ['<'] = URL,
    ['='] = MORE,        ['>' ... '@'] = URL, ['[' ... ']'] = URL,
    ['^'] = URL | TOKEN, ['_'] = ALL,         ['`'] = URL | TOKEN,
    ['{'] = URL,         ['|'] = URL | TOKEN, ['}'] = URL,
    ['~'] = ALL,
};

static size_t span_of(lq_str s, unsigned char class)
{
    size_t i = 0;

    while (i < s.len && classes[(unsigned char)s.ptr[i]] & class) i++;
    return i;
}

size_t lq_request_token_len(lq_str s)
{
    return span_of(s, TOKEN);
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t';
}

static lq_str trim(const char *at, const char *end)
{
    while (at < end && is_space(*at)) at++;
    while (at < end && is_space(end[-1])) end--;
    return (lq_str){at, (size_t)(end - at)};
}

/* Whether `s` is `lower`, which has only small letters and hyphens. No byte
 * of a field but the capital letter becomes such a one by setting its bit. */
static inline bool is_word(const char *s, const char *lower, size_t len)
{
    size_t i;

    for (i = 0; i < len; i++)
        if ((s[i] | 0x20) != lower[i]) return false;
    return true;
}

/* Takes the next member off a comma-separated list; false at its end. Empty
 * members are left out. */
static bool next_member(lq_str *rest, lq_str *member)
{
    const char *at = rest->ptr, *end = at + rest->len, *comma;

    while (at < end && (is_space(*at) || *at == ',')) at++;
    if (at == end) return false;
    comma = memchr(at, ',', (size_t)(end - at));
    if (!comma) comma = end;
    *member = trim(at, comma);
    *rest = (lq_str){comma, (size_t)(end - comma)};
    return true;
}

static bool is_hex(char c)
{
    return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f');
}

/* v1.anything: an address of a later version. */
static bool is_future_address(lq_str s)
{
    size_t i = 1;

    if (s.len == 0 || (s.ptr[0] | 0x20) != 'v') return false;
    while (i < s.len && is_hex(s.ptr[i])) i++;
    if (i == 1 || i + 1 >= s.len || s.ptr[i] != '.') return false;
    for (i++; i < s.len; i++)
        if (s.ptr[i] != ':' && !(classes[(unsigned char)s.ptr[i]] & HOST))
            return false;
    return true;
}

static bool is_ipv6_address(lq_str s)
{
    lq_address ignored;

    return s.len && memchr(s.ptr, ':', s.len) && lq_address_read(&ignored, s);
}

/* How many bytes of `s` are an address in brackets: RFC 3986, 3.2.2. */
static size_t literal_len(lq_str s)
{
    const char *close = memchr(s.ptr, ']', s.len);
    lq_str inner = {s.ptr + 1, close ? (size_t)(close - s.ptr) - 1 : 0};

    if (!is_future_address(inner) && !is_ipv6_address(inner)) return 0;
    return inner.len + 2;
}

/* How many bytes of `s` are a name or an IPv4 address. */
static size_t name_len(lq_str s)
{
    size_t i = span_of(s, HOST);

    while (i + 2 < s.len && s.ptr[i] == '%' && is_hex(s.ptr[i + 1]) &&
           is_hex(s.ptr[i + 2])) {
        i += 3;
        i += span_of((lq_str){s.ptr + i, s.len - i}, HOST);
    }
    return i;
}

bool lq_request_is_authority(lq_str s)
{
    bool is_literal = s.len && s.ptr[0] == '[';
    size_t i = is_literal ? literal_len(s) : name_len(s);

    if (is_literal && i == 0) return false;
    if (i == s.len) return true;
    if (s.ptr[i++] != ':') return false;
    for (; i < s.len; i++)
        if (s.ptr[i] < '0' || s.ptr[i] > '9') return false;
    return true;
}

/* ---- views --------------------------------------------------------------- */

lq_str lq_request_target(const lq_request *r)
{
    return (lq_str){r->base + r->target, r->target_len};
}

lq_str lq_request_path(const lq_request *r)
{
    if (r->path_len == 0) return LQ_STR("/");
    return (lq_str){r->base + r->path, r->path_len};
}

lq_str lq_request_query(const lq_request *r)
{
    return (lq_str){r->base + r->query, r->query_len};
}

lq_str lq_request_host(const lq_request *r)
{
    if (r->authority_len)
        return (lq_str){r->base + r->authority, r->authority_len};
    return lq_request_header(r, LQ_STR("host"));
}

lq_str lq_request_header(const lq_request *r, lq_str lower_name)
{
    uint32_t i;

    for (i = 0; i < r->header_count; i++)
        if (lq_str_equal_nocase(lq_request_name(r, i), lower_name))
            return lq_request_value(r, i);
    return (lq_str){NULL, 0};
}

/* ---- the fields that matter to the connection ---------------------------- */

/* What the fields say about framing. */
typedef struct findings {
    const char *why;
    unsigned hosts, lengths, codings;
    bool ends_chunked;  /* the last coding named is chunked */
    bool has_other;     /* so is another one in front of it */
    bool chunked_twice; /* or chunked is named before the end */
    bool says_close, says_keep_alive, says_upgrade;
    bool has_upgrade, expects;
} findings;

static int refuse(findings *f, int status, const char *why)
{
    f->why = why;
    return -status;
}

static bool is_member(lq_str member, lq_str lower)
{
    return member.len == lower.len && is_word(member.ptr, lower.ptr, lower.len);
}

static int read_connection(findings *f, lq_str value)
{
    lq_str member;

    while (next_member(&value, &member)) {
        if (is_member(member, LQ_STR("close"))) f->says_close = true;
        if (is_member(member, LQ_STR("keep-alive"))) f->says_keep_alive = true;
        if (is_member(member, LQ_STR("upgrade"))) f->says_upgrade = true;
    }
    return 0;
}

static int read_length(findings *f, lq_request *r, lq_str value)
{
    uint64_t length = 0, digit;
    size_t i;

    if (f->lengths++) return refuse(f, 400, "Content-Length comes twice");
    if (value.len == 0) return refuse(f, 400, "Content-Length is empty");
    for (i = 0; i < value.len; i++) {
        digit = (uint64_t)(unsigned char)value.ptr[i] - '0';
        if (digit > 9) return refuse(f, 400, "Content-Length is no number");
        if (length > (INT64_MAX - digit) / 10)
            return refuse(f, 400, "Content-Length is too large");
        length = length * 10 + digit;
    }
    r->content_length = length;
    return 0;
}

/* Empty members are not left out here: llhttp takes some of them for an
 * unknown coding, and so may whoever stands in front of us. */
static int read_coding(findings *f, lq_str value)
{
    const char *at = value.ptr, *end = at + value.len, *comma;
    lq_str member;

    f->codings++;
    do {
        comma = at < end ? memchr(at, ',', (size_t)(end - at)) : NULL;
        member = trim(at, comma ? comma : end);
        if (member.len == 0) return refuse(f, 400, "A coding has no name");
        if (f->ends_chunked) f->chunked_twice = true;
        f->ends_chunked = is_member(member, LQ_STR("chunked"));
        if (!f->ends_chunked) f->has_other = true;
        at = comma ? comma + 1 : end;
    } while (comma);
    return 0;
}

static int read_host(findings *f, lq_str value)
{
    if (f->hosts++) return refuse(f, 400, "Host comes twice");
    return lq_request_is_authority(value) ? 0
                                          : refuse(f, 400, "Host is malformed");
}

static int read_expect(findings *f, lq_str value)
{
    lq_str member;

    while (next_member(&value, &member)) {
        if (!is_member(member, LQ_STR("100-continue")))
            return refuse(f, 417, "Expect asks for the unknown");
        f->expects = true;
    }
    return 0;
}

#define IS_NAMED(name, word) is_word(name, word, sizeof(word) - 1)

/* Looks at one field; most are told by the length of their name. */
static int read_field(findings *f, lq_request *r, lq_str name, lq_str value)
{
    switch (name.len) {
    case 4: return IS_NAMED(name.ptr, "host") ? read_host(f, value) : 0;
    case 6: return IS_NAMED(name.ptr, "expect") ? read_expect(f, value) : 0;
    case 7:
        if (IS_NAMED(name.ptr, "upgrade")) f->has_upgrade = true;
        return 0;
    case 10:
        return IS_NAMED(name.ptr, "connection") ? read_connection(f, value) : 0;
    case 14:
        return IS_NAMED(name.ptr, "content-length") ? read_length(f, r, value)
                                                    : 0;
    case 17:
        return IS_NAMED(name.ptr, "transfer-encoding") ? read_coding(f, value)
                                                       : 0;
    }
    return 0;
}

/* ---- field lines --------------------------------------------------------- */

static bool grow_headers(lq_request *r, const lq_request_head *head,
                         uint32_t *cap)
{
    size_t size = *cap * sizeof *r->headers;
    lq_header *headers = lq_arena_alloc(head->arena, size * 2);

    if (!headers) return false;
    memcpy(headers, r->headers, size);
    r->headers = headers;
    *cap *= 2;
    return true;
}

/* Cuts one line, which begins at `at`, into name and value. Returns where the
 * next one begins, NULL when it is malformed. */
static const char *cut_line(findings *f, const char *at, const char *end,
                            lq_str *name, lq_str *value)
{
    const char *colon = memchr(at, ':', (size_t)(end - at)), *cr;

    f->why = "A field's value goes on in the next line";
    if (is_space(*at)) return NULL;
    f->why = "A field line has no colon";
    if (!colon) return NULL;
    *name = (lq_str){at, (size_t)(colon - at)};
    f->why = "A field has no name";
    if (name->len == 0) return NULL;
    f->why = "A field's name has white space in it";
    if (memchr(at, ' ', name->len)) return NULL;
    f->why = "A field line does not end with CR LF";
    cr = memchr(colon, '\r', (size_t)(end - colon));
    if (!cr || cr + 1 >= end || cr[1] != '\n') return NULL;
    *value = trim(colon + 1, cr);
    return cr + 2;
}

/* The lines from `at` up to the empty one, at which the head must end. */
static int read_fields(findings *f, lq_request *r, const lq_request_head *head,
                       const char *at)
{
    const char *base = head->bytes, *end = base + head->len - 2;
    uint32_t cap = head->header_cap;
    lq_str name, value;
    int err;

    if (memcmp(end, "\r\n", 2) != 0)
        return refuse(f, 400, "The head does not end with an empty line");
    while (at < end) {
        at = cut_line(f, at, end, &name, &value);
        if (!at) return -400;
        err = read_field(f, r, name, value);
        if (err < 0) return err;
        if (r->header_count == head->max_headers)
            return refuse(f, 431, "The head has too many fields");
        if (r->header_count == cap && !grow_headers(r, head, &cap))
            return refuse(f, 503, "There is no memory for the fields");
        r->headers[r->header_count++] = (lq_header){
            .name = (uint32_t)(name.ptr - base),
            .name_len = (uint32_t)name.len,
            .value = (uint32_t)(value.ptr - base),
            .value_len = (uint32_t)value.len,
        };
    }
    return at == end ? 0 : refuse(f, 400, "The head ends in a line");
}

/* ---- the request line ---------------------------------------------------- */

/* http://authority and https://authority: RFC 9112, 3.2.2. */
static bool read_authority(lq_request *r)
{
    lq_str t = lq_request_target(r), rest;
    size_t scheme = 0, len;

    if (t.len > 7 && is_word(t.ptr, "http", 4))
        scheme = memcmp(t.ptr + 4, "://", 3) == 0 ? 7 : 0;
    if (!scheme && t.len > 8 && is_word(t.ptr, "https", 5))
        scheme = memcmp(t.ptr + 5, "://", 3) == 0 ? 8 : 0;
    if (!scheme) return false;
    rest = (lq_str){t.ptr + scheme, t.len - scheme};
    for (len = 0; len < rest.len; len++)
        if (rest.ptr[len] == '/' || rest.ptr[len] == '?') break;
    r->authority = r->target + (uint32_t)scheme;
    r->authority_len = (uint32_t)len;
    r->path = r->authority + r->authority_len;
    return len > 0 && rest.ptr[0] != ':' &&
           lq_request_is_authority((lq_str){rest.ptr, len});
}

static int read_target(findings *f, lq_request *r)
{
    lq_str target = lq_request_target(r);
    uint32_t end = r->target + r->target_len;
    const char *mark;

    if (span_of(target, URL) < target.len)
        return refuse(f, 400, "The target has a byte that belongs in no URL");
    r->path = r->target;
    if (target.ptr[0] == '*') {
        if (target.len > 1 || r->method != LQ_OPTIONS)
            return refuse(f, 400, "The target * is for OPTIONS");
    } else if (target.ptr[0] != '/' && !read_authority(r)) {
        return refuse(f, 400, "The target is malformed");
    }
    mark = memchr(r->base + r->path, '?', end - r->path);
    r->has_query = mark != NULL;
    r->query = mark ? (uint32_t)(mark - r->base) + 1 : end;
    r->query_len = end - r->query;
    r->path_len = (mark ? r->query - 1 : end) - r->path;
    return 0;
}

/* "METHOD SP target SP HTTP/1.x CR LF" and nothing else; sets *next to the
 * line behind it. */
static int read_request_line(findings *f, lq_request *r,
                             const lq_request_head *head, const char **next)
{
    const size_t version_len = sizeof " HTTP/1.x\r\n" - 1;
    const char *end = head->bytes + head->target + head->target_len;
    const char *space = memchr(head->bytes, ' ', head->target);

    if (head->major != 1 || head->minor > 1)
        return refuse(f, 505, "The version is not 1.0 or 1.1");
    if (!space || space + 1 != head->bytes + head->target ||
        (size_t)(head->bytes + head->len - end) < version_len + 2 ||
        memcmp(end, " HTTP/1.", 8) != 0 ||
        end[8] != (head->minor ? '1' : '0') || memcmp(end + 9, "\r\n", 2) != 0)
        return refuse(f, 400, "The request line is malformed");
    *next = end + version_len;
    r->minor = (uint8_t)head->minor;
    r->method_text = (lq_str){head->bytes, head->target - 1};
    if (lq_str_equal(r->method_text, LQ_STR("CONNECT")))
        return refuse(f, 501, "CONNECT is for proxies");
    r->method = (uint8_t)lq_method_from(r->method_text);
    return read_target(f, r);
}

/* ---- framing: RFC 9112, 6.3 ---------------------------------------------- */

static int check_coding(findings *f, const lq_request *r)
{
    if (r->minor == 0)
        return refuse(f, 400, "HTTP/1.0 knows no Transfer-Encoding");
    if (f->lengths)
        return refuse(f, 400, "Content-Length beside Transfer-Encoding");
    if (!f->ends_chunked || f->chunked_twice)
        return refuse(f, 400, "The last coding alone must be chunked");
    return f->has_other ? refuse(f, 501, "The coding is not known") : 0;
}

static int settle(findings *f, lq_request *r)
{
    int err = f->codings ? check_coding(f, r) : 0;

    if (err < 0) return err;
    if (r->minor > 0 && f->hosts == 0) return refuse(f, 400, "Host is missing");
    r->chunked = f->codings > 0;
    r->has_body = r->chunked || r->content_length > 0;
    r->keep_alive = !f->says_close && (r->minor > 0 || f->says_keep_alive);
    r->upgrade = r->minor > 0 && f->says_upgrade && f->has_upgrade;
    r->expect_continue = r->minor > 0 && f->expects && r->has_body;
    return 0;
}

int lq_request_read(lq_request *r, const lq_request_head *head,
                    const char **why)
{
    findings f = {0};
    const char *line;
    int err;

    r->base = head->bytes;
    r->target = head->target;
    r->target_len = head->target_len;
    err = read_request_line(&f, r, head, &line);
    if (err == 0) err = read_fields(&f, r, head, line);
    if (err == 0) err = settle(&f, r);
    if (err < 0) *why = f.why;
    return err;
}

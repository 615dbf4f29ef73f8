/* fuzz_head.c - the head of a request, as the parser reads it.
 *
 * An input is what a client sends on one connection: messages one behind the
 * other. Each is read whole, byte by byte and in pieces, with ample limits and
 * with small ones, and held against the RFC read naively.
 *
 * Owns:    nothing that outlives an input.
 * Thread:  none.
 * Knows:   base, http.
 */
#include "fuzz.h"
#include "http/method.h"
#include "http_oracle.h"
#include "reading.h"

enum { MESSAGES_MAX = 16 };

static const lq_parse_limits ample = {1 << 20, ORACLE_FIELDS_MAX, 1 << 20};

/* ---- an accepted head ---------------------------------------------------- */

static bool is_clean(lq_str s)
{
    return !memchr(s.ptr, '\r', s.len) && !memchr(s.ptr, '\n', s.len) &&
           !memchr(s.ptr, '\0', s.len);
}

static void check_fields(const lq_request *r, const oracle_head *h)
{
    uint32_t i;

    FUZZ_CHECK(r->header_count == h->count);
    for (i = 0; i < r->header_count; i++) {
        lq_str name = lq_request_name(r, i), value = lq_request_value(r, i);

        FUZZ_CHECK(lq_str_equal(name, h->fields[i].name));
        FUZZ_CHECK(lq_str_equal(value, h->fields[i].value));
        FUZZ_CHECK(is_clean(name) && is_clean(value));
    }
}

static void check_target(const lq_request *r, const oracle_head *h)
{
    lq_str host = lq_request_host(r);

    FUZZ_CHECK(lq_str_equal(lq_request_target(r), h->target));
    FUZZ_CHECK(lq_str_equal(lq_request_path(r), h->path));
    FUZZ_CHECK(r->has_query == h->has_query);
    FUZZ_CHECK(lq_str_equal(lq_request_query(r), h->query));
    if (h->authority.len)
        FUZZ_CHECK(lq_str_equal(host, h->authority));
    else if (h->host)
        FUZZ_CHECK(lq_str_equal(host, *h->host));
    else
        FUZZ_CHECK(host.ptr == NULL);
}

static void check_accepted(const reading *r, const oracle_head *h)
{
    const lq_request *req = &r->parser.request;

    FUZZ_CHECK(h->is_complete && h->faults == 0);
    FUZZ_CHECK(r->head_len == h->blank + h->len);
    FUZZ_CHECK(lq_str_equal(req->method_text, h->method));
    FUZZ_CHECK(req->method == lq_method_from(h->method));
    FUZZ_CHECK(req->minor == h->minor);
    check_target(req, h);
    check_fields(req, h);
    FUZZ_CHECK(req->chunked == h->chunked);
    FUZZ_CHECK(req->content_length == h->length);
    FUZZ_CHECK(req->has_body == (h->chunked || h->length > 0));
    FUZZ_CHECK(req->keep_alive == (h->keep_alive && r->event >= 0));
    FUZZ_CHECK(req->upgrade == h->upgrade);
    FUZZ_CHECK(req->expect_continue == h->expect_continue);
}

/* ---- a refused one, and one that is not complete ------------------------- */

static unsigned fault_of(int status)
{
    switch (status) {
    case 400: return ORACLE_400;
    case 417: return ORACLE_417;
    case 501: return ORACLE_501;
    case 505: return ORACLE_505;
    default: return 0;
    }
}

static void check_refused(const reading *r, const oracle_head *h)
{
    unsigned faults = h->faults | (h->may_501 ? ORACLE_501 : 0);
    const lq_request *req = &r->parser.request;

    FUZZ_CHECK(fault_of(-r->event));
    if (h->is_complete) FUZZ_CHECK(faults & fault_of(-r->event));
    FUZZ_CHECK(!req->keep_alive);
    FUZZ_CHECK(*lq_parser_why(&r->parser));
}

/* What a refused request says of itself is what was sent. */
static void check_described(const reading *r, lq_str bytes)
{
    const lq_request *req = &r->parser.request;
    lq_str method = req->method_text, target = lq_request_target(req);

    FUZZ_CHECK(method.len == 0 || oracle_is_token(method));
    FUZZ_CHECK(memmem(bytes.ptr, bytes.len, method.ptr, method.len));
    FUZZ_CHECK(memmem(bytes.ptr, bytes.len, target.ptr, target.len));
}

static void check_head(const reading *r, const oracle_head *h, lq_str bytes)
{
    if (r->has_head)
        check_accepted(r, h);
    else if (r->event < 0)
        check_refused(r, h);
    else /* the preface of HTTP/2 goes on for a line behind its head */
        FUZZ_CHECK(!h->is_complete || lq_str_equal(h->method, LQ_STR("PRI")));
    check_described(r, bytes);
}

/* ---- limits -------------------------------------------------------------- */

static lq_parse_limits small_limits(uint64_t *seed)
{
    return (lq_parse_limits){
        .head = 1 + (uint32_t)fuzz_next(seed, 512),
        .fields = 1 + (uint32_t)fuzz_next(seed, 24),
        .target = 1 + (uint32_t)fuzz_next(seed, 128),
    };
}

/* A head that ample limits accept must be within the small ones, or is
 * refused because of them; one that is refused is refused here, too. */
static void check_limited(const reading *r, const reading *full,
                          const oracle_head *h, const lq_parse_limits *limits)
{
    bool fits = h->len <= limits->head && h->count <= limits->fields &&
                h->target.len <= limits->target;

    if (full->has_head && fits) {
        FUZZ_CHECK(r->has_head);
        check_accepted(r, h);
        return;
    }
    FUZZ_CHECK(!r->has_head);
    if (full->has_head || full->used - h->blank > limits->head)
        FUZZ_CHECK(r->event < 0);
    if (full->has_head)
        FUZZ_CHECK(r->event == -414 || r->event == -431);
    else if (full->event >= 0)
        FUZZ_CHECK(r->event == LQ_PARSE_MORE || r->event == -414 ||
                   r->event == -431);
    FUZZ_CHECK(r->parser.request.target_len <= limits->target);
}

static void try_limits(const reading *full, const oracle_head *h, lq_str bytes,
                       uint64_t seed)
{
    lq_parse_limits limits = small_limits(&seed);
    reading whole;

    bytes.len = full->has_head ? full->head_len : bytes.len;
    reading_init(&whole, bytes, READING_WHOLE, 0, &limits);
    reading_check_cuts(&whole, bytes, seed);
    check_limited(&whole, full, h, &limits);
    check_described(&whole, bytes);
    reading_fini(&whole);
}

/* ---- messages ------------------------------------------------------------ */

/* Checks one message; returns its length, 0 when no other can follow. */
static size_t try_message(oracle_head *h, lq_str bytes, uint64_t seed)
{
    reading whole;
    size_t used;

    oracle_read_head(h, bytes);
    reading_init(&whole, bytes, READING_WHOLE, 0, &ample);
    check_head(&whole, h, bytes);
    reading_check_cuts(&whole, bytes, seed);
    try_limits(&whole, h, bytes, seed);
    used = whole.event == LQ_PARSE_DONE ? whole.used : 0;
    reading_fini(&whole);
    return used;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    oracle_head *h = malloc(sizeof *h);
    uint64_t seed = fuzz_seed(data, len);
    lq_str left = {(const char *)data, len};
    size_t used, i;

    FUZZ_CHECK(h);
    for (i = 0; i < MESSAGES_MAX && left.len; i++) {
        used = try_message(h, left, seed + i);
        if (!used) break;
        left = (lq_str){left.ptr + used, left.len - used};
    }
    free(h);
    return 0;
}

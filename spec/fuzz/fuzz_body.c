/* fuzz_body.c - the body of a request, as the parser decodes it.
 *
 * An input is what follows a head. It is read as chunks, as a body of known
 * length, and, as a third, written in chunks and read back.
 *
 * Owns:    nothing that outlives an input.
 * Thread:  none.
 * Knows:   base, http.
 */
#include "fuzz.h"
#include "http/response.h"
#include "http_oracle.h"
#include "reading.h"

#define HEAD "POST / HTTP/1.1\r\nHost: a\r\n"
#define CHUNKED_HEAD HEAD "Transfer-Encoding: chunked\r\n\r\n"

static const lq_parse_limits ample = {1 << 20, 100, 1 << 20};

static lq_str view(const lq_buf *buf)
{
    return (lq_str){lq_buf_ptr(buf), lq_buf_len(buf)};
}

static void append(lq_buf *buf, lq_str bytes)
{
    FUZZ_CHECK(lq_buf_append(buf, bytes.ptr, bytes.len) == 0);
}

/* ---- chunks -------------------------------------------------------------- */

/* The parser stops at the byte at which the RFC does. */
static void check_chunks(const reading *r, const oracle_chunks *c)
{
    switch (c->verdict) {
    case ORACLE_DONE:
        FUZZ_CHECK(r->event == LQ_PARSE_DONE);
        FUZZ_CHECK(r->used == r->head_len + c->used);
        break;
    case ORACLE_MORE: FUZZ_CHECK(r->event == LQ_PARSE_MORE); break;
    case ORACLE_BAD: FUZZ_CHECK(r->event == -400); break;
    }
    FUZZ_CHECK(lq_str_equal(reading_body(r), (lq_str){c->body, c->body_len}));
}

/* Extensions and trailers are limited as the head is, the data is not. */
static void check_limited(const reading *r, const reading *full,
                          const oracle_chunks *c)
{
    lq_str body = reading_body(r);

    if (r->event != -431) {
        FUZZ_CHECK(c->extra_least <= r->parser.limits.head);
        reading_check_same(r, full);
        return;
    }
    FUZZ_CHECK(c->extra_most > r->parser.limits.head);
    FUZZ_CHECK(body.len <= c->body_len);
    FUZZ_CHECK(!memcmp(body.ptr, c->body, body.len));
}

static void try_limits(const reading *full, const oracle_chunks *c,
                       lq_str message, uint64_t seed)
{
    lq_parse_limits limits = {0, 2, 1};
    reading r;

    limits.head = sizeof CHUNKED_HEAD - 1 + (uint32_t)fuzz_next(&seed, 512);
    reading_init(&r, message, READING_WHOLE, 0, &limits);
    check_limited(&r, full, c);
    reading_check_cuts(&r, message, seed);
    reading_fini(&r);
}

static void try_chunks(lq_str input, uint64_t seed)
{
    oracle_chunks c = {.body = fuzz_copy(input.ptr, input.len)};
    lq_buf message;
    reading r;

    lq_buf_init(&message);
    append(&message, LQ_STR(CHUNKED_HEAD));
    append(&message, input);
    oracle_read_chunks(&c, input);
    reading_init(&r, view(&message), READING_WHOLE, 0, &ample);
    check_chunks(&r, &c);
    reading_check_cuts(&r, view(&message), seed);
    try_limits(&r, &c, view(&message), seed);
    reading_fini(&r);
    lq_buf_fini(&message);
    free(c.body);
}

/* ---- a body of known length ---------------------------------------------- */

/* What is declared comes, and not a byte more. */
static void check_fixed(const reading *r, lq_str input, size_t declared)
{
    bool is_whole = input.len >= declared;
    size_t len = is_whole ? declared : input.len;

    FUZZ_CHECK(r->event == (is_whole ? LQ_PARSE_DONE : LQ_PARSE_MORE));
    FUZZ_CHECK(r->used == r->head_len + len);
    FUZZ_CHECK(lq_str_equal(reading_body(r), (lq_str){input.ptr, len}));
    FUZZ_CHECK(r->parser.request.content_length == declared);
}

static void try_fixed(lq_str input, uint64_t seed)
{
    size_t declared = fuzz_next(&seed, 2 * input.len + 2);
    char head[128];
    lq_buf message;
    reading r;
    int len = snprintf(head, sizeof head, HEAD "Content-Length: %zu\r\n\r\n",
                       declared);

    lq_buf_init(&message);
    append(&message, (lq_str){head, (size_t)len});
    append(&message, input);
    reading_init(&r, view(&message), READING_WHOLE, 0, &ample);
    check_fixed(&r, input, declared);
    reading_check_cuts(&r, view(&message), seed);
    reading_fini(&r);
    lq_buf_fini(&message);
}

/* ---- writing and reading back -------------------------------------------- */

static void write_chunks(lq_buf *out, lq_str input, uint64_t seed)
{
    size_t len;

    while (input.len) {
        len = fuzz_next(&seed, input.len + 1);
        FUZZ_CHECK(lq_response_chunk(out, (lq_str){input.ptr, len}) == 0);
        input = (lq_str){input.ptr + len, input.len - len};
    }
    FUZZ_CHECK(lq_response_last_chunk(out) == 0);
}

static void try_round_trip(lq_str input, uint64_t seed)
{
    lq_buf message;
    reading r;

    lq_buf_init(&message);
    append(&message, LQ_STR(CHUNKED_HEAD));
    write_chunks(&message, input, seed);
    reading_init(&r, view(&message), READING_PIECES, seed, &ample);
    FUZZ_CHECK(r.event == LQ_PARSE_DONE);
    FUZZ_CHECK(r.used == lq_buf_len(&message));
    FUZZ_CHECK(lq_str_equal(reading_body(&r), input));
    reading_fini(&r);
    lq_buf_fini(&message);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    lq_str input = {(const char *)data, len};
    uint64_t seed = fuzz_seed(data, len);

    try_chunks(input, seed);
    try_fixed(input, seed);
    try_round_trip(input, seed);
    return 0;
}

/* reading.c - see reading.h. */
#include "reading.h"

#include "fuzz.h"

/* ---- feeding ------------------------------------------------------------- */

static bool lies_in(lq_str part, const char *bytes, size_t len)
{
    return part.len == 0 ||
           (part.ptr >= bytes && part.ptr + part.len <= bytes + len);
}

/* One event was told, for which `used` of the `len` bytes went. */
static void take_event(reading *r, const char *bytes, size_t len, size_t used)
{
    lq_str body = r->parser.body;

    FUZZ_CHECK(used <= len);
    r->used += used;
    switch (r->event) {
    case LQ_PARSE_MORE: FUZZ_CHECK(used == len); break;
    case LQ_PARSE_HEAD:
        FUZZ_CHECK(!r->has_head && r->parser.request.has_body);
        r->has_head = true;
        r->head_len = r->used;
        break;
    case LQ_PARSE_BODY:
        FUZZ_CHECK(r->has_head && body.len > 0 && body.len <= used);
        FUZZ_CHECK(lies_in(body, bytes, used));
        FUZZ_CHECK(lq_buf_append(&r->body, body.ptr, body.len) == 0);
        break;
    case LQ_PARSE_DONE:
        FUZZ_CHECK(r->has_head == r->parser.request.has_body);
        if (!r->has_head) r->head_len = r->used;
        r->has_head = true;
        break;
    default: FUZZ_CHECK(r->event <= -400 && r->event > -600); break;
    }
}

/* Feeds one piece, up to the end of the message. */
static void feed(reading *r, const char *bytes, size_t len)
{
    size_t at = 0, used = 0;

    do {
        r->event = lq_parser_feed(&r->parser, bytes + at, len - at, &used);
        take_event(r, bytes + at, len - at, used);
        at += used;
    } while (r->event == LQ_PARSE_HEAD || r->event == LQ_PARSE_BODY);
}

/* The same from memory that is gone afterwards. */
static void feed_copy(reading *r, const char *bytes, size_t len)
{
    char *copy = fuzz_copy(bytes, len);

    feed(r, copy, len);
    FUZZ_CHECK(lq_parser_keep(&r->parser) == 0);
    free(copy);
}

/* The same for one byte, which is quicker. */
static void feed_byte(reading *r, char byte)
{
    feed(r, &byte, 1);
    FUZZ_CHECK(lq_parser_keep(&r->parser) == 0);
}

static size_t piece_len(reading_cuts cuts, uint64_t *seed)
{
    if (cuts == READING_BYTES) return 1;
    return fuzz_next(seed, (size_t)1 << fuzz_next(seed, 9));
}

static void feed_pieces(reading *r, lq_str bytes, reading_cuts cuts,
                        uint64_t seed)
{
    size_t at = 0, len;

    while (at < bytes.len && r->event == LQ_PARSE_MORE) {
        len = piece_len(cuts, &seed);
        if (len > bytes.len - at) len = bytes.len - at;
        if (len == 1)
            feed_byte(r, bytes.ptr[at]);
        else
            feed_copy(r, bytes.ptr + at, len);
        at += len;
    }
}

/* What is over stays over, and takes no further byte. */
static void check_end(reading *r)
{
    char more[] = "GET / HTTP/1.1\r\n";
    size_t used = 1;

    if (r->event == LQ_PARSE_MORE) return;
    FUZZ_CHECK(lq_parser_feed(&r->parser, more, sizeof more - 1, &used) ==
               r->event);
    FUZZ_CHECK(used == 0);
}

void reading_init(reading *r, lq_str bytes, reading_cuts cuts, uint64_t seed,
                  const lq_parse_limits *limits)
{
    memset(r, 0, sizeof *r);
    lq_arena_init(&r->arena);
    lq_buf_init(&r->body);
    r->event = LQ_PARSE_MORE;
    FUZZ_CHECK(lq_parser_init(&r->parser, &r->arena, limits) == 0);
    if (cuts == READING_WHOLE) {
        r->whole = fuzz_copy(bytes.ptr, bytes.len);
        feed(r, r->whole, bytes.len);
    } else {
        feed_pieces(r, bytes, cuts, seed);
    }
    check_end(r);
}

void reading_fini(reading *r)
{
    lq_buf_fini(&r->body);
    lq_arena_fini(&r->arena);
    free(r->whole);
}

/* ---- comparing ----------------------------------------------------------- */

static bool is_same_str(lq_str a, lq_str b)
{
    return (a.ptr != NULL) == (b.ptr != NULL) && lq_str_equal(a, b);
}

static void check_same_fields(const lq_request *a, const lq_request *b)
{
    uint32_t i;

    FUZZ_CHECK(a->header_count == b->header_count);
    for (i = 0; i < a->header_count; i++) {
        FUZZ_CHECK(lq_str_equal(lq_request_name(a, i), lq_request_name(b, i)));
        FUZZ_CHECK(
            lq_str_equal(lq_request_value(a, i), lq_request_value(b, i)));
    }
}

static void check_same_request(const lq_request *a, const lq_request *b)
{
    FUZZ_CHECK(a->method == b->method && a->minor == b->minor);
    FUZZ_CHECK(lq_str_equal(a->method_text, b->method_text));
    FUZZ_CHECK(lq_str_equal(lq_request_target(a), lq_request_target(b)));
    FUZZ_CHECK(lq_str_equal(lq_request_path(a), lq_request_path(b)));
    FUZZ_CHECK(lq_str_equal(lq_request_query(a), lq_request_query(b)));
    FUZZ_CHECK(is_same_str(lq_request_host(a), lq_request_host(b)));
    FUZZ_CHECK(a->has_query == b->has_query);
    FUZZ_CHECK(a->keep_alive == b->keep_alive && a->upgrade == b->upgrade);
    FUZZ_CHECK(a->chunked == b->chunked && a->has_body == b->has_body);
    FUZZ_CHECK(a->expect_continue == b->expect_continue);
    FUZZ_CHECK(a->content_length == b->content_length);
    check_same_fields(a, b);
}

lq_str reading_body(const reading *r)
{
    size_t len = lq_buf_len(&r->body);

    return (lq_str){len ? lq_buf_ptr(&r->body) : "", len};
}

void reading_check_same(const reading *a, const reading *b)
{
    FUZZ_CHECK(a->event == b->event);
    FUZZ_CHECK(a->has_head == b->has_head);
    FUZZ_CHECK(a->head_len == b->head_len);
    FUZZ_CHECK(a->event < 0 || a->used == b->used);
    FUZZ_CHECK(lq_str_equal(reading_body(a), reading_body(b)));
    FUZZ_CHECK(!strcmp(lq_parser_why(&a->parser), lq_parser_why(&b->parser)));
    if (a->event != LQ_PARSE_MORE || a->has_head)
        check_same_request(&a->parser.request, &b->parser.request);
}

void reading_check_cuts(const reading *whole, lq_str bytes, uint64_t seed)
{
    reading cut;

    reading_init(&cut, bytes, READING_BYTES, 0, &whole->parser.limits);
    reading_check_same(whole, &cut);
    reading_fini(&cut);
    reading_init(&cut, bytes, READING_PIECES, seed, &whole->parser.limits);
    reading_check_same(whole, &cut);
    reading_fini(&cut);
}

/* fuzz_framing.c - messages in a stream of bytes.
 *
 * The first byte of an input is the kind, the second the limit, the rest what
 * comes. The messages must be those of a naive reading, however the bytes are
 * cut; a message can be sent exactly if it comes back the same.
 *
 * Owns:    nothing that outlives an input.
 * Thread:  none.
 * Knows:   base, net/framing.
 */
#include "fuzz.h"
#include "net/framing.h"

enum { TOO_LARGE = 0xffff };

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* The bytes of a buffer that may never have had any. */
static lq_str view(const lq_buf *b)
{
    return b->data ? lq_buf_view(b) : (lq_str){"", 0};
}

static void log_message(lq_buf *log, lq_str message)
{
    FUZZ_CHECK(lq_buf_append(log, &message.len, sizeof message.len) == 0);
    FUZZ_CHECK(lq_buf_append(log, message.ptr, message.len) == 0);
}

static void log_end(lq_buf *log)
{
    size_t end = TOO_LARGE;

    FUZZ_CHECK(lq_buf_append(log, &end, sizeof end) == 0);
}

/* ---- a naive reading ----------------------------------------------------- */

/* The first message and what is used with its frame; 0: more is needed, -1:
 * too large. */
static long naive_line(lq_str in, size_t max, lq_str *message)
{
    size_t at, len;

    for (at = 0; at < in.len && in.ptr[at] != '\n'; at++) continue;
    len = at;
    if (len && in.ptr[len - 1] == '\r') len--; /* or what may be one */
    if (len > max) return -1;
    *message = (lq_str){in.ptr, len};
    return at < in.len ? (long)at + 1 : 0;
}

static long naive_counted(lq_str in, size_t prefix, size_t max, lq_str *message)
{
    size_t len = 0, i;

    if (in.len < prefix) return 0;
    for (i = 0; i < prefix; i++) len = len * 256 + (unsigned char)in.ptr[i];
    if (len > max) return -1;
    *message = (lq_str){in.ptr + prefix, len};
    return in.len >= prefix + len ? (long)(prefix + len) : 0;
}

static long naive(lq_framing kind, lq_str in, size_t max, lq_str *message)
{
    switch (kind) {
    case LQ_FRAMING_RAW:
        *message = (lq_str){in.ptr, least(in.len, max)};
        return (long)message->len;
    case LQ_FRAMING_LINE: return naive_line(in, max, message);
    case LQ_FRAMING_U8: return naive_counted(in, 1, max, message);
    case LQ_FRAMING_U16: return naive_counted(in, 2, max, message);
    case LQ_FRAMING_U32: return naive_counted(in, 4, max, message);
    }
    return -1;
}

static void read_naively(lq_buf *log, lq_framing kind, lq_str in, size_t max)
{
    lq_str message;
    long used;

    while ((used = naive(kind, in, max, &message)) > 0) {
        log_message(log, message);
        in = (lq_str){in.ptr + used, in.len - (size_t)used};
    }
    if (used < 0) log_end(log);
}

/* ---- as a connection does ------------------------------------------------ */

/* Takes out the messages that are there; false when one is too large. */
static bool take(lq_buf *log, lq_framing kind, lq_buf *in, size_t max,
                 size_t *scanned)
{
    lq_str left = view(in), message;
    char *copy = fuzz_copy(left.ptr, left.len);
    ssize_t used;

    left.ptr = copy;
    while ((used = lq_framing_find(kind, left, max, scanned, &message)) > 0) {
        FUZZ_CHECK((size_t)used <= left.len && message.len <= max);
        FUZZ_CHECK(*scanned == 0);
        log_message(log, message);
        left = (lq_str){left.ptr + used, left.len - (size_t)used};
        lq_buf_consume(in, (size_t)used);
    }
    FUZZ_CHECK(used == 0 || used == LQ_ETOOLARGE);
    FUZZ_CHECK(*scanned <= left.len);
    free(copy);
    return used == 0;
}

static void read_pieces(lq_buf *log, lq_framing kind, lq_str in, size_t max,
                        size_t most, uint64_t seed)
{
    size_t scanned = 0, len;
    bool is_good = true;
    lq_buf waiting;

    lq_buf_init(&waiting);
    while (in.len && is_good) {
        len = fuzz_next(&seed, least(most, in.len)) + 1;
        FUZZ_CHECK(lq_buf_append(&waiting, in.ptr, len) == 0);
        in = (lq_str){in.ptr + len, in.len - len};
        is_good = take(log, kind, &waiting, max, &scanned);
    }
    if (!is_good) log_end(log);
    lq_buf_fini(&waiting);
}

/* Raw bytes are compared without what is between them. */
static void join(lq_buf *log)
{
    size_t at = 0, len, to = 0;

    while (at < lq_buf_len(log)) {
        memcpy(&len, log->data + at, sizeof len);
        at += sizeof len;
        memmove(log->data + to, log->data + at, len);
        at += len;
        to += len;
    }
    lq_buf_truncate(log, to);
}

static void check_stream(lq_framing kind, lq_str in, size_t max, uint64_t seed)
{
    static const size_t pieces[] = {1, 16, SIZE_MAX};
    lq_buf expected, log;
    size_t i;

    lq_buf_init(&expected);
    lq_buf_init(&log);
    read_naively(&expected, kind, in, max);
    if (kind == LQ_FRAMING_RAW) join(&expected);
    for (i = 0; i < LQ_COUNT_OF(pieces); i++) {
        lq_buf_clear(&log);
        read_pieces(&log, kind, in, max, pieces[i], seed);
        if (kind == LQ_FRAMING_RAW) join(&log);
        FUZZ_CHECK(lq_str_equal(view(&log), view(&expected)));
    }
    lq_buf_fini(&expected);
    lq_buf_fini(&log);
}

/* ---- there and back ------------------------------------------------------ */

/* Whether the naive frame around it is read as the same message. */
static bool comes_back(lq_framing kind, lq_str in)
{
    static const size_t most[] = {[LQ_FRAMING_RAW] = SIZE_MAX,
                                  [LQ_FRAMING_LINE] = LQ_FRAMING_LINE_MAX,
                                  [LQ_FRAMING_U8] = UINT8_MAX,
                                  [LQ_FRAMING_U16] = UINT16_MAX,
                                  [LQ_FRAMING_U32] = UINT32_MAX};
    char *text;
    lq_str message;
    bool is_same;

    if (kind != LQ_FRAMING_LINE || in.len > most[kind])
        return in.len <= most[kind];
    text = malloc(in.len + 1);
    FUZZ_CHECK(text);
    if (in.len) memcpy(text, in.ptr, in.len);
    text[in.len] = '\n';
    is_same = naive_line((lq_str){text, in.len + 1}, SIZE_MAX, &message) > 0 &&
              lq_str_equal(message, in);
    free(text);
    return is_same;
}

static void check_round_trip(lq_framing kind, lq_str in)
{
    size_t scanned = 0;
    lq_str message;
    lq_buf out;
    int err;

    lq_buf_init(&out);
    err = lq_framing_append(kind, &out, in);
    FUZZ_CHECK((err == 0) == comes_back(kind, in));
    FUZZ_CHECK(err == 0 || lq_buf_len(&out) == 0);
    if (err == 0 && lq_buf_len(&out)) {
        FUZZ_CHECK(lq_framing_find(kind, view(&out), in.len, &scanned,
                                   &message) == (ssize_t)lq_buf_len(&out));
        FUZZ_CHECK(lq_str_equal(message, in));
    }
    lq_buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    lq_str in = {(const char *)data + 2, len - 2};
    lq_framing kind;

    if (len < 2) return 0;
    kind = (lq_framing)(data[0] % 5);
    check_stream(kind, in, data[1], fuzz_seed(data, len));
    check_round_trip(kind, in);
    return 0;
}

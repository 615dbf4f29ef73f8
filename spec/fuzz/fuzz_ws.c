/* fuzz_ws.c - frames of a client, and the compression of messages.
 *
 * The first byte of an input says how it is read (see `setting`), the rest is
 * what a client sends. The events must be those of a naive reading, however
 * the bytes are cut. As a second, the rest is a message: it is deflated, cut
 * into fragments, and must come back.
 *
 * Owns:    nothing that outlives an input.
 * Thread:  none.
 * Knows:   base, http.
 */
#include "fuzz.h"
#include "http/ws_decoder.h"
#include "ws_oracle.h"

enum {
    DEFLATES = 1,
    KEEPS_CONTEXT = 2,
    LIMIT = 12,     /* two bits: which one of `limits` */
    IS_LONG = 16,   /* what stands behind the first frame again and again */
    LONG = 1 << 13, /* bytes */
    FIRST = 6,      /* bytes of a frame with a short length and no payload */
};

static const size_t limits[] = {0, 16, 600, 5000};

typedef struct setting {
    bool deflates, keeps_context;
    lq_ws_limits limits;
} setting;

typedef enum cutting { WHOLE, BYTES, PIECES } cutting;

static void log_event(lq_buf *log, const lq_ws_decoder *d, int event)
{
    if (event < 0)
        oracle_log(log, -1, -event, (lq_str){NULL, 0});
    else
        oracle_log(log, event,
                   event == LQ_WS_MESSAGE     ? d->is_binary
                   : event == LQ_WS_GOT_CLOSE ? d->close_code
                                              : 0,
                   d->payload);
}

/* Feeds a piece; returns the last event. */
static int feed(lq_buf *log, lq_ws_decoder *d, lq_str piece, uint64_t *seed)
{
    char *copy = fuzz_copy(piece.ptr, piece.len);
    size_t at = 0, used;
    int event;

    do {
        event = lq_ws_decoder_feed(d, copy + at, piece.len - at, &used);
        at += used;
        FUZZ_CHECK(at <= piece.len);
        if (event != LQ_WS_MORE) log_event(log, d, event);
        if (fuzz_next(seed, 2)) lq_ws_decoder_release(d);
    } while (event > 0);
    FUZZ_CHECK(at == piece.len);
    free(copy);
    return event;
}

static void read_frames(lq_buf *log, lq_str in, const setting *s, cutting how,
                        uint64_t seed)
{
    lq_ws_inflater *i =
        s->deflates ? lq_ws_inflater_new(15, s->keeps_context) : NULL;
    lq_ws_decoder d;
    size_t len, used;
    int event = 0;

    lq_ws_decoder_init(&d, &s->limits, i);
    while (in.len && event >= 0) {
        len = how == WHOLE   ? in.len
              : how == BYTES ? 1
                             : fuzz_next(&seed, in.len < 64 ? in.len : 64) + 1;
        event = feed(log, &d, (lq_str){in.ptr, len}, &seed);
        in = (lq_str){in.ptr + len, in.len - len};
    }
    FUZZ_CHECK(event == lq_ws_decoder_feed(&d, NULL, 0, &used));
    FUZZ_CHECK(lq_ws_decoder_is_within(&d) || !d.work);
    lq_ws_decoder_fini(&d);
    lq_ws_inflater_free(i);
}

static void check_frames(lq_str in, const setting *s, uint64_t seed)
{
    lq_buf expected, log;
    int how;

    lq_buf_init(&expected);
    lq_buf_init(&log);
    oracle_ws_read(&expected, in, s->limits.max_message,
                   !s->deflates       ? ORACLE_PLAIN
                   : s->keeps_context ? ORACLE_CONTEXT
                                      : ORACLE_FRESH);
    for (how = WHOLE; how <= PIECES; how++) {
        lq_buf_clear(&log);
        read_frames(&log, in, s, (cutting)how, seed);
        FUZZ_CHECK(lq_str_equal(oracle_view(&log), oracle_view(&expected)));
    }
    lq_buf_fini(&expected);
    lq_buf_fini(&log);
}

/* ---- a message, there and back ------------------------------------------- */

static void add_frame(lq_buf *out, int opcode, bool is_final, bool is_deflated,
                      lq_str payload, uint64_t *seed)
{
    char head[LQ_WS_HEAD_MAX];
    unsigned char key[LQ_WS_KEY_LEN];
    size_t len = lq_ws_frame_head(head, opcode, is_deflated, payload.len), i;

    head[0] = (char)(head[0] & (is_final ? 0xff : 0x7f));
    head[1] = (char)(head[1] | 0x80);
    for (i = 0; i < sizeof key; i++)
        key[i] = (unsigned char)fuzz_next(seed, 256);
    FUZZ_CHECK(lq_buf_append(out, head, len) == 0);
    FUZZ_CHECK(lq_buf_append(out, key, sizeof key) == 0);
    FUZZ_CHECK(lq_buf_append(out, payload.ptr, payload.len) == 0);
    if (payload.len)
        lq_ws_unmask(out->data + out->tail - payload.len, payload.len, key, 0);
}

static void add_message(lq_buf *out, lq_str payload, bool is_deflated,
                        uint64_t *seed)
{
    int opcode = LQ_WS_BINARY;
    size_t len;

    do {
        len = fuzz_next(seed, payload.len + 1);
        if (fuzz_next(seed, 3) == 0) len = payload.len;
        add_frame(out, opcode, len == payload.len,
                  is_deflated && opcode != LQ_WS_CONT,
                  (lq_str){payload.ptr, len}, seed);
        payload = (lq_str){payload.ptr + len, payload.len - len};
        opcode = LQ_WS_CONT;
    } while (payload.len);
}

/* Twice the same message, so that a context has something to do. */
static void check_round_trip(lq_str in, setting s, uint64_t seed)
{
    int bits = 9 + (int)fuzz_next(&seed, 7), level = (int)fuzz_next(&seed, 10);
    lq_ws_deflater *d = lq_ws_deflater_new(bits, level ? level : -1);
    lq_buf stream, payload, expected, log;
    int i;

    FUZZ_CHECK(d);
    lq_buf_init(&stream);
    lq_buf_init(&payload);
    lq_buf_init(&expected);
    lq_buf_init(&log);
    for (i = 0; i < 2; i++) {
        lq_buf_clear(&payload);
        FUZZ_CHECK(lq_ws_deflate(d, in, !s.keeps_context, &payload) == 0);
        add_message(&stream, s.deflates ? oracle_view(&payload) : in,
                    s.deflates, &seed);
        oracle_log(&expected, LQ_WS_MESSAGE, true, in);
    }
    s.limits.max_message = in.len;
    read_frames(&log, oracle_view(&stream), &s, PIECES, seed);
    FUZZ_CHECK(lq_str_equal(oracle_view(&log), oracle_view(&expected)));
    lq_ws_deflater_free(d);
    lq_buf_fini(&stream);
    lq_buf_fini(&payload);
    lq_buf_fini(&expected);
    lq_buf_fini(&log);
}

/* The first frame, and the others until there are many. */
static void lengthen(lq_buf *out, lq_str in)
{
    FUZZ_CHECK(lq_buf_append(out, in.ptr, FIRST) == 0);
    in = (lq_str){in.ptr + FIRST, in.len - FIRST};
    while (lq_buf_len(out) < LONG)
        FUZZ_CHECK(lq_buf_append(out, in.ptr, in.len) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    uint64_t seed = fuzz_seed(data, len);
    lq_str in = {(const char *)data + 1, len - 1};
    setting s;
    lq_buf longer;

    if (len == 0) return 0;
    s.deflates = data[0] & DEFLATES;
    s.keeps_context = data[0] & KEEPS_CONTEXT;
    s.limits.max_message = limits[(data[0] & LIMIT) / 4];
    if ((data[0] & IS_LONG) && in.len > FIRST) {
        lq_buf_init(&longer);
        lengthen(&longer, in);
        check_frames(oracle_view(&longer), &s, seed);
        lq_buf_fini(&longer);
        return 0;
    }
    check_frames(in, &s, seed);
    check_round_trip(in, s, seed);
    return 0;
}

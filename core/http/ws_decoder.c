/* ws_decoder.c - see ws_decoder.h. */
#include "http/ws_decoder.h"

#include <errno.h>

#include "base/mem.h"
#include "base/utf8.h"

/* Nothing to tell: on with the next frame. */
enum { ON = -1 };

/* What a decoder remembers from one feed to the next. */
struct lq_ws_work {
    /* The frame that is being read. */
    lq_ws_head head;
    uint64_t got;     /* bytes of its payload */
    uint8_t part_len; /* of `part`; 0: no head is cut */
    bool is_in_frame; /* the head is complete, the payload is not */
    char part[LQ_WS_CLIENT_HEAD_MAX];
    char control[LQ_WS_CONTROL_MAX];

    /* The message that is being read; control frames may stand in it. */
    bool is_open; /* fragments came, the last one did not */
    bool is_text;
    bool is_deflated;
    uint32_t fragments;
    size_t valid;    /* bytes of `message` that are whole characters */
    lq_buf message;  /* unmasked, and still deflated if it is */
    lq_buf inflated; /* a message that was lent */
};

_Static_assert(sizeof(lq_ws_decoder) <= 48, "an idle connection has one");

/* The bytes of a feed that are not used. */
typedef struct rest {
    char *at;
    size_t len;
} rest;

static void skip(rest *r, size_t len)
{
    if (len) r->at += len; /* NULL when there are none */
    r->len -= len;
}

void lq_ws_decoder_init(lq_ws_decoder *d, const lq_ws_limits *limits,
                        lq_ws_inflater *inflater)
{
    *d = (lq_ws_decoder){.limits = limits, .inflater = inflater};
}

static void free_work(lq_ws_decoder *d)
{
    if (!d->work) return;
    lq_buf_fini(&d->work->message);
    lq_buf_fini(&d->work->inflated);
    lq_mem_free(d->work);
    d->work = NULL;
}

void lq_ws_decoder_fini(lq_ws_decoder *d)
{
    free_work(d);
}

bool lq_ws_decoder_is_within(const lq_ws_decoder *d)
{
    const struct lq_ws_work *w = d->work;

    return w && (w->is_open || w->is_in_frame || w->part_len);
}

void lq_ws_decoder_release(lq_ws_decoder *d)
{
    d->payload = (lq_str){"", 0};
    if (!lq_ws_decoder_is_within(d) || d->is_closed) free_work(d);
}

/* The memory for what is cut, NULL when there is none. */
static struct lq_ws_work *work_of(lq_ws_decoder *d)
{
    if (!d->work) d->work = lq_mem_zalloc(sizeof *d->work);
    return d->work;
}

/* ---- heads --------------------------------------------------------------- */

static int keep_part(lq_ws_decoder *d, rest *r)
{
    struct lq_ws_work *w;

    if (r->len == 0) return 0;
    w = work_of(d);
    if (!w) return -ENOMEM;
    memcpy(w->part + w->part_len, r->at, r->len);
    w->part_len = (uint8_t)(w->part_len + r->len);
    skip(r, r->len);
    return 0;
}

/* Reads a head, which may be cut. Positive: it is complete. */
static int read_head(lq_ws_decoder *d, rest *r, lq_ws_head *h)
{
    char bytes[LQ_WS_CLIENT_HEAD_MAX];
    size_t had = d->work ? d->work->part_len : 0, len = sizeof bytes - had;
    int n;

    if (had == 0) {
        n = lq_ws_head_read(h, (lq_str){r->at, r->len}, d->inflater != NULL);
    } else {
        if (len > r->len) len = r->len;
        memcpy(bytes, d->work->part, had);
        if (len) memcpy(bytes + had, r->at, len);
        n = lq_ws_head_read(h, (lq_str){bytes, had + len}, d->inflater != NULL);
    }
    if (n == 0) return keep_part(d, r);
    if (n < 0) return n;
    if (had) d->work->part_len = 0;
    skip(r, (size_t)n - had);
    return n;
}

/* The most that a message may have as it comes. Deflating makes what cannot be
 * compressed larger: by an eighth where every byte takes nine bits. */
static uint64_t most_of(const lq_ws_decoder *d, bool is_deflated)
{
    uint64_t max = d->limits->max_message;

    if (max > INT64_MAX / 2) return INT64_MAX;
    return is_deflated ? max + max / 8 + 64 : max;
}

static bool is_tiny(uint64_t bytes, uint64_t fragments)
{
    return fragments > LQ_WS_FRAGMENTS_FREE &&
           bytes / LQ_WS_FRAGMENT_MEAN < fragments;
}

/* Whether the frame may stand here, by what its head says. */
static int check_head(const lq_ws_decoder *d, const lq_ws_head *h)
{
    const struct lq_ws_work *w = d->work;
    bool is_open = w && w->is_open;
    uint64_t before = is_open ? lq_buf_len(&w->message) : 0;
    uint64_t most = most_of(d, is_open ? w->is_deflated : h->is_deflated);

    if (lq_ws_is_control(h->opcode)) return 0;
    if (is_open != (h->opcode == LQ_WS_CONT)) return -LQ_WS_PROTOCOL_ERROR;
    if (h->len > most || before > most - h->len) return -LQ_WS_TOO_BIG;
    if (is_open && is_tiny(before + h->len, (uint64_t)w->fragments + 1))
        return -LQ_WS_POLICY;
    return 0;
}

/* ---- payloads ------------------------------------------------------------ */

static int finish_close(lq_ws_decoder *d, lq_str payload)
{
    int code;

    if (payload.len == 1) return -LQ_WS_PROTOCOL_ERROR;
    d->close_code = LQ_WS_NO_STATUS;
    if (payload.len) {
        code =
            (unsigned char)payload.ptr[0] << 8 | (unsigned char)payload.ptr[1];
        if (!lq_ws_close_code_is_valid(code)) return -LQ_WS_PROTOCOL_ERROR;
        payload = (lq_str){payload.ptr + 2, payload.len - 2};
        if (!lq_utf8_valid(payload)) return -LQ_WS_BAD_DATA;
        d->close_code = (uint16_t)code;
    }
    d->payload = payload;
    d->is_closed = true;
    return LQ_WS_GOT_CLOSE;
}

static int finish_control(lq_ws_decoder *d, int opcode, lq_str payload)
{
    if (opcode == LQ_WS_CLOSE) return finish_close(d, payload);
    d->payload = payload;
    return opcode == LQ_WS_PING ? LQ_WS_GOT_PING : LQ_WS_GOT_PONG;
}

/* A payload without a byte stands for none, though RFC 7692 7.2.3.6 writes it
 * as one: zlib itself makes that of an empty message behind another one. */
static int inflate_message(lq_ws_decoder *d, lq_str *payload)
{
    struct lq_ws_work *w;
    int err;

    if (payload->len == 0) return 0;
    w = work_of(d);
    if (!w) return -ENOMEM;
    err = lq_ws_inflate(d->inflater, *payload, true, d->limits->max_message,
                        &w->inflated);
    if (err < 0) return err;
    *payload = (lq_str){w->inflated.data ? lq_buf_ptr(&w->inflated) : "",
                        lq_buf_len(&w->inflated)};
    return 0;
}

/* valid: so many bytes of `payload` are known to be whole characters. */
static int finish_message(lq_ws_decoder *d, lq_str payload, size_t valid,
                          bool is_text, bool is_deflated)
{
    int err = is_deflated ? inflate_message(d, &payload) : 0;

    if (err < 0) return err;
    if (is_text && valid < payload.len &&
        !lq_utf8_valid((lq_str){payload.ptr + valid, payload.len - valid}))
        return -LQ_WS_BAD_DATA;
    d->payload = payload;
    d->is_binary = !is_text;
    return LQ_WS_MESSAGE;
}

/* A frame that needs no memory: a whole message, or a control frame. */
static int read_in_place(lq_ws_decoder *d, rest *r, const lq_ws_head *h)
{
    lq_str payload = {r->at, (size_t)h->len};

    lq_ws_unmask(r->at, payload.len, h->key, 0);
    skip(r, payload.len);
    if (lq_ws_is_control(h->opcode))
        return finish_control(d, h->opcode, payload);
    return finish_message(d, payload, 0, h->opcode == LQ_WS_TEXT,
                          h->is_deflated);
}

static int read_control(lq_ws_decoder *d, rest *r, size_t len)
{
    struct lq_ws_work *w = d->work;

    if (len) memcpy(w->control + w->got, r->at, len);
    lq_ws_unmask(w->control + w->got, len, w->head.key, (size_t)w->got);
    w->got += len;
    skip(r, len);
    if (w->got < w->head.len) return LQ_WS_MORE;
    w->is_in_frame = false;
    return finish_control(d, w->head.opcode,
                          (lq_str){w->control, (size_t)w->got});
}

/* Whether what has come is text, but for a character that may be cut. */
static bool is_text_so_far(struct lq_ws_work *w)
{
    lq_str left = {lq_buf_ptr(&w->message) + w->valid,
                   lq_buf_len(&w->message) - w->valid};
    size_t more = lq_utf8_prefix(left);

    w->valid += more;
    left = (lq_str){left.ptr + more, left.len - more};
    return left.len == 0 || lq_utf8_is_cut(left);
}

static int end_of_data(lq_ws_decoder *d)
{
    struct lq_ws_work *w = d->work;
    lq_str payload = {w->message.data ? lq_buf_ptr(&w->message) : "",
                      lq_buf_len(&w->message)};

    w->is_in_frame = false;
    if (!w->head.is_final) return ON;
    w->is_open = false;
    return finish_message(d, payload, w->valid, w->is_text, w->is_deflated);
}

static int read_data(lq_ws_decoder *d, rest *r, size_t len)
{
    struct lq_ws_work *w = d->work;
    int err = lq_buf_append(&w->message, r->at, len);

    if (err < 0) return err;
    if (len)
        lq_ws_unmask(w->message.data + w->message.tail - len, len, w->head.key,
                     (size_t)(w->got % LQ_WS_KEY_LEN));
    w->got += len;
    skip(r, len);
    if (len && w->is_text && !w->is_deflated && !is_text_so_far(w))
        return -LQ_WS_BAD_DATA;
    return w->got < w->head.len ? LQ_WS_MORE : end_of_data(d);
}

static int read_payload(lq_ws_decoder *d, rest *r)
{
    struct lq_ws_work *w = d->work;
    uint64_t left = w->head.len - w->got;
    size_t len = left < r->len ? (size_t)left : r->len;

    return lq_ws_is_control(w->head.opcode) ? read_control(d, r, len)
                                            : read_data(d, r, len);
}

/* The frame goes on beyond these bytes, or beyond itself. */
static int begin_payload(lq_ws_decoder *d, rest *r, const lq_ws_head *h)
{
    struct lq_ws_work *w = work_of(d);

    if (!w) return -ENOMEM;
    w->head = *h;
    w->got = 0;
    w->is_in_frame = true;
    if (!lq_ws_is_control(h->opcode)) {
        if (!w->is_open) {
            w->is_text = h->opcode == LQ_WS_TEXT;
            w->is_deflated = h->is_deflated;
            w->is_open = true;
        }
        w->fragments++;
    }
    return read_payload(d, r);
}

static int read_frame(lq_ws_decoder *d, rest *r)
{
    lq_ws_head h;
    bool is_alone;
    int err;

    if (d->work && d->work->is_in_frame) return read_payload(d, r);
    err = read_head(d, r, &h);
    if (err <= 0) return err;
    err = check_head(d, &h);
    if (err < 0) return err;
    is_alone = lq_ws_is_control(h.opcode) || (h.is_final && h.opcode);
    return is_alone && h.len <= r->len ? read_in_place(d, r, &h)
                                       : begin_payload(d, r, &h);
}

int lq_ws_decoder_feed(lq_ws_decoder *d, char *bytes, size_t len, size_t *used)
{
    rest r = {bytes, len};
    int event;

    lq_ws_decoder_release(d);
    *used = len;
    if (LQ_UNLIKELY(d->error < 0)) return d->error;
    if (LQ_UNLIKELY(d->is_closed)) return LQ_WS_MORE;
    do {
        event = read_frame(d, &r);
    } while (event == ON);
    if (event < 0) {
        d->error = (int16_t)event;
        free_work(d);
        return event;
    }
    *used = len - r.len;
    return event;
}

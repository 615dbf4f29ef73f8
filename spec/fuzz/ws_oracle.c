/* ws_oracle.c - see ws_oracle.h. */
#include "ws_oracle.h"

#include "fuzz.h"

static void add(lq_buf *out, const void *bytes, size_t len)
{
    FUZZ_CHECK(lq_buf_append(out, bytes, len) == 0);
}

void oracle_log(lq_buf *log, int event, int code, lq_str payload)
{
    uint64_t head[3] = {(uint64_t)event, (uint64_t)code, payload.len};

    add(log, head, sizeof head);
    add(log, payload.ptr, payload.len);
}

/* ---- deflate, RFC 1951 --------------------------------------------------- */

enum { CODES_MAX = 320, CODE_LEN_MAX = 15, END = 256, WINDOW = 32768 };

typedef struct inflating {
    const unsigned char *in;
    size_t bits_left; /* of the input */
    size_t at;        /* in bits */
    lq_buf *out;
    size_t room;
    int error; /* a close code */
} inflating;

/* A set of codes by their lengths; 0: not in it. */
typedef struct codes {
    unsigned char len[CODES_MAX];
    int count;
} codes;

static bool fails(inflating *f, int code)
{
    if (!f->error) f->error = code;
    return false;
}

static unsigned bits(inflating *f, int count)
{
    unsigned v = 0;
    int i;

    for (i = 0; i < count; i++) {
        if (f->bits_left == 0) {
            fails(f, LQ_WS_BAD_DATA);
            return 0;
        }
        v |= (unsigned)(f->in[f->at / 8] >> f->at % 8 & 1) << i;
        f->at++;
        f->bits_left--;
    }
    return v;
}

static void put(inflating *f, char byte)
{
    if (f->error) return;
    if (f->room == 0) {
        fails(f, LQ_WS_TOO_BIG);
        return;
    }
    f->room--;
    add(f->out, &byte, 1);
}

/* The symbol whose code comes next, by counting through all codes of a length
 * (RFC 1951 3.2.2); -1 for none. */
static int symbol(inflating *f, const codes *c)
{
    unsigned code = 0, first = 0, count;
    int len, i;

    for (len = 1; len <= CODE_LEN_MAX && !f->error; len++) {
        code = code << 1 | bits(f, 1);
        count = 0;
        for (i = 0; i < c->count; i++) {
            if (c->len[i] != len) continue;
            if (first + count == code) return f->error ? -1 : i;
            count++;
        }
        first = (first + count) << 1;
    }
    fails(f, LQ_WS_BAD_DATA);
    return -1;
}

/* Whether the lengths make a set that zlib takes: complete, or a single code of
 * one bit, or none at all, where `may_be_small`. */
static bool is_set(const codes *c, bool may_be_small)
{
    long left = 1L << CODE_LEN_MAX;
    int i, longest = 0;

    for (i = 0; i < c->count; i++) {
        if (c->len[i]) left -= 1L << (CODE_LEN_MAX - c->len[i]);
        if (c->len[i] > longest) longest = c->len[i];
    }
    return left == 0 || (left > 0 && may_be_small && longest <= 1);
}

static void stored(inflating *f)
{
    unsigned len, check;

    bits(f, (int)(f->bits_left % 8));
    len = bits(f, 16);
    check = bits(f, 16);
    if (f->error) return;
    if (len != (~check & 0xffff)) {
        fails(f, LQ_WS_BAD_DATA);
        return;
    }
    /* One that is cut gives what is there. */
    while (len-- && !f->error) {
        char byte = (char)bits(f, 8);

        put(f, byte);
    }
}

static void copy_match(inflating *f, size_t len, size_t distance)
{
    size_t there = lq_buf_len(f->out);

    if (f->error) return;
    if (distance > there || distance > WINDOW) {
        fails(f, LQ_WS_BAD_DATA);
        return;
    }
    while (len-- && !f->error) put(f, f->out->data[f->out->tail - distance]);
}

static void match(inflating *f, int sym, const codes *distances)
{
    static const unsigned short base[] = {
        3,  4,  5,  6,  7,  8,  9,  10, 11,  13,  15,  17,  19,  23, 27,
        31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258};
    static const unsigned char extra[] = {0, 0, 0, 0, 0, 0, 0, 0, 1, 1,
                                          1, 1, 2, 2, 2, 2, 3, 3, 3, 3,
                                          4, 4, 4, 4, 5, 5, 5, 5, 0};
    size_t len, distance;
    int d;

    if (sym > 285) {
        fails(f, LQ_WS_BAD_DATA);
        return;
    }
    len = base[sym - 257] + (size_t)bits(f, extra[sym - 257]);
    d = symbol(f, distances);
    if (d > 29) fails(f, LQ_WS_BAD_DATA);
    if (f->error) return;
    distance = (size_t)d + 1;
    if (d >= 4) distance = (((size_t)d % 2 + 2) << (d / 2 - 1)) + 1;
    distance += bits(f, d < 4 ? 0 : d / 2 - 1);
    copy_match(f, len, distance);
}

static void coded(inflating *f, const codes *literals, const codes *distances)
{
    int sym;

    while ((sym = symbol(f, literals)) != END && !f->error) {
        if (sym < END)
            put(f, (char)sym);
        else
            match(f, sym, distances);
    }
}

static void fixed(inflating *f)
{
    codes literals = {.count = 288}, distances = {.count = 32};

    memset(literals.len, 8, 144);
    memset(literals.len + 144, 9, 112);
    memset(literals.len + 256, 7, 24);
    memset(literals.len + 280, 8, 8);
    memset(distances.len, 5, 32);
    coded(f, &literals, &distances);
}

/* The lengths of both sets, one after the other (RFC 1951 3.2.7). */
static bool read_lengths(inflating *f, const codes *c, unsigned char *out,
                         int count)
{
    int at = 0, sym, times;
    unsigned char value;

    while (at < count) {
        sym = symbol(f, c);
        if (f->error) return false;
        value = sym < 16 ? (unsigned char)sym : 0;
        if (sym == 16 && at == 0) return fails(f, LQ_WS_BAD_DATA);
        if (sym == 16) value = out[at - 1];
        times = sym < 16    ? 1
                : sym == 16 ? 3 + (int)bits(f, 2)
                : sym == 17 ? 3 + (int)bits(f, 3)
                            : 11 + (int)bits(f, 7);
        if (f->error || at + times > count) return fails(f, LQ_WS_BAD_DATA);
        while (times--) out[at++] = value;
    }
    return true;
}

static void dynamic(inflating *f)
{
    static const unsigned char order[] = {16, 17, 18, 0, 8,  7, 9,  6, 10, 5,
                                          11, 4,  12, 3, 13, 2, 14, 1, 15};
    codes literals = {.count = 257}, distances = {.count = 1}, of = {0};
    unsigned char all[CODES_MAX];
    int count, i;

    of.count = sizeof order;
    literals.count += (int)bits(f, 5);
    distances.count += (int)bits(f, 5);
    count = 4 + (int)bits(f, 4);
    if (literals.count > 286 || distances.count > 30) fails(f, LQ_WS_BAD_DATA);
    for (i = 0; i < count && !f->error; i++)
        of.len[order[i]] = (unsigned char)bits(f, 3);
    if (f->error) return;
    /* zlib takes a set of no codes here, which no length can be read with. */
    if (!is_set(&of, false)) fails(f, LQ_WS_BAD_DATA);
    if (f->error ||
        !read_lengths(f, &of, all, literals.count + distances.count))
        return;
    memcpy(literals.len, all, (size_t)literals.count);
    memcpy(distances.len, all + literals.count, (size_t)distances.count);
    if (!literals.len[END] || !is_set(&literals, true) ||
        !is_set(&distances, true))
        fails(f, LQ_WS_BAD_DATA);
    else
        coded(f, &literals, &distances);
}

/* One block; returns whether it is a final one. */
static bool block(inflating *f)
{
    bool is_final = bits(f, 1);
    unsigned kind = bits(f, 2);

    if (f->error) return false;
    if (kind == 0) stored(f);
    if (kind == 1) fixed(f);
    if (kind == 2) dynamic(f);
    if (kind == 3) fails(f, LQ_WS_BAD_DATA);
    return is_final;
}

int oracle_inflate(lq_buf *out, lq_str payload, size_t max)
{
    char *in = malloc(payload.len + 4);
    inflating f = {(unsigned char *)in, 8 * (payload.len + 4), 0, out, max, 0};
    bool is_final = false;

    FUZZ_CHECK(in);
    if (payload.len) memcpy(in, payload.ptr, payload.len);
    memcpy(in + payload.len, "\0\0\xff\xff", 4);
    while (f.bits_left && !f.error) {
        is_final = block(&f);
        if (is_final && !f.error) bits(&f, (int)(f.bits_left % 8));
        if (is_final && f.bits_left == 32) break; /* the tail is not needed */
    }
    free(in);
    return f.error;
}

/* ---- UTF-8 --------------------------------------------------------------- */

/* Whether a character of `len` bytes is between both. */
static bool has_character(uint32_t low, uint32_t high, int len)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};

    if (high > 0x10ffff) high = 0x10ffff;
    if (low < least[len]) low = least[len];
    if (low >= 0xd800 && low <= 0xdfff) low = 0xe000;
    return low <= high;
}

/* 1: valid; 0: can become valid with more bytes; -1: neither. */
static int text_state(lq_str s)
{
    size_t at = 0;

    while (at < s.len) {
        unsigned char first = (unsigned char)s.ptr[at];
        int len = first < 0x80   ? 1
                  : first < 0xc0 ? 0
                  : first < 0xe0 ? 2
                  : first < 0xf0 ? 3
                  : first < 0xf8 ? 4
                                 : 0;
        uint32_t low = len == 1 ? first : first & (0x7fu >> len), high = low;
        int i;

        if (len == 0) return -1;
        for (i = 1; i < len; i++) {
            size_t here = at + (size_t)i;
            bool is_there = here < s.len;
            unsigned char c = is_there ? (unsigned char)s.ptr[here] : 0x80;

            if ((c & 0xc0) != 0x80) return -1;
            low = low << 6 | (c & 0x3f);
            high = high << 6 | (is_there ? c & 0x3f : 0x3f);
        }
        if (len > 1 && !has_character(low, high, len)) return -1;
        if (at + (size_t)len > s.len) return 0;
        at += (size_t)len;
    }
    return 1;
}

/* ---- frames -------------------------------------------------------------- */

typedef struct frame {
    int opcode;
    bool is_final, rsv1;
    uint64_t len;
    lq_str payload; /* unmasked; shorter than len when it is cut */
} frame;

typedef struct reader {
    lq_buf *log;
    lq_str in;
    size_t max;
    oracle_deflate how;
    lq_buf message, window, bytes;
    bool is_open, is_text, is_deflated, is_over;
    uint64_t fragments;
} reader;

static void fail(reader *r, int code)
{
    oracle_log(r->log, -1, code, (lq_str){NULL, 0});
    r->is_over = true;
}

static uint64_t number(const unsigned char *p, size_t len)
{
    uint64_t v = 0;

    while (len--) v = v * 256 + *p++;
    return v;
}

/* Reads a head and what is there of the payload; the length of both, 0 when
 * the head is cut. Sets is_over for an error. */
static size_t read_frame(reader *r, frame *f)
{
    const unsigned char *p = (const unsigned char *)r->in.ptr;
    size_t n = r->in.len, more, i;
    bool is_control;

    if (n < 1) return 0;
    f->opcode = p[0] % 16;
    f->is_final = p[0] >= 0x80;
    f->rsv1 = p[0] & 0x40;
    is_control = f->opcode >= 8;
    if ((p[0] & 0x30) || (f->opcode > 2 && f->opcode < 8) || f->opcode > 10 ||
        (is_control && !f->is_final) ||
        (f->rsv1 && (r->how == ORACLE_PLAIN || f->opcode == 0 || is_control)))
        return fail(r, 1002), 0;
    if (n < 2) return 0;
    if (p[1] < 0x80 || (is_control && p[1] - 0x80 > 125))
        return fail(r, 1002), 0;
    more = p[1] == 0xfe ? 2 : p[1] == 0xff ? 8 : 0;
    if (n < 2 + more) return 0;
    f->len = more ? number(p + 2, more) : p[1] - 0x80u;
    if ((more && f->len < 126) || (more == 8 && f->len < 65536) ||
        f->len >= UINT64_C(1) << 63)
        return fail(r, 1002), 0;
    if (n < 6 + more) return 0;
    n -= 6 + more;
    if (n > f->len) n = (size_t)f->len;
    lq_buf_clear(&r->bytes);
    for (i = 0; i < n; i++) {
        char c = (char)(p[6 + more + i] ^ p[2 + more + i % 4]);

        add(&r->bytes, &c, 1);
    }
    f->payload = (lq_str){r->bytes.data, n};
    return 6 + more + n;
}

static void control(reader *r, const frame *f)
{
    int code = 1005;
    lq_str s = f->payload;

    if (s.len < f->len) {
        r->is_over = true;
        return;
    }
    if (f->opcode != 8) {
        oracle_log(r->log, f->opcode == 9 ? LQ_WS_GOT_PING : LQ_WS_GOT_PONG, 0,
                   s);
        return;
    }
    if (s.len == 1) return fail(r, 1002);
    if (s.len) {
        code = (int)number((const unsigned char *)s.ptr, 2);
        if (code < 1000 || code > 4999 || (code > 1003 && code < 1007) ||
            (code > 1014 && code < 3000))
            return fail(r, 1002);
        s = (lq_str){s.ptr + 2, s.len - 2};
        if (text_state(s) != 1) return fail(r, 1007);
    }
    oracle_log(r->log, LQ_WS_GOT_CLOSE, code, s);
    r->is_over = true;
}

static void message(reader *r)
{
    lq_str s = oracle_view(&r->message);
    size_t before;
    int code;

    if (r->is_deflated && s.len) {
        if (r->how == ORACLE_FRESH) lq_buf_clear(&r->window);
        before = lq_buf_len(&r->window);
        code = oracle_inflate(&r->window, s, r->max);
        if (code) return fail(r, code);
        s = (lq_str){r->window.data ? r->window.data + before : "",
                     lq_buf_len(&r->window) - before};
    }
    if (r->is_text && text_state(s) != 1) return fail(r, 1007);
    oracle_log(r->log, LQ_WS_MESSAGE, !r->is_text, s);
}

static void data(reader *r, const frame *f)
{
    uint64_t before, most;

    if (r->is_open != (f->opcode == 0)) return fail(r, 1002);
    if (!r->is_open) {
        r->is_text = f->opcode == 1;
        r->is_deflated = f->rsv1;
        r->fragments = 0;
        lq_buf_clear(&r->message);
    }
    before = lq_buf_len(&r->message);
    most = r->is_deflated ? r->max + r->max / 8 + 64 : r->max;
    if (f->len > most || before + f->len > most) return fail(r, 1009);
    if (++r->fragments > 1024 && r->is_open &&
        (before + f->len) / 64 < r->fragments)
        return fail(r, 1008);
    r->is_open = true;
    add(&r->message, f->payload.ptr, f->payload.len);
    if (r->is_text && !r->is_deflated &&
        text_state(oracle_view(&r->message)) < 0)
        return fail(r, 1007);
    if (f->payload.len < f->len) {
        r->is_over = true;
        return;
    }
    if (!f->is_final) return;
    r->is_open = false;
    message(r);
}

void oracle_ws_read(lq_buf *log, lq_str in, size_t max, oracle_deflate how)
{
    reader r = {.log = log, .in = in, .max = max, .how = how};
    frame f;
    size_t len;

    while (!r.is_over && (len = read_frame(&r, &f)) > 0) {
        r.in = (lq_str){r.in.ptr + len, r.in.len - len};
        if (f.opcode >= 8)
            control(&r, &f);
        else
            data(&r, &f);
    }
    lq_buf_fini(&r.message);
    lq_buf_fini(&r.window);
    lq_buf_fini(&r.bytes);
}

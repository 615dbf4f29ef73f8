/* framing.c - see framing.h. */
#include "net/framing.h"

static const struct {
    lq_str name;
    size_t prefix; /* bytes of the length in front */
} kinds[] = {
    [LQ_FRAMING_RAW] = {{"raw", 3}, 0}, [LQ_FRAMING_LINE] = {{"line", 4}, 0},
    [LQ_FRAMING_U8] = {{"u8", 2}, 1},   [LQ_FRAMING_U16] = {{"u16", 3}, 2},
    [LQ_FRAMING_U32] = {{"u32", 3}, 4},
};

int lq_framing_of(lq_str name)
{
    size_t i;

    for (i = 0; i < LQ_COUNT_OF(kinds); i++)
        if (lq_str_equal(kinds[i].name, name)) return (int)i;
    return LQ_EINVALID;
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

static ssize_t find_raw(lq_str in, size_t max, lq_str *message)
{
    *message = (lq_str){in.ptr, smaller(in.len, max)};
    return (ssize_t)message->len;
}

/* Whether a line that begins with `in`, which has no line feed, is too long
 * whatever comes: one byte more may be the return in front of the feed. */
static bool is_too_long(lq_str in, size_t max)
{
    if (in.len <= max) return false;
    return in.len > max + 1 || in.ptr[max] != '\r';
}

static ssize_t find_line(lq_str in, size_t max, size_t *scanned,
                         lq_str *message)
{
    size_t most = smaller(max, LQ_FRAMING_LINE_MAX), len;
    size_t seen = smaller(in.len, most + 2); /* with both bytes of the end */
    const char *end = NULL;

    if (*scanned < seen) end = memchr(in.ptr + *scanned, '\n', seen - *scanned);
    if (!end) {
        *scanned = seen;
        return is_too_long(in, most) ? LQ_ETOOLARGE : 0;
    }
    *scanned = 0;
    len = (size_t)(end - in.ptr);
    *message = (lq_str){in.ptr, len};
    if (len && in.ptr[len - 1] == '\r') message->len--;
    return message->len > most ? LQ_ETOOLARGE : (ssize_t)(len + 1);
}

static ssize_t find_counted(lq_str in, size_t prefix, size_t max,
                            lq_str *message)
{
    size_t len = 0, i;

    if (in.len < prefix) return 0;
    for (i = 0; i < prefix; i++) len = len << 8 | (unsigned char)in.ptr[i];
    if (len > max) return LQ_ETOOLARGE;
    if (in.len - prefix < len) return 0;
    *message = (lq_str){in.ptr + prefix, len};
    return (ssize_t)(prefix + len);
}

ssize_t lq_framing_find(lq_framing kind, lq_str in, size_t max, size_t *scanned,
                        lq_str *message)
{
    if (kind == LQ_FRAMING_RAW) return find_raw(in, max, message);
    if (kind == LQ_FRAMING_LINE) return find_line(in, max, scanned, message);
    return find_counted(in, kinds[kind].prefix, max, message);
}

static int append_line(lq_buf *out, lq_str line)
{
    int err;

    if (line.len &&
        (line.ptr[line.len - 1] == '\r' || memchr(line.ptr, '\n', line.len)))
        return LQ_EINVALID;
    if (line.len > LQ_FRAMING_LINE_MAX) return LQ_ETOOLARGE;
    err = lq_buf_reserve(out, line.len + 1);
    if (err < 0) return err;
    lq_buf_put(out, line.ptr, line.len);
    lq_buf_put(out, "\n", 1);
    return 0;
}

static int append_counted(lq_buf *out, size_t prefix, lq_str message)
{
    uint64_t most = (UINT64_C(1) << 8 * prefix) - 1;
    char head[4];
    size_t i;
    int err;

    if (message.len > most) return LQ_ETOOLARGE;
    err = lq_buf_reserve(out, prefix + message.len);
    if (err < 0) return err;
    for (i = 0; i < prefix; i++)
        head[i] = (char)(message.len >> 8 * (prefix - 1 - i) & 0xff);
    lq_buf_put(out, head, prefix);
    lq_buf_put(out, message.ptr, message.len);
    return 0;
}

int lq_framing_append(lq_framing kind, lq_buf *out, lq_str message)
{
    if (kind == LQ_FRAMING_RAW)
        return lq_buf_append(out, message.ptr, message.len);
    if (kind == LQ_FRAMING_LINE) return append_line(out, message);
    return append_counted(out, kinds[kind].prefix, message);
}

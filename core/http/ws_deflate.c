/* ws_deflate.c - see ws_deflate.h. */
#include "http/ws_deflate.h"

#include <errno.h>
#define ZLIB_CONST
#include <zlib.h>

#include "base/mem.h"
#include "http/ws_frame.h"

enum {
    ROOM = 512,         /* least for a step of zlib's; buffers double */
    WINDOW = 32 * 1024, /* the largest there is */
    STEP = 1 << 30,     /* what zlib is told of at once: it counts in 32 bits */
    MEM_LEVEL_BITS = 7, /* hash tables of about the window's size */
};

/* What a flush ends with; taken off and put on again, RFC 7692 7.2. */
static const char tail[4] = {0, 0, '\xff', '\xff'};

struct lq_ws_deflater {
    z_stream z;
};

struct lq_ws_inflater {
    z_stream z;
    bool keeps_context;
    bool is_at_end; /* of a final block; another one may follow */
};

static void *take(void *opaque, uInt items, uInt size)
{
    (void)opaque;
    return lq_mem_alloc((size_t)items * size);
}

static void give_back(void *opaque, void *ptr)
{
    (void)opaque;
    lq_mem_free(ptr);
}

static uInt at_most(size_t len)
{
    return len < STEP ? (uInt)len : STEP;
}

/* ---- out ----------------------------------------------------------------- */

lq_ws_deflater *lq_ws_deflater_new(int bits, int level)
{
    lq_ws_deflater *d = lq_mem_zalloc(sizeof *d);
    int mem_level = bits - MEM_LEVEL_BITS;

    if (!d) return NULL;
    d->z.zalloc = take;
    d->z.zfree = give_back;
    if (deflateInit2(&d->z, level, Z_DEFLATED, -bits, mem_level,
                     Z_DEFAULT_STRATEGY) != Z_OK) {
        lq_mem_free(d);
        return NULL;
    }
    return d;
}

void lq_ws_deflater_free(lq_ws_deflater *d)
{
    if (!d) return;
    deflateEnd(&d->z);
    lq_mem_free(d);
}

/* One call of zlib's, into the room that there is. */
static int deflate_step(z_stream *z, int flush, lq_buf *out)
{
    uInt room;
    int err = lq_buf_reserve(out, ROOM);

    if (err < 0) return err;
    room = at_most(out->cap - out->tail);
    z->next_out = (Bytef *)out->data + out->tail;
    z->avail_out = room;
    (void)deflate(z, flush); /* 0 bytes more are no error */
    out->tail += room - z->avail_out;
    return 0;
}

static int deflate_all(z_stream *z, lq_str in, lq_buf *out)
{
    int err, flush;

    do {
        z->next_in = (const Bytef *)in.ptr;
        z->avail_in = at_most(in.len);
        in = (lq_str){in.ptr + z->avail_in, in.len - z->avail_in};
        flush = in.len ? Z_NO_FLUSH : Z_SYNC_FLUSH;
        do {
            err = deflate_step(z, flush, out);
            if (err < 0) return err;
        } while (z->avail_out == 0);
    } while (in.len);
    return 0;
}

int lq_ws_deflate(lq_ws_deflater *d, lq_str in, bool reset, lq_buf *out)
{
    size_t before = lq_buf_len(out);
    int err;

    /* A flush of nothing is nothing: RFC 7692 7.2.3.6. */
    if (in.len == 0) return lq_buf_append(out, "", 1);
    if (reset) deflateReset(&d->z);
    err = deflate_all(&d->z, in, out);
    if (err < 0) {
        lq_buf_truncate(out, before);
        return err;
    }
    LQ_ASSERT(lq_buf_len(out) - before > sizeof tail);
    LQ_ASSERT(!memcmp(out->data + out->tail - sizeof tail, tail, sizeof tail));
    lq_buf_truncate(out, lq_buf_len(out) - sizeof tail);
    return 0;
}

/* ---- in ------------------------------------------------------------------ */

lq_ws_inflater *lq_ws_inflater_new(int bits, bool keeps_context)
{
    lq_ws_inflater *i = lq_mem_zalloc(sizeof *i);

    if (!i) return NULL;
    i->z.zalloc = take;
    i->z.zfree = give_back;
    i->keeps_context = keeps_context;
    if (inflateInit2(&i->z, -bits) != Z_OK) {
        lq_mem_free(i);
        return NULL;
    }
    return i;
}

void lq_ws_inflater_free(lq_ws_inflater *i)
{
    if (!i) return;
    inflateEnd(&i->z);
    lq_mem_free(i);
}

/* Behind a final block zlib wants to begin anew, but the window goes on: it
 * belongs to the connection. */
static int begin_anew(lq_ws_inflater *i)
{
    Bytef window[WINDOW];
    uInt len = 0;

    i->is_at_end = false;
    if (inflateGetDictionary(&i->z, window, &len) != Z_OK ||
        inflateReset(&i->z) != Z_OK)
        return -LQ_WS_BAD_DATA;
    if (len && inflateSetDictionary(&i->z, window, len) != Z_OK) return -ENOMEM;
    return 0;
}

/* One call of zlib's, into what room there is below `max`. Where there is none
 * left, a byte of its own shows whether there would be more. */
static int inflate_step(lq_ws_inflater *i, size_t max, lq_buf *out)
{
    size_t len = lq_buf_len(out), room;
    Bytef beyond;
    int err = lq_buf_reserve(out, max - len < ROOM ? max - len : ROOM), code;

    if (err < 0) return err;
    room = out->cap - out->tail;
    if (room > max - len) room = max - len;
    i->z.next_out = room ? (Bytef *)out->data + out->tail : &beyond;
    i->z.avail_out = room ? at_most(room) : 1;
    room = i->z.avail_out;
    code = inflate(&i->z, Z_SYNC_FLUSH);
    room -= i->z.avail_out;
    if (i->z.next_out == &beyond + 1) return -LQ_WS_TOO_BIG;
    out->tail += room;
    i->is_at_end = code == Z_STREAM_END;
    if (code == Z_MEM_ERROR) return -ENOMEM;
    return code == Z_OK || code == Z_BUF_ERROR || i->is_at_end
               ? 0
               : -LQ_WS_BAD_DATA;
}

static int inflate_all(lq_ws_inflater *i, lq_str in, size_t max, lq_buf *out)
{
    int err = 0;

    do {
        i->z.next_in = (const Bytef *)in.ptr;
        i->z.avail_in = at_most(in.len);
        in = (lq_str){in.ptr + i->z.avail_in, in.len - i->z.avail_in};
        do {
            if (i->is_at_end && i->z.avail_in == 0) break;
            if (i->is_at_end) err = begin_anew(i);
            if (err == 0) err = inflate_step(i, max, out);
            if (err < 0) return err;
        } while (i->z.avail_in > 0 || i->z.avail_out == 0);
    } while (in.len);
    return 0;
}

/* The tail ends the last block. A final block at the very end needs none. */
static int inflate_tail(lq_ws_inflater *i, size_t max, lq_buf *out)
{
    enum { BETWEEN_BLOCKS = 128, BITS_LEFT = 63 }; /* of data_type */
    int err;

    if (i->is_at_end) return begin_anew(i);
    err = inflate_all(i, (lq_str){tail, sizeof tail}, max, out);
    if (err < 0) return err;
    if (i->is_at_end) return begin_anew(i);
    return (i->z.data_type & (BETWEEN_BLOCKS | BITS_LEFT)) == BETWEEN_BLOCKS
               ? 0
               : -LQ_WS_BAD_DATA;
}

int lq_ws_inflate(lq_ws_inflater *i, lq_str in, bool last, size_t max,
                  lq_buf *out)
{
    int err;

    if (lq_buf_len(out) > max) return -LQ_WS_TOO_BIG;
    err = inflate_all(i, in, max, out);
    if (err == 0 && last) err = inflate_tail(i, max, out);
    if ((err < 0 || last) && !i->keeps_context) {
        i->is_at_end = false;
        inflateReset(&i->z);
    }
    return err;
}

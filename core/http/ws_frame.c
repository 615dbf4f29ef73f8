/* ws_frame.c - see ws_frame.h. */
#include "http/ws_frame.h"

enum {
    FINAL = 0x80, /* of the first byte */
    RSV1 = 0x40,
    RESERVED = 0x30,
    OPCODE = 0x0f,
    MASKED = 0x80, /* of the second one */
    LENGTH = 0x7f,
    LEN_16 = 126, /* a length of 16 bits follows */
    LEN_64 = 127,
};

static void put_big_endian(char *out, uint64_t v, size_t bytes)
{
    while (bytes) {
        out[--bytes] = (char)(v & 0xff);
        v >>= 8;
    }
}

static uint64_t big_endian(const char *p, size_t bytes)
{
    uint64_t v = 0;
    size_t i;

    for (i = 0; i < bytes; i++) v = v << 8 | (unsigned char)p[i];
    return v;
}

size_t lq_ws_frame_head(char out[LQ_WS_HEAD_MAX], int opcode, bool is_deflated,
                        uint64_t len)
{
    out[0] = (char)(FINAL | (is_deflated ? RSV1 : 0) | opcode);
    if (len < LEN_16) {
        out[1] = (char)len;
        return 2;
    }
    if (len <= UINT16_MAX) {
        out[1] = LEN_16;
        put_big_endian(out + 2, len, 2);
        return 4;
    }
    out[1] = LEN_64;
    put_big_endian(out + 2, len, 8);
    return 10;
}

/* Opcode, FIN and RSV1-3. */
static bool read_first(lq_ws_head *h, unsigned char byte, bool may_deflate)
{
    h->opcode = byte & OPCODE;
    h->is_final = (byte & FINAL) != 0;
    h->is_deflated = (byte & RSV1) != 0;
    if (byte & RESERVED) return false;
    if (lq_ws_is_control(h->opcode))
        return h->opcode <= LQ_WS_PONG && h->is_final && !h->is_deflated;
    if (h->opcode > LQ_WS_BINARY) return false;
    return !h->is_deflated || (may_deflate && h->opcode != LQ_WS_CONT);
}

/* A length takes as few bytes as it can; the topmost bit of 64 is 0. */
static bool is_minimal(uint64_t len, size_t bytes)
{
    if (bytes == 2) return len >= LEN_16;
    return len > UINT16_MAX && len <= INT64_MAX;
}

int lq_ws_head_read(lq_ws_head *out, lq_str bytes, bool may_deflate)
{
    unsigned char second;
    size_t more; /* bytes of the length */

    if (bytes.len == 0) return 0;
    if (!read_first(out, (unsigned char)bytes.ptr[0], may_deflate))
        return -LQ_WS_PROTOCOL_ERROR;
    if (bytes.len == 1) return 0;
    second = (unsigned char)bytes.ptr[1];
    out->len = second & LENGTH;
    if (!(second & MASKED)) return -LQ_WS_PROTOCOL_ERROR;
    if (lq_ws_is_control(out->opcode) && out->len > LQ_WS_CONTROL_MAX)
        return -LQ_WS_PROTOCOL_ERROR;
    more = out->len < LEN_16 ? 0 : out->len == LEN_16 ? 2 : 8;
    if (bytes.len < 2 + more) return 0;
    if (more) {
        out->len = big_endian(bytes.ptr + 2, more);
        if (!is_minimal(out->len, more)) return -LQ_WS_PROTOCOL_ERROR;
    }
    if (bytes.len < 2 + more + LQ_WS_KEY_LEN) return 0;
    memcpy(out->key, bytes.ptr + 2 + more, LQ_WS_KEY_LEN);
    return (int)(2 + more + LQ_WS_KEY_LEN);
}

void lq_ws_unmask(char *bytes, size_t len,
                  const unsigned char key[LQ_WS_KEY_LEN], size_t offset)
{
    unsigned char turned[sizeof(uint64_t)];
    uint64_t mask, word;
    size_t i;

    for (i = 0; i < sizeof turned; i++)
        turned[i] = key[(offset + i) % LQ_WS_KEY_LEN];
    memcpy(&mask, turned, sizeof mask);
    for (i = 0; len - i >= sizeof word; i += sizeof word) {
        memcpy(&word, bytes + i, sizeof word);
        word ^= mask;
        memcpy(bytes + i, &word, sizeof word);
    }
    for (; i < len; i++)
        bytes[i] = (char)((unsigned char)bytes[i] ^ turned[i % sizeof turned]);
}

bool lq_ws_close_code_is_valid(int code)
{
    if (code >= 3000) return code <= 4999;
    if (code < LQ_WS_NORMAL || code > 1014) return false;
    return code <= 1003 || code >= LQ_WS_BAD_DATA;
}

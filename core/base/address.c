/* address.c - see address.h. */
#include "base/address.h"

#include <arpa/inet.h>

static const unsigned char mapped[12] = {[10] = 0xff, [11] = 0xff};

void lq_address_set_v4(lq_address *a, const void *bytes, uint16_t port)
{
    *a = (lq_address){.kind = LQ_ADDRESS_V4, .port = port};
    memcpy(a->bytes, bytes, 4);
}

void lq_address_set_v6(lq_address *a, const void *bytes, uint16_t port)
{
    if (memcmp(bytes, mapped, sizeof mapped) == 0) {
        lq_address_set_v4(a, (const char *)bytes + sizeof mapped, port);
        return;
    }
    *a = (lq_address){.kind = LQ_ADDRESS_V6, .port = port};
    memcpy(a->bytes, bytes, 16);
}

bool lq_address_read(lq_address *out, lq_str text)
{
    char copy[INET6_ADDRSTRLEN];
    unsigned char bytes[16];

    /* inet_pton ends at a NUL and would pass over what stands behind. */
    if (text.len == 0 || text.len >= sizeof copy ||
        memchr(text.ptr, '\0', text.len))
        return false;
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    if (inet_pton(AF_INET, copy, bytes) == 1)
        lq_address_set_v4(out, bytes, 0);
    else if (inet_pton(AF_INET6, copy, bytes) == 1)
        lq_address_set_v6(out, bytes, 0);
    else
        return false;
    return true;
}

void lq_address_write(const lq_address *a, char out[LQ_ADDRESS_TEXT])
{
    switch (a->kind) {
    case LQ_ADDRESS_V4:
        inet_ntop(AF_INET, a->bytes, out, LQ_ADDRESS_TEXT);
        break;
    case LQ_ADDRESS_V6:
        inet_ntop(AF_INET6, a->bytes, out, LQ_ADDRESS_TEXT);
        break;
    case LQ_ADDRESS_UNIX: memcpy(out, "unix:", sizeof "unix:"); break;
    default: memcpy(out, "unknown", sizeof "unknown"); break;
    }
}

/* ---- ranges -------------------------------------------------------------- */

static int bits_of(const lq_address *a)
{
    return a->kind == LQ_ADDRESS_V4 ? 32 : 128;
}

/* A number up to `most` without needless zeros; -1 for anything else. */
static int read_bits(lq_str text, int most)
{
    int bits = 0;
    size_t i;

    if (text.len == 0 || text.len > 3) return -1;
    if (text.ptr[0] == '0' && text.len > 1) return -1;
    for (i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9') return -1;
        bits = bits * 10 + text.ptr[i] - '0';
    }
    return bits <= most ? bits : -1;
}

bool lq_range_read(lq_range *out, lq_str text)
{
    const char *slash = text.len ? memchr(text.ptr, '/', text.len) : NULL;
    lq_str base = {text.ptr, slash ? (size_t)(slash - text.ptr) : text.len};
    bool is_v6 = base.len && memchr(base.ptr, ':', base.len);
    lq_address a;
    lq_str rest = {NULL, 0};
    int bits;

    if (lq_str_equal(text, LQ_STR("unix")) ||
        lq_str_equal(text, LQ_STR("unix:"))) {
        *out = (lq_range){.base.kind = LQ_ADDRESS_UNIX};
        return true;
    }
    if (!lq_address_read(&a, base)) return false;
    if (slash) rest = (lq_str){slash + 1, text.len - base.len - 1};
    bits = slash ? read_bits(rest, is_v6 ? 128 : 32) : bits_of(&a);
    /* Of ::ffff:10.0.0.0/104 the first 96 bits say that it is IPv4. */
    if (slash && is_v6 && a.kind == LQ_ADDRESS_V4) bits -= 96;
    if (bits < 0) return false;
    *out = (lq_range){a, (uint8_t)bits};
    return true;
}

bool lq_range_has(const lq_range *range, const lq_address *a)
{
    size_t whole = range->bits / 8;
    int rest = range->bits % 8, differ;

    if (a->kind != range->base.kind || a->kind == LQ_ADDRESS_NONE) return false;
    if (memcmp(a->bytes, range->base.bytes, whole) != 0) return false;
    if (rest == 0) return true;
    differ = a->bytes[whole] ^ range->base.bytes[whole];
    return differ >> (8 - rest) == 0;
}

bool lq_trust_has(const lq_trust *trust, const lq_address *a)
{
    size_t i;

    for (i = 0; i < trust->count; i++)
        if (lq_range_has(&trust->ranges[i], a)) return true;
    return false;
}

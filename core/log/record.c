/* record.c - see record.h. */
#include "log/record.h"

#include <time.h>

typedef struct head {
    uint64_t at_ns;
    const lq_origin *origin;
    uint32_t size;  /* of all of it */
    uint16_t parts; /* a bit for each that is there */
    uint8_t kind;
    uint8_t level;
} head;

typedef struct numbers {
    uint64_t status;
    uint64_t bytes;
    uint64_t duration_us;
} numbers;

_Static_assert(LQ_PARTS <= 16, "a bit for each part");

uint64_t lq_record_now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

void lq_record_set_message(lq_record *r, lq_str text)
{
    static const char begin[] = "\nstack traceback:\n";
    const char *at =
        text.len ? memmem(text.ptr, text.len, begin, sizeof begin - 1) : NULL;

    r->parts[LQ_PART_MESSAGE] = text;
    if (!at) return;
    r->parts[LQ_PART_MESSAGE].len = (size_t)(at - text.ptr);
    at++;
    r->parts[LQ_PART_TRACEBACK] =
        (lq_str){at, text.len - (size_t)(at - text.ptr)};
}

size_t lq_record_size(const lq_record *r)
{
    size_t size = sizeof(head), i;

    if (r->kind == LQ_RECORD_ACCESS) size += sizeof(numbers);
    for (i = 0; i < LQ_PARTS; i++) {
        if (!r->parts[i].ptr) continue;
        if (r->parts[i].len > UINT32_MAX / (2 * LQ_PARTS)) return SIZE_MAX;
        size += sizeof(uint32_t) + r->parts[i].len;
    }
    return size;
}

static char *put(char *at, const void *bytes, size_t len)
{
    memcpy(at, bytes, len);
    return at + len;
}

static const char *get(const char *at, void *bytes, size_t len)
{
    memcpy(bytes, at, len);
    return at + len;
}

void lq_record_pack(const lq_record *r, char *out)
{
    numbers n = {r->status, r->bytes, r->duration_us};
    head h = {
        .at_ns = r->at_ns,
        .origin = r->origin,
        .kind = (uint8_t)r->kind,
        .level = (uint8_t)r->level,
    };
    char *at = out + sizeof h;
    uint32_t len;
    int i;

    if (r->kind == LQ_RECORD_ACCESS) at = put(at, &n, sizeof n);
    for (i = 0; i < LQ_PARTS; i++) {
        if (!r->parts[i].ptr) continue;
        h.parts |= (uint16_t)(1u << i);
        len = (uint32_t)r->parts[i].len;
        at = put(at, &len, sizeof len);
        at = put(at, r->parts[i].ptr, len);
    }
    h.size = (uint32_t)(at - out);
    put(out, &h, sizeof h);
}

size_t lq_record_unpack(lq_record *r, const char *at)
{
    numbers n;
    uint32_t len;
    head h;
    int i;

    at = get(at, &h, sizeof h);
    *r = (lq_record){
        .kind = (lq_record_kind)h.kind,
        .level = (lq_log_level)h.level,
        .at_ns = h.at_ns,
        .origin = h.origin,
    };
    if (r->kind == LQ_RECORD_ACCESS) {
        at = get(at, &n, sizeof n);
        r->status = n.status;
        r->bytes = n.bytes;
        r->duration_us = n.duration_us;
    }
    for (i = 0; i < LQ_PARTS; i++) {
        if (!(h.parts & 1u << i)) continue;
        at = get(at, &len, sizeof len);
        r->parts[i] = (lq_str){at, len};
        at += len;
    }
    return h.size;
}

/* access.c - see access.h. */
#include "net/access.h"

#include <string.h>

#include "log/log.h"

enum { NS_PER_US = 1000 };

void lq_access_begin(lq_exchange *x)
{
    x->began_ns = x->net->cfg.access_log ? uv_hrtime() : 0;
}

/* The client, as the app sees it: what a trusted proxy says goes before. */
static lq_str client_of(const lq_exchange *x, lq_forwarded *f)
{
    if (lq_exchange_forwarded(x, f, NULL) < 0 || !*f->address)
        lq_address_write(lq_exchange_peer(x), f->address);
    return (lq_str){f->address, strlen(f->address)};
}

/* The request stands as far as the parser has understood it. */
static void write_record(const lq_exchange *x, int status)
{
    lq_record r = {.kind = LQ_RECORD_ACCESS, .level = LQ_LOG_INFO};
    char id[LQ_EXCHANGE_ID_CAP];
    lq_forwarded f;

    r.status = (uint64_t)(x->status ? x->status : status);
    r.bytes = x->body_sent;
    r.duration_us = (uv_hrtime() - x->began_ns) / NS_PER_US;
    r.parts[LQ_PART_LOGGER] = LQ_STR("access");
    r.parts[LQ_PART_REQUEST] = (lq_str){id, lq_exchange_id(x, id)};
    r.parts[LQ_PART_METHOD] = x->parser.request.method_text;
    r.parts[LQ_PART_TARGET] = lq_request_target(&x->parser.request);
    r.parts[LQ_PART_REMOTE] = client_of(x, &f);
    lq_log_record(x->net->cfg.access_log, &r);
}

void lq_access_end(lq_exchange *x, int status)
{
    if (LQ_LIKELY(!x->began_ns)) return;
    write_record(x, status);
    x->began_ns = 0;
}

/* address.h - addresses of peers, as text and as ranges.
 *
 * An IPv4 address that is written as an IPv6 one (::ffff:10.0.0.1) is the IPv4
 * address: it looks the same and lies in the same ranges.
 *
 * Owns:    nothing: embedded by value.
 * Thread:  none.
 * Knows:   str, libc.
 */
#ifndef LQ_ADDRESS_H
#define LQ_ADDRESS_H

#include "base/str.h"

typedef enum lq_address_kind {
    LQ_ADDRESS_NONE,
    LQ_ADDRESS_UNIX, /* a unix socket, whichever */
    LQ_ADDRESS_V4,   /* the first 4 bytes count */
    LQ_ADDRESS_V6,
} lq_address_kind;

enum { LQ_ADDRESS_TEXT = 64 }; /* room for the text of any address */

typedef struct lq_address {
    uint8_t kind;
    uint16_t port; /* 0: none */
    unsigned char bytes[16];
} lq_address;

/* 4 or 16 bytes in network order; the port in that of the host. */
void lq_address_set_v4(lq_address *a, const void *bytes, uint16_t port);
void lq_address_set_v6(lq_address *a, const void *bytes, uint16_t port);

/* Reads 10.0.0.1 or 2001:db8::1, without brackets, zone and port; false, and
 * `out` as it was, for anything else. */
bool lq_address_read(lq_address *out, lq_str text);

/* Writes the address without its port in its shortest form; "unix:" for a
 * unix socket, "unknown" for none. */
void lq_address_write(const lq_address *a, char out[LQ_ADDRESS_TEXT]);

/* All addresses that begin with the first `bits` bits of `base`. */
typedef struct lq_range {
    lq_address base;
    uint8_t bits;
} lq_range;

/* Reads 10.0.0.0/8, 2001:db8::/32, one address alone, or `unix` (`unix:`),
 * which is every unix socket. Bits behind the first ones do not matter. A
 * range of IPv6 has no IPv4 addresses, however wide it is. false, and `out` as
 * it was, for anything else. */
bool lq_range_read(lq_range *out, lq_str text);

bool lq_range_has(const lq_range *range, const lq_address *a);

/* Lent ranges; none: nobody is trusted. */
typedef struct lq_trust {
    const lq_range *ranges;
    size_t count;
} lq_trust;

bool lq_trust_has(const lq_trust *trust, const lq_address *a);

#endif

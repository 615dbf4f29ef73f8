/* http_oracle.h - RFC 9112 read naively: what the parser is compared with.
 *
 * Written from the RFC alone, with a whole message at hand and no thought of
 * speed; shares no code with core/http. It names every fault that it sees, as
 * the parser may meet any of them first.
 *
 * Owns:    nothing: all are views of the bytes.
 * Thread:  none.
 * Knows:   base/str, libc.
 */
#ifndef LQ_FUZZ_HTTP_ORACLE_H
#define LQ_FUZZ_HTTP_ORACLE_H

#include "base/str.h"

enum {
    ORACLE_FIELDS_MAX = 2048,
    ORACLE_METHOD_MAX = 64, /* bytes of a method that are looked at */
    ORACLE_BLANK_MAX = 8,   /* bytes of empty lines in front of a request */
    ORACLE_DIGITS_MAX = 16, /* of a chunk's size, zeros in front too */
};

/* Faults that a message may have, by the status which answers them. */
enum {
    ORACLE_400 = 1 << 0,
    ORACLE_417 = 1 << 1,
    ORACLE_501 = 1 << 2,
    ORACLE_505 = 1 << 3,
};

typedef struct oracle_field {
    lq_str name, value;
} oracle_field;

typedef struct oracle_head {
    bool is_complete; /* the empty line is there: the rest counts */
    unsigned faults;  /* 0: it must be accepted */
    bool may_501;     /* the server need not know the method */
    size_t len;       /* from the request line on */
    size_t blank;     /* bytes of empty lines before that */
    lq_str method, target, path, query, authority;
    bool has_query;
    int minor;
    size_t count;
    oracle_field fields[ORACLE_FIELDS_MAX];

    /* What the fields say. */
    const lq_str *host; /* NULL: none */
    bool chunked, keep_alive, upgrade, expect_continue;
    uint64_t length; /* 0 without Content-Length */
} oracle_head;

/* Reads the head at the front of `bytes`. */
void oracle_read_head(oracle_head *h, lq_str bytes);

typedef enum oracle_verdict {
    ORACLE_MORE, /* good as far as it goes */
    ORACLE_DONE,
    ORACLE_BAD,
} oracle_verdict;

typedef struct oracle_chunks {
    oracle_verdict verdict;
    char *body; /* room of the caller for all of the bytes */
    size_t body_len;
    size_t used; /* bytes, when it is done */
    /* Bytes of extensions and trailers: without the ends of lines, and with
     * whatever may be counted of them. */
    size_t extra_least, extra_most;
} oracle_chunks;

/* Decodes the chunks at the front of `bytes` into c->body. */
void oracle_read_chunks(oracle_chunks *c, lq_str bytes);

/* Whether `s` is a host and a port as a URL and the field Host have them. */
bool oracle_is_authority(lq_str s);

/* tchar of RFC 9110, 5.6.2. */
bool oracle_is_token(lq_str s);

#endif

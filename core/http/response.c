/* response.c - see response.h. */
#include "http/response.h"

#include <time.h>

#include "base/err.h"
#include "http/request.h"

/* ---- reasons ------------------------------------------------------------- */

#define REASON(status, text) [(status)-100] = {text, sizeof text - 1}

static const lq_str reasons[] = {
    REASON(100, "Continue"),
    REASON(101, "Switching Protocols"),
    REASON(102, "Processing"),
    REASON(103, "Early Hints"),
    REASON(200, "OK"),
    REASON(201, "Created"),
    REASON(202, "Accepted"),
    REASON(203, "Non-Authoritative Information"),
    REASON(204, "No Content"),
    REASON(205, "Reset Content"),
    REASON(206, "Partial Content"),
    REASON(207, "Multi-Status"),
    REASON(208, "Already Reported"),
    REASON(226, "IM Used"),
    REASON(300, "Multiple Choices"),
    REASON(301, "Moved Permanently"),
    REASON(302, "Found"),
    REASON(303, "See Other"),
    REASON(304, "Not Modified"),
    REASON(305, "Use Proxy"),
    REASON(307, "Temporary Redirect"),
    REASON(308, "Permanent Redirect"),
    REASON(400, "Bad Request"),
    REASON(401, "Unauthorized"),
    REASON(402, "Payment Required"),
    REASON(403, "Forbidden"),
    REASON(404, "Not Found"),
    REASON(405, "Method Not Allowed"),
    REASON(406, "Not Acceptable"),
    REASON(407, "Proxy Authentication Required"),
    REASON(408, "Request Timeout"),
    REASON(409, "Conflict"),
    REASON(410, "Gone"),
    REASON(411, "Length Required"),
    REASON(412, "Precondition Failed"),
    REASON(413, "Content Too Large"),
    REASON(414, "URI Too Long"),
    REASON(415, "Unsupported Media Type"),
    REASON(416, "Range Not Satisfiable"),
    REASON(417, "Expectation Failed"),
    REASON(421, "Misdirected Request"),
    REASON(422, "Unprocessable Content"),
    REASON(423, "Locked"),
    REASON(424, "Failed Dependency"),
    REASON(425, "Too Early"),
    REASON(426, "Upgrade Required"),
    REASON(428, "Precondition Required"),
    REASON(429, "Too Many Requests"),
    REASON(431, "Request Header Fields Too Large"),
    REASON(451, "Unavailable For Legal Reasons"),
    REASON(500, "Internal Server Error"),
    REASON(501, "Not Implemented"),
    REASON(502, "Bad Gateway"),
    REASON(503, "Service Unavailable"),
    REASON(504, "Gateway Timeout"),
    REASON(505, "HTTP Version Not Supported"),
    REASON(506, "Variant Also Negotiates"),
    REASON(507, "Insufficient Storage"),
    REASON(508, "Loop Detected"),
    REASON(511, "Network Authentication Required"),
};

enum { LONGEST_REASON = 31 };

static lq_str reason_of(int status)
{
    size_t i = (size_t)status - 100;

    return status >= 100 && i < LQ_COUNT_OF(reasons) && reasons[i].ptr
               ? reasons[i]
               : LQ_STR("Unknown");
}

const char *lq_status_reason(int status)
{
    return reason_of(status).ptr;
}

/* ---- putting bytes where room has been reserved -------------------------- */

static inline char *put(char *at, const char *bytes, size_t len)
{
    memcpy(at, bytes, len);
    return at + len;
}

#define PUT(at, literal) put(at, literal, sizeof(literal) - 1)

static inline char *put_str(char *at, lq_str s)
{
    return s.len ? put(at, s.ptr, s.len) : at;
}

enum { LONGEST_NUMBER = 20 };

static char *put_number(char *at, uint64_t n)
{
    char digits[LONGEST_NUMBER], *p = digits + sizeof digits;

    do *--p = (char)('0' + n % 10);
    while (n /= 10);
    return put(at, p, (size_t)(digits + sizeof digits - p));
}

static char *put_hex(char *at, uint64_t n)
{
    char digits[16], *p = digits + sizeof digits;

    do *--p = "0123456789abcdef"[n & 15];
    while (n >>= 4);
    return put(at, p, (size_t)(digits + sizeof digits - p));
}

/* The free room of `b`, of which set_end takes what was used. */
static inline char *free_room(const lq_buf *b)
{
    return b->data + b->tail;
}

static inline void set_end(lq_buf *b, const char *end)
{
    b->tail = (size_t)(end - b->data);
    LQ_DEBUG_ASSERT(b->tail <= b->cap);
}

/* ---- the date ------------------------------------------------------------ */

static void put_two(char *at, int n)
{
    at[0] = (char)('0' + n / 10);
    at[1] = (char)('0' + n % 10);
}

void lq_date_write(char out[LQ_DATE_LEN], int64_t second)
{
    static const char days[] = "SunMonTueWedThuFriSat";
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    const int64_t first = -62167219200, last = 253402300799;
    time_t clock = second < first ? first : second > last ? last : second;
    struct tm t;
    int year;

    gmtime_r(&clock, &t);
    year = t.tm_year + 1900;
    memcpy(out, "ddd, 00 mmm 0000 00:00:00 GMT", LQ_DATE_LEN);
    memcpy(out, days + t.tm_wday * 3, 3);
    put_two(out + 5, t.tm_mday);
    memcpy(out + 8, months + t.tm_mon * 3, 3);
    put_two(out + 12, year / 100);
    put_two(out + 14, year % 100);
    put_two(out + 17, t.tm_hour);
    put_two(out + 20, t.tm_min);
    put_two(out + 23, t.tm_sec);
}

/* With the line end of the status line in front. */
#define SERVER_LINE "\r\nServer: luaqueduct"

void lq_date_set(lq_date *d, int64_t second)
{
    char *at = d->block;

    at = PUT(at, SERVER_LINE "\r\nDate: ");
    lq_date_write(at, second);
    at = PUT(at + LQ_DATE_LEN, "\r\n");
    d->second = second;
    d->block_len = (uint32_t)(at - d->block);
    LQ_ASSERT(d->block_len <= sizeof d->block);
}

/* ---- the head ------------------------------------------------------------ */

enum {
    LONGEST_BEGIN = sizeof "HTTP/1.1 000 " + LONGEST_REASON + LQ_DATE_BLOCK_CAP,
    LONGEST_END = sizeof "Transfer-Encoding: chunked\r\n" +
                  sizeof "Connection: keep-alive\r\n\r\n" +
                  sizeof "Connection: Upgrade\r\n" + LONGEST_NUMBER,
};

static bool has_no_body(int status)
{
    return status == 204 || status == 304 || status < 200;
}

static char *put_begin(char *at, lq_date *date, int status)
{
    int64_t now = time(NULL);

    LQ_DEBUG_ASSERT(status >= 100 && status <= 999);
    if (LQ_UNLIKELY(now != date->second || date->block_len == 0))
        lq_date_set(date, now);
    at = PUT(at, "HTTP/1.1 ");
    *at++ = (char)('0' + status / 100 % 10);
    *at++ = (char)('0' + status / 10 % 10);
    *at++ = (char)('0' + status % 10);
    *at++ = ' ';
    at = put_str(at, reason_of(status));
    return put(at, date->block, date->block_len);
}

static char *put_end(char *at, const lq_response_opts *o, int64_t length,
                     int status)
{
    bool is_framed =
        length >= 0 || o->minor > 0 || o->head_only || has_no_body(status);

    if (has_no_body(status)) {
        /* It ends with the head. */
    } else if (length >= 0) {
        at = PUT(at, "Content-Length: ");
        at = put_number(at, (uint64_t)length);
        at = PUT(at, "\r\n");
    } else if (o->minor > 0) {
        at = PUT(at, "Transfer-Encoding: chunked\r\n");
    }
    /* RFC 9110, 7.8: who sends Upgrade, which 426 has, says this too. */
    if (status == 426) at = PUT(at, "Connection: Upgrade\r\n");
    if (!o->keep_alive || !is_framed)
        at = PUT(at, "Connection: close\r\n");
    else if (o->minor == 0)
        at = PUT(at, "Connection: keep-alive\r\n");
    return PUT(at, "\r\n");
}

int lq_response_begin(lq_buf *out, lq_date *date, int status)
{
    int err = lq_buf_reserve(out, LONGEST_BEGIN);

    if (err < 0) return err;
    set_end(out, put_begin(free_room(out), date, status));
    return 0;
}

void lq_response_drop_server(lq_buf *out, size_t mark)
{
    const size_t len = sizeof SERVER_LINE - 1;
    char *head = out->data + out->head + mark, *end = out->data + out->tail;
    char *line = memchr(head, '\r', (size_t)(end - head));

    if (!line || (size_t)(end - line) < len) return;
    if (memcmp(line, SERVER_LINE, len) != 0) return;
    memmove(line, line + len, (size_t)(end - line) - len);
    out->tail -= len;
}

/* RFC 9110, 5.5: visible characters, space, HTAB and what is not ASCII. */
static bool is_value(lq_str s)
{
    size_t i;
    unsigned bad = 0;
    unsigned char c;

    for (i = 0; i < s.len; i++) {
        c = (unsigned char)s.ptr[i];
        bad |= ((unsigned)(c < ' ') & (unsigned)(c != '\t')) |
               (unsigned)(c == 0x7f);
    }
    return !bad;
}

int lq_response_field(lq_buf *out, lq_str name, lq_str value)
{
    char *at;
    int err;

    if (!lq_request_is_token(name) || !is_value(value)) return LQ_EINVALID;
    err = lq_buf_reserve(out, name.len + value.len + sizeof ": \r\n");
    if (err < 0) return err;
    at = put_str(free_room(out), name);
    at = PUT(at, ": ");
    at = put_str(at, value);
    set_end(out, PUT(at, "\r\n"));
    return 0;
}

int lq_response_end(lq_buf *out, const lq_response_opts *opts, int status)
{
    int err = lq_buf_reserve(out, LONGEST_END);

    if (err < 0) return err;
    set_end(out, put_end(free_room(out), opts, opts->length, status));
    return 0;
}

/* ---- bodies -------------------------------------------------------------- */

int lq_response_chunk(lq_buf *out, lq_str data)
{
    char *at;
    int err;

    if (data.len == 0) return 0;
    err = lq_buf_reserve(out, data.len + LONGEST_NUMBER);
    if (err < 0) return err;
    at = put_hex(free_room(out), data.len);
    at = PUT(at, "\r\n");
    at = put_str(at, data);
    set_end(out, PUT(at, "\r\n"));
    return 0;
}

int lq_response_last_chunk(lq_buf *out)
{
    return lq_buf_append(out, "0\r\n\r\n", 5);
}

int lq_response_plain(lq_buf *out, lq_date *date, int status,
                      const lq_response_opts *opts, lq_str type, lq_str body)
{
    size_t most = LONGEST_BEGIN + LONGEST_END + sizeof "Content-Type: \r\n";
    char *at;
    int err = lq_buf_reserve(out, most + type.len + body.len);

    if (err < 0) return err;
    at = put_begin(free_room(out), date, status);
    if (type.len > 0 && !has_no_body(status)) {
        at = PUT(at, "Content-Type: ");
        at = put_str(at, type);
        at = PUT(at, "\r\n");
    }
    at = put_end(at, opts, (int64_t)body.len, status);
    if (!opts->head_only && !has_no_body(status)) at = put_str(at, body);
    set_end(out, at);
    return 0;
}

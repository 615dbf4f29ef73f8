/* parse.c - see parse.h.
 *
 * llhttp reads the bytes of a head without telling what it found: only where
 * the target stands, and the end. The head is then cut by request.c, which
 * makes both agree on every line. Chunks are read here, as llhttp takes any
 * byte for the line ends of a chunk unless it is built in its strict mode.
 */
#include "http/parse.h"

#include <errno.h>
#include <llhttp.h>

#include "http/method.h"

enum {
    MAX_BLANK = 8,   /* bytes of empty lines in front of a request */
    MAX_METHOD = 64, /* bytes of a method nobody knows */
    MAX_SIZE_DIGITS = 16,
    FIRST_KEPT = 512,
};

enum stage {
    START,  /* in front of the request line */
    HEAD,   /* in the head */
    METHOD, /* in a method that llhttp does not know */
    FIXED,  /* in a body of known length */
    CHUNK_DATA,
    CHUNK_DATA_CR,
    CHUNK_DATA_LF,
    CHUNK_SIZE,
    CHUNK_SIZE_LF,
    CHUNK_EXT_SPACE, /* from here on bytes count as extra */
    CHUNK_EXT,
    TRAILER, /* at the start of a line */
    TRAILER_NAME,
    TRAILER_VALUE,
    TRAILER_LF,
    END_LF,
    OVER,
    FAILED,
};

_Static_assert(sizeof(llhttp_t) <= LQ_PARSE_LLHTTP_WORDS * sizeof(uint64_t),
               "room for llhttp's state");

static llhttp_t *llhttp_of(lq_parser *p)
{
    return (llhttp_t *)(void *)p->llhttp;
}

static int fail(lq_parser *p, int status, const char *why)
{
    p->stage = FAILED;
    p->error = -status;
    p->why = why;
    p->request.keep_alive = false;
    return p->error;
}

/* ---- callbacks of llhttp ------------------------------------------------- */

/* The target, or the next piece of it. */
static int on_url(llhttp_t *http, const char *at, size_t len)
{
    lq_parser *p = http->data;
    lq_request *r = &p->request;

    if (!r->target) r->target = p->head_len + (uint32_t)(at - p->feed);
    r->target_len += (uint32_t)len;
    if (r->target_len <= p->limits.target) return 0;
    fail(p, 414, "The target is too long");
    return HPE_USER;
}

static int on_headers_complete(llhttp_t *http)
{
    (void)http;
    return HPE_PAUSED;
}

static const llhttp_settings_t settings = {
    .on_url = on_url,
    .on_headers_complete = on_headers_complete,
};

/* ---- the head ------------------------------------------------------------ */

/* What is known of a request before its first byte. */
static const lq_request nothing = {
    .base = "",
    .method = LQ_OTHER,
    .minor = 1,
    .method_text = {"", 0},
};

int lq_parser_init(lq_parser *p, lq_arena *arena, const lq_parse_limits *limits)
{
    LQ_DEBUG_ASSERT(limits->head > 0);
    p->request = nothing;
    p->request.headers = p->headers;
    p->body = (lq_str){NULL, 0};
    p->arena = arena;
    p->limits = *limits;
    p->stage = START;
    p->blank = 0;
    p->error = 0;
    p->why = "";
    p->kept = NULL;
    p->kept_cap = p->head_len = p->extra = 0;
    llhttp_init(llhttp_of(p), HTTP_REQUEST, &settings);
    llhttp_of(p)->data = p;
    return 0;
}

/* Goes over empty lines; RFC 9112, 2.2. Returns how many bytes, or fails. */
static int skip_blank(lq_parser *p, const char *data, size_t len)
{
    static const char line[] = "\r\n";
    size_t i = 0;

    for (; i < len && (data[i] == '\r' || data[i] == '\n'); i++) {
        if (p->blank == MAX_BLANK)
            return fail(p, 400, "Too many empty lines before a request");
        if (data[i] != line[p->blank++ % 2])
            return fail(p, 400, "An empty line does not end with CR LF");
    }
    if (i < len && p->blank % 2)
        return fail(p, 400, "An empty line does not end with CR LF");
    if (i < len) p->stage = HEAD;
    return (int)i;
}

/* Makes room for `len` more bytes of the head in the arena. */
static bool reserve_kept(lq_parser *p, size_t len)
{
    size_t need = p->head_len + len, cap = (size_t)p->kept_cap * 2;
    char *kept;

    if (need <= p->kept_cap) return true;
    if (cap < FIRST_KEPT) cap = FIRST_KEPT;
    if (cap < need) cap = need;
    if (cap > UINT32_MAX) return false;
    kept = lq_arena_alloc(p->arena, cap);
    if (!kept) return false;
    if (p->kept) memcpy(kept, p->kept, p->head_len);
    p->kept = kept;
    p->kept_cap = (uint32_t)cap;
    return true;
}

static int keep_bytes(lq_parser *p, const char *bytes, size_t len)
{
    if (!reserve_kept(p, len)) return -ENOMEM;
    memcpy(p->kept + p->head_len, bytes, len);
    p->head_len += (uint32_t)len;
    return 0;
}

/* The next `len` bytes of the head become known. */
static int add_to_head(lq_parser *p, size_t len)
{
    if (!p->kept) {
        p->request.base = p->feed;
        p->head_len = (uint32_t)len;
        return 0;
    }
    if (keep_bytes(p, p->feed, len) < 0) return -ENOMEM;
    p->request.base = p->kept;
    return 0;
}

/* All of `len` bytes belong to the head, and it is not complete. */
static int wait_for_more(lq_parser *p, size_t len, bool is_limit)
{
    if (is_limit) return fail(p, 431, "The head is too large");
    if (keep_bytes(p, p->feed, len) < 0)
        return fail(p, 503, "There is no memory for the head");
    p->request.base = p->kept;
    return LQ_PARSE_MORE;
}

/* llhttp does not know the method: is it one at all? */
static int judge_method(lq_parser *p, size_t len, bool is_limit)
{
    char bytes[MAX_METHOD];
    size_t had = p->head_len < MAX_METHOD ? p->head_len : MAX_METHOD;
    size_t room = MAX_METHOD - had, n = len < room ? len : room;
    size_t token_len;

    memcpy(bytes, p->kept ? p->kept : "", had);
    memcpy(bytes + had, p->feed, n);
    token_len = lq_request_token_len((lq_str){bytes, had + n});
    if (token_len == MAX_METHOD) return fail(p, 501, "The method is not known");
    if (token_len == had + n) {
        p->stage = METHOD;
        return wait_for_more(p, len, is_limit);
    }
    if (token_len > 0 && bytes[token_len] == ' ')
        return fail(p, 501, "The method is not known");
    return fail(p, 400, "The method is malformed");
}

/* Only llhttp's words tell a wrong number from something that is none. */
static int judge_version(lq_parser *p)
{
    if (!strcmp(llhttp_of(p)->reason, "Invalid HTTP version"))
        return fail(p, 505, "The version is not 1.0 or 1.1");
    return fail(p, 400, "The version is malformed");
}

/* llhttp stopped with `code` in `len` bytes. */
static int judge(lq_parser *p, llhttp_errno_t code, size_t len, bool is_limit)
{
    llhttp_t *http = llhttp_of(p);

    switch (code) {
    case HPE_USER: return p->error;
    case HPE_INVALID_METHOD: return judge_method(p, len, is_limit);
    case HPE_INVALID_VERSION: return judge_version(p);
    case HPE_PAUSED_H2_UPGRADE:
        return fail(p, 505, "The version is not 1.0 or 1.1");
    case HPE_INVALID_CONSTANT:
        if (http->method >= HTTP_DESCRIBE && http->method <= HTTP_FLUSH)
            return fail(p, 501, "The method is one of RTSP");
        break;
    default: break;
    }
    return fail(p, 400, http->reason ? http->reason : "The head is malformed");
}

/* The head ends behind the next `len` bytes. */
static int finish_head(lq_parser *p, size_t len)
{
    lq_request *r = &p->request;
    llhttp_t *http = llhttp_of(p);
    int status;

    if (add_to_head(p, len) < 0)
        return fail(p, 503, "There is no memory for the head");
    status = lq_request_read(r,
                             &(lq_request_head){
                                 .bytes = r->base,
                                 .len = p->head_len,
                                 .target = r->target,
                                 .target_len = r->target_len,
                                 .major = http->http_major,
                                 .minor = http->http_minor,
                                 .header_cap = LQ_PARSE_INLINE_HEADERS,
                                 .max_headers = p->limits.fields,
                                 .arena = p->arena,
                             },
                             &p->why);
    if (status < 0) return fail(p, -status, p->why);
    p->stage = !r->has_body ? OVER : r->chunked ? CHUNK_SIZE : FIXED;
    p->left = r->content_length;
    p->digits = 0;
    return r->has_body ? LQ_PARSE_HEAD : LQ_PARSE_DONE;
}

/* What is known of a head that was refused in the next `len` bytes. */
static void describe(lq_parser *p, size_t len)
{
    lq_request *r = &p->request;
    lq_str start;

    if (r->target_len > p->limits.target) r->target_len = p->limits.target;
    if (add_to_head(p, len) < 0) {
        r->target = r->target_len = 0;
        return;
    }
    start.ptr = r->base;
    start.len = p->head_len < MAX_METHOD ? p->head_len : MAX_METHOD;
    start.len = lq_request_token_len(start);
    r->method_text = start;
    if (r->target) r->method = (uint8_t)lq_method_from(start);
}

/* llhttp refused the byte at `error_at`, which stands in the target. Cut in
 * another way, what is beyond the limit would have been told before. */
static int judge_target(lq_parser *p, size_t error_at)
{
    lq_request *r = &p->request;
    uint32_t start = (uint32_t)r->method_text.len;

    if (!start) return p->error; /* there was no memory to describe it */
    while (start < p->head_len && r->base[start] == ' ') start++;
    if (error_at <= (size_t)start + p->limits.target) return p->error;
    r->target = start;
    r->target_len = p->limits.target;
    r->method = (uint8_t)lq_method_from(r->method_text);
    return fail(p, 414, "The target is too long");
}

/* HTTP/0.9: the line has ended without a version. */
static bool is_simple(const llhttp_t *http)
{
    return http->http_major == 0 && http->http_minor == 9;
}

/* `len` bytes of the head have been read, and it goes on or is refused. */
static int stay_in_head(lq_parser *p, llhttp_errno_t code, size_t len)
{
    bool is_limit = len == p->limits.head - p->head_len;
    size_t error_at = p->head_len;
    int event;

    if (code == HPE_INVALID_URL) {
        error_at += (size_t)(llhttp_of(p)->error_pos - p->feed);
        p->request.target = p->request.target_len = 0; /* a part of it */
    }
    if (p->stage == METHOD)
        event = judge_method(p, len, is_limit);
    else if (is_simple(llhttp_of(p)))
        event = fail(p, 505, "The version is not 1.0 or 1.1");
    else if (code == HPE_OK)
        event = wait_for_more(p, len, is_limit);
    else
        event = judge(p, code, len, is_limit);
    if (event >= 0) return event;
    describe(p, len);
    return code == HPE_INVALID_URL ? judge_target(p, error_at) : event;
}

static int feed_head(lq_parser *p, const char *data, size_t len, size_t *used)
{
    size_t room = p->limits.head - p->head_len, n = len < room ? len : room;
    llhttp_t *http = llhttp_of(p);
    llhttp_errno_t code = HPE_OK;

    *used = n;
    p->feed = data;
    if (n == 0) return LQ_PARSE_MORE;
    if (p->stage == HEAD) code = llhttp_execute(http, data, n);
    if (LQ_UNLIKELY(code != HPE_PAUSED || is_simple(http)))
        return stay_in_head(p, code, n);
    *used = (size_t)(http->error_pos - data);
    return finish_head(p, *used);
}

static int feed_start(lq_parser *p, const char *data, size_t len, size_t *used)
{
    int blank = skip_blank(p, data, len), event;

    if (blank < 0 || (size_t)blank == len) {
        *used = len;
        return blank < 0 ? blank : LQ_PARSE_MORE;
    }
    event = feed_head(p, data + blank, len - (size_t)blank, used);
    *used += (size_t)blank;
    return event;
}

/* ---- the body ------------------------------------------------------------ */

static int take_body(lq_parser *p, const char *data, size_t len, size_t *used)
{
    size_t n = len < p->left ? len : (size_t)p->left;

    p->body = (lq_str){data, n};
    p->left -= n;
    *used += n;
    if (p->left == 0 && p->stage == CHUNK_DATA) p->stage = CHUNK_DATA_CR;
    return LQ_PARSE_BODY;
}

static int feed_fixed(lq_parser *p, const char *data, size_t len, size_t *used)
{
    if (p->left == 0) {
        p->stage = OVER;
        return LQ_PARSE_DONE;
    }
    return len > 0 ? take_body(p, data, len, used) : LQ_PARSE_MORE;
}

static int go_on(lq_parser *p, enum stage stage)
{
    p->stage = (uint8_t)stage;
    return LQ_PARSE_MORE;
}

/* To `stage` when `c` is `wanted`, the only byte that may stand here. */
static int expect(lq_parser *p, char c, char wanted, enum stage stage)
{
    if (c == wanted) return go_on(p, stage);
    return fail(p, 400, "A line of the chunked body does not end with CR LF");
}

static int digit_of(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int on_size_byte(lq_parser *p, char c)
{
    int digit = digit_of(c);

    if (digit >= 0) {
        if (p->digits++ == MAX_SIZE_DIGITS || p->left > INT64_MAX >> 4)
            return fail(p, 400, "A chunk is too large");
        p->left = p->left << 4 | (uint64_t)digit;
        return LQ_PARSE_MORE;
    }
    if (p->digits == 0) return fail(p, 400, "A chunk has no size");
    if (c == '\r') return go_on(p, CHUNK_SIZE_LF);
    if (c == ';') return go_on(p, CHUNK_EXT);
    if (c == ' ' || c == '\t') return go_on(p, CHUNK_EXT_SPACE);
    return fail(p, 400, "A chunk's size is no number");
}

static int on_size_end(lq_parser *p, char c)
{
    p->digits = 0;
    return expect(p, c, '\n', p->left ? CHUNK_DATA : TRAILER);
}

/* White space that only an extension may follow. */
static int on_ext_space(lq_parser *p, char c)
{
    if (c == ' ' || c == '\t') return LQ_PARSE_MORE;
    if (c == ';') return go_on(p, CHUNK_EXT);
    return fail(p, 400, "A chunk's size has white space behind it");
}

/* What may be anything: an extension, the value of a trailer. */
static int on_text_byte(lq_parser *p, char c, enum stage at_cr)
{
    unsigned char byte = (unsigned char)c;

    if (c == '\r') return go_on(p, at_cr);
    if ((byte < ' ' && c != '\t') || byte == 0x7f)
        return fail(p, 400, "A control byte in the chunked body's lines");
    return LQ_PARSE_MORE;
}

static int on_trailer_name(lq_parser *p, char c)
{
    if (lq_request_token_len((lq_str){&c, 1})) return go_on(p, TRAILER_NAME);
    if (c == ':' && p->stage == TRAILER_NAME) return go_on(p, TRAILER_VALUE);
    return fail(p, 400, "A trailer's name is malformed");
}

/* A byte between the data of chunks. Returns MORE to go on. */
static int on_chunk_byte(lq_parser *p, char c)
{
    if (p->stage >= CHUNK_EXT_SPACE && p->extra++ >= p->limits.head)
        return fail(p, 431, "Trailers and chunk extensions are too large");
    switch ((enum stage)p->stage) {
    case CHUNK_DATA_CR: return expect(p, c, '\r', CHUNK_DATA_LF);
    case CHUNK_DATA_LF: return expect(p, c, '\n', CHUNK_SIZE);
    case CHUNK_SIZE: return on_size_byte(p, c);
    case CHUNK_SIZE_LF: return on_size_end(p, c);
    case CHUNK_EXT_SPACE: return on_ext_space(p, c);
    case CHUNK_EXT: return on_text_byte(p, c, CHUNK_SIZE_LF);
    case TRAILER:
        if (c == '\r') return go_on(p, END_LF);
        return on_trailer_name(p, c);
    case TRAILER_NAME: return on_trailer_name(p, c);
    case TRAILER_VALUE: return on_text_byte(p, c, TRAILER_LF);
    case TRAILER_LF: return expect(p, c, '\n', TRAILER);
    default: break;
    }
    LQ_ASSERT(p->stage == END_LF);
    return expect(p, c, '\n', OVER) < 0 ? p->error : LQ_PARSE_DONE;
}

static int feed_chunks(lq_parser *p, const char *data, size_t len, size_t *used)
{
    int event;

    while (*used < len) {
        if (p->stage == CHUNK_DATA)
            return take_body(p, data + *used, len - *used, used);
        event = on_chunk_byte(p, data[(*used)++]);
        if (event != LQ_PARSE_MORE) return event;
    }
    return LQ_PARSE_MORE;
}

/* ---- the parser ---------------------------------------------------------- */

int lq_parser_feed(lq_parser *p, const char *data, size_t len, size_t *consumed)
{
    *consumed = 0;
    switch ((enum stage)p->stage) {
    case START: return feed_start(p, data, len, consumed);
    case HEAD:
    case METHOD: return feed_head(p, data, len, consumed);
    case FIXED: return feed_fixed(p, data, len, consumed);
    case OVER: return LQ_PARSE_DONE;
    case FAILED: return p->error;
    default: return feed_chunks(p, data, len, consumed);
    }
}

int lq_parser_keep(lq_parser *p)
{
    lq_request *r = &p->request;
    uint32_t len = p->head_len;
    int err;

    if (p->kept || len == 0) return 0;
    p->head_len = 0;
    err = keep_bytes(p, r->base, len);
    p->head_len = len;
    if (err < 0) return err;
    r->base = p->kept;
    r->method_text.ptr = p->kept;
    return 0;
}

const char *lq_parser_why(const lq_parser *p)
{
    return p->why;
}

#define TEXT(number) #number
#define VERSION(major, minor, patch) TEXT(major) "." TEXT(minor) "." TEXT(patch)

const char *lq_parser_version(void)
{
    return VERSION(LLHTTP_VERSION_MAJOR, LLHTTP_VERSION_MINOR,
                   LLHTTP_VERSION_PATCH);
}

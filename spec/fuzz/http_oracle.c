/* http_oracle.c - see http_oracle.h. */
#include "http_oracle.h"

#include <arpa/inet.h>
#include <ctype.h>

#include "fuzz.h"

/* ---- bytes --------------------------------------------------------------- */

static lq_str part(lq_str s, size_t from, size_t to)
{
    return (lq_str){s.ptr + from, to - from};
}

static bool is_one_of(char c, const char *list)
{
    return c != '\0' && strchr(list, c) != NULL;
}

static bool is_alnum(char c)
{
    return isascii((unsigned char)c) && isalnum((unsigned char)c);
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* What may stand in the text of a line: no control byte but the tab. */
static bool is_text(lq_str s)
{
    size_t i;

    for (i = 0; i < s.len; i++)
        if (s.ptr[i] != '\t' && iscntrl((unsigned char)s.ptr[i])) return false;
    return true;
}

static lq_str strip(lq_str s)
{
    while (s.len && is_blank(s.ptr[0])) s = part(s, 1, s.len);
    while (s.len && is_blank(s.ptr[s.len - 1])) s.len--;
    return s;
}

bool oracle_is_token(lq_str s)
{
    size_t i;

    for (i = 0; i < s.len; i++)
        if (!is_alnum(s.ptr[i]) && !is_one_of(s.ptr[i], "!#$%&'*+-.^_`|~"))
            return false;
    return s.len > 0;
}

/* Where `needle` begins in `s` from `at` on; s.len: nowhere. */
static size_t find(lq_str s, size_t at, const char *needle)
{
    size_t len = strlen(needle);

    for (; at + len <= s.len; at++)
        if (memcmp(s.ptr + at, needle, len) == 0) return at;
    return s.len;
}

static bool says(lq_str s, const char *word)
{
    return lq_str_equal_nocase(s, (lq_str){word, strlen(word)});
}

/* ---- hosts: RFC 3986, 3.2 ------------------------------------------------ */

static const char sub_delims[] = "!$&'()*+,;=";

static bool is_name_byte(char c)
{
    return is_alnum(c) || is_one_of(c, "-._~") || is_one_of(c, sub_delims);
}

static bool is_reg_name(lq_str s)
{
    size_t i;

    for (i = 0; i < s.len; i++) {
        if (is_name_byte(s.ptr[i])) continue;
        if (s.ptr[i] != '%' || s.len - i < 3) return false;
        if (!isxdigit((unsigned char)s.ptr[i + 1]) ||
            !isxdigit((unsigned char)s.ptr[i + 2]))
            return false;
        i += 2;
    }
    return true;
}

/* "v" 1*HEXDIG "." 1*( unreserved / sub-delims / ":" ) */
static bool is_future_address(lq_str s)
{
    size_t i = 1;

    if (s.len < 4 || tolower((unsigned char)s.ptr[0]) != 'v') return false;
    while (i < s.len && isxdigit((unsigned char)s.ptr[i])) i++;
    if (i == 1 || i + 1 >= s.len || s.ptr[i] != '.') return false;
    for (i++; i < s.len; i++)
        if (!is_name_byte(s.ptr[i]) && s.ptr[i] != ':') return false;
    return true;
}

static bool is_ip_literal(lq_str s)
{
    char text[INET6_ADDRSTRLEN];
    struct in6_addr address;

    if (is_future_address(s)) return true;
    if (s.len >= sizeof text || memchr(s.ptr, '\0', s.len)) return false;
    memcpy(text, s.ptr, s.len);
    text[s.len] = '\0';
    return inet_pton(AF_INET6, text, &address) == 1;
}

bool oracle_is_authority(lq_str s)
{
    size_t close = find(s, 0, "]"), colon;
    bool is_literal = s.len && s.ptr[0] == '[';

    if (is_literal && close == s.len) return false;
    colon = find(s, is_literal ? close : 0, ":");
    if (is_literal) {
        if (colon != close + 1 && close + 1 != s.len) return false;
        if (!is_ip_literal(part(s, 1, close))) return false;
    } else if (!is_reg_name(part(s, 0, colon))) {
        return false;
    }
    while (colon < s.len && ++colon < s.len)
        if (!isdigit((unsigned char)s.ptr[colon])) return false;
    return true;
}

/* ---- the request line ---------------------------------------------------- */

/* A wrong number is a fault of its own, whatever stands behind it. */
static unsigned read_version(oracle_head *h, lq_str v)
{
    unsigned faults = v.len == 8 ? 0 : ORACLE_400;
    size_t slash = find(v, 0, "/");

    if (slash != 4 || memcmp(v.ptr, "HTTP", 4) != 0)
        return ORACLE_400 | ORACLE_505;
    if (v.len < 8 || !isdigit((unsigned char)v.ptr[5]) || v.ptr[6] != '.' ||
        !isdigit((unsigned char)v.ptr[7]))
        return ORACLE_400;
    h->minor = v.ptr[7] - '0';
    return v.ptr[5] != '1' || h->minor > 1 ? faults | ORACLE_505 : faults;
}

/* How much of the method need be read to say that it is not known. */
static size_t method_len(const oracle_head *h)
{
    size_t len = h->method.len;

    return len < ORACLE_METHOD_MAX ? len : ORACLE_METHOD_MAX;
}

static unsigned read_method(oracle_head *h)
{
    static const char ours[] = " GET HEAD POST PUT PATCH DELETE OPTIONS ";
    char word[12];

    h->may_501 = oracle_is_token(part(h->method, 0, method_len(h)));
    if (!oracle_is_token(h->method)) return ORACLE_400;
    if (h->method.len > 7) return 0;
    snprintf(word, sizeof word, " %.*s ", (int)h->method.len, h->method.ptr);
    if (!strcmp(word, " CONNECT ")) return ORACLE_501;
    if (!strcmp(word, " PRI ")) return ORACLE_400 | ORACLE_505; /* HTTP/2 */
    h->may_501 = strstr(ours, word) == NULL;
    return 0;
}

/* Cuts scheme and authority off an absolute URL; h->path is what is left. */
static unsigned read_absolute(oracle_head *h)
{
    lq_str t = h->target;
    size_t at = find(t, 0, "://"), end;

    if (!says(part(t, 0, at), "http") && !says(part(t, 0, at), "https"))
        return ORACLE_400;
    if (at == t.len) return ORACLE_400;
    for (end = at += 3; end < t.len; end++)
        if (t.ptr[end] == '/' || t.ptr[end] == '?') break;
    h->authority = part(t, at, end);
    h->path = part(t, end, t.len);
    if (at == end || t.ptr[at] == ':') return ORACLE_400;
    return oracle_is_authority(h->authority) ? 0 : ORACLE_400;
}

static unsigned read_target(oracle_head *h)
{
    lq_str t = h->target;
    unsigned faults = 0;
    size_t i;

    for (i = 0; i < t.len; i++)
        if (t.ptr[i] <= ' ' || t.ptr[i] > '~' || t.ptr[i] == '#')
            return ORACLE_400;
    h->path = t;
    if (t.len == 0)
        faults = ORACLE_400;
    else if (t.ptr[0] == '*')
        faults = t.len > 1 || !says(h->method, "OPTIONS") ? ORACLE_400 : 0;
    else if (t.ptr[0] != '/')
        faults = read_absolute(h);
    i = find(h->path, 0, "?");
    h->has_query = i < h->path.len;
    if (h->has_query) h->query = part(h->path, i + 1, h->path.len);
    h->path.len = i;
    if (h->path.len == 0) h->path = LQ_STR("/");
    return faults;
}

/* A line that has not three words may be taken for one of another version. */
static unsigned read_request_line(oracle_head *h, lq_str line)
{
    size_t first = find(line, 0, " "), second;
    unsigned faults;

    h->method = part(line, 0, first);
    faults = read_method(h);
    if (first == line.len) return faults | ORACLE_400;
    second = find(line, first + 1, " ");
    h->target = part(line, first + 1, second);
    faults |= read_target(h);
    if (second == line.len || !h->target.len || !is_text(line) ||
        find(line, second + 1, " ") < line.len)
        return faults | ORACLE_400 | ORACLE_505;
    return faults | read_version(h, part(line, second + 1, line.len));
}

/* ---- fields -------------------------------------------------------------- */

static unsigned read_field(oracle_head *h, lq_str line)
{
    size_t colon = find(line, 0, ":");
    oracle_field *f = &h->fields[h->count];

    if (colon == line.len) return ORACLE_400;
    FUZZ_CHECK(h->count < ORACLE_FIELDS_MAX);
    h->count++;
    f->name = part(line, 0, colon);
    f->value = strip(part(line, colon + 1, line.len));
    return oracle_is_token(f->name) && is_text(f->value) ? 0 : ORACLE_400;
}

/* Takes the next member that is not empty off a list; false at its end. */
static bool next_member(lq_str *list, lq_str *member)
{
    size_t comma;

    while (list->len) {
        comma = find(*list, 0, ",");
        *member = strip(part(*list, 0, comma));
        *list = part(*list, comma < list->len ? comma + 1 : comma, list->len);
        if (member->len) return true;
    }
    return false;
}

/* How many members all fields of that name have, and how many of them are
 * `word`. */
static size_t count_members(const oracle_head *h, const char *name,
                            const char *word, size_t *matching)
{
    size_t i, count = 0;
    lq_str list, member;

    *matching = 0;
    for (i = 0; i < h->count; i++) {
        if (!says(h->fields[i].name, name)) continue;
        list = h->fields[i].value;
        while (next_member(&list, &member)) {
            count++;
            if (says(member, word)) ++*matching;
        }
    }
    return count;
}

static bool has_empty_member(lq_str list)
{
    size_t at = 0, comma;

    do {
        comma = find(list, at, ",");
        if (strip(part(list, at, comma)).len == 0) return true;
        at = comma + 1;
    } while (comma < list.len);
    return false;
}

/* How many fields have that name; *value is that of the first one. */
static size_t count_fields(const oracle_head *h, const char *name,
                           const lq_str **value)
{
    size_t i, count = 0;

    for (i = 0; i < h->count; i++)
        if (says(h->fields[i].name, name) && count++ == 0 && value)
            *value = &h->fields[i].value;
    return count;
}

static bool has_word(const oracle_head *h, const char *name, const char *word)
{
    size_t matching;

    count_members(h, name, word, &matching);
    return matching > 0;
}

/* ---- framing: RFC 9112, 6.3 ---------------------------------------------- */

static unsigned read_length(oracle_head *h, lq_str value)
{
    size_t i;
    unsigned __int128 length = 0;

    for (i = 0; i < value.len; i++) {
        if (!isdigit((unsigned char)value.ptr[i])) return ORACLE_400;
        length = length * 10 + (unsigned)(value.ptr[i] - '0');
        if (length > INT64_MAX) return ORACLE_400;
    }
    h->length = (uint64_t)length;
    return value.len ? 0 : ORACLE_400;
}

static unsigned read_framing(oracle_head *h)
{
    const lq_str *length = NULL;
    size_t lengths = count_fields(h, "content-length", &length), chunked;
    size_t codings = count_fields(h, "transfer-encoding", NULL);
    size_t members = count_members(h, "transfer-encoding", "chunked", &chunked);
    unsigned faults = 0;
    size_t i;

    if (lengths) faults |= read_length(h, *length);
    if (lengths > 1 || (lengths && codings)) faults |= ORACLE_400;
    h->chunked = codings > 0;
    if (!codings) return faults;
    for (i = 0; i < h->count; i++)
        if (says(h->fields[i].name, "transfer-encoding") &&
            has_empty_member(h->fields[i].value))
            faults |= ORACLE_400;
    if (h->minor == 0 || chunked != 1) faults |= ORACLE_400;
    if (members != chunked) faults |= ORACLE_400 | ORACLE_501;
    return faults;
}

static unsigned read_hosts(oracle_head *h)
{
    size_t hosts = count_fields(h, "host", &h->host), i;

    if (hosts > 1 || (hosts == 0 && h->minor > 0)) return ORACLE_400;
    for (i = 0; i < h->count; i++)
        if (says(h->fields[i].name, "host") &&
            !oracle_is_authority(h->fields[i].value))
            return ORACLE_400;
    return 0;
}

static unsigned read_meaning(oracle_head *h)
{
    unsigned faults = read_framing(h) | read_hosts(h);
    size_t expected = 0,
           expects = count_members(h, "expect", "100-continue", &expected);
    bool is_10 = h->minor == 0;

    if (expects != expected) faults |= ORACLE_417;
    h->keep_alive = !has_word(h, "connection", "close") &&
                    (!is_10 || has_word(h, "connection", "keep-alive"));
    h->upgrade = !is_10 && has_word(h, "connection", "upgrade") &&
                 count_fields(h, "upgrade", NULL) > 0;
    h->expect_continue = !is_10 && expects && (h->chunked || h->length);
    return faults;
}

/* ---- the head ------------------------------------------------------------ */

/* Goes over the empty lines; what stands there is good or h->faults says. */
static lq_str skip_blank(oracle_head *h, lq_str bytes)
{
    while (bytes.len >= 2 && !memcmp(bytes.ptr, "\r\n", 2)) {
        bytes = part(bytes, 2, bytes.len);
        h->blank += 2;
    }
    if (h->blank > ORACLE_BLANK_MAX) h->faults |= ORACLE_400;
    return bytes;
}

/* `lines` are all of the head, each with its CR LF. */
static void read_lines(oracle_head *h, lq_str lines)
{
    bool is_first = true;
    size_t end;
    lq_str line;

    while (lines.len) {
        end = find(lines, 0, "\r\n");
        line = part(lines, 0, end);
        lines = part(lines, end + 2, lines.len);
        if (!is_text(line)) h->faults |= ORACLE_400;
        h->faults |=
            is_first ? read_request_line(h, line) : read_field(h, line);
        is_first = false;
    }
}

void oracle_read_head(oracle_head *h, lq_str bytes)
{
    size_t end;

    memset(h, 0, offsetof(oracle_head, fields));
    h->host = NULL;
    h->length = 0;
    bytes = skip_blank(h, bytes);
    end = find(bytes, 0, "\r\n\r\n");
    if (end == bytes.len) return;
    h->is_complete = true;
    h->len = end + 4;
    read_lines(h, part(bytes, 0, end + 2));
    h->faults |= read_meaning(h);
}

/* ---- chunks: RFC 9112, 7.1 ----------------------------------------------- */

typedef struct cursor {
    lq_str left;
    oracle_chunks *out;
} cursor;

static bool stop(cursor *c, oracle_verdict verdict)
{
    c->out->verdict = verdict;
    if (verdict == ORACLE_BAD) c->out->extra_most++; /* the bad byte */
    return false;
}

/* Each of these goes on or says with false that the verdict is there. */

static bool take_byte(cursor *c, char wanted)
{
    if (c->left.len == 0) return stop(c, ORACLE_MORE);
    if (c->left.ptr[0] != wanted) return stop(c, ORACLE_BAD);
    c->left = part(c->left, 1, c->left.len);
    return true;
}

static bool take_line_end(cursor *c)
{
    return take_byte(c, '\r') && take_byte(c, '\n');
}

/* Text up to the CR of its line. */
static bool take_text(cursor *c)
{
    size_t len = 0;

    while (len < c->left.len && is_text(part(c->left, len, len + 1))) len++;
    c->out->extra_least += len;
    c->out->extra_most += len + 2;
    c->left = part(c->left, len, c->left.len);
    return take_line_end(c);
}

static bool take_size(cursor *c, uint64_t *size)
{
    size_t digits = 0;
    char text[ORACLE_DIGITS_MAX + 2] = "";

    while (digits < c->left.len &&
           isxdigit((unsigned char)c->left.ptr[digits])) {
        if (digits == ORACLE_DIGITS_MAX) return stop(c, ORACLE_BAD);
        text[digits] = c->left.ptr[digits];
        digits++;
        *size = strtoull(text, NULL, 16);
        if (*size > INT64_MAX) return stop(c, ORACLE_BAD);
    }
    c->left = part(c->left, digits, c->left.len);
    if (c->left.len == 0) return stop(c, ORACLE_MORE);
    return digits > 0 || stop(c, ORACLE_BAD);
}

/* [ BWS ";" anything ] CR LF */
static bool take_extension(cursor *c)
{
    size_t blanks = 0;

    while (blanks < c->left.len && is_blank(c->left.ptr[blanks])) blanks++;
    c->left = part(c->left, blanks, c->left.len);
    c->out->extra_least += blanks ? blanks - 1 : 0;
    c->out->extra_most += blanks;
    if (c->left.len == 0) return stop(c, ORACLE_MORE);
    if (c->left.ptr[0] != ';')
        return blanks ? stop(c, ORACLE_BAD) : take_line_end(c);
    c->left = part(c->left, 1, c->left.len);
    c->out->extra_most++;
    return take_text(c);
}

static bool take_data(cursor *c, uint64_t size)
{
    oracle_chunks *out = c->out;
    size_t len = size < c->left.len ? (size_t)size : c->left.len;

    memcpy(out->body + out->body_len, c->left.ptr, len);
    out->body_len += len;
    c->left = part(c->left, len, c->left.len);
    return take_line_end(c);
}

/* Field lines up to the empty one. */
static bool take_trailers(cursor *c)
{
    size_t len;

    while (c->left.len && c->left.ptr[0] != '\r') {
        for (len = 0; len < c->left.len; len++)
            if (!oracle_is_token(part(c->left, len, len + 1))) break;
        if (len == 0) return stop(c, ORACLE_BAD);
        c->out->extra_least += len;
        c->out->extra_most += len + 1;
        c->left = part(c->left, len, c->left.len);
        if (!take_byte(c, ':') || !take_text(c)) return false;
    }
    c->out->extra_most += 2;
    return take_line_end(c) && stop(c, ORACLE_DONE);
}

void oracle_read_chunks(oracle_chunks *out, lq_str bytes)
{
    cursor c = {.left = bytes, .out = out};
    uint64_t size = 0;

    out->body_len = out->extra_least = out->extra_most = 0;
    while (take_size(&c, &size) && take_extension(&c)) {
        if (size == 0) {
            take_trailers(&c);
            break;
        }
        if (!take_data(&c, size)) break;
        size = 0;
    }
    out->used = (size_t)(c.left.ptr - bytes.ptr);
}

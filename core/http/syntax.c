/* syntax.c - see syntax.h. */
#include "http/syntax.h"

#include "http/pattern.h"
#include "http/url.h"

enum { SHOWN_MAX = 100 };

typedef struct reader {
    lq_syntax *out;
    lq_str text;
    size_t at;
    size_t depth; /* tails that are open */
    lq_err *err;
} reader;

static int fail(reader *r, const char *why)
{
    int len = r->text.len > SHOWN_MAX ? SHOWN_MAX : (int)r->text.len;

    return lq_err_set(r->err, LQ_EINVALID, "%s (column %zu of '%.*s')", why,
                      r->at + 1, len, r->text.len ? r->text.ptr : "");
}

static bool is_at_end(const reader *r)
{
    return r->at == r->text.len;
}

/* The byte here; '\0' at the end, which is no byte of a pattern. */
static char peek(const reader *r)
{
    return is_at_end(r) ? '\0' : r->text.ptr[r->at];
}

/* Whether a segment ends here. */
static bool is_at_border(const reader *r)
{
    char c = peek(r);

    return is_at_end(r) || c == '/' || c == '[' || c == ']';
}

static bool is_name_byte(char c, bool is_first)
{
    char letter = (char)(c | 0x20);

    return (letter >= 'a' && letter <= 'z') || c == '_' ||
           (!is_first && c >= '0' && c <= '9');
}

/* ---- segments ------------------------------------------------------------ */

static int add_segment(reader *r, lq_segment_kind kind, lq_str text)
{
    lq_syntax *out = r->out;

    if (out->count == LQ_PATTERN_SEGMENTS_MAX)
        return fail(r, "a pattern has at most 128 segments");
    out->segments[out->count++] = (lq_segment){kind, text, false};
    return 0;
}

static int add_name(reader *r, lq_str name)
{
    lq_syntax *out = r->out;
    size_t i;

    for (i = 0; i < out->name_count; i++)
        if (lq_str_equal(out->names[i], name))
            return fail(r, "this name is there already");
    if (out->name_count == LQ_PARAMS_MAX)
        return fail(r, "a pattern has at most 32 variables");
    out->names[out->name_count++] = name;
    return 0;
}

/* Why `c` cannot be a byte of a literal; NULL when it can. */
static const char *refuse(char c)
{
    switch (c) {
    case '\0': return "a pattern has no zero byte";
    case '*': return "'*' must be a segment of its own";
    case '?': return "the query is no part of a pattern; '?' is written '%3F'";
    case '#': return "'#' is written '%23'";
    default: return NULL;
    }
}

/* One byte of a literal, or an escape for one. */
static int read_byte(reader *r)
{
    char c = peek(r);
    const char *why = refuse(c);
    int byte;

    if (why) return fail(r, why);
    if (c == '%') {
        byte = lq_url_escape(r->text.ptr + r->at, r->text.len - r->at);
        if (byte < 0) return fail(r, "'%' begins an escape such as %2F");
        if (byte == 0) return fail(r, "a pattern has no zero byte");
        c = (char)byte;
        r->at += 2;
    }
    r->out->bytes[r->out->byte_count++] = c;
    r->at++;
    return 0;
}

static int read_literal(reader *r)
{
    lq_syntax *out = r->out;
    size_t start = out->byte_count;
    int err;

    while (!is_at_border(r)) {
        err = read_byte(r);
        if (err < 0) return err;
    }
    return add_segment(r, LQ_SEGMENT_LITERAL,
                       (lq_str){out->bytes + start, out->byte_count - start});
}

static int check_constraint(reader *r, lq_str text)
{
    lq_pattern pattern;
    lq_err why;
    size_t at;

    if (lq_pattern_init(&pattern, text, &at, &why) == 0) return 0;
    r->at += at;
    return fail(r, why.text);
}

/* `(constraint)`; without it a plain variable. */
static int read_constraint(reader *r)
{
    lq_str text = {r->text.ptr + r->at, r->text.len - r->at};
    int err;

    if (peek(r) != '(') return add_segment(r, LQ_SEGMENT_VARIABLE, text);
    text.ptr++;
    text.len--;
    text.len = lq_pattern_extent(text);
    if (r->at + 1 + text.len == r->text.len)
        return fail(r, "a constraint is not closed");
    r->at++;
    err = check_constraint(r, text);
    if (err < 0) return err;
    r->at += text.len + 1;
    return add_segment(r, LQ_SEGMENT_CONSTRAINED, text);
}

/* `:name`, with a constraint or without. */
static int read_variable(reader *r)
{
    lq_str name = {r->text.ptr + r->at + 1, 0};
    int err;

    r->at++;
    while (is_name_byte(peek(r), name.len == 0)) {
        name.len++;
        r->at++;
    }
    if (name.len == 0)
        return fail(r, "a variable has a name of letters, digits and '_'");
    err = add_name(r, name);
    if (err < 0) return err;
    err = read_constraint(r);
    if (err < 0) return err;
    if (!is_at_border(r)) return fail(r, "a variable fills its segment");
    return 0;
}

static int read_rest(reader *r)
{
    int err;

    r->at++;
    if (!is_at_border(r)) {
        r->at--;
        return fail(r, "'*' must be a segment of its own");
    }
    if (!is_at_end(r) && peek(r) != ']')
        return fail(r, "nothing can stand behind '*'");
    err = add_name(r, LQ_STR("*"));
    if (err < 0) return err;
    return add_segment(r, LQ_SEGMENT_REST, (lq_str){NULL, 0});
}

/* A slash and its segment. */
static int read_segment(reader *r)
{
    r->at++;
    switch (peek(r)) {
    case ':': return read_variable(r);
    case '*': return read_rest(r);
    default: return read_literal(r);
    }
}

/* ---- tails --------------------------------------------------------------- */

static lq_segment *last_segment(lq_syntax *s)
{
    return &s->segments[s->count - 1];
}

static int open_tail(reader *r)
{
    lq_segment *last = last_segment(r->out);

    if (last->kind == LQ_SEGMENT_LITERAL && last->text.len == 0)
        return fail(r, "an optional tail cannot stand behind a slash");
    r->at++;
    if (peek(r) != '/') {
        r->at--;
        return fail(r, "an optional tail begins with '[/'");
    }
    last->ends_form = true;
    r->depth++;
    return 0;
}

/* The brackets at the end, behind which nothing stands. */
static int close_tails(reader *r)
{
    while (peek(r) == ']') {
        if (r->depth == 0) return fail(r, "']' closes nothing");
        r->depth--;
        r->at++;
    }
    if (!is_at_end(r))
        return fail(r, "nothing can stand behind an optional tail");
    return 0;
}

static int read_piece(reader *r)
{
    switch (peek(r)) {
    case '[': return open_tail(r);
    case ']': return close_tails(r);
    default: return read_segment(r);
    }
}

int lq_syntax_parse(lq_syntax *out, lq_str pattern, lq_err *err)
{
    reader r = {.out = out, .text = pattern, .err = err};
    int result;

    out->count = out->name_count = out->byte_count = 0;
    if (peek(&r) != '/') return fail(&r, "a pattern begins with '/'");
    if (pattern.len > LQ_PATTERN_LEN_MAX)
        return fail(&r, "a pattern has at most 1024 bytes");
    while (!is_at_end(&r)) {
        result = read_piece(&r);
        if (result < 0) return result;
    }
    if (r.depth > 0) return fail(&r, "an optional tail is not closed");
    last_segment(out)->ends_form = true;
    return 0;
}

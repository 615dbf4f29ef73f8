/* route_oracle.c - see route_oracle.h. */
#include "route_oracle.h"

#include <ctype.h>

#include "fuzz.h"
#include "http/method.h"
#include "pattern_oracle.h"

enum { PATTERN_MAX = 1024, ROUTES_MAX = 256 };

typedef enum kind { LITERAL, CONSTRAINED, VARIABLE, REST } kind;

typedef struct segment {
    kind kind;
    lq_str text; /* decoded literal, constraint */
    lq_str name;
    size_t order;   /* CONSTRAINED: the earlier its place was made the lower */
    bool ends_form; /* a form of the pattern ends here */
} segment;

typedef struct route {
    int method, tag;
    bool is_alive; /* a conflict leaves only the order of its constraints */
    size_t count;
    segment segments[ORACLE_SEGMENTS_MAX];
    char bytes[PATTERN_MAX];
} route;

struct route_oracle {
    size_t orders; /* handed out */
    size_t count;
    route *routes[ROUTES_MAX];
};

/* ---- bytes --------------------------------------------------------------- */

static lq_str part(lq_str s, size_t from, size_t to)
{
    return (lq_str){s.ptr + from, to - from};
}

/* The byte of the escape at the front of `s`; -1: it is broken. */
static int escape(lq_str s)
{
    char digits[3] = "";

    if (s.len < 3 || !isxdigit((unsigned char)s.ptr[1]) ||
        !isxdigit((unsigned char)s.ptr[2]))
        return -1;
    memcpy(digits, s.ptr + 1, 2);
    return (int)strtol(digits, NULL, 16);
}

/* Decodes into `out`, which has room; false for a broken escape or %00. */
static bool decode(lq_str s, char *out, size_t *len)
{
    int byte;

    for (*len = 0; s.len; ++*len) {
        byte = s.ptr[0] == '%' ? escape(s) : (unsigned char)s.ptr[0];
        if (byte < 0 || (byte == 0 && s.ptr[0] == '%')) return false;
        s = part(s, s.ptr[0] == '%' ? 3 : 1, s.len);
        out[*len] = (char)byte;
    }
    return true;
}

/* ---- patterns ------------------------------------------------------------ */

/* A literal: no byte of it means anything else. */
static bool read_literal(segment *s, lq_str text, char *bytes)
{
    size_t i, len;

    for (i = 0; i < text.len; i++)
        if (text.ptr[i] == '\0' || strchr("*?#", text.ptr[i])) return false;
    if (!decode(text, bytes, &len)) return false;
    s->kind = LITERAL;
    s->text = (lq_str){bytes, len};
    return true;
}

/* `text` is what follows the colon. */
static bool read_variable(segment *s, lq_str text)
{
    size_t len = 0;
    oracle_pattern pattern;

    while (len < text.len &&
           (isalnum((unsigned char)text.ptr[len]) || text.ptr[len] == '_'))
        len++;
    if (len == 0 || isdigit((unsigned char)text.ptr[0])) return false;
    s->kind = VARIABLE;
    s->name = part(text, 0, len);
    if (len == text.len) return true;
    s->kind = CONSTRAINED;
    s->text = part(text, len, text.len);
    if (s->text.len < 2 || s->text.ptr[0] != '(') return false;
    s->text = part(s->text, 1, s->text.len);
    if (oracle_pattern_end(s->text) != s->text.len - 1) return false;
    s->text.len--;
    return oracle_pattern_read(&pattern, s->text);
}

/* Where the segment that begins at `at` ends: at a slash or a bracket that is
 * not inside a constraint. */
static size_t segment_end(lq_str pattern, size_t at)
{
    bool is_variable = at < pattern.len && pattern.ptr[at] == ':';

    for (; at < pattern.len; at++) {
        if (strchr("/[]", pattern.ptr[at]) && pattern.ptr[at]) break;
        if (is_variable && pattern.ptr[at] == '(')
            at += 1 + oracle_pattern_end(part(pattern, at + 1, pattern.len));
    }
    return at < pattern.len ? at : pattern.len;
}

static bool has_name(const route *r, lq_str name)
{
    size_t i, names = 0;

    for (i = 0; i + 1 < r->count; i++) {
        if (r->segments[i].kind == LITERAL) continue;
        if (lq_str_equal(r->segments[i].name, name)) return true;
        names++;
    }
    return names == ORACLE_NAMES_MAX; /* there is no room for it, either */
}

/* Adds a segment that stands in `text`, which no slash is in front of. */
static bool read_segment(route *r, lq_str text, size_t *byte_count)
{
    segment *s = &r->segments[r->count];
    bool is_good;

    if (r->count++ == ORACLE_SEGMENTS_MAX) return false;
    *s = (segment){.kind = REST, .name = LQ_STR("*")};
    if (text.len && text.ptr[0] == ':')
        is_good = read_variable(s, part(text, 1, text.len));
    else if (lq_str_equal(text, LQ_STR("*")))
        is_good = true;
    else
        is_good = read_literal(s, text, r->bytes + *byte_count);
    if (s->kind == LITERAL) *byte_count += s->text.len;
    return is_good && (s->kind == LITERAL || !has_name(r, s->name));
}

/* The brackets behind a segment, from `at` on. False when they are wrong. */
static bool read_brackets(route *r, lq_str pattern, size_t *at, size_t *depth)
{
    segment *s = &r->segments[r->count - 1];
    bool is_slash = s->kind == LITERAL && s->text.len == 0;

    s->ends_form = *at == pattern.len;
    if (*at < pattern.len && pattern.ptr[*at] == '[') {
        s->ends_form = true;
        ++*depth;
        ++*at;
        if (is_slash || s->kind == REST) return false;
        return *at < pattern.len && pattern.ptr[*at] == '/';
    }
    if (*at < pattern.len && pattern.ptr[*at] == ']') {
        s->ends_form = true;
        while (*at < pattern.len && pattern.ptr[*at] == ']' && (*depth)--)
            ++*at;
        return *at == pattern.len && *depth == 0;
    }
    return *at < pattern.len ? s->kind != REST : *depth == 0;
}

static bool read_pattern(route *r, lq_str pattern)
{
    size_t at = 0, end, depth = 0, byte_count = 0;

    if (pattern.len == 0 || pattern.len > PATTERN_MAX) return false;
    if (pattern.ptr[0] != '/') return false;
    while (at < pattern.len) {
        end = segment_end(pattern, at + 1);
        if (!read_segment(r, part(pattern, at + 1, end), &byte_count))
            return false;
        at = end;
        if (!read_brackets(r, pattern, &at, &depth)) return false;
    }
    return true;
}

/* ---- adding -------------------------------------------------------------- */

/* Whether the first `count` segments are the same but for names. */
static bool is_same_start(const route *a, const route *b, size_t count)
{
    size_t i;

    if (a->count < count || b->count < count) return false;
    for (i = 0; i < count; i++)
        if (a->segments[i].kind != b->segments[i].kind ||
            !lq_str_equal(a->segments[i].text, b->segments[i].text))
            return false;
    return true;
}

/* The first one to have a constraint in its place decides its order. */
static void set_orders(route_oracle *o, route *r)
{
    size_t i, k;

    for (i = 0; i < r->count; i++) {
        if (r->segments[i].kind != CONSTRAINED) continue;
        for (k = 0; k < o->count; k++)
            if (is_same_start(o->routes[k], r, i + 1)) break;
        r->segments[i].order =
            k < o->count ? o->routes[k]->segments[i].order : o->orders++;
    }
}

/* The tag of the live route that has the form of `count` segments; -1. */
static int find_form(const route_oracle *o, const route *r, size_t count)
{
    size_t k;

    for (k = 0; k < o->count; k++) {
        const route *other = o->routes[k];

        if (other->is_alive && other->method == r->method &&
            is_same_start(other, r, count) &&
            other->segments[count - 1].ends_form)
            return other->tag;
    }
    return -1;
}

static int find_conflict(const route_oracle *o, const route *r)
{
    size_t i;
    int tag = -1;

    for (i = 0; i < r->count && tag < 0; i++)
        if (r->segments[i].ends_form) tag = find_form(o, r, i + 1);
    return tag;
}

oracle_add route_oracle_add(route_oracle *o, int method, lq_str pattern,
                            int tag, int *conflict_tag)
{
    route *r = calloc(1, sizeof *r);

    FUZZ_CHECK(r && o->count < ROUTES_MAX);
    r->method = method;
    r->tag = tag;
    if (method == LQ_OTHER || !read_pattern(r, pattern)) {
        free(r);
        return ORACLE_INVALID;
    }
    set_orders(o, r);
    *conflict_tag = find_conflict(o, r);
    r->is_alive = *conflict_tag < 0;
    o->routes[o->count++] = r;
    return r->is_alive ? ORACLE_ADDED : ORACLE_CONFLICT;
}

/* ---- matching ------------------------------------------------------------ */

/* Whether the segment takes `given`, still encoded. */
static bool takes(const segment *s, lq_str given)
{
    char bytes[ORACLE_TEXT_MAX];
    oracle_pattern pattern;
    lq_str text = {bytes, 0};

    FUZZ_CHECK(given.len <= sizeof bytes);
    FUZZ_CHECK(decode(given, bytes, &text.len));
    if (s->kind == LITERAL) return lq_str_equal(s->text, text);
    if (given.len == 0) return false;
    if (s->kind == VARIABLE) return true;
    FUZZ_CHECK(oracle_pattern_read(&pattern, s->text));
    return oracle_pattern_match(&pattern, text);
}

/* Takes the next segment off the path, which begins with its slash. */
static lq_str next_given(lq_str *path)
{
    size_t end = 1;
    lq_str given;

    while (end < path->len && path->ptr[end] != '/') end++;
    given = part(*path, 1, end);
    *path = part(*path, end, path->len);
    return given;
}

/* Whether the form of the first `count` segments matches the path. */
static bool form_matches(const route *r, size_t count, lq_str path)
{
    size_t i;

    for (i = 0; i < count; i++) {
        if (path.len == 0) return false;
        if (r->segments[i].kind == REST) return true;
        if (!takes(&r->segments[i], next_given(&path))) return false;
    }
    return path.len == 0;
}

/* How many segments the form has that matches; 0: none does. */
static size_t matching_form(const route *r, lq_str path)
{
    size_t i;

    for (i = 0; i < r->count; i++)
        if (r->segments[i].ends_form && form_matches(r, i + 1, path))
            return i + 1;
    return 0;
}

/* 0: it has not the method; the lower the better. */
static int method_rank(const route *r, int method)
{
    if (r->method == method) return 1;
    if (r->method == LQ_GET && method == LQ_HEAD) return 2;
    return r->method == LQ_METHOD_ANY ? 3 : 0;
}

/* Whether `a` is more specific. Both match the path in forms of that many
 * segments. */
static bool is_better(const route *a, size_t a_count, const route *b,
                      size_t b_count, int method)
{
    size_t i, count = a_count < b_count ? a_count : b_count;

    for (i = 0; i < count; i++) {
        const segment *s = &a->segments[i], *t = &b->segments[i];

        if (s->kind != t->kind) return s->kind < t->kind;
        if (s->kind == CONSTRAINED && s->order != t->order)
            return s->order < t->order;
    }
    return method_rank(a, method) < method_rank(b, method);
}

static void set_found(oracle_match *out, const route *r, size_t count,
                      lq_str path)
{
    size_t i;

    out->kind = ORACLE_FOUND;
    out->tag = r->tag;
    for (i = 0; i < count; i++) {
        const segment *s = &r->segments[i];
        lq_str rest = part(path, 1, path.len), given = next_given(&path);

        if (s->kind == LITERAL) continue;
        out->names[out->count] = s->name;
        out->values[out->count++] = s->kind == REST ? rest : given;
    }
}

static bool is_good_path(lq_str path)
{
    char bytes[ORACLE_TEXT_MAX];
    size_t len;

    FUZZ_CHECK(path.len <= sizeof bytes);
    return decode(path, bytes, &len);
}

void route_oracle_match(const route_oracle *o, int method, lq_str path,
                        oracle_match *out)
{
    const route *best = NULL;
    size_t best_count = 0, count, k;

    *out = (oracle_match){.kind = ORACLE_BAD_PATH};
    if (!is_good_path(path)) return;
    for (k = 0; k < o->count; k++) {
        const route *r = o->routes[k];

        count = r->is_alive ? matching_form(r, path) : 0;
        if (!count) continue;
        if (!method_rank(r, method)) {
            out->methods |= 1u << r->method;
        } else if (!best || is_better(r, count, best, best_count, method)) {
            best = r;
            best_count = count;
        }
    }
    out->kind = out->methods ? ORACLE_METHOD : ORACLE_NONE;
    if (best) set_found(out, best, best_count, path);
}

/* ---- the whole ----------------------------------------------------------- */

unsigned route_oracle_methods(const route_oracle *o)
{
    unsigned methods = 0;
    size_t k;

    for (k = 0; k < o->count; k++)
        if (o->routes[k]->is_alive) methods |= 1u << o->routes[k]->method;
    return methods;
}

route_oracle *route_oracle_new(void)
{
    route_oracle *o = calloc(1, sizeof *o);

    FUZZ_CHECK(o);
    return o;
}

void route_oracle_free(route_oracle *o)
{
    size_t k;

    for (k = 0; k < o->count; k++) free(o->routes[k]);
    free(o);
}

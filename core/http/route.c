/* route.c - see route.h. */
#include "http/route.h"

#include <errno.h>

#include "base/mem.h"
#include "http/tree.h"
#include "http/url.h"

/* Bytes and nodes that one match may look at; beyond it nothing is found. */
enum { BUDGET = 1 << 20 };

/* One pattern with its route, shared by its forms: a form has the first names
 * of the list. */
typedef struct lq_router_entry {
    struct lq_router_entry *next;
    lq_route route;
    lq_str *names;
} entry;

struct lq_router {
    lq_tree tree;
    entry *entries;
    unsigned methods; /* of all routes */
    bool has_fallback;
    lq_route fallback;
};

/* ---- entries ------------------------------------------------------------- */

static size_t names_len(const lq_syntax *s)
{
    size_t i, len = 0;

    for (i = 0; i < s->name_count; i++) len += s->names[i].len;
    return len;
}

/* An entry that the router owns; NULL without memory. */
static entry *new_entry(lq_router *r, const lq_syntax *s, const lq_route *route)
{
    size_t list_len = s->name_count * sizeof(lq_str), i;
    entry *e = lq_mem_alloc(sizeof *e + list_len + names_len(s));
    char *bytes;

    if (!e) return NULL;
    e->route = *route;
    e->names = (lq_str *)(void *)(e + 1);
    bytes = (char *)(e + 1) + list_len;
    for (i = 0; i < s->name_count; i++) {
        e->names[i] = (lq_str){bytes, s->names[i].len};
        memcpy(bytes, s->names[i].ptr, s->names[i].len);
        bytes += s->names[i].len;
    }
    e->next = r->entries;
    return r->entries = e;
}

/* ---- public: making ------------------------------------------------------ */

int lq_router_new(lq_router **out)
{
    lq_router *r = lq_mem_zalloc(sizeof *r);

    if (!r) return -ENOMEM;
    *out = r;
    return 0;
}

void lq_router_free(lq_router *r)
{
    entry *e, *next;

    if (!r) return;
    lq_tree_fini(&r->tree);
    for (e = r->entries; e; e = next) {
        next = e->next;
        lq_mem_free(e);
    }
    lq_mem_free(r);
}

int lq_route_check(lq_str pattern, lq_err *err)
{
    lq_syntax s;

    return lq_syntax_parse(&s, pattern, err);
}

/* The route that has the method at one of `ends`; NULL when it is free. */
static const entry *find_conflict(lq_tree_node *const *ends, int count,
                                  int method)
{
    int i;

    for (i = 0; i < count; i++)
        if (ends[i]->entries[method]) return ends[i]->entries[method];
    return NULL;
}

/* Enters a pattern that was taken apart. */
static int enter(lq_router *r, int method, const lq_syntax *s,
                 const lq_route *route, int *conflict_tag)
{
    lq_tree_node *ends[LQ_PATTERN_SEGMENTS_MAX];
    int i, count = lq_tree_grow(&r->tree, s, ends);
    const entry *e;

    if (count < 0) return count;
    e = find_conflict(ends, count, method);
    if (e) {
        if (conflict_tag) *conflict_tag = e->route.tag;
        return -EEXIST;
    }
    e = new_entry(r, s, route);
    if (!e) return -ENOMEM;
    for (i = 0; i < count; i++) {
        ends[i]->entries[method] = e;
        ends[i]->methods |= 1u << method;
    }
    r->methods |= 1u << method;
    return 0;
}

int lq_router_add(lq_router *r, int method, lq_str pattern,
                  const lq_route *route, int *conflict_tag, lq_err *err)
{
    lq_syntax s;
    int result;

    if (method < 0 || method > LQ_METHOD_ANY || method == LQ_OTHER)
        return lq_err_set(err, LQ_EINVALID, "a route cannot have this method");
    result = lq_syntax_parse(&s, pattern, err);
    if (result < 0) return result;
    return enter(r, method, &s, route, conflict_tag);
}

void lq_router_fallback(lq_router *r, const lq_route *route)
{
    r->fallback = *route;
    r->has_fallback = true;
}

/* ---- matching ------------------------------------------------------------ */

typedef struct walk {
    const char *end; /* of the path */
    int method;
    bool has_escape;
    size_t budget;
    unsigned allow; /* methods of patterns that were passed over */
    lq_match *out;
} walk;

/* The route of `n` for the method; else its methods are remembered. */
static const entry *pick(walk *w, const lq_tree_node *n, size_t count)
{
    const entry *e = n->entries[w->method];

    if (!w->budget) return NULL;
    if (!e && w->method == LQ_HEAD) e = n->entries[LQ_GET];
    if (!e) e = n->entries[LQ_METHOD_ANY];
    if (e)
        w->out->param_count = count;
    else
        w->allow |= n->methods;
    return e;
}

/* lq_tree_literal() for a segment with escapes. What is too long for the buffer
 * is too long for any literal. */
static __attribute__((noinline)) lq_tree_node *
find_encoded(const lq_tree_node *n, lq_str text)
{
    char bytes[3 * LQ_PATTERN_LEN_MAX];
    ssize_t len;

    if (text.len > sizeof bytes) return NULL;
    len = lq_url_decode(bytes, text, false);
    return len < 0 ? NULL : lq_tree_literal(n, (lq_str){bytes, (size_t)len});
}

static const lq_tree_node *literal_child(const walk *w, const lq_tree_node *n,
                                         lq_str segment)
{
    if (LQ_UNLIKELY(w->has_escape) && n->literal_count && segment.len &&
        memchr(segment.ptr, '%', segment.len))
        return find_encoded(n, segment);
    return lq_tree_literal(n, segment);
}

static const entry *walk_from(walk *w, const lq_tree_node *n, const char *at,
                              size_t count);

/* The variables under `n`, which `segment` becomes the value of. */
static const entry *try_variables(walk *w, const lq_tree_node *n,
                                  lq_str segment, size_t count)
{
    const char *behind = segment.ptr + segment.len;
    const entry *e;
    const lq_tree_node *child;

    for (child = n->constrained; child; child = child->next) {
        if (!lq_pattern_match(&child->constraint->pattern, segment,
                              w->has_escape, &w->budget))
            continue;
        w->out->params[count].value = segment;
        e = walk_from(w, child, behind, count + 1);
        if (e) return e;
    }
    if (!n->variable) return NULL;
    w->out->params[count].value = segment;
    return walk_from(w, n->variable, behind, count + 1);
}

static const entry *try_rest(walk *w, const lq_tree_node *n, const char *at,
                             size_t count)
{
    if (!n->rest) return NULL;
    w->out->params[count].value = (lq_str){at, (size_t)(w->end - at)};
    return pick(w, n->rest, count + 1);
}

/* Takes the length of a segment off the budget; false when it is used up. */
static bool spend(walk *w, size_t len)
{
    size_t cost = 1 + len / 16;

    if (w->budget <= cost) {
        w->budget = 0;
        return false;
    }
    w->budget -= cost;
    return true;
}

/* The route under `n` for what begins at `at`: a slash, or the end of the
 * path. `count` params are set so far. */
static const entry *walk_from(walk *w, const lq_tree_node *n, const char *at,
                              size_t count)
{
    lq_str segment;
    const char *stop;
    const lq_tree_node *child;
    const entry *e;

    if (at == w->end) return pick(w, n, count);
    at++;
    stop = memchr(at, '/', (size_t)(w->end - at));
    segment = (lq_str){at, (size_t)((stop ? stop : w->end) - at)};
    if (!spend(w, segment.len)) return NULL;
    child = literal_child(w, n, segment);
    if (child) {
        e = walk_from(w, child, at + segment.len, count);
        if (e) return e;
    }
    if (segment.len) {
        e = try_variables(w, n, segment, count);
        if (e) return e;
    }
    return try_rest(w, n, at, count);
}

/* Whether every escape is good and none means a zero byte. */
static bool has_good_escapes(lq_str path)
{
    const char *end = path.ptr + path.len, *at = path.ptr;

    while ((at = memchr(at, '%', (size_t)(end - at)))) {
        if (lq_url_escape(at, (size_t)(end - at)) <= 0) return false;
        at += 3;
    }
    return true;
}

static void set_found(lq_match *out, const entry *e)
{
    size_t i;

    out->kind = LQ_MATCH_FOUND;
    out->route = &e->route;
    for (i = 0; i < out->param_count; i++) out->params[i].name = e->names[i];
}

/* What to answer when patterns match and none has the method. */
static void set_allow(lq_match *out, int method, unsigned allow)
{
    if (allow & 1u << LQ_GET) allow |= 1u << LQ_HEAD;
    out->allow = allow | 1u << LQ_OPTIONS;
    out->kind = method == LQ_OPTIONS ? LQ_MATCH_OPTIONS : LQ_MATCH_METHOD;
}

static void set_none(const lq_router *r, lq_match *out)
{
    if (!r->has_fallback) return;
    out->kind = LQ_MATCH_FOUND;
    out->route = &r->fallback;
}

/* `OPTIONS *` asks about the whole server. */
static void match_all(const lq_router *r, int method, lq_match *out)
{
    const unsigned any = 1u << LQ_METHOD_ANY, every = (1u << LQ_OTHER) - 1;
    unsigned allow = r->methods & any ? every : r->methods;

    if (method == LQ_OPTIONS)
        set_allow(out, method, allow);
    else
        set_none(r, out);
}

static void match_path(const lq_router *r, int method, lq_str path,
                       lq_match *out)
{
    walk w = {.end = path.ptr + path.len, .method = method, .out = out};
    const entry *e;

    w.has_escape = memchr(path.ptr, '%', path.len) != NULL;
    if (LQ_UNLIKELY(w.has_escape) && !has_good_escapes(path)) {
        out->kind = LQ_MATCH_BAD_PATH;
        return;
    }
    w.budget = BUDGET;
    e = walk_from(&w, &r->tree.root, path.ptr, 0);
    if (e)
        set_found(out, e);
    else if (w.allow && w.budget)
        set_allow(out, method, w.allow);
    else
        set_none(r, out);
}

void lq_router_match(const lq_router *r, int method, lq_str path, lq_match *out)
{
    LQ_ASSERT(method >= 0 && method < LQ_METHOD_COUNT);
    out->kind = LQ_MATCH_NONE;
    out->route = NULL;
    out->allow = 0;
    out->param_count = 0;
    if (path.len && path.ptr[0] == '/')
        match_path(r, method, path, out);
    else if (lq_str_equal(path, LQ_STR("*")))
        match_all(r, method, out);
    else
        set_none(r, out);
}

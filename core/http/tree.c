/* tree.c - see tree.h. */
#include "http/tree.h"

#include <errno.h>

#include "base/mem.h"

/* ---- literals ------------------------------------------------------------ */

static uint64_t load64(const char *s)
{
    uint64_t v;

    memcpy(&v, s, sizeof v);
    return v;
}

static uint64_t load32(const char *s)
{
    uint32_t v;

    memcpy(&v, s, sizeof v);
    return v;
}

/* The up to eight bytes of `s`, different for different ones of one length. */
static uint64_t load_short(const char *s, size_t len)
{
    const unsigned char *u = (const unsigned char *)s;

    if (len >= 4) return load32(s) << 32 | load32(s + len - 4);
    if (len == 0) return 0;
    return (uint64_t)u[0] << 16 | (uint64_t)u[len / 2] << 8 | u[len - 1];
}

/* Need not withstand an attacker: what is in the tables comes from the app. */
static size_t hash_of(lq_str s)
{
    const uint64_t factor = 0x9E3779B97F4A7C15u;
    uint64_t h = s.len * factor;

    while (s.len > 8) {
        h = (h ^ load64(s.ptr)) * factor;
        h ^= h >> 32;
        s.ptr += 8;
        s.len -= 8;
    }
    h = (h ^ load_short(s.ptr, s.len)) * factor;
    return (size_t)(h ^ h >> 32);
}

lq_tree_node *lq_tree_literal(const lq_tree_node *n, lq_str text)
{
    size_t hash, i;
    lq_tree_node *child;

    if (n->literal_count == 0) return NULL;
    hash = hash_of(text);
    for (i = hash & n->literal_mask; (child = n->literals[i]);
         i = (i + 1) & n->literal_mask)
        if (child->hash == hash && lq_str_equal(child->text, text))
            return child;
    return NULL;
}

static void place_literal(lq_tree_node *n, lq_tree_node *child)
{
    size_t i = child->hash & n->literal_mask;

    while (n->literals[i]) i = (i + 1) & n->literal_mask;
    n->literals[i] = child;
}

/* Makes room for one more literal. Returns -ENOMEM. */
static int reserve_literal(lq_tree_node *n)
{
    lq_tree_node **old = n->literals, **slots;
    size_t count = old ? n->literal_mask + 1 : 0;
    size_t i, wanted = count ? count * 2 : 4;

    if ((n->literal_count + 1) * 2 <= count) return 0;
    slots = lq_mem_zalloc(wanted * sizeof *slots);
    if (!slots) return -ENOMEM;
    n->literals = slots;
    n->literal_mask = wanted - 1;
    for (i = 0; i < count; i++)
        if (old[i]) place_literal(n, old[i]);
    lq_mem_free(old);
    return 0;
}

/* ---- growing ------------------------------------------------------------- */

/* The compiled constraint with that text; NULL without memory. */
static const lq_tree_constraint *intern(lq_tree *t, lq_str text)
{
    lq_tree_constraint *c;
    size_t at;

    for (c = t->constraints; c; c = c->next)
        if (lq_str_equal(c->text, text)) return c;
    c = lq_mem_alloc(sizeof *c + text.len);
    if (!c) return NULL;
    c->text = (lq_str){memcpy((char *)(c + 1), text.ptr, text.len), text.len};
    if (lq_pattern_init(&c->pattern, c->text, &at, NULL) < 0) {
        lq_mem_free(c); /* the syntax was checked before */
        return NULL;
    }
    c->next = t->constraints;
    return t->constraints = c;
}

/* A node that the router owns, with a copy of `text`; NULL without memory. */
static lq_tree_node *new_node(lq_tree *t, lq_str text)
{
    lq_tree_node *n = lq_mem_zalloc(sizeof *n + text.len);

    if (!n) return NULL;
    n->text.ptr = (char *)(n + 1);
    n->text.len = text.len;
    if (text.len) memcpy((char *)(n + 1), text.ptr, text.len);
    n->next_owned = t->nodes;
    t->nodes = n;
    return n;
}

/* The functions below return the child of `n`, made when it is not there;
 * NULL without memory. */
static lq_tree_node *grow_literal(lq_tree *t, lq_tree_node *n, lq_str text)
{
    lq_tree_node *child = lq_tree_literal(n, text);

    if (child) return child;
    if (reserve_literal(n) < 0) return NULL;
    child = new_node(t, text);
    if (!child) return NULL;
    child->hash = hash_of(text);
    place_literal(n, child);
    n->literal_count++;
    return child;
}

static lq_tree_node *grow_constrained(lq_tree *t, lq_tree_node *n, lq_str text)
{
    const lq_tree_constraint *c = intern(t, text);
    lq_tree_node **link = &n->constrained;

    if (!c) return NULL;
    while (*link && (*link)->constraint != c) link = &(*link)->next;
    if (*link) return *link;
    *link = new_node(t, (lq_str){NULL, 0});
    if (*link) (*link)->constraint = c;
    return *link;
}

static lq_tree_node *grow_plain(lq_tree *t, lq_tree_node **link)
{
    if (!*link) *link = new_node(t, (lq_str){NULL, 0});
    return *link;
}

static lq_tree_node *grow(lq_tree *t, lq_tree_node *n, const lq_segment *s)
{
    switch (s->kind) {
    case LQ_SEGMENT_LITERAL: return grow_literal(t, n, s->text);
    case LQ_SEGMENT_CONSTRAINED: return grow_constrained(t, n, s->text);
    case LQ_SEGMENT_VARIABLE: return grow_plain(t, &n->variable);
    case LQ_SEGMENT_REST: return grow_plain(t, &n->rest);
    }
    return NULL;
}

/* ---- public -------------------------------------------------------------- */

int lq_tree_grow(lq_tree *t, const lq_syntax *s, lq_tree_node **ends)
{
    lq_tree_node *n = &t->root;
    int forms = 0;
    size_t i;

    for (i = 0; i < s->count; i++) {
        n = grow(t, n, &s->segments[i]);
        if (!n) return -ENOMEM;
        if (s->segments[i].ends_form) ends[forms++] = n;
    }
    return forms;
}

void lq_tree_fini(lq_tree *t)
{
    lq_tree_node *n, *next_node;
    lq_tree_constraint *c, *next_constraint;

    lq_mem_free(t->root.literals);
    for (n = t->nodes; n; n = next_node) {
        next_node = n->next_owned;
        lq_mem_free(n->literals);
        lq_mem_free(n);
    }
    for (c = t->constraints; c; c = next_constraint) {
        next_constraint = c->next;
        lq_mem_free(c);
    }
}

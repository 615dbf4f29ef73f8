/* tree.h - the patterns of a router, one level for each segment.
 *
 * Names are no part of it: patterns that differ in nothing else share their
 * nodes, and the tree says at which nodes their forms end. What stands there
 * is of no interest to it.
 *
 * Owns:    its nodes, with copies of literals, and its constraints.
 * Thread:  none; whoever holds it.
 * Life:    all zero -> (grow | literal)* -> fini.
 * Knows:   base, method, pattern, syntax.
 */
#ifndef LQ_TREE_H
#define LQ_TREE_H

#include "base/str.h"
#include "http/method.h"
#include "http/pattern.h"
#include "http/syntax.h"

/* A constraint, compiled once for all places where it stands. */
typedef struct lq_tree_constraint {
    struct lq_tree_constraint *next;
    lq_str text;
    lq_pattern pattern;
} lq_tree_constraint;

typedef struct lq_tree_node {
    struct lq_tree_node *next_owned;
    struct lq_tree_node *next;            /* the next constrained sibling */
    lq_str text;                          /* of a literal */
    size_t hash;                          /* of a literal */
    const lq_tree_constraint *constraint; /* of a constrained variable */

    /* Children. */
    struct lq_tree_node **literals; /* open addressing, at most half full */
    size_t literal_count;
    size_t literal_mask;              /* slots - 1 */
    struct lq_tree_node *constrained; /* the first, in order of addition */
    struct lq_tree_node *variable;
    struct lq_tree_node *rest;

    /* What ends here: the router's, for each method and for any. */
    const struct lq_router_entry *entries[LQ_METHOD_COUNT + 1];
    unsigned methods; /* a bit for each of entries */
} lq_tree_node;

typedef struct lq_tree {
    lq_tree_node root;
    lq_tree_node *nodes; /* all but the root, by next_owned */
    lq_tree_constraint *constraints;
} lq_tree;

/* Makes the nodes of all segments that are not there, and collects in `ends`
 * (room for LQ_PATTERN_SEGMENTS_MAX) those where a form ends; lent by the
 * tree. Returns how many forms there are, or -ENOMEM: nodes made till then
 * stay, and match nothing. */
int lq_tree_grow(lq_tree *t, const lq_syntax *s,
                 lq_tree_node **ends) LQ_MUST_CHECK;

/* The child of `n` for a literal segment, decoded; NULL when there is none. */
lq_tree_node *lq_tree_literal(const lq_tree_node *n, lq_str text);

void lq_tree_fini(lq_tree *t);

#endif

/* list.h - a doubly linked, circular list whose links stand in its members.
 *
 * Owns:    nothing.
 * Thread:  none; whoever holds it.
 * Knows:   nothing.
 */
#ifndef LQ_LIST_H
#define LQ_LIST_H

#include "base/defs.h"

/* A head, or the link of a member. A link that is in no list points to
 * itself. */
typedef struct lq_list {
    struct lq_list *next;
    struct lq_list *prev;
} lq_list;

static inline void lq_list_init(lq_list *l)
{
    l->next = l->prev = l;
}

static inline bool lq_list_is_empty(const lq_list *l)
{
    return l->next == l;
}

static inline void lq_list_push_back(lq_list *head, lq_list *link)
{
    link->prev = head->prev;
    link->next = head;
    head->prev->next = link;
    head->prev = link;
}

/* Behind `head`: in front of all members, or behind the member that it is. */
static inline void lq_list_push_front(lq_list *head, lq_list *link)
{
    lq_list_push_back(head->next, link);
}

/* Takes `link` out of its list; nothing happens when it is in none. */
static inline void lq_list_remove(lq_list *link)
{
    link->prev->next = link->next;
    link->next->prev = link->prev;
    lq_list_init(link);
}

/* The first member, taken out; NULL when the list is empty. */
static inline lq_list *lq_list_pop_front(lq_list *head)
{
    lq_list *link = head->next;

    if (link == head) return NULL;
    lq_list_remove(link);
    return link;
}

/* Moves everything of `from` to the end of `to`. */
static inline void lq_list_move(lq_list *from, lq_list *to)
{
    lq_list *link;

    while ((link = lq_list_pop_front(from))) lq_list_push_back(to, link);
}

#endif

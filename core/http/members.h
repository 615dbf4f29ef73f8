/* members.h - the members of a field that is a list, from the right.
 *
 * Whoever hands a request on adds to the right end, so that is where a list
 * can be relied upon. Nothing on the left can change how the right is read: a
 * quote that is opened there and not closed swallows nothing.
 *
 * Owns:    nothing: embedded by value; members are views of the head.
 * Thread:  none.
 * Knows:   request.
 */
#ifndef LQ_MEMBERS_H
#define LQ_MEMBERS_H

#include "http/request.h"

/* The lines of a field are one list; those of a later line come behind. */
typedef struct lq_members {
    const lq_request *r;
    lq_str name;
    bool has_quotes;
    uint32_t lines; /* that were not begun */
    lq_str rest;    /* of the line that was */
} lq_members;

/* All of the field `name` (any case). has_quotes: a comma in double quotes
 * separates nothing. */
lq_members lq_members_of(const lq_request *r, lq_str name, bool has_quotes);

/* The next member towards the left, without white space around it; false when
 * there is none. Empty ones are left out. */
bool lq_members_previous(lq_members *m, lq_str *out);

/* `s` without spaces and tabs around it. */
lq_str lq_members_trim(lq_str s);

#endif

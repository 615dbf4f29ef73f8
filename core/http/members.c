/* members.c - see members.h. */
#include "http/members.h"

lq_members lq_members_of(const lq_request *r, lq_str name, bool has_quotes)
{
    return (lq_members){r, name, has_quotes, r->header_count, {NULL, 0}};
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t';
}

lq_str lq_members_trim(lq_str s)
{
    while (s.len && is_space(s.ptr[0])) s.ptr++, s.len--;
    while (s.len && is_space(s.ptr[s.len - 1])) s.len--;
    return s;
}

/* Where the last member of a line begins. Strings in quotes are passed over
 * from their end: a quote within has a backslash in front, the one that opens
 * an equals sign. */
static size_t start_of_last(lq_str s, bool has_quotes)
{
    bool is_inside = false;
    size_t i;

    for (i = s.len; i > 0; i--) {
        if (s.ptr[i - 1] == ',' && !is_inside) break;
        if (s.ptr[i - 1] != '"' || !has_quotes) continue;
        if (is_inside && i > 1 && s.ptr[i - 2] == '\\') continue;
        is_inside = !is_inside;
    }
    return i;
}

bool lq_members_previous(lq_members *m, lq_str *out)
{
    size_t start;

    for (;;) {
        while (m->rest.len == 0) {
            if (m->lines == 0) return false;
            m->lines--;
            if (lq_str_equal_nocase(lq_request_name(m->r, m->lines), m->name))
                m->rest = lq_request_value(m->r, m->lines);
        }
        start = start_of_last(m->rest, m->has_quotes);
        *out =
            lq_members_trim((lq_str){m->rest.ptr + start, m->rest.len - start});
        m->rest.len = start ? start - 1 : 0;
        if (out->len) return true;
    }
}

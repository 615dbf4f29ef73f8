/* fuzz_router.c - patterns, constraints and matching.
 *
 * An input is a routing table with paths to look up in it, a line each:
 *
 *     0/users/:id      a route; the digit is the method (enum lq_method), 8 any
 *     ?4/users/1       a look-up
 *     !                from here on there is a fallback
 *
 * Owns:    nothing that outlives an input.
 * Thread:  none.
 * Knows:   base, http.
 */
#include <errno.h>
#include <time.h>

#include "fuzz.h"
#include "http/method.h"
#include "http/route.h"
#include "pattern_oracle.h"
#include "route_oracle.h"

enum {
    LINES_MAX = 128,
    FALLBACK_TAG = 1000,
    LONG_PATH = 1 << 18,
    LONG_MS = 1000, /* a hundred times what it takes */
};

typedef struct table {
    lq_router *router;
    route_oracle *oracle;
    bool has_fallback;
    int lines;
} table;

/* ---- routes -------------------------------------------------------------- */

/* A copy that the router must not need when it has the route. */
static int add_copy(lq_router *router, int method, lq_str pattern, int tag,
                    int *conflict_tag)
{
    char *copy = fuzz_copy(pattern.ptr, pattern.len);
    lq_str text = {copy, pattern.len};
    lq_route route = {.tag = tag};
    lq_err err = {.code = 0};
    int result =
        lq_router_add(router, method, text, &route, conflict_tag, &err);

    if (method != LQ_OTHER)
        FUZZ_CHECK((lq_route_check(text, NULL) < 0) == (result == LQ_EINVALID));
    FUZZ_CHECK(result != LQ_EINVALID || err.text[0]);
    free(copy);
    return result;
}

static void add_route(table *t, int method, lq_str pattern)
{
    int conflict = -1, expected_conflict = -1, result;
    oracle_add expected = route_oracle_add(t->oracle, method, pattern, t->lines,
                                           &expected_conflict);

    result = add_copy(t->router, method, pattern, t->lines, &conflict);
    switch (expected) {
    case ORACLE_ADDED: FUZZ_CHECK(result == 0); break;
    case ORACLE_INVALID: FUZZ_CHECK(result == LQ_EINVALID); break;
    case ORACLE_CONFLICT:
        FUZZ_CHECK(result == -EEXIST);
        FUZZ_CHECK(conflict == expected_conflict);
        break;
    }
}

/* ---- look-ups ------------------------------------------------------------ */

static void check_found(const lq_match *m, const oracle_match *expected,
                        lq_str path)
{
    size_t i;

    FUZZ_CHECK(m->kind == LQ_MATCH_FOUND && m->route->tag == expected->tag);
    FUZZ_CHECK(m->param_count == expected->count);
    for (i = 0; i < m->param_count; i++) {
        lq_str value = m->params[i].value;

        FUZZ_CHECK(lq_str_equal(m->params[i].name, expected->names[i]));
        FUZZ_CHECK(lq_str_equal(value, expected->values[i]));
        FUZZ_CHECK(value.ptr >= path.ptr &&
                   value.ptr + value.len <= path.ptr + path.len);
    }
}

static void check_allow(const lq_match *m, int method, unsigned methods)
{
    if (methods & 1u << LQ_GET) methods |= 1u << LQ_HEAD;
    FUZZ_CHECK(m->kind ==
               (method == LQ_OPTIONS ? LQ_MATCH_OPTIONS : LQ_MATCH_METHOD));
    FUZZ_CHECK(m->allow == (methods | 1u << LQ_OPTIONS));
    FUZZ_CHECK(!m->route && !m->param_count);
}

static void check_none(const table *t, const lq_match *m)
{
    FUZZ_CHECK(m->kind == (t->has_fallback ? LQ_MATCH_FOUND : LQ_MATCH_NONE));
    FUZZ_CHECK(!m->param_count);
    if (t->has_fallback) FUZZ_CHECK(m->route->tag == FALLBACK_TAG);
}

static void check_path(const table *t, const lq_match *m, int method,
                       lq_str path)
{
    oracle_match expected;

    route_oracle_match(t->oracle, method, path, &expected);
    switch (expected.kind) {
    case ORACLE_FOUND: check_found(m, &expected, path); break;
    case ORACLE_NONE: check_none(t, m); break;
    case ORACLE_METHOD: check_allow(m, method, expected.methods); break;
    case ORACLE_BAD_PATH: FUZZ_CHECK(m->kind == LQ_MATCH_BAD_PATH); break;
    }
}

static void check_all(const table *t, const lq_match *m)
{
    unsigned methods = route_oracle_methods(t->oracle);

    if (methods & 1u << LQ_METHOD_ANY) methods = (1u << LQ_OTHER) - 1;
    check_allow(m, LQ_OPTIONS, methods);
}

static void look_up(const table *t, int method, lq_str text)
{
    char *copy = fuzz_copy(text.ptr, text.len);
    lq_str path = {copy, text.len};
    lq_match m;

    lq_router_match(t->router, method, path, &m);
    if (path.len && path.ptr[0] == '/')
        check_path(t, &m, method, path);
    else if (lq_str_equal(path, LQ_STR("*")) && method == LQ_OPTIONS)
        check_all(t, &m);
    else
        check_none(t, &m);
    free(copy);
}

/* ---- time ---------------------------------------------------------------- */

static int64_t cpu_ms(void)
{
    struct timespec now;

    FUZZ_CHECK(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now) == 0);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* `text` again and again, without end so to say: time is bounded whatever the
 * patterns are. */
static void look_up_long(const table *t, int method, lq_str text)
{
    char *copy;
    size_t at, n;
    int64_t start;
    lq_match m;

    if (text.len == 0 || text.ptr[0] != '/') return;
    copy = malloc(LONG_PATH);
    FUZZ_CHECK(copy);
    for (at = 0; at < LONG_PATH; at += n) {
        n = text.len < LONG_PATH - at ? text.len : LONG_PATH - at;
        memcpy(copy + at, text.ptr, n);
    }
    start = cpu_ms();
    lq_router_match(t->router, method, (lq_str){copy, LONG_PATH}, &m);
    FUZZ_CHECK(cpu_ms() - start < LONG_MS);
    free(copy);
}

/* ---- lines --------------------------------------------------------------- */

/* The method that the digit at the front says, which goes. */
static int take_method(lq_str *line)
{
    int method = line->len ? line->ptr[0] - '0' : -1;

    if (method < 0 || method > LQ_METHOD_ANY) return LQ_GET;
    *line = (lq_str){line->ptr + 1, line->len - 1};
    return method;
}

static void read_line(table *t, lq_str line, uint64_t *seed)
{
    lq_route fallback = {.tag = FALLBACK_TAG};
    int method;

    if (lq_str_equal(line, LQ_STR("!"))) {
        lq_router_fallback(t->router, &fallback);
        t->has_fallback = true;
    } else if (line.len && line.ptr[0] == '?') {
        line = (lq_str){line.ptr + 1, line.len - 1};
        method = take_method(&line) % LQ_METHOD_COUNT;
        look_up(t, method, line);
        if (fuzz_next(seed, 64) == 0) look_up_long(t, method, line);
    } else {
        method = take_method(&line);
        add_route(t, method, line);
    }
}

static void read_lines(table *t, lq_str input)
{
    uint64_t seed = fuzz_seed((const uint8_t *)input.ptr, input.len);
    const char *end;
    size_t len;

    for (; input.len && t->lines < LINES_MAX; t->lines++) {
        end = memchr(input.ptr, '\n', input.len);
        len = end ? (size_t)(end - input.ptr) : input.len;
        read_line(t, (lq_str){input.ptr, len}, &seed);
        if (end) len++;
        input = (lq_str){input.ptr + len, input.len - len};
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    table t = {.oracle = route_oracle_new()};

    FUZZ_CHECK(lq_router_new(&t.router) == 0);
    if (len <= ORACLE_TEXT_MAX)
        read_lines(&t, (lq_str){(const char *)data, len});
    lq_router_free(t.router);
    route_oracle_free(t.oracle);
    return 0;
}

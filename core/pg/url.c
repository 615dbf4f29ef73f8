/* url.c - see url.h. */
#include "pg/url.h"

#include <errno.h>
#include <libpq-fe.h>
#include <stdlib.h>

#include "base/mem.h"

struct lq_pg_url {
    PQconninfoOption *options;
    char *lists[3]; /* names, addresses, ports: cut at their commas */
    int count;
    lq_pg_host hosts[LQ_PG_HOSTS_MAX];
};

static void wipe(char *text)
{
    if (text) explicit_bzero(text, strlen(text));
}

void lq_pg_url_free(lq_pg_url *u)
{
    PQconninfoOption *o;
    int i;

    if (!u) return;
    for (o = u->options; o && o->keyword; o++)
        if (strstr(o->keyword, "password")) wipe(o->val);
    PQconninfoFree(u->options);
    for (i = 0; i < 3; i++) lq_mem_free(u->lists[i]);
    lq_mem_free(u);
}

/* libpq quotes the URL, which has the password in it, behind a colon. */
static int refuse(lq_err *err, char *message)
{
    static const char harmless[] = "invalid URI query parameter";
    size_t len;

    if (!message) return -ENOMEM;
    if (strncmp(message, harmless, sizeof harmless - 1) == 0)
        len = strcspn(message, "\n");
    else
        len =
            (size_t)(strstr(message, ": \"") ? strstr(message, ": \"") - message
                                             : 0);
    if (len > 0 && len < 150)
        lq_err_set(err, LQ_EINVALID, "the url cannot be read: %.*s", (int)len,
                   message);
    else
        lq_err_set(err, LQ_EINVALID, "the url cannot be read");
    wipe(message);
    PQfreemem(message);
    return LQ_EINVALID;
}

static const char *option(const lq_pg_url *u, const char *key)
{
    const PQconninfoOption *o;

    for (o = u->options; o->keyword; o++)
        if (strcmp(o->keyword, key) == 0 && o->val && *o->val) return o->val;
    return NULL;
}

static const char *or_environment(const char *value, const char *name)
{
    if (!value) value = getenv(name);
    return value ? value : "";
}

/* Cuts a list at its commas, in place; the member `at` bytes into each host is
 * set. Returns how many there are, or LQ_ETOOLARGE. */
static int cut(lq_pg_url *u, char *list, size_t at)
{
    char *next;
    int n = 0;

    for (; list; list = next) {
        if ((next = strchr(list, ','))) *next++ = '\0';
        if (n == LQ_PG_HOSTS_MAX) return LQ_ETOOLARGE;
        *(const char **)(void *)((char *)&u->hosts[n++] + at) = list;
    }
    return n;
}

static bool is_port(const char *text)
{
    char *end;
    unsigned long port = strtoul(text, &end, 10);

    return *text == '\0' || (*text >= '0' && *text <= '9' && *end == '\0' &&
                             port > 0 && port <= 65535);
}

static int read_hosts(lq_pg_url *u, lq_err *err)
{
    const char *texts[3] = {or_environment(option(u, "host"), "PGHOST"),
                            or_environment(option(u, "hostaddr"), "PGHOSTADDR"),
                            or_environment(option(u, "port"), "PGPORT")};
    static const size_t at[3] = {offsetof(lq_pg_host, name),
                                 offsetof(lq_pg_host, address),
                                 offsetof(lq_pg_host, port)};
    int counts[3], i, n;

    for (i = 0; i < 3; i++) {
        u->lists[i] = lq_mem_strndup(texts[i], strlen(texts[i]));
        if (!u->lists[i]) return -ENOMEM;
        counts[i] = cut(u, u->lists[i], at[i]);
        if (counts[i] < 0)
            return lq_err_set(err, LQ_EINVALID,
                              "the url has more than %d hosts",
                              LQ_PG_HOSTS_MAX);
    }
    u->count = counts[0] > counts[1] ? counts[0] : counts[1];
    for (i = 0; i < 3; i++)
        if (counts[i] != u->count && (counts[i] != 1 || (i < 2 && *texts[i])))
            return lq_err_set(err, LQ_EINVALID,
                              "the url has %d hosts and %d %s", u->count,
                              counts[i], i == 2 ? "ports" : "addresses");
    for (n = 1; n < u->count; n++) {
        if (counts[0] == 1) u->hosts[n].name = u->hosts[0].name;
        if (counts[1] == 1) u->hosts[n].address = u->hosts[0].address;
        if (counts[2] == 1) u->hosts[n].port = u->hosts[0].port;
    }
    for (n = 0; n < u->count; n++)
        if (!is_port(u->hosts[n].port))
            return lq_err_set(err, LQ_EINVALID,
                              "the url has a port that is none");
    return 0;
}

static bool is_scheme(lq_str text, lq_str scheme)
{
    return text.len >= scheme.len &&
           memcmp(text.ptr, scheme.ptr, scheme.len) == 0;
}

int lq_pg_url_new(lq_pg_url **out, lq_str text, lq_err *err)
{
    lq_pg_url *u;
    char *message = NULL;
    int failure;

    if (memchr(text.ptr, '\0', text.len) ||
        (!is_scheme(text, LQ_STR("postgres://")) &&
         !is_scheme(text, LQ_STR("postgresql://"))))
        return lq_err_set(err, LQ_EINVALID,
                          "the url must begin with postgres://");
    if (!(u = lq_mem_zalloc(sizeof *u))) return -ENOMEM;
    u->options = PQconninfoParse(text.ptr, &message);
    failure = u->options ? read_hosts(u, err) : refuse(err, message);
    if (failure < 0) {
        lq_pg_url_free(u);
        return failure;
    }
    *out = u;
    return 0;
}

const lq_pg_host *lq_pg_url_hosts(const lq_pg_url *u, int *count)
{
    *count = u->count;
    return u->hosts;
}

static bool is_ours(const char *key)
{
    static const char *const keys[] = {"host", "hostaddr", "port",
                                       "client_encoding", "connect_timeout"};
    size_t i;

    for (i = 0; i < LQ_COUNT_OF(keys); i++)
        if (strcmp(key, keys[i]) == 0) return true;
    return false;
}

int lq_pg_url_params(const lq_pg_url *u, const char **keys, const char **values)
{
    static const char *const fixed[][2] = {
        {"client_encoding", "UTF8"},
        {"fallback_application_name", "luaqueduct"},
        {"gssencmode", "disable"}, /* it reads files; the URL may ask for it */
    };
    const PQconninfoOption *o;
    size_t i;
    int n = 0;

    for (i = 0; i < LQ_COUNT_OF(fixed); i++) {
        keys[n] = fixed[i][0];
        values[n++] = fixed[i][1];
    }
    for (o = u->options; o->keyword && n < LQ_PG_KEYS_MAX - 4; o++)
        if (o->val && !is_ours(o->keyword)) {
            keys[n] = o->keyword;
            values[n++] = o->val;
        }
    keys[n] = values[n] = NULL;
    return n;
}

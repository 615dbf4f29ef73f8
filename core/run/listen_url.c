/* listen_url.c - see listen_url.h. */
#include "run/listen_url.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

int lq_listen_url_refuse(lq_err *err, const char *url, const char *why)
{
    return lq_err_set(err, LQ_EINVALID, "--listen %.120s: %s", url, why);
}

/* A literal of IPv6, perhaps with a zone: fe80::1%eth0. */
static bool is_v6_literal(const char *host)
{
    char digits[LQ_HOST_BYTES];
    struct in6_addr ignored;
    size_t len = strcspn(host, "%");

    memcpy(digits, host, len);
    digits[len] = '\0';
    return inet_pton(AF_INET6, digits, &ignored) == 1;
}

/* Letters, digits, hyphens and dots; what else a zone may have. */
static bool is_host_text(const char *host)
{
    return *host && host[strspn(host, "abcdefghijklmnopqrstuvwxyz"
                                      "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                      "0123456789.-_:%")] == '\0';
}

/* HOST or [HOST] from the front of `text`. Returns what stands behind it, or
 * NULL. */
static const char *read_host(lq_listen_url *u, const char *text)
{
    size_t len;

    u->is_v6 = *text == '[';
    text += u->is_v6;
    len = strcspn(text, u->is_v6 ? "]" : ":/");
    if (len >= sizeof u->host || (u->is_v6 && !text[len])) return NULL;
    memcpy(u->host, text, len);
    u->host[len] = '\0';
    if (!is_host_text(u->host)) return NULL;
    if (u->is_v6 && !is_v6_literal(u->host)) return NULL;
    return text + len + u->is_v6;
}

static int parse_tcp(lq_listen_url *u, const char *url, lq_err *err)
{
    const char *rest = read_host(u, url + 7);
    size_t len;

    if (!rest)
        return lq_listen_url_refuse(
            err, url,
            "expected http://HOST:PORT with a name, an IPv4 address "
            "or an IPv6 address in brackets");
    if (*rest != ':')
        return lq_listen_url_refuse(err, url,
                                    "expected a port behind the host");
    len = strspn(++rest, "0123456789");
    u->port = len > 0 && len <= 5 ? atoi(rest) : 65536;
    if (u->port > 65535 || (rest[len] && rest[len] != '/'))
        return lq_listen_url_refuse(err, url,
                                    "expected a port from 0 to 65535");
    if (rest[len] && rest[len + 1])
        return lq_listen_url_refuse(err, url,
                                    "expected nothing behind the port");
    return 0;
}

static int parse_unix(lq_listen_url *u, const char *url, lq_err *err)
{
    const char *path = url + 5, *at;

    if (*path != '/' || !path[1])
        return lq_listen_url_refuse(err, url,
                                    "expected an absolute path: unix:/PATH");
    for (at = path; *at; at++)
        if ((unsigned char)*at < ' ' || *at == 0x7f)
            return lq_listen_url_refuse(err, url,
                                        "expected no control characters");
    if (strlen(path) >= sizeof((struct sockaddr_un *)NULL)->sun_path)
        return lq_listen_url_refuse(err, url,
                                    "expected a path of at most 107 bytes");
    u->path = path;
    return 0;
}

int lq_listen_url_parse(lq_listen_url *u, const char *url, lq_err *err)
{
    memset(u, 0, sizeof *u);
    if (strncmp(url, "http://", 7) == 0) return parse_tcp(u, url, err);
    if (strncmp(url, "unix:", 5) == 0) return parse_unix(u, url, err);
    if (strncmp(url, "https://", 8) == 0)
        return lq_listen_url_refuse(err, url,
                                    "TLS is not available, expected http://");
    return lq_listen_url_refuse(err, url,
                                "expected http://HOST:PORT or unix:/PATH");
}

int lq_listen_url_check(const char *url, lq_err *err)
{
    lq_listen_url u;

    return lq_listen_url_parse(&u, url, err);
}

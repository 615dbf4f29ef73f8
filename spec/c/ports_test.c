/* ports_test.c - what apps listen on: one socket for all who ask for it, with
 * and without a guard. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>

#include "loop/thread.h"
#include "run/ask.h"
#include "run/ports.h"
#include "run/tcp_socket.h"
#include "test.h"

enum { WORKERS = 4, ROUNDS = 200 };

/* A guard: answers for as long as the other end is open. */
typedef struct guard {
    lq_thread thread;
    lq_keep keep;
    int fd;
} guard;

static void run_guard(void *arg)
{
    guard *g = arg;
    struct pollfd wait = {.fd = g->fd, .events = POLLIN};

    while (lq_ask_answer(g->fd, &g->keep) == 0) (void)!poll(&wait, 1, -1);
}

/* Returns the runtime's end. */
static int start_guard(guard *g)
{
    int ends[2];

    CHECK(lq_ask_pair(ends) == 0);
    g->fd = ends[0];
    lq_keep_begin(&g->keep);
    CHECK(lq_thread_start(&g->thread, "lq:guard", run_guard, g) == 0);
    return ends[1];
}

/* When the runtime has closed its end. */
static void join_guard(guard *g)
{
    lq_thread_join(&g->thread);
    close(g->fd);
}

/* ---- helpers ------------------------------------------------------------- */

static const struct lq_crew *crew(int number)
{
    static const char crews[8];

    return (const void *)&crews[number];
}

static lq_ports *open_ports(lq_sockets *sockets, int guard_fd)
{
    const lq_ports_cfg cfg = {
        .sockets = sockets, .guard_fd = guard_fd, .workers = WORKERS};
    lq_ports *p;

    CHECK(lq_ports_new(&p, &cfg) == 0);
    return p;
}

static int take(lq_ports *p, uint16_t port, const char *options, int generation,
                int worker, lq_port **out, lq_err *err)
{
    const lq_listen_spec spec = {"127.0.0.1", port, options};
    const lq_ports_user user = {crew(generation), worker, 0};

    return lq_ports_take(p, &spec, 0, &user, out, err);
}

static lq_port *must_take(lq_ports *p, uint16_t port, int generation,
                          int worker)
{
    lq_port *out = NULL;
    lq_err err = {0};
    int code = take(p, port, "raw", generation, worker, &out, &err);

    if (code < 0) fprintf(stderr, "%s\n", err.text);
    CHECK(code == 0);
    return out;
}

static void leave(lq_ports *p, lq_port *port, int generation, int worker)
{
    const lq_ports_user user = {crew(generation), worker, 0};

    lq_ports_leave(p, port, &user);
}

static void listen_all(lq_ports *p, int generation)
{
    lq_err err = {0};
    int code = lq_ports_listen(p, crew(generation), &err);

    if (code < 0) fprintf(stderr, "%s\n", err.text);
    CHECK(code == 0);
}

/* Of --listen, on any port. */
static lq_sockets *open_sockets(void)
{
    const char *const urls[] = {"http://127.0.0.1:0"};
    const lq_sockets_cfg cfg = {.urls = urls, .url_count = 1, .workers = 1};
    lq_sockets *s;
    lq_err err;

    CHECK(lq_sockets_open(&s, &cfg, &err) == 0);
    return s;
}

/* A connection to it, or -errno. */
static int dial(uint16_t port)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    CHECK(fd >= 0);
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(fd, (void *)&at, sizeof at) == 0) return fd;
    close(fd);
    return -errno;
}

static bool answers(uint16_t port)
{
    int fd = dial(port);

    if (fd >= 0) close(fd);
    CHECK(fd >= 0 || fd == -ECONNREFUSED);
    return fd >= 0;
}

/* ---- the tests, with a guard or without ---------------------------------- */

static void test_all_share_one(lq_ports *p)
{
    lq_port *first = must_take(p, 0, 1, 0), *second = must_take(p, 0, 1, 1);
    uint16_t port = lq_port_real(first);

    CHECK(first == second);
    CHECK(port != 0);
    CHECK(!answers(port));
    listen_all(p, 1);
    CHECK(answers(port));
    lq_ports_release(p, first);
    lq_ports_release(p, second);
    CHECK(answers(port)); /* released, and wanted */
    lq_ports_forget(p, crew(1));
    CHECK(!answers(port));
}

static void test_closed_by_all(lq_ports *p)
{
    lq_port *port = must_take(p, 0, 1, 0);
    uint16_t real = lq_port_real(port);

    CHECK(must_take(p, 0, 1, 1) == port);
    listen_all(p, 1);
    leave(p, port, 1, 0);
    lq_ports_release(p, port);
    CHECK(answers(real));
    leave(p, port, 1, 1);
    CHECK(!answers(real));
    lq_ports_release(p, port);
}

/* The same address is another port when the one before has been closed, also
 * while somebody still has that. */
static void test_taken_anew(lq_ports *p)
{
    lq_port *old = must_take(p, 0, 1, 0), *again;
    uint16_t real = lq_port_real(old);
    int number = lq_port_number(old);

    listen_all(p, 1);
    leave(p, old, 1, 0);
    again = must_take(p, real, 1, 0);
    CHECK(lq_port_number(again) != number);
    listen_all(p, 1);
    CHECK(answers(real));
    lq_ports_release(p, old);
    CHECK(answers(real));
    lq_ports_forget(p, crew(1));
    lq_ports_release(p, again);
    CHECK(!answers(real));
}

static void test_two_generations(lq_ports *p)
{
    lq_port *port = must_take(p, 0, 1, 0), *dropped = NULL;
    const lq_listen_spec other = {"127.0.0.1", 0, "raw"};
    const lq_ports_user user = {crew(1), 0, 0};
    uint16_t real = lq_port_real(port);
    lq_err err;

    CHECK(lq_ports_take(p, &other, 1, &user, &dropped, &err) == 0);
    CHECK(dropped != port);
    listen_all(p, 1);
    CHECK(must_take(p, 0, 2, 0) == port);
    listen_all(p, 2);
    lq_ports_gate(p, crew(2));
    lq_ports_forget(p, crew(1));
    CHECK(answers(real));
    CHECK(!answers(lq_port_real(dropped)));
    lq_ports_release(p, port);
    lq_ports_release(p, port);
    lq_ports_release(p, dropped);
    lq_ports_forget(p, crew(2));
    CHECK(!answers(real));
}

static void test_errors(lq_ports *p)
{
    lq_port *port = must_take(p, 0, 1, 0), *none = NULL;
    const lq_listen_spec named = {"localhost", 0, "raw"};
    const lq_ports_user user = {crew(1), 0, 0};
    lq_err err;
    int fd;

    CHECK(take(p, 0, "u16", 1, 1, &none, &err) == LQ_EINVALID);
    CHECK(strstr(err.text, "raw") && strstr(err.text, "u16"));
    CHECK(take(p, 0, "raw", 1, 0, &none, &err) == LQ_EINVALID);
    CHECK(strstr(err.text, "this worker does so already"));
    CHECK(lq_ports_take(p, &named, 0, &user, &none, &err) == LQ_EINVALID);
    CHECK(strstr(err.text, "not numeric"));
    listen_all(p, 1);
    fd = dial(lq_port_real(port));
    CHECK(fd >= 0);
    close(fd);
    lq_ports_forget(p, crew(1));
    lq_ports_release(p, port);
    CHECK(!none);
}

static void test_address_in_use(lq_ports *p)
{
    struct sockaddr_in at = {.sin_family = AF_INET};
    socklen_t len = sizeof at;
    int fd = lq_tcp_socket_new(AF_INET);
    lq_port *none = NULL;
    lq_err err;
    char text[96];

    CHECK(fd >= 0);
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK(bind(fd, (void *)&at, sizeof at) == 0);
    CHECK(lq_tcp_socket_listen(fd) == 0);
    CHECK(getsockname(fd, (void *)&at, &len) == 0);
    CHECK(take(p, ntohs(at.sin_port), "raw", 1, 0, &none, &err) == -EADDRINUSE);
    snprintf(text, sizeof text,
             "cannot listen on 127.0.0.1:%d: address already in use",
             ntohs(at.sin_port));
    CHECK(strcmp(err.text, text) == 0);
    close(fd);
}

/* Two that are bound see each other when the second one listens. */
static void test_in_use_later(lq_ports *p)
{
    lq_port *port = must_take(p, 0, 1, 0);
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_port = htons(lq_port_real(port))};
    int fd = lq_tcp_socket_new(AF_INET);
    lq_err err;

    CHECK(fd >= 0);
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK(bind(fd, (void *)&at, sizeof at) == 0);
    CHECK(lq_tcp_socket_listen(fd) == 0);
    CHECK(lq_ports_listen(p, crew(1), &err) == -EADDRINUSE);
    close(fd);
    lq_ports_forget(p, crew(1));
    lq_ports_release(p, port);
}

static void test_the_end(lq_ports *p)
{
    lq_port *port = must_take(p, 0, 1, 0), *none = NULL;
    lq_err err;

    listen_all(p, 1);
    lq_ports_end(p);
    CHECK(take(p, 0, "raw", 1, 1, &none, &err) == LQ_ECLOSED);
    lq_ports_forget(p, crew(1));
    CHECK(!answers(lq_port_real(port)));
    lq_ports_release(p, port);
}

/* ---- many threads -------------------------------------------------------- */

typedef struct worker {
    lq_thread thread;
    lq_ports *ports;
    int index;
} worker;

static void run_worker(void *arg)
{
    worker *w = arg;
    const lq_listen_spec spec = {"127.0.0.1", 0, "raw"};
    const lq_ports_user user = {crew(1), w->index, 0};
    size_t i, rounds = test_scaled(ROUNDS);
    lq_port *port = NULL;
    lq_err err;

    for (i = 0; i < rounds; i++) {
        CHECK(lq_ports_take(w->ports, &spec, (int)(i % 3), &user, &port,
                            &err) == 0);
        CHECK(lq_ports_listen_on(port, &err) == 0);
        lq_ports_leave(w->ports, port, &user);
        lq_ports_release(w->ports, port);
    }
}

static void test_threads(lq_ports *p)
{
    worker workers[WORKERS];
    int i;

    for (i = 0; i < WORKERS; i++) {
        workers[i].ports = p;
        workers[i].index = i;
        CHECK(lq_thread_start(&workers[i].thread, "lq:w", run_worker,
                              &workers[i]) == 0);
    }
    for (i = 0; i < WORKERS; i++) lq_thread_join(&workers[i].thread);
}

/* ---- the guard ----------------------------------------------------------- */

static void test_next_runtime(lq_sockets *s, guard *g)
{
    lq_ports *p = open_ports(s, start_guard(g));
    lq_port *kept = must_take(p, 0, 1, 0), *dropped = NULL;
    const lq_listen_spec other = {"127.0.0.1", 0, "raw"};
    const lq_ports_user user = {crew(1), 0, 0};
    uint16_t real = lq_port_real(kept), gone;
    lq_err err;

    CHECK(lq_ports_take(p, &other, 1, &user, &dropped, &err) == 0);
    gone = lq_port_real(dropped);
    listen_all(p, 1);
    lq_ports_hand_over(p); /* as a death does it */
    lq_ports_forget(p, crew(1));
    lq_ports_release(p, kept);
    lq_ports_release(p, dropped);
    lq_ports_free(p);
    join_guard(g);
    CHECK(answers(real) && answers(gone));
    p = open_ports(s, start_guard(g));
    kept = must_take(p, 0, 1, 0);
    CHECK(lq_port_real(kept) == real);
    CHECK(lq_tcp_socket_listens(lq_port_fd(kept)));
    lq_ports_hand_over(p);
    lq_ports_forget(p, crew(1));
    lq_ports_release(p, kept);
    lq_ports_free(p);
    join_guard(g);
    lq_keep_settle(&g->keep);
    CHECK(answers(real) && !answers(gone));
}

static void test_no_guard_any_more(lq_sockets *s)
{
    lq_port *none = NULL;
    lq_ports *p;
    lq_err err;
    int ends[2];

    CHECK(lq_ask_pair(ends) == 0);
    close(ends[0]);
    p = open_ports(s, ends[1]);
    CHECK(take(p, 0, "raw", 1, 0, &none, &err) == -EPIPE);
    CHECK(strstr(err.text, "the guard has gone"));
    lq_ports_free(p);
}

static void test_all(lq_ports *p)
{
    test_all_share_one(p);
    test_closed_by_all(p);
    test_taken_anew(p);
    test_two_generations(p);
    test_errors(p);
    test_address_in_use(p);
    test_in_use_later(p);
    test_threads(p);
    test_the_end(p);
    lq_ports_free(p);
}

int main(void)
{
    guard g;
    lq_sockets *s = open_sockets();

    test_begin();
    test_all(open_ports(s, -1));
    lq_keep_init(&g.keep, false);
    test_all(open_ports(s, start_guard(&g)));
    join_guard(&g);
    CHECK(lq_list_is_empty(&g.keep.sockets));
    test_next_runtime(s, &g);
    lq_keep_fini(&g.keep);
    test_no_guard_any_more(s);
    lq_sockets_close(s);
    return test_end();
}

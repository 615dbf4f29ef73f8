/* names.c - lets a spec say what names mean, and how long it takes to find out.
 *
 * Preloaded (LD_PRELOAD) into the program under test. two.test is 127.0.0.9
 * and then 127.0.0.1; none.test is nobody; slow.test is 127.0.0.1 once
 * somebody has opened the FIFO that LQ_NAMES_GATE names for writing, and told
 * by a line on standard error that it is being looked up. Other names are the
 * C library's affair.
 *
 * Thread:  any thread.
 * Knows:   glibc, whose freeaddrinfo frees a list node by node.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef int (*getaddrinfo_fn)(const char *name, const char *service,
                              const struct addrinfo *hints,
                              struct addrinfo **out);

static void wait_at_gate(void)
{
    static const char text[] = "names: slow.test is being looked up\n";
    const char *gate = getenv("LQ_NAMES_GATE");
    int fd;

    if (write(2, text, sizeof text - 1) < 0 || !gate) abort();
    fd = open(gate, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) close(fd);
}

int getaddrinfo(const char *name, const char *service,
                const struct addrinfo *hints, struct addrinfo **out)
{
    getaddrinfo_fn next = (getaddrinfo_fn)dlsym(RTLD_NEXT, "getaddrinfo");
    int err;

    if (!name) return next(name, service, hints, out);
    if (strcmp(name, "none.test") == 0) return EAI_NONAME;
    if (strcmp(name, "slow.test") == 0) {
        wait_at_gate();
        return next("127.0.0.1", service, hints, out);
    }
    if (strcmp(name, "two.test") != 0) return next(name, service, hints, out);
    err = next("127.0.0.9", service, hints, out);
    if (err == 0) err = next("127.0.0.1", service, hints, &(*out)->ai_next);
    return err;
}

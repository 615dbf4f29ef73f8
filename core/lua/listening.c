/* listening.c - see listening.h. */
#include "lua/listening.h"

#include <unistd.h>

/* There is no way yet for an app to listen. */
int lq_listening_open(lq_vm *vm, int number, lq_net *net, int fd,
                      const struct sockaddr_storage *peer)
{
    (void)vm;
    (void)number;
    (void)net;
    (void)peer;
    close(fd);
    return LQ_ECLOSED;
}

/* tsan_close.c - lets the thread sanitizer see how libuv closes descriptors.
 *
 * libuv closes through syscall(SYS_close, fd), which the sanitizer does not
 * watch: it goes on believing in the old owner, and reports a race when the
 * kernel gives the number to another thread. This syscall(), linked into that
 * build alone and found by libuv before the C library's, closes through
 * close().
 *
 * Thread: any. Holds nothing.
 */
#include <dlfcn.h>
#include <stdarg.h>
#include <sys/syscall.h>
#include <unistd.h>

typedef long (*syscall_fn)(long number, ...);

long syscall(long number, ...)
{
    syscall_fn next;
    long args[6];
    va_list list;
    int i;

    va_start(list, number);
    for (i = 0; i < 6; i++) args[i] = va_arg(list, long);
    va_end(list);
    if (number == SYS_close) return close((int)args[0]);
    next = (syscall_fn)dlsym(RTLD_NEXT, "syscall");
    return next(number, args[0], args[1], args[2], args[3], args[4], args[5]);
}

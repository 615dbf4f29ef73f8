/* tsan_jump.c - lets the thread sanitizer see how Lua jumps.
 *
 * Debian's Lua raises and yields through __longjmp_chk, the checked form of
 * longjmp, which the sanitizer does not watch: the C functions that are jumped
 * over stay on its own stack of calls, and a hundred thousand waits later that
 * is full and the process dies. This one, linked into that build alone and
 * found by Lua before the C library's, jumps through longjmp().
 *
 * Thread: any. Holds nothing.
 */
#include <setjmp.h>

_Noreturn void __longjmp_chk(jmp_buf env, int value);

_Noreturn void __longjmp_chk(jmp_buf env, int value)
{
    longjmp(env, value);
}

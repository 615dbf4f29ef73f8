/* trace.c - see trace.h. */
#include "lua/trace.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { MOST_LEVELS = 20 }; /* of one coroutine */

typedef struct text {
    char *at;
    size_t left; /* with the zero */
} text;

static void put(text *t, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void put(text *t, const char *format, ...)
{
    va_list args;
    int n;

    va_start(args, format);
    n = vsnprintf(t->at, t->left, format, args);
    va_end(args);
    if (n < 0) return;
    if ((size_t)n >= t->left) n = (int)t->left - 1;
    t->at += n;
    t->left -= (size_t)n;
}

static void put_level(text *t, lua_State *co, lua_Debug *ar)
{
    if (!lua_getinfo(co, "Sln", ar)) return;
    put(t, "\n\t%s:", ar->short_src);
    if (ar->currentline > 0) put(t, "%d:", ar->currentline);
    if (ar->name)
        put(t, " in %s '%s'", ar->namewhat, ar->name);
    else if (*ar->what == 'm')
        put(t, " in main chunk");
    else if (*ar->what == 'C')
        put(t, " ?");
    else
        put(t, " in function <%s:%d>", ar->short_src, ar->linedefined);
}

void lq_trace_running(const lq_running *r, char *out, size_t cap)
{
    int i = atomic_load_explicit(&r->count, memory_order_relaxed), level;
    text t = {out, cap};
    lua_Debug ar;

    put(&t, "stack traceback:");
    if (i > LQ_RUNNING_MAX) i = LQ_RUNNING_MAX;
    while (--i >= 0)
        for (level = 0;
             level < MOST_LEVELS && lua_getstack(r->states[i], level, &ar);
             level++)
            put_level(&t, r->states[i], &ar);
}

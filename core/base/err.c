/* err.c - see err.h. */
#include "base/err.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/broken.h"

_Noreturn void lq_assert_failed(const char *file, int line, const char *cond)
{
    char text[256], thread[16] = "?";

    pthread_getname_np(pthread_self(), thread, sizeof thread);
    snprintf(text, sizeof text, "%s:%d: assertion failed in thread %s: %s",
             file, line, thread, cond);
    lq_broken_end(text);
}

int lq_err_set(lq_err *err, int code, const char *format, ...)
{
    va_list args;

    if (!err) return code;
    err->code = code;
    va_start(args, format);
    vsnprintf(err->text, sizeof err->text, format, args);
    va_end(args);
    return code;
}

const char *lq_strerror(int code, char *buf, size_t cap)
{
    switch (code) {
#define X(name, value, lua_code, text)                                         \
    case name: return text;
        LQ_ERR_LIST(X)
#undef X
    default: return strerror_r(-code, buf, cap);
    }
}

const char *lq_err_name(int code)
{
    const char *name;

    switch (code) {
#define X(err, value, lua_code, text)                                          \
    case err: return lua_code;
        LQ_ERR_LIST(X)
#undef X
    default: break;
    }
    name = strerrorname_np(-code);
    return name ? name : "unknown";
}

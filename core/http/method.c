/* method.c - see method.h. */
#include "http/method.h"

static const char *const names[] = {"GET",   "HEAD",   "POST",    "PUT",
                                    "PATCH", "DELETE", "OPTIONS", "*"};

const char *lq_method_name(int method)
{
    return method >= 0 && method < LQ_METHOD_COUNT ? names[method] : "ANY";
}

int lq_method_from(lq_str name)
{
    int i;

    for (i = 0; i < LQ_OTHER; i++)
        if (lq_str_equal(name, (lq_str){names[i], strlen(names[i])})) return i;
    return LQ_OTHER;
}

/* level.c - see level.h. */
#include "log/level.h"

#include <string.h>

#include "base/defs.h"

static const char *const names[] = {"debug", "info", "warn", "error"};

int lq_log_level_from(const char *name)
{
    int i;

    for (i = 0; i < (int)LQ_COUNT_OF(names); i++)
        if (strcmp(name, names[i]) == 0) return i;
    return -1;
}

const char *lq_log_level_name(lq_log_level level)
{
    return names[level];
}

/* migrate.c - see migrate.h. */
#include "run/migrate.h"

#include "log/say.h"
#include "run/step.h"

/* What Lua gives back says what went wrong; it is empty when all went well. */
static int report(const lq_initialize *i)
{
    const char *error = lq_initialize_error(i);
    lq_str text = lq_initialize_text(i);

    if (error)
        lq_say("migrate: %s", error);
    else if (text.len)
        lq_say("%.*s", (int)text.len, text.ptr);
    return error || text.len ? 1 : 0;
}

/* What goes wrong is said once, by report. */
int lq_migrate_run(const lq_options *options, const lq_paths *paths)
{
    return lq_step_run("migrate", options, paths, LQ_LOG_ERROR, report);
}

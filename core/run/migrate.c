/* migrate.c - see migrate.h. */
#include "run/migrate.h"

#include "log/say.h"
#include "run/initialize.h"

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

int lq_migrate_run(const lq_options *options, const lq_paths *paths)
{
    /* What goes wrong is said once, below. */
    lq_log log = {.who = "migrate", .level = LQ_LOG_ERROR};
    lq_initialize_cfg cfg = {
        .options = options,
        .paths = paths,
        .log = &log,
        .code = lq_code_new(),
        .generation = 1,
        .step = "migrate",
    };
    lq_initialize *i = NULL;
    int status = 1;

    if (cfg.code && lq_initialize_new(&i, &cfg) == 0) {
        lq_initialize_run(i);
        status = report(i);
    } else {
        lq_say("not enough memory to start");
    }
    lq_initialize_free(i);
    lq_code_unref(cfg.code);
    return status;
}

/* routes.c - see routes.h. */
#include "run/routes.h"

#include <stdio.h>

#include "log/say.h"
#include "run/initialize.h"

/* Prints it, or what went wrong. */
static int print_routes(const lq_initialize *i)
{
    const char *error = lq_initialize_error(i);
    lq_str text = lq_initialize_text(i);

    if (error)
        lq_say("the app could not start: %s", error);
    else
        fwrite(text.ptr, 1, text.len, stdout);
    return error ? 1 : 0;
}

int lq_routes_run(const lq_options *options, const lq_paths *paths)
{
    lq_log log = {.who = "routes", .level = (lq_log_level)options->log_level};
    lq_initialize_cfg cfg = {
        .options = options,
        .paths = paths,
        .log = &log,
        .code = lq_code_new(),
        .generation = 1,
        .step = "routes",
    };
    lq_initialize *i = NULL;
    int status = 1;

    if (cfg.code && lq_initialize_new(&i, &cfg) == 0) {
        lq_initialize_run(i);
        status = print_routes(i);
    } else {
        lq_say("not enough memory to start");
    }
    lq_initialize_free(i);
    lq_code_unref(cfg.code);
    return status;
}

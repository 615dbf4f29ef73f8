/* routes.c - see routes.h. */
#include "run/routes.h"

#include <stdio.h>

#include "log/say.h"
#include "run/step.h"

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
    return lq_step_run("routes", options, paths,
                       (lq_log_level)options->log_level, print_routes);
}

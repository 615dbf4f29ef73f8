/* step.c - see step.h. */
#include "run/step.h"

#include "log/say.h"

int lq_step_run(const char *step, const lq_options *options,
                const lq_paths *paths, lq_log_level level,
                int (*report)(const lq_initialize *))
{
    lq_log log = {.who = step, .level = level};
    lq_initialize_cfg cfg = {
        .options = options,
        .paths = paths,
        .log = &log,
        .code = lq_code_new(),
        .generation = 1,
        .step = step,
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

/* migrate_args.c - see migrate_args.h. */
#include "run/migrate_args.h"

#include <string.h>

#include "run/option_value.h"

enum { STEPS_MAX = 1000000, NAME_MAX_LEN = 100 };

static bool is(const char *text, const char *word)
{
    return text && strcmp(text, word) == 0;
}

static int take_action(lq_migrate_args *args, const char *text, lq_err *err)
{
    static const char *const actions[] = {"up", "down", "status", "new"};
    size_t i;

    for (i = 0; i < LQ_COUNT_OF(actions); i++)
        if (is(text, actions[i])) args->action = actions[i];
    if (args->action) return 0;
    return lq_err_set(err, LQ_EINVALID,
                      "migrate: expected up, down, status or new, not '%.60s'",
                      text);
}

static bool is_name(const char *text)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz"
                                  "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
    size_t len = strlen(text);

    return len > 0 && len <= NAME_MAX_LEN && strspn(text, letters) == len;
}

static bool is_count(const char *text)
{
    uint64_t count;

    return lq_option_read_count((lq_str){text, strlen(text)}, STEPS_MAX,
                                &count) &&
           count > 0;
}

int lq_migrate_args_take(lq_options *o, const char *text, lq_err *err)
{
    lq_migrate_args *args = &o->migrate;
    bool is_down, is_new;

    if (!args->action) return take_action(args, text, err);
    is_down = is(args->action, "down");
    is_new = is(args->action, "new");
    if (args->argument || (!is_down && !is_new))
        return lq_err_set(err, LQ_EINVALID, "migrate %s: '%.60s' is too much",
                          args->action, text);
    if (is_down && !is_count(text))
        return lq_err_set(err, LQ_EINVALID,
                          "migrate down: expected a number from 1 to %d, not "
                          "'%.60s'",
                          STEPS_MAX, text);
    if (is_new && !is_name(text))
        return lq_err_set(err, LQ_EINVALID,
                          "migrate new: expected a name of letters, digits, _ "
                          "and -, not '%.60s'",
                          text);
    args->argument = text;
    return 0;
}

static void add_pair(lq_options *o, const char *key, const char *value)
{
    if (value) o->pairs[o->pair_count++] = (lq_pair){{key, strlen(key)}, value};
}

int lq_migrate_args_finish(lq_options *o, lq_err *err)
{
    const lq_migrate_args *args = &o->migrate;

    if (!args->action)
        return lq_err_set(err, LQ_EINVALID,
                          "migrate: expected up, down, status or new");
    if (is(args->action, "new") && !args->argument)
        return lq_err_set(err, LQ_EINVALID,
                          "migrate new: expected a name such as create_notes");
    add_pair(o, "action", args->action);
    add_pair(o, "argument", args->argument);
    add_pair(o, "dir", args->dir);
    add_pair(o, "url", args->url);
    return 0;
}

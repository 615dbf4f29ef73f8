/* option_help.c - see options.h: the help, printed from the table. */
#include "run/option_table.h"

enum { COLUMN = 28 };

static void print_left(FILE *to, const char *left)
{
    fprintf(to, "%-*s", COLUMN, left);
}

/* The lines of `text`, the further ones under the first. */
static void print_right(FILE *to, const char *text, const char *preset)
{
    for (; *text; text++) {
        fputc(*text, to);
        if (*text == '\n') print_left(to, "");
    }
    if (preset) fprintf(to, " (%s)", preset);
    fputc('\n', to);
}

static void print_option(FILE *to, const lq_option_row *row)
{
    char left[64], letter[8] = "    ";

    if (row->kind == LQ_KIND_HEADING) {
        fprintf(to, "\n%s:\n", row->help);
        return;
    }
    if (row->letter) snprintf(letter, sizeof letter, "-%c, ", row->letter);
    snprintf(left, sizeof left, "  %s--%s %s", letter, row->name,
             row->argument ? row->argument : "");
    print_left(to, left);
    print_right(to, row->help, row->preset);
}

static void print_options(FILE *to, lq_command command)
{
    const lq_option_row *row;
    size_t i;

    for (i = 0; (row = lq_option_at(i)); i++)
        if (lq_option_is_of(command, row)) print_option(to, row);
}

static void print_commands(FILE *to)
{
    const lq_command_row *row;
    char left[64];
    size_t i;

    fprintf(to, "Usage: luaqueduct COMMAND [options]\n\n"
                "Serves HTTP applications in plain Lua 5.4 on every core.\n\n"
                "Commands:\n");
    for (i = 0; (row = lq_command_at(i)); i++) {
        snprintf(left, sizeof left, "  %s %s", row->names[0],
                 row->argument ? row->argument : "");
        print_left(to, left);
        print_right(to, row->help, NULL);
    }
    fprintf(to, "\nOptions of serve, with their defaults in parentheses:\n");
}

static void print_command(FILE *to, const lq_command_row *row)
{
    fprintf(to, "Usage: luaqueduct %s%s%s [options]\n\nIt %s.", row->names[0],
            row->argument ? " " : "", row->argument ? row->argument : "",
            row->help);
    if (row->command == LQ_COMMAND_SERVE)
        fprintf(to, " Defaults stand in parentheses.");
    fputc('\n', to);
}

static void print_notes(FILE *to)
{
    fprintf(to,
            "\nS is seconds and may have decimals; SIZE is digits with K, M "
            "or G (powers of\n1024); 0 turns a limit off. An option given "
            "twice: the last one wins, unless\nit is repeatable.\n\n"
            "Signals: TERM and INT finish what is in flight and stop, a second "
            "one stops\nat once; USR1 opens the log file anew; HUP loads the "
            "app anew beside the\nold one, which drains once the new one "
            "serves.\n\n"
            "Exit status: 0 a graceful stop, 1 the app could not start, 2 "
            "wrong usage.\n");
}

void lq_options_print_help(FILE *to, lq_command command)
{
    bool is_all = command == LQ_COMMAND_HELP;
    bool is_serve = is_all || command == LQ_COMMAND_SERVE;

    if (is_all)
        print_commands(to);
    else
        print_command(to, lq_command_row_of(command));
    print_options(to, is_all ? LQ_COMMAND_SERVE : command);
    if (is_serve) print_notes(to);
}

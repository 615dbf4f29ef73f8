/* sql.c - see sql.h. */
#include "pg/sql.h"

#include <ctype.h>

enum { WORD_MAX = 12 };

static const struct {
    const char *word;
    lq_pg_class class;
} words[] = {
    {"abort", LQ_PG_TRANSACTION},
    {"begin", LQ_PG_TRANSACTION},
    {"close", LQ_PG_SESSION},
    {"commit", LQ_PG_TRANSACTION},
    {"copy", LQ_PG_COPY},
    {"deallocate", LQ_PG_SESSION},
    {"declare", LQ_PG_SESSION},
    {"discard", LQ_PG_SESSION},
    {"end", LQ_PG_TRANSACTION},
    {"execute", LQ_PG_SESSION},
    {"fetch", LQ_PG_SESSION},
    {"listen", LQ_PG_SESSION},
    {"load", LQ_PG_SESSION},
    {"lock", LQ_PG_TRANSACTION},
    {"move", LQ_PG_SESSION},
    {"prepare", LQ_PG_SESSION},
    {"release", LQ_PG_TRANSACTION},
    {"reset", LQ_PG_SESSION},
    {"rollback", LQ_PG_TRANSACTION},
    {"savepoint", LQ_PG_TRANSACTION},
    {"set", LQ_PG_SESSION},
    {"start", LQ_PG_TRANSACTION},
    {"unlisten", LQ_PG_SESSION},
};

/* Behind a block comment, which may hold others. */
static const char *skip_comment(const char *at, const char *end)
{
    int depth = 0;

    while (end - at >= 2) {
        if (at[0] == '/' && at[1] == '*') {
            depth++;
            at += 2;
        } else if (at[0] == '*' && at[1] == '/') {
            at += 2;
            if (--depth == 0) return at;
        } else {
            at++;
        }
    }
    return end;
}

static const char *skip_blank(const char *at, const char *end)
{
    while (at < end) {
        if (isspace((unsigned char)*at) || *at == ';') {
            at++;
        } else if (end - at >= 2 && at[0] == '-' && at[1] == '-') {
            while (at < end && *at != '\n') at++;
        } else if (end - at >= 2 && at[0] == '/' && at[1] == '*') {
            at = skip_comment(at, end);
        } else {
            break;
        }
    }
    return at;
}

/* Takes the next word, in small letters; "" when there is none. */
static void next_word(lq_str *sql, char *word)
{
    const char *end = sql->ptr + sql->len, *at = skip_blank(sql->ptr, end);
    size_t len = 0;

    for (; at < end && (isalnum((unsigned char)*at) || *at == '_'); at++)
        if (len < WORD_MAX) word[len++] = (char)tolower((unsigned char)*at);
    word[len] = '\0';
    *sql = (lq_str){at, (size_t)(end - at)};
}

/* create [or replace] [global | local] temp ... */
static lq_pg_class classify_create(lq_str rest)
{
    char word[WORD_MAX + 1];

    next_word(&rest, word);
    if (strcmp(word, "or") == 0) {
        next_word(&rest, word);
        next_word(&rest, word);
    }
    if (strcmp(word, "global") == 0 || strcmp(word, "local") == 0)
        next_word(&rest, word);
    return strcmp(word, "temp") == 0 || strcmp(word, "temporary") == 0
               ? LQ_PG_SESSION
               : LQ_PG_PLAIN;
}

/* set local ..., set transaction ..., set constraints ... */
static lq_pg_class classify_set(lq_str rest)
{
    char word[WORD_MAX + 1];

    next_word(&rest, word);
    return strcmp(word, "local") == 0 || strcmp(word, "transaction") == 0 ||
                   strcmp(word, "constraints") == 0
               ? LQ_PG_TRANSACTION
               : LQ_PG_SESSION;
}

lq_pg_class lq_pg_classify(lq_str sql)
{
    char word[WORD_MAX + 1];
    size_t i;

    next_word(&sql, word);
    if (strcmp(word, "create") == 0) return classify_create(sql);
    if (strcmp(word, "set") == 0) return classify_set(sql);
    for (i = 0; i < LQ_COUNT_OF(words); i++)
        if (strcmp(word, words[i].word) == 0) return words[i].class;
    return LQ_PG_PLAIN;
}

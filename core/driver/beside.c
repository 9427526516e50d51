/* beside.c - see beside.h. */
#include "beside.h"

#include "memory.h"
#include "recipe.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

enum { WORDS_MOST = 32, WORD_EXTRA = 2 /* the dashes */ };

#define FIELD(name) offsetof(struct settings, name)
static const struct argument rows[] = {
    {"save", 'o', ARGUMENT_TEXT, FIELD(save), 0, 0, NULL, "FILE", NULL},
    {"checkpoint", 'c', ARGUMENT_TEXT, FIELD(checkpoint), 0, 0, NULL, "FILE", NULL},
    {0}};
static const struct argument_group group = {"Training", rows};
static const struct argument_group *const groups[] = {&group, &group_recipe, NULL};

/* Cuts the text at its spaces into words that are typed as options, but for the first. Returns how many there are;
 * `to` has room for it all. */
static int split(const char *text, char *to, char *argv[WORDS_MOST])
{
    int count = 0;
    for (text += strspn(text, " "); *text && count < WORDS_MOST; text += strspn(text, " ")) {
        const size_t length = strcspn(text, " "), name = strcspn(text, "= ");
        argv[count] = to;
        to += sprintf(to, "%s%.*s", count ? "--" : "", (int)length, text) + 1;
        for (size_t i = 0; count && i < name; i++)
            if (argv[count][WORD_EXTRA + i] == '_')
                argv[count][WORD_EXTRA + i] = '-';
        count++;
        text += length;
    }
    return count;
}

int beside_read(struct settings *out, const struct settings *s, const char *text, char **words)
{
    char *argv[WORDS_MOST];
    const char *none[WORDS_MOST];
    struct argument_rest rest = {none, 0};
    *words = mem_alloc(strlen(text) + WORDS_MOST * (WORD_EXTRA + 1), 1);
    if (!*words)
        return ERR_MEMORY;
    const int count = split(text, *words, argv);
    *out = *s;
    out->save = out->checkpoint = NULL;
    if (!count || argv[0][strcspn(argv[0], "[=")] == '=') /* an option's = stands in brackets */
        return fail(ERR_USAGE,
                    "option --beside is \"%.60s\"; it begins with a method: \"lora[r=8] lr=1e-3 seed=2\"",
                    text);
    if (count == WORDS_MOST)
        return fail(ERR_USAGE, "option --beside \"%.60s\" has more than %d words", text, WORDS_MOST - 1);
    out->method = argv[0];
    if (arguments_read(groups, count - 1, argv + 1, out, &rest, ERR_USAGE) < 0)
        return fail_in(ERR_USAGE, "--beside \"%.60s\"", text);
    return 0;
}

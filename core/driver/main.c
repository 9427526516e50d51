/* main.c - `vitro VERB ...`: finds the verb, reads its options, runs it, and turns its code into one
 * sentence on stderr and an exit status. */
#include "driver.h"
#include "table.h"

#include "memory.h"
#include "nearest.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct verb *const verbs[] = {
#define X(name) &verb_##name,
    VERBS(X)
#undef X
        NULL};

void say(const char *format, ...)
{
    char text[1536];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    text_tame(text); /* a file's name may hold anything */
    fprintf(stderr, "vitro: %s\n", text);
}

const char *float_text(float number, char text[NUMBER_TEXT])
{
    for (int digits = 1; digits <= 9; digits++) {
        snprintf(text, NUMBER_TEXT, "%.*g", digits, (double)number);
        if (strtof(text, NULL) == number && (digits > 6 || !strchr(text, 'e'))) /* 10, not 1e+01 */
            break;
    }
    return text;
}

static int find_verb(const struct verb **out, const char *name)
{
    struct nearest n = nearest_to(name);
    char hint[NEAREST_TEXT];
    for (const struct verb *const *v = verbs; *v; v++) {
        if (strcmp((*v)->name, name) == 0) {
            *out = *v;
            return 0;
        }
        if ((*v)->summary) /* a hidden one is no answer */
            nearest_offer(&n, (*v)->name);
    }
    nearest_hint(&n, hint);
    return fail(ERR_USAGE, "there is no verb \"%.40s\"%s", name,
                *hint ? hint : "; `vitro --help` lists them");
}

static int check_rest(const struct verb *v, const struct settings *s)
{
    if (v->rest_most >= 0 && s->rest_count > v->rest_most) {
        const char *word = s->rest[v->rest_most];
        if (v->rest_most == 0)
            return fail(ERR_USAGE, "\"%.80s\" is not understood; all arguments of this verb are options",
                        word);
        return fail(ERR_USAGE, "\"%.80s\" is one %s too many", word, v->rest_name);
    }
    if (s->rest_count < v->rest_least)
        return fail(ERR_USAGE, "%s is missing; the usage is: vitro %s %s", v->rest_name, v->name,
                    v->synopsis);
    return 0;
}

static int run_verb(const struct verb *v, int count, char **argv)
{
    struct settings s;
    settings_init(&s);
    if (v->preset)
        v->preset(&s);
    struct argument_rest rest = {mem_alloc((size_t)count + 1, sizeof *rest.items), 0};
    if (!rest.items)
        return ERR_MEMORY;
    int rc = arguments_read(v->groups, count, argv, &s, &rest, ERR_USAGE);
    s.rest = rest.items;
    s.rest_count = rest.count;
    if (s.help && rc == 0) {
        help_verb(v);
    } else {
        if (rc == 0)
            rc = check_rest(v, &s);
        rc = rc < 0 ? fail_in(rc, "%s", v->name) : v->run(&s);
    }
    mem_free(rest.items);
    return rc;
}

static int help(int count, char **argv)
{
    const struct verb *v;
    if (count < 1) {
        help_program();
        return 0;
    }
    TRY(find_verb(&v, argv[0]));
    help_verb(v);
    return 0;
}

static int run(int argc, char **argv)
{
    const struct verb *v;
    if (argc < 2)
        return fail(ERR_USAGE, "a verb is missing; `vitro --help` lists them");
    if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help"))
        return help(argc - 2, argv + 2);
    if (!strcmp(argv[1], "--version"))
        return run_verb(&verb_version, 0, NULL);
    TRY(find_verb(&v, argv[1]));
    return run_verb(v, argc - 2, argv + 2);
}

int main(int argc, char **argv)
{
    signal(SIGXFSZ, SIG_IGN); /* a file at its limit is a refusal like a full disk, with a sentence */
    int rc = run(argc, argv);
    if (fflush(stdout) != 0 || ferror(stdout))
        if (rc >= 0)
            rc = fail(ERR_IO, "the result could not be written to stdout: %s", strerror(errno));
    if (rc < 0 && error_text()[0])
        say("%s", error_text());
    return -rc;
}

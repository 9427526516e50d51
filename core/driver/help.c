/* help.c - pages of help, made from the tables that parsing uses: defaults are read from the settings as
 * the verb sets them, so a page cannot disagree with the program. */
#include "driver.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { WIDTH = 78, COLUMN = 26 };

void print_wrapped(const char *text, int column, int indent)
{
    int at = column;
    while (*text) {
        size_t word = strcspn(text, " ");
        if (at > indent && at + 1 + (int)word > WIDTH) {
            printf("\n%*s", indent, "");
            at = indent;
        } else if (at > indent) {
            putchar(' ');
            at++;
        }
        printf("%.*s", (int)word, text);
        at += (int)word;
        text += word;
        text += strspn(text, " ");
    }
    putchar('\n');
}

/* The value that the option has when it is not given; "" for none. */
static void default_text(const struct argument *a, const struct settings *s, char *text, size_t size)
{
    const void *field = (const char *)s + a->offset;
    char number[NUMBER_TEXT];
    text[0] = 0;
    switch (a->kind) {
    case ARGUMENT_FLAG:
    case ARGUMENT_LIST: break;
    case ARGUMENT_WHOLE: snprintf(text, size, "%d", *(const int32_t *)field); break;
    case ARGUMENT_REAL: snprintf(text, size, "%s", float_text(*(const float *)field, number)); break;
    case ARGUMENT_SEED: snprintf(text, size, "%llu", (unsigned long long)*(const uint64_t *)field); break;
    case ARGUMENT_CHOICE: snprintf(text, size, "%s", a->choices[*(const int32_t *)field]); break;
    case ARGUMENT_TEXT: {
        const char *value = *(const char *const *)field;
        snprintf(text, size, "%s", value ? value : "");
    }
    }
}

static void print_option(const struct argument *a, const struct settings *s)
{
    char name[ARGUMENT_TEXT_SIZE], preset[96], text[640];
    argument_name(a, name);
    int column = a->letter ? printf("  -%c, %s", a->letter, name) : printf("      %s", name);
    if (a->value)
        column += printf(" %s", a->value);
    if (column >= COLUMN - 1) {
        putchar('\n');
        column = 0;
    }
    printf("%*s", COLUMN - column, "");
    default_text(a, s, preset, sizeof preset);
    snprintf(text, sizeof text, "%s%s%s%s", a->help, *preset ? " [" : "", preset, *preset ? "]" : "");
    print_wrapped(text, COLUMN, COLUMN);
}

void help_verb(const struct verb *v)
{
    struct settings s;
    settings_init(&s);
    if (v->preset)
        v->preset(&s);
    printf("usage: vitro %s %s\n\n", v->name, v->synopsis);
    print_wrapped(v->about, 0, 0);
    for (const struct argument_group *const *g = v->groups; *g; g++) {
        printf("\n%s:\n", (*g)->title);
        for (const struct argument *a = (*g)->rows; a->name; a++)
            print_option(a, &s);
    }
    if (v->examples[0])
        printf("\nExamples:\n");
    for (const char *const *e = v->examples; *e; e++)
        printf("  %s\n", *e);
}

static void print_statuses(void)
{
    static const struct {
        int status;
        const char *text;
    } own[] = {{0, "done"},
               {-ERR_CHECK, "a check failed (selftest, lint)"},
               {-ERR_USAGE, "wrong usage of the command line"}};
    printf("\nExit status:\n");
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        printf("  %d  %s\n", own[i].status, own[i].text);
#define X(id, status, text) printf("  %d  %s\n", status, text);
    ERROR_CODES(X)
#undef X
}

void help_program(void)
{
    printf("usage: vitro VERB [ARGUMENT...]\n\n");
    print_wrapped("Fine-tunes Vision Transformers with few parameters, on Vulkan. Each method is a plugin; a "
                  "method is written lora[r=8], a stack of methods lora[r=8]+bitfit.",
                  0, 0);
    printf("\nVerbs:\n");
    for (const struct verb *const *v = verbs; *v; v++) {
        if (!(*v)->summary)
            continue; /* hidden */
        printf("  %-10s ", (*v)->name);
        print_wrapped((*v)->summary, 13, 13);
    }
    printf("  %-10s %s\n", "help VERB", "  what `vitro VERB --help` prints" + 2);
    printf("\nEnvironment:\n"
           "  VITRO_PLUGIN_PATH    folders of plugins, separated by colons, instead of the user's\n"
           "                       and the program's own\n"
           "  VITRO_VULKAN_LOADER  the Vulkan loader to open instead of libvulkan.so.1\n"
           "  VITRO_VECTOR_WIDTH   bits of the software driver's vectors: 128, 256 or 512\n"
           "  VITRO_KERNEL_CACHE   a folder for kernels that the software driver has read, instead of\n"
           "                       the cache folder's; empty: none is kept\n"
           "  XDG_DATA_HOME        the user's plugins are in its folder vitro/plugins\n"
           "  XDG_CACHE_HOME       prepared data and compiled shaders go to its folder vitro\n");
    print_statuses();
    printf("\nResults go to stdout, messages to stderr; a progress bar is drawn only on a terminal.\n");
}

/* verb_plugins.c - `vitro plugins`: the methods that were found, those that were refused and why, and with
 * a name, what one of them can be told. */
#include "driver.h"
#include "machine.h"
#include "table.h"

#include <stdio.h>

static const struct column list_columns[] = {{"id", "method", FORM_TEXT},
                                             {"version", "version", FORM_TEXT},
                                             {"options_text", "options", FORM_TEXT},
                                             {"summary", "what it is", FORM_TEXT},
                                             {0}};
static const struct column option_columns[] = {{"name", "option", FORM_TEXT},
                                               {"type", "type", FORM_TEXT},
                                               {"default", "default", FORM_TEXT},
                                               {"range", "range", FORM_TEXT},
                                               {"grid", "worth trying", FORM_TEXT},
                                               {"help", "meaning", FORM_TEXT},
                                               {0}};

static const char *const type_names[] = {
    [VITRO_INT] = "whole", [VITRO_FLOAT] = "number", [VITRO_BOOL] = "yes/no", [VITRO_ENUM] = "choice"};

static void join_names(const vitro_option *o, char *text, size_t size)
{
    size_t used = 0;
    text[0] = 0;
    for (int i = 0; o->names && o->names[i] && used < size; i++)
        used += (size_t)snprintf(text + used, size - used, "%s%s", i ? ", " : "", o->names[i]);
}

static int describe_option(struct json *row, const vitro_option *o)
{
    char preset[64], range[256];
    snprintf(preset, sizeof preset, "%g", o->init);
    snprintf(range, sizeof range, "%g to %g", o->min, o->max);
    if (o->type == VITRO_ENUM) {
        snprintf(preset, sizeof preset, "%s", o->names[(int)o->init]);
        join_names(o, range, sizeof range);
    }
    TRY(json_set_string(row, "name", o->name));
    TRY(json_set_string(row, "type", type_names[o->type]));
    TRY(json_set_string(row, "default", preset));
    TRY(json_set_string(row, "range", range));
    if (o->grid)
        TRY(json_set_string(row, "grid", o->grid));
    return json_set_string(row, "help", o->help ? o->help : "");
}

static int describe(struct json *row, const struct plugin *p)
{
    char names[256] = "";
    size_t used = 0;
    TRY(json_set_string(row, "id", p->info.id));
    TRY(json_set_string(row, "version", p->info.version));
    TRY(json_set_string(row, "summary", p->info.summary ? p->info.summary : ""));
    if (p->info.paper)
        TRY(json_set_string(row, "paper", p->info.paper));
    TRY(json_set_string(row, "path", p->path));
    struct json *options = json_set_array(row, "options");
    for (const vitro_option *o = p->options; o->name; o++) {
        TRY(describe_option(json_append_object(options), o));
        if (used < sizeof names)
            used += (size_t)snprintf(names + used, sizeof names - used, "%s%s", used ? ", " : "", o->name);
    }
    return *names ? json_set_string(row, "options_text", names) : 0;
}

static int list(struct json *document, struct plugins *plugins)
{
    const struct plugin_card *cards;
    size_t count;
    TRY(plugins_list(plugins, &cards, &count));
    struct json *rows = json_set_array(document, "plugins"), *refused = json_set_array(document, "refused");
    for (size_t i = 0; i < count; i++) {
        if (cards[i].plugin) {
            TRY(describe(json_append_object(rows), cards[i].plugin));
            continue;
        }
        struct json *row = json_append_object(refused);
        TRY(json_set_string(row, "path", cards[i].path));
        TRY(json_set_string(row, "refusal", cards[i].refusal));
    }
    if (count == 0)
        return fail(ERR_PLUGIN, "no plugin was found; say where they are with --plugin-path or "
                                "VITRO_PLUGIN_PATH");
    return 0;
}

static int print_list(const struct json *document, const struct settings *s)
{
    const struct json *refused = json_get(document, "refused");
    if (s->json)
        return json_print(document);
    table_print(json_get(document, "plugins"), list_columns);
    for (const struct json *row = json_first(refused); row; row = json_next(row))
        printf("\nrefused: %s\n", json_string(json_get(row, "refusal")));
    return 0;
}

static int print_one(const struct json *row, const struct settings *s)
{
    static const struct column card[] = {
        {"id", "method", FORM_TEXT},          {"version", "version", FORM_TEXT},
        {"summary", "what it is", FORM_TEXT}, {"paper", "paper", FORM_TEXT},
        {"path", "file", FORM_TEXT},          {0}};
    if (s->json)
        return json_print(row);
    table_print_card(row, card);
    printf("\n");
    if (json_count(json_get(row, "options")))
        table_print(json_get(row, "options"), option_columns);
    else
        printf("It has no options.\n");
    return 0;
}

static int run(const struct settings *s)
{
    struct plugins *plugins = NULL;
    const struct plugin *one;
    struct json *document = json_object();
    int rc;
    TRY_OUT(open_plugins(&plugins, s));
    if (s->rest_count) {
        TRY_OUT(plugins_load(plugins, s->rest[0], &one));
        TRY_OUT(describe(document, one));
        TRY_OUT(print_one(document, s));
    } else {
        TRY_OUT(list(document, plugins));
        TRY_OUT(print_list(document, s));
    }
out:
    json_destroy(document);
    plugins_destroy(plugins);
    return rc;
}

static const struct argument_group *const groups[] = {&group_plugins, &group_json, &group_general, NULL};
const struct verb verb_plugins = {
    .name = "plugins",
    .summary = "which methods there are, and what each can be told",
    .synopsis = "[METHOD] [--plugin-path FOLDERS] [--json]",
    .about =
        "Lists the plugins that were found and names those that were refused, with the reason. With a "
        "method's name, or a plugin's path, it shows that one's options: they are written in brackets, as "
        "in lora[r=8,alpha=16].",
    .examples = {"vitro plugins", "vitro plugins lora"},
    .groups = groups,
    .rest_most = 1,
    .rest_name = "METHOD",
    .run = run,
};

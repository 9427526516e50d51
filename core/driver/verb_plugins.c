/* verb_plugins.c - `vitro plugins`: every candidate of the search path, with its card or the reason why it was
 * refused. Each is loaded in a child process, so that one that crashes or hangs is a row and not the end. */
#include "verb_plugins.h"

#include "child.h"
#include "machine.h"
#include "memory.h"
#include "table.h"

#include <stdio.h>
#include <string.h>

static const struct column list_columns[] = {{"id", "method", FORM_TEXT},
                                             {"version", "version", FORM_TEXT},
                                             {"summary", "what it is", FORM_TEXT},
                                             {"path", "file", FORM_TEXT},
                                             {0}};

struct candidate {
    struct plugins *plugins;
    const struct plugin_file *file;
};

/* In the child: the card as JSON. The id that the file's name promises must be the card's. */
static int load_one(void *context, int answer)
{
    const struct candidate *c = context;
    const struct plugin *plugin;
    struct json *card = json_object();
    char *text = NULL;
    int rc;
    TRY_OUT(plugins_load(c->plugins, c->file->path, &plugin));
    if (strcmp(plugin->info.id, c->file->id) != 0)
        rc = fail(ERR_PLUGIN, "%s: says its id is %s; the file must be named vitro_%s.so", c->file->path,
                  plugin->info.id, plugin->info.id);
    TRY_OUT(rc);
    TRY_OUT(plugin_describe(card, plugin));
    text = json_text(card, 0);
    rc = text ? child_write(answer, text, strlen(text)) : ERR_MEMORY;
out:
    mem_free(text);
    json_destroy(card);
    return rc;
}

static int refuse_row(struct json *refused, const char *path, const char *why)
{
    struct json *row = json_append_object(refused);
    TRY(json_set_string(row, "path", path));
    return json_set_string(row, "refusal", why);
}

/* The file before number i that is the same plugin under another name or in another folder. */
static const char *twin_of(const struct plugin_file *files, size_t i)
{
    for (size_t k = 0; k < i; k++)
        if (!strcmp(files[k].id, files[i].id))
            return files[k].path;
    return NULL;
}

static int add_row(struct json *rows, struct json *refused, struct plugins *plugins,
                   const struct plugin_file *files, size_t i)
{
    struct candidate one = {plugins, &files[i]};
    struct child_end end;
    struct json *card = NULL;
    char why[2 * sizeof end.text];
    const char *twin = twin_of(files, i);
    if (twin) {
        plugin_twin(twin, files[i].path, files[i].id);
        return refuse_row(refused, files[i].path, error_text());
    }
    TRY(child_run(&end, load_one, &one, LOAD_SECONDS));
    int rc = 0;
    if (end.fate == CHILD_DONE) {
        rc = json_parse(&card, end.answer ? end.answer : "", end.size, files[i].path);
        rc = rc < 0 ? refuse_row(refused, files[i].path, error_text()) : json_append_take(rows, card);
    } else if (end.fate == CHILD_REFUSED) {
        rc = refuse_row(refused, files[i].path, end.text);
    } else {
        snprintf(why, sizeof why, "%.500s: %s", files[i].path, end.text);
        rc = refuse_row(refused, files[i].path, why);
    }
    mem_free(end.answer);
    return rc;
}

static int nothing_found(const struct plugins *plugins)
{
    const char *const *folders;
    size_t count = plugins_folders(plugins, &folders);
    if (!count)
        return fail(ERR_PLUGIN, "no plugin was found, as there is no folder of plugins; name one with "
                                "--plugin-path or VITRO_PLUGIN_PATH");
    return fail(ERR_PLUGIN,
                "no plugin was found in %.300s%s; say where they are with --plugin-path or VITRO_PLUGIN_PATH",
                folders[0], count > 1 ? " and the other folders" : "");
}

static int list(struct json *document, struct plugins *plugins)
{
    const struct plugin_file *files;
    const char *const *folders;
    size_t count, folder_count = plugins_folders(plugins, &folders);
    TRY(plugins_files(plugins, &files, &count));
    if (count == 0)
        return nothing_found(plugins);
    struct json *searched = json_set_array(document, "folders"), *rows = json_set_array(document, "plugins"),
                *refused = json_set_array(document, "refused");
    for (size_t i = 0; i < folder_count; i++)
        TRY(json_append_string(searched, folders[i]));
    for (size_t i = 0; i < count; i++)
        TRY(add_row(rows, refused, plugins, files, i));
    return 0;
}

static int print_list(const struct json *document, const struct settings *s)
{
    const struct json *refused = json_get(document, "refused");
    if (s->json)
        return json_print(document);
    if (json_count(json_get(document, "plugins")))
        table_print(json_get(document, "plugins"), list_columns);
    for (const struct json *row = json_first(refused); row; row = json_next(row))
        printf("\nrefused: %s\n", json_string(json_get(row, "refusal")));
    return 0;
}

static int run_list(struct plugins *plugins, const struct settings *s)
{
    struct json *document = json_object();
    int rc = list(document, plugins);
    if (rc == 0)
        rc = print_list(document, s);
    json_destroy(document);
    return rc;
}

static int run(const struct settings *s)
{
    struct plugins *plugins = NULL;
    TRY(open_plugins(&plugins, s));
    int rc;
    if (s->rest_count && !strcmp(s->rest[0], "new"))
        rc = plugin_new(plugins, s);
    else if (s->rest_count > 1)
        rc = fail(ERR_USAGE, "plugins: \"%.80s\" is one METHOD too many", s->rest[1]);
    else
        rc = s->rest_count ? plugin_show(plugins, s) : run_list(plugins, s);
    plugins_destroy(plugins);
    return rc;
}

static const struct argument own_rows[] = {
    {"model", 'm', ARGUMENT_TEXT, offsetof(struct settings, model), 0, 0, NULL, "FILE",
     "with METHOD: count parameters on this model's shape (`bundled` is the program's own) instead of "
     "ViT-B/16's"},
    {"directory", 0, ARGUMENT_TEXT, offsetof(struct settings, directory), 0, 0, NULL, "FOLDER",
     "with `new`: where the folder NAME goes; else here"},
    {0}};
static const struct argument_group group_own = {"One plugin", own_rows};
static const struct argument_group *const groups[] = {&group_own, &group_plugins, &group_json, &group_general,
                                                      NULL};
const struct verb verb_plugins = {
    .name = "plugins",
    .summary = "which methods there are, what each can be told, and a new one to start from",
    .synopsis = "[METHOD | new NAME] [--plugin-path FOLDERS] [--json]",
    .about =
        "Lists the plugins that were found and names those that were refused, with the reason. With a "
        "method, by name, path or as in lora[r=4], it shows that one: its options, the sites that it works "
        "at "
        "and its number of parameters. With `new NAME` it writes a folder with a method to start from: the "
        "source, what builds it, and a page with the next three commands.",
    .examples = {"vitro plugins", "vitro plugins lora[r=4]", "vitro plugins new mine"},
    .groups = groups,
    .rest_most = 2,
    .rest_name = "METHOD",
    .run = run,
};

/* verb_plugins_card.c - one plugin's card: what it says of itself, and what it declares on a model's shape. */
#include "verb_plugins.h"

#include "child.h"
#include "host.h"
#include "memory.h"
#include "model_source.h"
#include "table.h"

#include <stdio.h>
#include <string.h>

static const struct column option_columns[] = {{"name", "option", FORM_TEXT},
                                               {"type", "type", FORM_TEXT},
                                               {"default", "default", FORM_TEXT},
                                               {"range", "range", FORM_TEXT},
                                               {"grid", "worth trying", FORM_TEXT},
                                               {"help", "meaning", FORM_TEXT},
                                               {0}};
static const struct column card_columns[] = {{"id", "method", FORM_TEXT},
                                             {"version", "version", FORM_TEXT},
                                             {"summary", "what it is", FORM_TEXT},
                                             {"paper", "paper", FORM_TEXT},
                                             {"path", "file", FORM_TEXT},
                                             {"hooks", "works at", FORM_TEXT},
                                             {"unfreezes", "unfreezes", FORM_TEXT},
                                             {"parameters", "parameters", FORM_WHOLE},
                                             {"counted", "counted", FORM_TEXT},
                                             {"backward", "backward by hand", FORM_YES},
                                             {"merges", "can be merged", FORM_YES},
                                             {"interpolates", "interpolates (WiSE)", FORM_YES},
                                             {0}};

static const char *const type_names[] = {
    [VITRO_INT] = "whole", [VITRO_FLOAT] = "number", [VITRO_BOOL] = "yes/no", [VITRO_ENUM] = "choice"};

/* What a model is where none is named: ViT-B/16 at 224 pixels, as papers count. */
static const struct vit_shape base_shape = {.image = 224,
                                            .patch = 16,
                                            .dim = 768,
                                            .depth = 12,
                                            .heads = 12,
                                            .hidden = 3072,
                                            .classes = 1000,
                                            .eps = 1e-6f};

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

int plugin_describe(struct json *row, const struct plugin *p)
{
    TRY(json_set_string(row, "id", p->info.id));
    TRY(json_set_string(row, "version", p->info.version));
    TRY(json_set_string(row, "summary", p->info.summary ? p->info.summary : ""));
    if (p->info.paper)
        TRY(json_set_string(row, "paper", p->info.paper));
    TRY(json_set_string(row, "path", p->path));
    struct json *options = json_set_array(row, "options");
    for (const vitro_option *o = p->options; o->name; o++)
        TRY(describe_option(json_append_object(options), o));
    return 0;
}

/* "QKV PROJ" */
static int set_sites(struct json *row, const char *key, uint32_t sites)
{
    char text[320] = "";
    size_t used = 0;
    for (int32_t s = 0; s < VITRO_SITE_COUNT; s++)
        if (sites >> s & 1 && used < sizeof text)
            used += (size_t)snprintf(text + used, sizeof text - used, "%s%s", used ? " " : "", site_name(s));
    return used ? json_set_string(row, key, text) : 0;
}

static int describe_declared(struct json *row, const struct method *m, const struct settings *s)
{
    struct method_part part;
    char text[400], claim[64] = "";
    TRY(method_part(m, 0, &part));
    TRY(json_set_string(row, "text", part.text));
    TRY(set_sites(row, "hooks", part.hooks));
    TRY(set_sites(row, "unfreezes", part.unfreezes));
    TRY(json_set_integer(row, "parameters", part.declared));
    if (part.claimed >= 0)
        TRY(json_set_integer(row, "parameters_claimed", part.claimed));
    if (part.claimed >= 0 && part.claimed != part.declared)
        snprintf(claim, sizeof claim, ", though its formula says %lld", (long long)part.claimed);
    snprintf(text, sizeof text, "as %.120s on %.120s, without the head%s", part.text,
             s->model ? s->model : "ViT-B/16", claim);
    TRY(json_set_string(row, "counted", text));
    TRY(json_set_bool(row, "backward", part.plugin->info.backward != NULL));
    TRY(json_set_bool(row, "merges", part.mergeable));
    return json_set_bool(row, "interpolates", part.interpolates != INTERPOLATES_NOT);
}

struct show {
    struct plugins *plugins;
    const struct settings *settings;
};

static int describe_method(struct json *row, const struct show *show)
{
    const struct settings *s = show->settings;
    struct method *m = NULL;
    struct vit *vit = NULL;
    struct method_part part;
    int rc;
    TRY_OUT(method_create(&m, show->plugins, s->rest[0]));
    if (method_parts(m) != 1)
        rc = fail(ERR_INPUT, "%.80s is a stack of %zu methods; show one at a time", s->rest[0],
                  method_parts(m));
    TRY_OUT(rc);
    TRY_OUT(s->model ? open_model_as_it_is(&vit, s, 0) : vit_create(&vit, &base_shape));
    TRY_OUT(method_declare(m, vit));
    TRY_OUT(method_part(m, 0, &part));
    TRY_OUT(plugin_describe(row, part.plugin));
    TRY_OUT(describe_declared(row, m, s));
out:
    method_destroy(m);
    vit_destroy(vit);
    return rc;
}

/* In the child. */
static int show_one(void *context, int answer)
{
    struct json *row = json_object();
    char *text = NULL;
    int rc = describe_method(row, context);
    if (rc == 0)
        rc = (text = json_text(row, 0)) ? child_write(answer, text, strlen(text)) : ERR_MEMORY;
    mem_free(text);
    json_destroy(row);
    return rc;
}

static int print_one(const struct json *row, const struct settings *s)
{
    if (s->json)
        return json_print(row);
    table_print_card(row, card_columns);
    printf("\n");
    if (json_count(json_get(row, "options")))
        table_print(json_get(row, "options"), option_columns);
    else
        printf("It has no options.\n");
    return 0;
}

int plugin_show(struct plugins *plugins, const struct settings *s)
{
    struct show show = {plugins, s};
    struct child_end end;
    struct json *row = NULL;
    TRY(child_run(&end, show_one, &show, SHOW_SECONDS));
    int rc = end.code < 0 ? end.code : 0;
    if (end.fate == CHILD_REFUSED)
        fail(rc, "%s", end.text);
    else if (rc < 0)
        fail(rc, "%.300s: %s", s->rest[0], end.text);
    if (rc == 0)
        rc = json_parse(&row, end.answer ? end.answer : "", end.size, "a plugin's card");
    if (rc == 0)
        rc = print_one(row, s);
    json_destroy(row);
    mem_free(end.answer);
    return rc;
}

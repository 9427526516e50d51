/* study_view.c - see study_view.h. */
#include "study_view.h"

#include "analysis.h"
#include "memory.h"
#include "panel_load.h"
#include "study_source.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { STUDIES_MOST = 16 };

struct sources { /* what a panel lends from */
    struct study *studies[STUDIES_MOST];
    struct loaded *loaded[2 * STUDIES_MOST];
    int study_count, loaded_count;
};

static int find_backbone(const struct study *study, const char *name, uint32_t *out)
{
    char list[256] = "";
    *out = 0;
    for (uint32_t i = 0; i < study->backbone_count; i++) {
        size_t used = strlen(list);
        if (name && strcmp(study->backbones[i].name, name) == 0) {
            *out = i;
            return 0;
        }
        snprintf(list + used, sizeof list - used, "%s%s", used ? ", " : "", study->backbones[i].name);
    }
    if (name)
        return fail(ERR_INPUT, "the study %s has no backbone %.60s; it has %s", study->name, name, list);
    if (study->backbone_count > 1)
        say("%s has several backbones (%s); this is %s, --backbone shows another", study->name, list,
            study->backbones[0].name);
    return 0;
}

static int load_one(struct sources *x, const struct store *store, const struct settings *s,
                    const char *argument)
{
    uint32_t backbone;
    struct study **study = &x->studies[x->study_count];
    TRY(study_open(study, store, argument));
    x->study_count++;
    TRY(find_backbone(*study, s->backbone, &backbone));
    TRY(panel_load(&x->loaded[x->loaded_count], *study, store, backbone));
    x->loaded_count++;
    return 0;
}

static int load_all(struct sources *x, const struct store *store, const struct settings *s)
{
    if (s->rest_count > STUDIES_MOST)
        return fail(ERR_USAGE, "at most %d studies can be put side by side", STUDIES_MOST);
    TRY(load_one(x, store, s, s->rest[0]));
    for (int i = 1; i < s->rest_count; i++) {
        const struct loaded *before = x->loaded[x->loaded_count - 1];
        TRY(load_one(x, store, s, s->rest[i]));
        TRY(panel_join(&x->loaded[x->loaded_count], before, x->loaded[x->loaded_count - 1]));
        x->loaded_count++;
    }
    return 0;
}

int view_build(struct json **out, const struct settings *s)
{
    struct store *store = NULL;
    struct sources *x = mem_alloc(1, sizeof *x);
    struct analysis_options options = analysis_default;
    char now_text[32];
    time_t now = time(NULL);
    struct tm utc;
    *out = NULL;
    if (!x)
        return ERR_MEMORY;
    strftime(now_text, sizeof now_text, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &utc));
    options.version = VITRO_VERSION;
    options.created = now_text;
    options.replicates = (size_t)s->replicates;
    int rc = store_open(&store, s->store, 0);
    if (rc == 0)
        rc = load_all(x, store, s);
    if (rc == 0)
        rc = analysis_build(out, loaded_panel(x->loaded[x->loaded_count - 1]), &options);
    while (x->loaded_count > 0) /* a joined panel before those that it lends from */
        loaded_destroy(x->loaded[--x->loaded_count]);
    while (x->study_count > 0)
        study_destroy(x->studies[--x->study_count]);
    mem_free(x);
    store_close(store);
    return rc;
}

const struct json *view_at(const struct json *array, size_t index)
{
    const struct json *item = json_first(array);
    while (item && index-- > 0)
        item = json_next(item);
    return item;
}

double view_item(const struct json *array, size_t index)
{
    double number;
    return json_number(view_at(array, index), &number) == 0 ? number : (double)NAN;
}

double view_number(const struct json *object, const char *key)
{
    double number;
    return json_number(json_get(object, key), &number) == 0 ? number : (double)NAN;
}

const char *view_text(const struct json *object, const char *key)
{
    const char *text = json_string(json_get(object, key));
    return text ? text : "";
}

int view_holds(const struct json *indices, size_t index)
{
    for (const struct json *i = json_first(indices); i; i = json_next(i)) {
        int64_t number;
        if (json_integer(i, &number) == 0 && (size_t)number == index)
            return 1;
    }
    return 0;
}

void view_print_warnings(const struct json *analysis)
{
    int ok;
    for (const struct json *b = json_first(json_get(analysis, "badges")); b; b = json_next(b))
        if (json_bool(json_get(b, "ok"), &ok) == 0 && !ok) {
            int column = printf("note: ");
            print_wrapped(view_text(b, "text"), column, column);
        }
    for (const struct json *f = json_first(json_get(analysis, "flags")); f; f = json_next(f)) {
        int column = printf("flag: ");
        print_wrapped(json_string(f), column, column);
    }
}

#define FIELD(name) offsetof(struct settings, name)
static const struct argument rows[] = {
    {"backbone", 'b', ARGUMENT_TEXT, FIELD(backbone), 0, 0, NULL, "NAME",
     "of a study with several; else its first"},
    {"replicates", 0, ARGUMENT_WHOLE, FIELD(replicates), 100, 1000000, NULL, "N", "draws of the bootstrap"},
    {0}};
const struct argument_group group_view = {"Analysis", rows};

/* tuning.c - see tuning.h. */
#include "tuning.h"

#include "engine.h"
#include "error.h"
#include "file.h"
#include "memory.h"

#include <stdio.h>
#include <string.h>

static const char schema[] = "vitro.tuning/1";
static const double worthwhile = 0.98; /* of the ladder's own time: less is noise */
static const double hopeless = 2;      /* of the best time so far: not worth being timed again */

struct tuning {
    struct json *document;
    char hash[HASH_TEXT];
};

int tuning_path(const struct device_info *d, char *out, size_t size)
{
    char folder[768];
    TRY(file_cache_folder(folder, sizeof folder));
    snprintf(out, size, "%s/tuning-%08x-%08x.json", folder, (unsigned)d->vendor_id, (unsigned)d->device_id);
    return 0;
}

/* What a file must say to be this engine's. */
static int describe(struct json *j, const struct engine *e)
{
    const struct device_info *d = device_info(engine_device(e));
    char uuid[33], shaders[HASH_TEXT];
    for (int i = 0; i < 16; i++)
        snprintf(uuid + 2 * i, 3, "%02x", d->pipeline_cache_uuid[i]);
    TRY(engine_shaders_digest(shaders));
    TRY(json_set_string(j, "schema", schema));
    TRY(json_set_string(j, "device", d->name));
    TRY(json_set_string(j, "driver", d->driver));
    TRY(json_set_string(j, "cache", uuid));
    return json_set_string(j, "shaders", shaders);
}

static int check(const struct json *file, const struct engine *e, const char *path)
{
    struct json *wanted = json_object();
    int rc = describe(wanted, e);
    for (const struct json *w = json_first(wanted); w && rc == 0; w = json_next(w)) {
        const char *found = json_string(json_get(file, json_key(w)));
        if (!found || strcmp(found, json_string(w)))
            rc = fail(ERR_INPUT, "%s was made for another %s (%.80s, not %.80s); `vitro tune` makes it anew",
                      path, json_key(w), found ? found : "nothing", json_string(w));
    }
    if (rc == 0 && !json_is_object(json_get(file, "products")))
        rc = fail(ERR_INPUT, "%s lists no products; `vitro tune` makes it anew", path);
    json_destroy(wanted);
    return rc;
}

int tuning_read(struct tuning **out, const struct engine *e, const char *path)
{
    *out = NULL;
    struct tuning *t = mem_alloc(1, sizeof *t);
    char *text = NULL;
    if (!t)
        return ERR_MEMORY;
    int rc = file_exists(path) ? json_read_file(&t->document, path) : fail(ERR_INPUT, "there is no %s", path);
    if (rc == 0)
        rc = check(t->document, e, path);
    if (rc == 0)
        rc = (text = json_canonical(t->document)) ? hash_bytes(text, strlen(text), t->hash) : ERR_MEMORY;
    mem_free(text);
    if (rc < 0) {
        tuning_destroy(t);
        return rc == ERR_MEMORY ? rc : 0;
    }
    *out = t;
    return 0;
}

void tuning_destroy(struct tuning *t)
{
    if (t)
        json_destroy(t->document);
    mem_free(t);
}

void tuning_use(const struct tuning *t, struct engine *e)
{
    products_set_tuning(e, t ? json_get(t->document, "products") : NULL);
}

const char *tuning_hash(const struct tuning *t)
{
    return t ? t->hash : "";
}

static int time_all(struct engine *e, uint32_t i, int repeats, struct tuning_row *row)
{
    char list[PRODUCTS_CANDIDATES][LADDER_TEXT];
    const uint32_t count = products_candidates(e, i, list);
    int rc = 0;
    *row = (struct tuning_row){.product = products_name(e, i), .candidates = count};
    for (uint32_t k = 0; k < count && rc == 0; k++) {
        double seconds;
        rc = products_time(e, i, list[k], repeats, hopeless * row->best_seconds, &seconds);
        if (rc < 0 || (k && seconds >= row->best_seconds))
            continue;
        memcpy(row->best, list[k], sizeof row->best);
        row->best_seconds = seconds;
        if (k == 0) {
            memcpy(row->first, list[k], sizeof row->first);
            row->first_seconds = seconds;
        }
    }
    if (row->best_seconds > worthwhile * row->first_seconds) {
        memcpy(row->best, row->first, sizeof row->best);
        row->best_seconds = row->first_seconds;
    }
    return rc;
}

static int tune_products(struct engine *e, struct json *products, int repeats,
                         int (*report)(void *context, const struct tuning_row *row), void *context)
{
    for (uint32_t i = 0; i < products_count(e); i++) {
        struct tuning_row row;
        TRY(time_all(e, i, repeats, &row));
        TRY(json_set_string(products, row.product, row.best));
        if (report && report(context, &row))
            return fail(ERR_STOPPED, "stopped; nothing was written");
    }
    return 0;
}

int tuning_make(struct engine *e, const char *path, int repeats,
                int (*report)(void *context, const struct tuning_row *row), void *context)
{
    struct tuning *before = NULL;
    struct json *document = json_object(), *products = NULL;
    int rc;
    TRY_OUT(tuning_read(&before, e, path));
    TRY_OUT(describe(document, e));
    products = before ? json_copy(json_get(before->document, "products")) : json_object();
    TRY_OUT(products ? 0 : ERR_MEMORY);
    rc = tune_products(e, products, repeats, report, context);
    if (rc < 0) {
        json_destroy(products);
        goto out;
    }
    TRY_OUT(json_take(document, "products", products));
    TRY_OUT(json_write_file(document, path));
out:
    json_destroy(document);
    tuning_destroy(before);
    return rc;
}

/* outcome.c - a stored result read back, believing nothing that can be checked. See store.h. */
#include "store.h"

#include "error.h"
#include "file.h"
#include "memory.h"
#include "safetensors.h"
#include "stats.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static int edited(struct outcome *o, const char *format, const char *what)
{
    o->edited = 1;
    o->state = PANEL_FAILED;
    snprintf(o->reason, sizeof o->reason, format, what);
    return 0;
}

static double number_of(const struct json *object, const char *key)
{
    double value;
    return json_number(json_get(object, key), &value) == 0 ? value : (double)NAN;
}

static int64_t whole_of(const struct json *object, const char *key)
{
    int64_t value;
    return json_integer(json_get(object, key), &value) == 0 ? value : 0;
}

static void read_run(const struct json *run, struct outcome *o)
{
    const char *device = json_string(json_get(run, "device")), *driver = json_string(json_get(run, "driver"));
    o->seconds = number_of(run, "seconds");
    o->images_a_second = number_of(run, "images_a_second");
    o->eval_images_a_second = number_of(run, "eval_images_a_second");
    o->host_bytes = (uint64_t)whole_of(run, "host_bytes");
    o->device_bytes = (uint64_t)whole_of(run, "device_bytes");
    snprintf(o->device, sizeof o->device, "%.90s%s%.60s", device ? device : "", driver ? ", " : "",
             driver ? driver : "");
}

/* The file that a trial of this stage leaves when it is done. */
static const char *file_of(const struct json *result)
{
    const char *stage = json_string(json_get(json_get(result, "spec"), "stage"));
    return stage && strcmp(stage, "tune") == 0    ? "val.safetensors"
           : stage && strcmp(stage, "final") == 0 ? "test.safetensors"
                                                  : "method.safetensors";
}

/* Which file holds the logits of a result; NULL: a refit, which has none. */
static const char *logits_file(const struct json *result)
{
    const struct json *files = json_get(result, "files");
    return json_get(files, "val.safetensors")    ? "val.safetensors"
           : json_get(files, "test.safetensors") ? "test.safetensors"
                                                 : NULL;
}

/* Every file that the result names is there with its hash. */
static int check_files(const struct store *s, const char *id, const struct json *result, struct outcome *o)
{
    for (const struct json *f = json_first(json_get(result, "files")); f && !o->edited; f = json_next(f)) {
        char path[STORE_PATH], digest[HASH_TEXT] = "";
        const char *told = json_string(json_get(f, "sha256"));
        TRY(store_path(s, STORE_RESULT, id, json_key(f), path));
        if (!file_exists(path) || hash_file(path, digest) < 0 || !told || strcmp(told, digest) != 0)
            edited(o, "its %s is not what was written: it was changed or damaged", json_key(f));
    }
    return 0;
}

static int read_logits(const char *path, float **logits, int32_t **labels, uint32_t *images, int32_t *classes)
{
    struct safetensors *f = NULL;
    int rc;
    TRY_OUT(safetensors_open(&f, path));
    const struct safetensors_entry *e = safetensors_find(f, "logits");
    if (!e || e->rank != 2 || e->dim[0] < 1 || e->dim[1] < 1 || e->dim[0] > UINT32_MAX ||
        e->dim[1] > INT32_MAX)
        TRY_OUT(fail(ERR_INPUT, "%s holds no logits", path));
    *images = (uint32_t)e->dim[0];
    *classes = (int32_t)e->dim[1];
    *logits = mem_alloc(e->count, sizeof **logits);
    *labels = mem_alloc(*images, sizeof **labels);
    if (!*logits || !*labels)
        TRY_OUT(ERR_MEMORY);
    TRY_OUT(safetensors_need(f, "logits", SAFETENSORS_F32, e->count, *logits));
    TRY_OUT(safetensors_need(f, "labels", SAFETENSORS_I32, *images, *labels));
    for (uint32_t i = 0; i < *images; i++)
        if ((*labels)[i] < 0 || (*labels)[i] >= *classes)
            TRY_OUT(fail(ERR_INPUT, "%s has a label out of range", path));
out:
    safetensors_close(f);
    if (rc < 0) {
        mem_free(*logits);
        mem_free(*labels);
        *logits = NULL;
        *labels = NULL;
    }
    return rc;
}

static int judge(const char *path, const struct json *result, struct outcome *o)
{
    float *logits = NULL;
    int32_t *labels = NULL, classes;
    uint32_t images;
    struct calibration c;
    int rc = read_logits(path, &logits, &labels, &images, &classes);
    if (rc == ERR_INPUT)
        return edited(o, "its %s holds no logits with their labels", logits_file(result));
    TRY(rc);
    rc = stats_calibrate(logits, labels, images, classes, 1, &c);
    mem_free(logits);
    mem_free(labels);
    TRY(rc);
    o->accuracy = c.accuracy;
    o->nll = c.nll;
    o->images = images;
    const double told = number_of(result, "accuracy");
    const double loss = number_of(result, "nll");
    if (!(fabs(told - c.accuracy) < 1e-9))
        edited(o, "its result.json %s", "claims an accuracy that its logits do not have");
    else if (fabs(loss - c.nll) > 1e-6 * (1 + fabs(c.nll))) /* one that was not finite is not there */
        edited(o, "its result.json %s", "claims a loss that its logits do not have");
    return 0;
}

static int read_result(const struct store *s, const char *id, const struct json *result, struct outcome *o)
{
    char spec_id[HASH_TEXT], path[STORE_PATH];
    const char *outcome = json_string(json_get(result, "outcome")),
               *reason = json_string(json_get(result, "reason"));
    o->state = PANEL_FAILED;
    for (int k = PANEL_DONE; outcome && k <= PANEL_FAILED; k++)
        if (strcmp(outcome, panel_states[k]) == 0)
            o->state = (enum panel_state)k;
    snprintf(o->reason, sizeof o->reason, "%s", reason ? reason : "");
    o->parameters = whole_of(result, "parameters");
    o->parameters_head = whole_of(result, "parameters_head");
    o->stored_bytes = whole_of(result, "stored_bytes");
    TRY(trial_id(json_get(result, "spec"), spec_id));
    if (strcmp(spec_id, id) != 0)
        return edited(o, "its result.json %s", "describes another trial than its id names");
    TRY(check_files(s, id, result, o));
    if (o->edited || o->state != PANEL_DONE)
        return 0;
    if (!json_get(json_get(result, "files"), file_of(result)))
        return edited(o, "its result.json lists no %s", file_of(result));
    if (!logits_file(result))
        return 0;
    TRY(store_path(s, STORE_RESULT, id, logits_file(result), path));
    return judge(path, result, o);
}

int store_outcome(const struct store *s, const char *id, struct outcome *out)
{
    char path[STORE_PATH];
    struct json *result = NULL, *run = NULL;
    *out = (struct outcome){.accuracy = (double)NAN, .nll = (double)NAN};
    TRY(store_path(s, STORE_RESULT, id, "result.json", path));
    if (!file_exists(path))
        return 0;
    int rc = json_read_file(&result, path);
    if (rc == ERR_INPUT)
        rc = edited(out, "its result.json %s", "is damaged");
    else if (rc == 0)
        rc = read_result(s, id, result, out);
    if (rc == 0)
        rc = store_path(s, STORE_RESULT, id, "run.json", path);
    if (rc == 0 && json_read_file(&run, path) == 0)
        read_run(run, out);
    json_destroy(result);
    json_destroy(run);
    return rc < 0 ? fail_in(rc, "the result %.12s", id) : 0;
}

int store_logits(const struct store *s, const char *id, float **logits, int32_t **labels, uint32_t *images,
                 int32_t *classes)
{
    char path[STORE_PATH];
    struct json *result = NULL;
    struct outcome o = {0};
    *logits = NULL;
    *labels = NULL;
    TRY(store_path(s, STORE_RESULT, id, "result.json", path));
    TRY(json_read_file(&result, path));
    const char *file = logits_file(result);
    int rc = file ? check_files(s, id, result, &o) : fail(ERR_INPUT, "the result %.12s holds no logits", id);
    if (rc == 0 && o.edited)
        rc = fail(ERR_INPUT, "the result %.12s: %s", id, o.reason);
    if (rc == 0)
        rc = store_path(s, STORE_RESULT, id, file, path);
    if (rc == 0)
        rc = read_logits(path, logits, labels, images, classes);
    json_destroy(result);
    return rc;
}

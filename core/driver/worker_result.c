/* worker_result.c - what a trial leaves in its folder: logits or the trained method, run.json and result.json. */
#include "worker.h"

#include "file.h"
#include "hash.h"
#include "memory.h"
#include "safetensors.h"
#include "stats.h"
#include "store.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

enum { IMAGES_AT_ONCE = 512 }; /* judged between two signs of life */

static int path_of(const struct worker *w, const char *file, char path[STORE_PATH])
{
    if (snprintf(path, STORE_PATH, "%s/%s", w->out, file) >= STORE_PATH)
        return fail(ERR_INPUT, "the path of %s is too long", file);
    return 0;
}

static int add_file(struct worker *w, const char *file)
{
    char path[STORE_PATH], digest[HASH_TEXT];
    struct file_map map;
    struct json *j = json_object();
    TRY(json_take(w->files, file, j));
    TRY(path_of(w, file, path));
    TRY(hash_file(path, digest));
    TRY(file_map(&map, path));
    int rc = json_set_integer(j, "bytes", (int64_t)map.size);
    file_unmap(&map);
    return rc < 0 ? rc : json_set_string(j, "sha256", digest);
}

static int write_logits(const struct worker *w, const char *file, const float *logits,
                        const struct images *images, int32_t classes)
{
    char path[STORE_PATH];
    const struct safetensors_item items[] = {
        {"logits", SAFETENSORS_F32, 2, {images->count, classes}, logits},
        {"labels", SAFETENSORS_I32, 1, {images->count}, images->labels},
    };
    const struct safetensors_note notes[] = {{"trial", w->id}, {"stage", w->stage}};
    TRY(path_of(w, file, path));
    return safetensors_write(path, items, 2, notes, 2);
}

/* A part at a time, so that a split of many images on a slow device gives signs of life and can be stopped. No part is
 * smaller than a batch unless all is: batches are the same ones as of all at once. */
static int answer(struct worker *w, const struct images *images, float *logits)
{
    const size_t classes = (size_t)w->trial.vit->shape.classes, side = (size_t)w->trial.vit->shape.image;
    const uint32_t batch = (uint32_t)w->with.recipe.batch,
                   part = (IMAGES_AT_ONCE + batch - 1) / batch * batch;
    for (uint32_t at = 0, count; at < images->count; at += count) {
        const uint32_t left = images->count - at;
        double seconds = 0;
        count = left < 2 * part ? left : part;
        const struct images some = {.rgb = images->rgb + at * side * side * 3, .count = count};
        printf("progress 1 judging, %u of %u images\n", at, images->count);
        fflush(stdout);
        if (stop_wanted())
            return fail(ERR_STOPPED, "stopped while judging; it is judged from the start another time");
        TRY(session_logits(w->trial.session, &some, batch, logits + at * classes, &seconds));
        w->eval_seconds += seconds;
    }
    return 0;
}

/* Logits of val after tune, of test after final; accuracy and loss from them. */
int worker_judge(struct worker *w, enum pack_split split, const char *file)
{
    const struct images images = trial_images(w->at->pack, split);
    const int32_t classes = w->trial.vit->shape.classes;
    struct calibration c;
    TRY(pack_check(w->at->pack, split));
    float *logits = mem_alloc((size_t)images.count * (size_t)classes, sizeof *logits);
    if (!logits)
        return ERR_MEMORY;
    int rc = answer(w, &images, logits);
    if (rc == 0)
        rc = stats_calibrate(logits, images.labels, images.count, classes, 1, &c);
    if (rc == 0)
        rc = write_logits(w, file, logits, &images, classes);
    mem_free(logits);
    TRY(rc);
    TRY(add_file(w, file));
    TRY(json_set_integer(w->result, "images", images.count));
    TRY(json_set_integer(w->result, "right", llround(c.accuracy * images.count)));
    TRY(json_set_number(w->result, "accuracy", c.accuracy));
    TRY(json_set_number(w->result, "nll", c.nll));
    return w->eval_seconds > 0
               ? json_set_number(w->run, "eval_images_a_second", images.count / w->eval_seconds)
               : 0;
}

/* The trained method. Its notes name model and data as the recipe does, so that they are the same on every machine. */
int worker_keep_method(struct worker *w)
{
    struct settings named = w->with;
    struct json *notes = NULL;
    char path[STORE_PATH];
    named.model = strcmp(named.model, "bundled") == 0 ? named.model
                                                      : worker_text(json_get(w->spec, "backbone"), "name");
    named.data = worker_text(json_get(w->spec, "pack"), "name");
    named.training_split = strcmp(worker_text(w->spec, "split"), "train") != 0;
    TRY(trial_notes(&notes, &w->trial, &named));
    int rc = path_of(w, "method.safetensors", path);
    if (rc == 0)
        rc = method_file_save(w->trial.session, path, notes);
    json_destroy(notes);
    TRY(rc);
    TRY(add_file(w, "method.safetensors"));
    int64_t bytes = 0;
    json_integer(json_get(json_get(w->files, "method.safetensors"), "bytes"), &bytes);
    return json_set_integer(w->result, "stored_bytes", bytes);
}

int worker_describe(struct worker *w, const char *outcome, const char *reason)
{
    TRY(json_set_string(w->result, "schema", "vitro.result/1"));
    TRY(json_set_string(w->result, "id", w->id));
    TRY(json_take(w->result, "spec", json_copy(w->spec)));
    TRY(json_set_string(w->result, "outcome", outcome));
    if (reason)
        TRY(json_set_string(w->result, "reason", reason));
    if (!w->final) {
        TRY(json_set_integer(w->result, "steps", w->trained.steps));
        TRY(json_set_number(w->result, "loss", float_brief(w->trained.last_loss)));
        if (w->trained.loss_scale > 0) {
            TRY(json_set_number(w->result, "loss_scale", float_brief(w->trained.loss_scale)));
            TRY(json_set_integer(w->result, "skipped", w->trained.skipped));
        }
    }
    TRY(json_set_integer(w->result, "parameters", method_trainable(w->trial.method)));
    return json_set_integer(w->result, "parameters_head", method_head(w->trial.method));
}

static int describe_run(struct worker *w)
{
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    const struct device_info *device = device_info(w->at->machine.device);
    TRY(json_set_string(w->run, "schema", "vitro.run/1"));
    TRY(json_set_string(w->run, "id", w->id));
    TRY(json_set_string(w->run, "began", w->began));
    TRY(json_set_number(w->run, "seconds", w->trained.seconds));
    TRY(json_set_number(w->run, "compile_seconds", w->trained.compile_seconds));
    TRY(json_set_number(w->run, "images_a_second", w->trained.images_a_second));
    TRY(json_set_number(w->run, "eval_seconds", w->eval_seconds));
    TRY(json_set_integer(w->run, "host_bytes", (int64_t)used.ru_maxrss * 1024));
    TRY(json_set_integer(w->run, "device_bytes", (int64_t)w->trained.device_bytes));
    TRY(json_set_string(w->run, "device", device->name));
    TRY(json_set_string(w->run, "driver", device->driver));
    TRY(json_set_integer(w->run, "resumed_steps", w->trained.resumed));
    char products[HASH_TEXT];
    TRY(session_products(w->trial.session, products));
    TRY(json_set_string(w->run, "tuning", tuning_hash(w->at->machine.tuning)));
    TRY(json_set_string(w->run, "products", products));
    if (w->trained.packed > 1) {
        TRY(json_set_integer(w->run, "packed", w->trained.packed));
        TRY(json_set_bool(w->run, "in_turn", w->trained.in_turn));
    }
    if (w->trained.recovered)
        TRY(json_set_integer(w->run, "recovered", w->trained.recovered));
    return json_set_string(w->run, "vitro", VITRO_VERSION);
}

static int write_json(const struct worker *w, const char *file, const struct json *j)
{
    char path[STORE_PATH];
    TRY(path_of(w, file, path));
    return json_write_file(j, path);
}

int worker_write(struct worker *w)
{
    TRY(machine_check(&w->at->machine));
    TRY(json_take(w->result, "files", json_copy(w->files)));
    TRY(describe_run(w));
    TRY(write_json(w, "run.json", w->run));
    return write_json(w, "result.json", w->result);
}

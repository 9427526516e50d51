/* trial.c - see trial.h. */
#include "trial.h"

#include "data_source.h"
#include "frozen.h"
#include "memory.h"
#include "model_source.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

void trial_finish(struct trial *t)
{
    session_destroy(t->session);
    method_destroy(t->method);
    if (!t->joined)
        frozen_destroy(t->shared);
    vit_destroy(t->vit);
    *t = (struct trial){0};
}

int trial_method(struct trial *t, struct machine *machine, const struct settings *s, const char *text)
{
    t->machine = machine;
    if (!machine->plugins)
        TRY(open_plugins(&machine->plugins, s));
    return method_create(&t->method, machine->plugins, text);
}

int trial_pack(struct pack **out, const struct settings *s)
{
    int size = s->image;
    if (!size)
        TRY(data_size(s, &size));
    if (!size && s->data)
        TRY(model_size(s, &size));
    return open_data(out, s, size);
}

int trial_model(struct trial *t, const struct settings *s, int size, int classes)
{
    TRY(open_model(&t->vit, s, size, classes));
    return method_declare(t->method, t->vit);
}

int trial_session(struct trial *t, const struct settings *s, const double mean[3], const double deviation[3])
{
    if (!t->machine->engine)
        TRY(machine_open(t->machine, s));
    struct session_spec spec = {.engine = t->machine->engine,
                                .method = t->method,
                                .vit = t->vit,
                                .seed = s->recipe.seed,
                                .number = (enum number)s->recipe.precision,
                                .shared = t->shared};
    for (int i = 0; i < 3; i++) {
        spec.mean[i] = (float)mean[i];
        spec.std[i] = (float)deviation[i];
    }
    return session_create(&t->session, &spec);
}

int trial_start(struct trial *t, const struct settings *s, const struct pack *pack)
{
    const struct pack_info *info = pack_info(pack);
    t->pack = pack;
    TRY(trial_model(t, s, info->size, info->class_count));
    return trial_session(t, s, info->mean, info->deviation);
}

int trial_host(struct trial *t, const struct settings *s)
{
    t->seed = s->recipe.seed;
    if (!t->machine->engine)
        TRY(machine_open(t->machine, s));
    return frozen_create(&t->shared, t->machine->engine);
}

int trial_join(struct trial *t, const struct settings *s, const struct trial *host)
{
    const struct pack_info *info = pack_info(host->pack);
    t->joined = 1;
    t->pack = host->pack;
    t->shared = host->shared;
    if (s->random && !s->random_seed && s->recipe.seed != host->seed)
        return fail(
            ERR_INPUT,
            "--random draws the backbone by the seed, and packed trials share it; give all the same seed");
    TRY(vit_beside(&t->vit, host->vit));
    if (!s->head)
        vit_reset_head(t->vit, s->recipe.seed); /* as open_model does it */
    TRY(method_declare(t->method, t->vit));
    return trial_session(t, s, info->mean, info->deviation);
}

struct images trial_images(const struct pack *pack, enum pack_split split)
{
    const struct pack_images p = pack_images(pack, split);
    return (struct images){.rgb = p.rgb, .labels = p.labels, .count = p.count};
}

/* Before the first step: how far what is computed once for all epochs is, and in the end what it is. */
static int show_features(struct trial_bar *bar, const struct train_features *f)
{
    char note[96];
    snprintf(note, sizeof note, "%s%sfeatures of %u of %u images", bar->name, *bar->name ? ", " : "", f->done,
             f->images);
    progress_show(bar->progress, bar->before, note);
    bar->told = f->done == f->images;
    if (bar->verbose && bar->told)
        say("features of %u images cached: %.1f MiB, %.1f %% of a step's arithmetic", f->images,
            (double)f->bytes / (1 << 20), f->saved * 100);
    return stop_wanted();
}

static int show_training(void *context, const struct train_progress *p)
{
    struct trial_bar *bar = context;
    char note[96] = "";
    if (p->features.images && !bar->told)
        return show_features(bar, &p->features);
    if (isfinite(p->loss))
        snprintf(note, sizeof note, "%s%sloss %.3f", bar->name, *bar->name ? ", " : "", (double)p->loss);
    else
        snprintf(note, sizeof note, "%s", bar->name);
    progress_show(bar->progress, bar->before + (double)p->step * bar->batch, note);
    const int32_t finished = p->step ? (int32_t)((p->step - 1) / (p->steps / (uint32_t)p->epochs)) : 0;
    if (bar->verbose && finished > bar->epoch && isfinite(p->loss)) { /* the loss is of finished epochs */
        bar->epoch = finished;
        say("epoch %d of %d: loss %.4f, %.0f images/s", finished, p->epochs, (double)p->loss,
            p->images_a_second);
    }
    return stop_wanted();
}

/* What a checkpoint belongs to: another tuning would end in other bits. */
static int write_identity(const struct trial *t, const struct json *notes, char **out)
{
    struct json *j = notes ? json_copy(notes) : NULL;
    if (!notes)
        return 0;
    int rc = j ? 0 : ERR_MEMORY;
    if (rc == 0 && t->machine->tuning)
        rc = json_set_string(j, "tuning", tuning_hash(t->machine->tuning));
    if (rc == 0)
        rc = (*out = json_text(j, 0)) ? 0 : ERR_MEMORY;
    json_destroy(j);
    return rc;
}

int trial_training(const struct trial *t, const struct settings *s, enum pack_split split,
                   const struct json *notes, struct trial_bar *bar, struct train_spec *spec, char **identity)
{
    TRY(write_identity(t, notes, identity));
    *spec = (struct train_spec){.recipe = s->recipe,
                                .images = trial_images(t->pack, split),
                                .report = show_training,
                                .context = bar,
                                .checkpoint = s->checkpoint,
                                .identity = *identity,
                                .checkpoint_steps = (uint32_t)s->checkpoint_steps,
                                .checkpoint_activations = s->checkpoint_activations,
                                .feature_cache = s->feature_cache};
    return pack_check(t->pack, split);
}

int trial_train(struct trial *t, const struct settings *s, enum pack_split split, const struct json *notes,
                struct trial_bar *bar, struct train_result *result)
{
    char *identity = NULL;
    struct train_spec spec;
    int rc = trial_training(t, s, split, notes, bar, &spec, &identity);
    if (rc == 0)
        rc = session_train(t->session, &spec, result);
    if (rc == 0 && bar->verbose)
        say("epoch %d of %d: loss %.4f", s->recipe.epochs, s->recipe.epochs, (double)result->last_loss);
    mem_free(identity);
    return rc;
}

int trial_accuracy(struct trial *t, const struct settings *s, enum pack_split split, struct accuracy *out)
{
    const struct images images = trial_images(t->pack, split);
    const uint32_t classes = (uint32_t)t->vit->shape.classes;
    TRY(pack_check(t->pack, split));
    float *logits = mem_alloc((size_t)images.count * classes, sizeof *logits);
    if (!logits)
        return ERR_MEMORY;
    *out = (struct accuracy){.images = images.count};
    int rc = session_logits(t->session, &images, (uint32_t)s->recipe.batch, logits, &out->seconds);
    if (rc == 0) {
        out->share = logits_accuracy(logits, images.labels, images.count, classes);
        out->right = (uint32_t)lrint(out->share * images.count);
    }
    mem_free(logits);
    return rc;
}

int trial_evaluate(struct trial *t, const struct settings *s, enum pack_split split, struct accuracy *out)
{
    struct progress bar;
    progress_begin(&bar, "evaluating", NULL, 0);
    int rc = trial_accuracy(t, s, split, out);
    progress_end(&bar);
    return rc;
}

static int set_whole(struct json *notes, const char *key, int number)
{
    char text[24];
    snprintf(text, sizeof text, "%d", number);
    return json_set_string(notes, key, text);
}

/* Takes the document and sets its text as a string. */
static int set_text_take(struct json *notes, const char *key, struct json *document)
{
    char *text = document ? json_text(document, 0) : NULL;
    int rc =
        text ? json_set_string(notes, key, text) : fail(ERR_MEMORY, "out of memory for the note %s", key);
    mem_free(text);
    json_destroy(document);
    return rc;
}

static struct json *class_names(const struct pack_info *info)
{
    struct json *names = json_array();
    for (int i = 0; i < info->class_count; i++)
        if (json_append_string(names, info->class_names[i]) < 0) {
            json_destroy(names);
            return NULL;
        }
    return names;
}

static int write_notes(struct json *notes, const struct trial *t, const struct settings *s)
{
    const struct pack_info *info = pack_info(t->pack);
    TRY(json_set_string(notes, "vitro", "method 1"));
    TRY(json_set_string(notes, "method", method_text(t->method)));
    TRY(json_set_string(notes, "model_sha256", t->vit->source_hash));
    TRY(set_whole(notes, "image", t->vit->shape.image));
    TRY(set_whole(notes, "heads", t->vit->shape.heads));
    TRY(json_set_string(notes, "act", vit_activation(&t->vit->shape)));
    TRY(json_set_string(notes, "normalise", info->normalise));
    TRY(set_text_take(notes, "classes", class_names(info)));
    TRY(json_set_string(notes, "task", info->task));
    TRY(json_set_string(notes, "fingerprint", info->fingerprint));
    TRY(json_set_string(notes, "split", training_splits[s->training_split]));
    TRY(set_text_take(notes, "recipe", recipe_json(&s->recipe)));
    if (s->head)
        TRY(json_set_string(notes, "head", s->head));
    TRY(json_set_string(notes, "model", s->model ? s->model : bundled_name));
    return json_set_string(notes, "data", s->data);
}

int trial_notes(struct json **out, const struct trial *t, const struct settings *s)
{
    *out = json_object();
    int rc = write_notes(*out, t, s);
    if (rc < 0) {
        json_destroy(*out);
        *out = NULL;
    }
    return rc;
}

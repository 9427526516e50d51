/* verb_pretrain.c - `vitro pretrain`: a small ViT from random weights, on images that this program draws. */
#include "driver.h"
#include "machine.h"
#include "memory.h"
#include "progress.h"
#include "table.h"
#include "trial.h"

#include <stddef.h>
#include <stdio.h>

enum { VAL_SHARE = 10 }; /* one image in so many as there are for training says how good it became */

static const struct column card[] = {{"saved", "model", FORM_TEXT},
                                     {"parameters", "parameters", FORM_WHOLE},
                                     {"images", "images", FORM_WHOLE},
                                     {"steps", "steps", FORM_WHOLE},
                                     {"resumed", "of these resumed", FORM_WHOLE},
                                     {"loss", "loss of the last epoch", FORM_BRIEF},
                                     {"accuracy", "accuracy on new images", FORM_PERCENT},
                                     {"classes", "classes", FORM_WHOLE},
                                     {"seconds", "training", FORM_SECONDS},
                                     {"images_a_second", "images/s", FORM_TENTHS},
                                     {"device_bytes", "peak device memory", FORM_BYTES},
                                     {0}};

/* A pack drawn for this training, a model of the wished shape, and the method that trains all of it. */
static int open(struct trial *t, struct machine *machine, const struct settings *s, struct pack **pack)
{
    struct settings with = *s;
    char data[96];
    snprintf(data, sizeof data, "builtin:pretrain:%d/%d/1", s->images, s->images / VAL_SHARE + 1);
    with.data = data;
    TRY(trial_method(t, machine, s, "full"));
    const struct vit_shape shape = {.image = s->image,
                                    .patch = s->patch,
                                    .dim = s->dim,
                                    .depth = s->depth,
                                    .heads = s->heads,
                                    .hidden = s->hidden ? s->hidden : 4 * s->dim,
                                    .classes = 1,
                                    .eps = 1e-6f};
    TRY(vit_create(&t->vit, &shape)); /* refuses an impossible shape before anything is drawn */
    vit_destroy(t->vit);
    t->vit = NULL;
    TRY(trial_pack(pack, &with));
    const struct pack_info *info = pack_info(*pack);
    t->pack = *pack;
    struct vit_shape full = shape;
    full.classes = info->class_count;
    TRY(vit_create(&t->vit, &full));
    vit_random(t->vit, s->recipe.seed);
    TRY(method_declare(t->method, t->vit));
    return trial_session(t, s, info->mean, info->deviation);
}

/* Which checkpoint belongs to this training. */
static int describe_training(struct json *notes, const struct trial *t, const struct settings *s)
{
    const struct vit_shape *v = &t->vit->shape;
    char shape[128];
    snprintf(shape, sizeof shape, "%d/%d dim %d depth %d heads %d hidden %d", v->image, v->patch, v->dim,
             v->depth, v->heads, v->hidden);
    TRY(json_set_string(notes, "pretrain", shape));
    TRY(json_set_string(notes, "fingerprint", pack_info(t->pack)->fingerprint));
    return json_take(notes, "recipe", recipe_json(&s->recipe));
}

static int train(struct trial *t, const struct settings *s, struct train_result *result)
{
    const uint32_t images = pack_images(t->pack, PACK_TRAIN).count;
    struct progress progress = {0};
    struct trial_bar bar = {
        .progress = &progress, .name = "", .batch = s->recipe.batch, .verbose = s->verbose};
    struct json *notes = json_object();
    int rc;
    TRY_OUT(recipe_check(&s->recipe, images));
    TRY_OUT(describe_training(notes, t, s));
    progress_begin(&progress, "pre-training", "images",
                   (double)recipe_steps(&s->recipe, images) * s->recipe.epochs * s->recipe.batch);
    rc = trial_train(t, s, PACK_TRAIN, notes, &bar, result);
    progress_end(&progress);
out:
    json_destroy(notes);
    return rc;
}

/* From the device back into the model. */
static int take_weights(struct trial *t)
{
    size_t count;
    const struct tensor *tensors = method_tensors(t->method, &count);
    for (size_t i = 0; i < count; i++)
        if (tensors[i].source >= 0)
            TRY(session_tensor(t->session, i, t->vit->tensors[tensors[i].source].data));
    return 0;
}

static int describe(struct json *j, const struct trial *t, const struct settings *s,
                    const struct train_result *r, const struct accuracy *a)
{
    TRY(json_set_string(j, "saved", s->save));
    TRY(json_set_integer(j, "parameters", method_trainable(t->method) + method_head(t->method)));
    TRY(json_set_integer(j, "images", s->images));
    TRY(json_set_integer(j, "steps", r->steps));
    if (r->resumed)
        TRY(json_set_integer(j, "resumed", r->resumed));
    TRY(json_set_number(j, "loss", (double)r->last_loss));
    TRY(json_set_number(j, "accuracy", a->share));
    TRY(json_set_integer(j, "classes", t->vit->shape.classes));
    TRY(json_set_number(j, "seconds", r->seconds));
    TRY(json_set_number(j, "images_a_second", r->images_a_second));
    TRY(json_set_integer(j, "device_bytes", (int64_t)r->device_bytes));
    return json_take(j, "recipe", recipe_json(&s->recipe));
}

/* How the bundled model was made. */
static void preset(struct settings *s)
{
    s->image = 32;
    s->patch = 8;
    s->dim = 128;
    s->depth = 5;
    s->heads = 4;
    s->hidden = 480; /* 0.99 million parameters in all */
    s->images = 100000;
    s->recipe.epochs = 5;
    s->recipe.warmup = 1;
    s->recipe.batch = 128;
    s->recipe.lr = 1.5e-3f;
    s->recipe.decay = 0.05f;
    s->recipe.drop_path = 0;
    s->recipe.schedule = SCHEDULE_PLAIN;
}

static int run(const struct settings *s)
{
    struct machine machine = {0};
    struct trial t = {0};
    struct pack *pack = NULL;
    struct train_result result;
    struct accuracy accuracy;
    struct json *document = json_object();
    int rc;
    stop_watch();
    if (!s->save) {
        rc = fail(ERR_USAGE, "pretrain: --save is missing: say which file the model shall go to");
        goto out;
    }
    TRY_OUT(open(&t, &machine, s, &pack));
    TRY_OUT(train(&t, s, &result));
    TRY_OUT(take_weights(&t));
    TRY_OUT(vit_save(t.vit, s->save, 1));
    TRY_OUT(trial_evaluate(&t, s, PACK_VAL, &accuracy));
    TRY_OUT(machine_check(&machine));
    TRY_OUT(describe(document, &t, s, &result, &accuracy));
    if (s->json)
        rc = json_print(document);
    else
        table_print_card(document, card);
out:
    trial_finish(&t);
    pack_close(pack);
    machine_close(&machine);
    json_destroy(document);
    return rc;
}

#define FIELD(name) offsetof(struct settings, name)
static const struct argument rows[] = {
    {"save", 'o', ARGUMENT_TEXT, FIELD(save), 0, 0, NULL, "FILE", "the model, in half precision"},
    {"images", 0, ARGUMENT_WHOLE, FIELD(images), 64, 4e6, NULL, "N", "how many images to draw for training"},
    {"image", 'i', ARGUMENT_WHOLE, FIELD(image), 16, 1024, NULL, "SIZE", "their side in pixels"},
    {"patch", 0, ARGUMENT_WHOLE, FIELD(patch), 2, 64, NULL, "SIZE", "side of a patch in pixels"},
    {"dim", 0, ARGUMENT_WHOLE, FIELD(dim), 8, 4096, NULL, "N", "width of a token"},
    {"depth", 0, ARGUMENT_WHOLE, FIELD(depth), 1, 64, NULL, "N", "blocks"},
    {"heads", 0, ARGUMENT_WHOLE, FIELD(heads), 1, 64, NULL, "N", "attention heads"},
    {"hidden", 0, ARGUMENT_WHOLE, FIELD(hidden), 0, 16384, NULL, "N",
     "width of the MLP; 0: four times --dim"},
    {"checkpoint", 'c', ARGUMENT_TEXT, FIELD(checkpoint), 0, 0, NULL, "FILE",
     "keep the state of the training there, and go on from it where it exists"},
    {"checkpoint_steps", 0, ARGUMENT_WHOLE, FIELD(checkpoint_steps), 0, 1e9, NULL, "N",
     "steps between checkpoints; 0: one at the end of each epoch"},
    {0}};
static const struct argument_group group = {"Model and images", rows};
static const struct argument_group *const groups[] = {
    &group, &group_recipe, &group_machine, &group_plugins, &group_json, &group_general, NULL};
const struct verb verb_pretrain = {
    .name = "pretrain",
    .summary = "train a small model from random weights on drawn images",
    .synopsis = "--save FILE [--images N] [--epochs N] [--dim N] [--depth N]",
    .about =
        "Draws images of the built-in task `pretrain`, trains every weight of a small ViT on them from "
        "random "
        "weights, and writes it in half precision under timm's names. The model bundled with the program was "
        "made so. It is a stand-in for real weights, small enough for a test.",
    .examples = {"vitro pretrain --save assets/vitro-micro.safetensors",
                 "vitro pretrain --save tiny.safetensors --images 2000 --dim 64 --hidden 256 --depth 2"},
    .groups = groups,
    .preset = preset,
    .run = run,
};

/* settings.c - the options that several verbs know, and every option's default. */
#include "driver.h"
#include "number.h"
#include "session.h"

#include <stddef.h>

#define FIELD(name) offsetof(struct settings, name)

const char *const training_splits[] = {"train", "trainval", NULL};

void settings_init(struct settings *s)
{
    *s = (struct settings){.device = -1,
                           .top = 5,
                           .training_split = 1,
                           .repeats = 5,
                           .steps = 5,
                           .feature_cache = FEATURES_AUTO,
                           .store = "vitro-store",
                           .replicates = 2000,
                           .recipe = recipe_default};
}

static const struct argument general_rows[] = {
    {"help", 'h', ARGUMENT_FLAG, FIELD(help), 0, 0, NULL, NULL, "print this page"},
    {"verbose", 'v', ARGUMENT_FLAG, FIELD(verbose), 0, 0, NULL, NULL, "say on stderr what is being done"},
    {0}};
const struct argument_group group_general = {"General", general_rows};

static const struct argument json_rows[] = {
    {"json", 0, ARGUMENT_FLAG, FIELD(json), 0, 0, NULL, NULL, "print the result as JSON instead of a table"},
    {0}};
const struct argument_group group_json = {"Output", json_rows};

static const struct argument machine_rows[] = {
    {"device", 'd', ARGUMENT_WHOLE, FIELD(device), -1, 255, NULL, "N",
     "device number as `vitro devices` lists them; -1 takes the first that can be used"},
    {"tuning", 0, ARGUMENT_TEXT, FIELD(tuning), 0, 0, NULL, "FILE",
     "what `vitro tune` wrote, where it is not the user's own file for this device; `off`: untuned. Other "
     "kernels sum in "
     "another order, so results differ in their last bits (docs/runtime.md)"},
    {"device_memory", 0, ARGUMENT_WHOLE, FIELD(device_memory), 0, 1 << 30, NULL, "MIB",
     "use at most so much of the device's memory; 0: what there is"},
    {"validate", 0, ARGUMENT_FLAG, FIELD(validate), 0, 0, NULL, NULL,
     "let Vulkan's validation layers watch, and fail on what they report"},
    {0}};
const struct argument_group group_machine = {"Machine", machine_rows};

static const struct argument store_rows[] = {{"store", 'S', ARGUMENT_TEXT, FIELD(store), 0, 0, NULL, "FOLDER",
                                              "where results are kept (docs/store.md)"},
                                             {0}};
const struct argument_group group_store = {"Store", store_rows};

static const struct argument plugin_rows[] = {
    {"plugin_path", 0, ARGUMENT_LIST, FIELD(plugin_path), 0, 0, NULL, "FOLDERS",
     "folders to look for plugins in before all others, separated by colons; may be given several times"},
    {0}};
const struct argument_group group_plugins = {"Plugins", plugin_rows};

static const struct argument model_rows[] = {
    {"model", 'm', ARGUMENT_TEXT, FIELD(model), 0, 0, NULL, "FILE",
     "weights of a ViT, CLIP, DINOv2 or MAE, a file or a folder (`vitro model`); else the model bundled with "
     "the "
     "program"},
    {"random", 0, ARGUMENT_FLAG, FIELD(random), 0, 0, NULL, NULL,
     "only the model's shape: its weights are drawn from the seed, to see what pre-training is worth"},
    {"head", 0, ARGUMENT_TEXT, FIELD(head), 0, 0, NULL, "FILE",
     "a classifier's head to begin with, as `vitro zeroshot --save` writes; else the model's own, or a new "
     "one"},
    {"heads", 0, ARGUMENT_WHOLE, FIELD(heads), 0, 1024, NULL, "N",
     "attention heads, where the file does not say; 0 believes it, or else takes width / 64"},
    {"act", 0, ARGUMENT_CHOICE, FIELD(act), 0, 0, vit_activations, "NAME",
     "the MLP's activation, where the file does not say: most of CLIP's do not, OpenAI's have quick_gelu"},
    {"image", 'i', ARGUMENT_WHOLE, FIELD(image), 0, 1024, NULL, "SIZE",
     "image side in pixels; positions are resampled to it. 0 takes the pack's, or else the model's own"},
    {0}};
const struct argument_group group_model = {"Model", model_rows};

static const struct argument data_rows[] = {
    {"data", 'D', ARGUMENT_TEXT, FIELD(data), 0, 0, NULL, "DATA",
     "a pack, a folder or tar archive in VTAB's format, or builtin:NAME (`vitro tasks`)"},
    {"normalise", 'n', ARGUMENT_TEXT, FIELD(normalise), 0, 0, NULL, "NAME",
     "what the pixels are shifted and scaled by: none, half, imagenet or clip. Packs know theirs; a folder "
     "or archive needs it; built-in tasks take half"},
    {"corrupt", 0, ARGUMENT_TEXT, FIELD(corrupt), 0, 0, NULL, "NAME:N",
     "corrupt every image of the data: one of ImageNet-C's 15 corruptions at a severity from 1 to 5, as in "
     "gaussian_noise:3 (docs/robustness.md)"},
    {"corrupt_seed", 0, ARGUMENT_SEED, FIELD(corrupt_seed), 0, 0, NULL, "N", "of the corruption's noise"},
    {0}};
const struct argument_group group_data = {"Data", data_rows};

static const char *const last_batches[] = {"keep", "drop", NULL};
/* clang-format off */
static const struct argument recipe_rows[] = {
#define X(name, init, low, high, help) \
    {#name, 0, ARGUMENT_WHOLE, FIELD(recipe.name), low, high, NULL, "N", help},
    RECIPE_WHOLE(X)
#undef X
#define X(name, init, low, high, help) \
    {#name, 0, ARGUMENT_REAL, FIELD(recipe.name), (double)(low), (double)(high), NULL, "X", help},
    RECIPE_REAL(X)
#undef X
    {"schedule", 0, ARGUMENT_CHOICE, FIELD(recipe.schedule), 0, 0, recipe_schedules, "NAME",
     "how the learning rate goes: `study` as the study's released code, `plain` a linear warm-up and a "
     "cosine"},
    {"precision", 0, ARGUMENT_CHOICE, FIELD(recipe.precision), 0, 0, number_names, "NAME",
     "what the operands of matrix products are rounded to: fp32, fp16 (its loss is scaled) or bf16; sums, weights "
     "that train and everything else stay fp32"},
    {"last_batch", 0, ARGUMENT_CHOICE, FIELD(recipe.drop_last), 0, 0, last_batches, "NAME",
     "the images of an epoch that do not fill a batch: `keep` trains on them, `drop` leaves them out"},
    {"seed", 's', ARGUMENT_SEED, FIELD(recipe.seed), 0, 0, NULL, "N",
     "of initial weights, order, dropout and drop-path"},
    {0}};
/* clang-format on */
const struct argument_group group_recipe = {"Recipe", recipe_rows};

/* verb_pack.c - `vitro pack`: a data set prepared once, in one file with a fingerprint. */
#include "data_source.h"
#include "driver.h"
#include "file.h"
#include "folders.h"
#include "memory.h"
#include "pack.h"
#include "progress.h"
#include "table.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

static const struct column card[] = {{"file", "pack", FORM_TEXT},
                                     {"task", "task", FORM_TEXT},
                                     {"kind", "kind", FORM_TEXT},
                                     {"size", "image side", FORM_WHOLE},
                                     {"classes", "classes", FORM_WHOLE},
                                     {"normalise", "normalise", FORM_TEXT},
                                     {"train", "train images", FORM_WHOLE},
                                     {"val", "val images", FORM_WHOLE},
                                     {"test", "test images", FORM_WHOLE},
                                     {"fingerprint", "fingerprint", FORM_TEXT},
                                     {0}};

static int describe(struct json *document, const struct pack_info *info, const char *path)
{
    static const char *const splits[PACK_SPLITS] = {"train", "val", "test"};
    TRY(json_set_string(document, "file", path));
    TRY(json_set_string(document, "task", info->task));
    TRY(json_set_string(document, "kind", info->kind));
    TRY(json_set_integer(document, "size", info->size));
    TRY(json_set_integer(document, "classes", info->class_count));
    TRY(json_set_string(document, "normalise", info->normalise));
    for (int i = 0; i < PACK_SPLITS; i++)
        TRY(json_set_integer(document, splits[i], info->count[i]));
    return json_set_string(document, "fingerprint", info->fingerprint);
}

/* "sets/eurosat.tar.gz" with 96 gives "eurosat-96.pack", "builtin:count:9/9/9" "count-96.pack"; with 8 shots of seed 1
 * "eurosat-96-8shot-1.pack". */
static void default_output(const struct settings *s, char *out, size_t room)
{
    const char *source = s->data;
    char name[256], drawn[48] = "";
    size_t length = strlen(source);
    while (length > 1 && source[length - 1] == '/')
        length--;
    size_t start = length;
    while (start > 0 && source[start - 1] != '/')
        start--;
    const char *last = source + start;
    if (strncmp(last, "builtin:", 8) == 0)
        last += 8;
    snprintf(name, sizeof name, "%.*s", (int)(source + length - last), last);
    if (name[0] && name[0] != '.')
        name[strcspn(name, ".:")] = 0;
    if (s->most[0] || s->most[1] || s->most[2])
        snprintf(drawn, sizeof drawn, "-part-%llu", (unsigned long long)s->recipe.seed);
    if (s->shots)
        snprintf(drawn, sizeof drawn, "-%dshot-%llu", s->shots, (unsigned long long)s->recipe.seed);
    snprintf(out, room, "%.180s-%d%s.pack", name, s->size, drawn);
}

static int prepare_images(const struct settings *s, const struct folders_spec *folders, const char *path)
{
    char found[FOUND_TEXT] = "";
    const struct pack_spec spec = {.source = s->data,
                                   .task = s->task,
                                   .normalise = s->normalise,
                                   .size = s->size,
                                   .folders = folders,
                                   .found = found};
    struct progress bar;
    if (!file_exists(s->data))
        return fail(ERR_IO, "%s cannot be found; give a pack, a folder, an archive, an .npz or builtin:NAME",
                    s->data);
    if (!s->normalise)
        return fail(ERR_USAGE,
                    "pack: say how the pixels are normalised, with --normalise none, half, imagenet or "
                    "clip: what the model was trained with (half for timm's AugReg ViTs)");
    progress_begin(&bar, "preparing the data", "images", 1);
    int rc = pack_build(&spec, path, progress_pack, &bar);
    progress_end(&bar);
    if (rc == 0)
        say("%s: %s", s->data, found);
    return rc;
}

static int prepare(const struct settings *s, const char *path)
{
    struct settings with = *s;
    struct pack *pack = NULL;
    struct folders_spec folders = {
        .classes = s->classes, .map = s->map, .shots = s->shots, .seed = s->recipe.seed};
    for (int k = 0; k < PACK_SPLITS; k++)
        folders.most[k] = (uint32_t)s->most[k];
    if (strncmp(s->data, "builtin:", 8) == 0) {
        TRY(open_data(&pack, s, s->size));
        int rc = pack_save(pack, path);
        pack_close(pack);
        return rc;
    }
    if (!s->like)
        return prepare_images(s, &folders, path);
    /* a set to be judged on: classes, size and normalisation of the pack that was trained on */
    TRY(pack_open_sealed(&pack, s->like));
    const struct pack_info *info = pack_info(pack);
    folders.names = info->class_names;
    folders.name_count = info->class_count;
    with.normalise = info->normalise;
    with.size = info->size;
    int rc = s->classes ? fail(ERR_USAGE, "pack: --like and --classes both say the classes; give one")
                        : prepare_images(&with, &folders, path);
    pack_close(pack);
    return rc;
}

static int show(const struct settings *s, const char *path)
{
    struct pack *pack = NULL;
    struct json *document = json_object();
    int rc;
    TRY_OUT(pack_open(&pack, path));
    TRY_OUT(pack_check(pack, PACK_TRAINVAL));
    TRY_OUT(pack_check(pack, PACK_TEST));
    TRY_OUT(describe(document, pack_info(pack), path));
    if (s->json)
        rc = json_print(document);
    else
        table_print_card(document, card);
out:
    pack_close(pack);
    json_destroy(document);
    return rc;
}

/* Options that would be passed over. */
static int refuse_draws(const struct settings *s)
{
    if (!s->shots && !s->most[0] && !s->most[1] && !s->most[2])
        return 0;
    return fail(
        ERR_USAGE,
        "pack: --shots, --train, --val and --test draw from images that are not prepared yet; %s has its "
        "splits already (of a built-in task: builtin:NAME:TRAIN/VAL/TEST)",
        s->rest[0]);
}

static void preset(struct settings *s)
{
    s->size = 224;
}

static int run(const struct settings *s)
{
    struct settings with = *s;
    char path[256];
    int shown = 0;
    with.data = s->rest[0];
    TRY(data_size(&with, &shown));
    if (shown || strncmp(with.data, "builtin:", 8) == 0)
        TRY(refuse_draws(s));
    if (shown) /* it is a pack already: say what it holds */
        return show(s, with.data);
    stop_watch();
    if (s->like) {
        with.data = s->like;
        TRY(data_size(&with, &with.size));
        with.data = s->rest[0];
    }
    default_output(&with, path, sizeof path);
    const char *output = s->output ? s->output : path;
    TRY(prepare(&with, output));
    return show(s, output);
}

static const struct argument rows[] = {
    {"size", 0, ARGUMENT_WHOLE, offsetof(struct settings, size), 1, PACK_SIZE_LIMIT, NULL, "N",
     "images are resized to N x N pixels, bicubic with antialias"},
    {"normalise", 'n', ARGUMENT_TEXT, offsetof(struct settings, normalise), 0, 0, NULL, "NAME",
     "what the pixels will be shifted and scaled by: none, half, imagenet or clip; recorded in the pack"},
    {"output", 'o', ARGUMENT_TEXT, offsetof(struct settings, output), 0, 0, NULL, "FILE",
     "the pack; else the data set's name and the size, as in eurosat-224.pack"},
    {"task", 't', ARGUMENT_TEXT, offsetof(struct settings, task), 0, 0, NULL, "NAME",
     "what to call the task; else the last part of DATA"},
    {"like", 0, ARGUMENT_TEXT, offsetof(struct settings, like), 0, 0, NULL, "PACK",
     "make a set to judge on: with this pack's classes, size and normalisation"},
    {"classes", 0, ARGUMENT_TEXT, offsetof(struct settings, classes), 0, 0, NULL, "FILE",
     "of class folders: the classes in order, a folder's name a line (or a JSON array); without a train "
     "folder all "
     "images are to be judged on"},
    {"map", 0, ARGUMENT_TEXT, offsetof(struct settings, map), 0, 0, NULL, "FILE",
     "which class a folder is: lines `folder,class`, or a JSON object"},
    {"shots", 0, ARGUMENT_WHOLE, offsetof(struct settings, shots), 0, 100000, NULL, "K",
     "K images of each class train, as many are for val; 0 takes all"},
    {"train", 0, ARGUMENT_WHOLE, offsetof(struct settings, most[0]), 0, LIST_ITEM_LIMIT, NULL, "N",
     "N of the train images, drawn in the classes' proportions; 0 takes all"},
    {"val", 0, ARGUMENT_WHOLE, offsetof(struct settings, most[1]), 0, LIST_ITEM_LIMIT, NULL, "N",
     "N of the val images, in the same way"},
    {"test", 0, ARGUMENT_WHOLE, offsetof(struct settings, most[2]), 0, LIST_ITEM_LIMIT, NULL, "N",
     "N of the test images, in the same way"},
    {"seed", 's', ARGUMENT_SEED, offsetof(struct settings, recipe.seed), 0, 0, NULL, "N",
     "of splits and shots that are drawn"},
    {0}};
static const struct argument_group group = {"Preparation", rows};
static const struct argument_group *const groups[] = {&group, &group_json, &group_general, NULL};
const struct verb verb_pack = {
    .name = "pack",
    .summary = "prepare a data set, once, in one file with a fingerprint",
    .synopsis = "DATA --normalise NAME [--size N] [--output FILE]",
    .about =
        "Reads a folder in VTAB-1K's format, or a tar archive of one: train800.txt, val200.txt and test.txt "
        "with a line `path label` for each image (PNG, JPEG or PPM), and classes.txt with names where there "
        "is one; or folders of classes, `CLASS/image` or `train|val|test/CLASS/image`; CIFAR-10 and -100's "
        "binary files; MNIST's IDX files; an .npz in MedMNIST's layout; WebDataset's archives "
        "(docs/data.md). "
        "Decodes and resizes every image and writes them with their labels to one file, whose "
        "fingerprint is the same wherever it is made. Of a pack, it prints what it holds and checks it; "
        "builtin:NAME writes a built-in task.",
    .examples = {"vitro pack sets/eurosat.tar --size 96 --normalise half", "vitro pack eurosat-96.pack",
                 "vitro pack imagenet-r --like imagenet-224.pack",
                 "vitro pack cifar-100-binary.tar.gz --normalise half --shots 16 --seed 1"},
    .groups = groups,
    .rest_least = 1,
    .rest_most = 1,
    .rest_name = "DATA",
    .preset = preset,
    .run = run,
};

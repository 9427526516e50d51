/* dataset.c - see dataset.h. The first layout of the table that matches is read. */
#include "dataset.h"

#include "error.h"
#include "layout.h"

#include <stdio.h>
#include <string.h>

static layout_match parquet_match;
static layout_read parquet_read;

static const struct {
    const char *name, *looks; /* looks: what it is recognised by */
    layout_match *match;
    layout_read *read;
} layouts[] = {
    {"CIFAR's binary files", "data_batch_1.bin ... with test_batch.bin, or train.bin with test.bin",
     cifar_match, cifar_read},
    {"MNIST's IDX files", "train-images-idx3-ubyte[.gz] with train-labels-idx1-ubyte[.gz], t10k-...",
     idx_match, idx_read},
    {"arrays in .npz", "one .npz of train_images, train_labels, val_..., test_...", npz_match, npz_read_data},
    {"WebDataset", "KEY.jpg with KEY.cls in a tar archive, or a folder of such archives", webdataset_match,
     webdataset_read},
    {"Parquet", "*.parquet", parquet_match, parquet_read},
};
enum { LAYOUTS = sizeof layouts / sizeof *layouts };

static int parquet_match(const struct names *n, const struct source *s)
{
    (void)s;
    for (size_t i = 0; i < n->count; i++)
        if (name_ends(n->name[i], ".parquet"))
            return 1;
    return 0;
}

static int parquet_read(struct lists *out, const struct source *s, const struct names *n)
{
    (void)out;
    (void)s;
    (void)n;
    return fail(ERR_INPUT,
                "it is in Parquet's format, which is not read (no packaged library for C does); export "
                "the images to folders of classes or to WebDataset's archives");
}

/* Labels are within the names that a set brings. */
static int check_labels(const struct lists *lists)
{
    for (int k = 0; k < LIST_SPLITS; k++)
        for (size_t i = 0; i < lists->split[k].count; i++) {
            const struct list_item *item = &lists->split[k].items[i];
            if (item->label >= lists->class_count)
                return fail(ERR_INPUT, "the label of %s is %d, but %d classes are named (0 to %d)",
                            item->path, (int)item->label, lists->class_count, lists->class_count - 1);
        }
    return 0;
}

static int refuse_class_options(const struct folders_spec *spec, const char *what)
{
    return spec->classes || spec->names || spec->map ? fail(ERR_INPUT,
                                                            "it is in the layout of %s, whose labels are its "
                                                            "own; --like, --classes and --map are for "
                                                            "folders of classes",
                                                            what)
                                                     : 0;
}

static int read_layout(struct lists *out, const struct source *s, const struct folders_spec *spec,
                       const struct names *n, int which, char found[FOUND_TEXT])
{
    const char *how = "";
    TRY(refuse_class_options(spec, layouts[which].name));
    TRY(layouts[which].read(out, s, n));
    TRY(out->class_names ? check_labels(out) : lists_number_classes(out));
    TRY(splits_draw(out, spec, &how));
    snprintf(found, FOUND_TEXT, "%s: %d classes, %s", layouts[which].name, out->class_count, how);
    return 0;
}

static int refuse_nothing(const struct names *n)
{
    char text[1024];
    size_t at = 0;
    for (size_t i = 0; i < n->count; i++)
        if (folders_is_image(n->name[i]))
            return 0;
    for (int i = 0; i < LAYOUTS; i++)
        if (layouts[i].read != parquet_read)
            at +=
                (size_t)snprintf(text + at, sizeof text - at, "; %s (%s)", layouts[i].name, layouts[i].looks);
    return fail(
        ERR_INPUT,
        "there are neither lists (%s) nor images (PNG, JPEG, PPM) in folders of classes, nor anything else "
        "that is read%s",
        LIST_LANDMARK, text);
}

/* Neither lists: the table, then folders of classes. */
static int read_unlisted(struct lists *out, const struct source *s, const struct folders_spec *spec,
                         const struct names *n, char found[FOUND_TEXT])
{
    for (int i = 0; i < LAYOUTS; i++) {
        const int matches = layouts[i].match(n, s);
        if (matches < 0)
            return matches;
        if (matches)
            return read_layout(out, s, spec, n, i, found);
    }
    TRY(refuse_nothing(n));
    return folders_read(out, s, spec, found);
}

static int read_listed(struct lists *out, const struct source *s, const struct folders_spec *spec,
                       char found[FOUND_TEXT])
{
    const char *how = "";
    if (spec->classes || spec->names || spec->map)
        return fail(ERR_INPUT,
                    "it has lists (%s), which say its classes; options about them are for data sets without",
                    LIST_LANDMARK);
    TRY(lists_read(out, s));
    if (spec->shots)
        TRY(splits_draw(out, spec, &how));
    snprintf(found, FOUND_TEXT, "lists in VTAB's format: %d classes%s%s", out->class_count, *how ? ", " : "",
             how);
    return 0;
}

static int read_any(struct lists *out, const struct source *s, const struct folders_spec *spec,
                    char found[FOUND_TEXT])
{
    struct names n;
    if (source_has(s, LIST_LANDMARK))
        return read_listed(out, s, spec, found);
    TRY(names_read(&n, s));
    int rc = read_unlisted(out, s, spec, &n, found);
    names_finish(&n);
    return rc;
}

int dataset_read(struct lists *out, const struct source *s, const struct folders_spec *spec,
                 char found[FOUND_TEXT])
{
    static const struct folders_spec plain = {0};
    spec = spec ? spec : &plain;
    *out = (struct lists){0};
    int rc = read_any(out, s, spec, found);
    if (rc == 0)
        rc = splits_limit(out, spec);
    if (rc < 0) {
        lists_finish(out);
        return rc;
    }
    size_t at = strlen(found);
    if (spec->shots)
        at += (size_t)snprintf(found + at, FOUND_TEXT - at, "; %d shots a class", spec->shots);
    snprintf(found + at, FOUND_TEXT - at, "; %zu train, %zu val and %zu test images",
             out->split[LIST_TRAIN].count, out->split[LIST_VAL].count, out->split[LIST_TEST].count);
    return 0;
}

/* idx.c - MNIST's IDX files (LeCun et al., http://yann.lecun.com/exdb/mnist): two zeros, the type of an element (8: a
 * byte), the number of axes, each axis as a big-endian u32, the elements row by row. Images are grey: images x rows x
 * columns; labels have one axis. Fashion-MNIST and KMNIST are the same. */
#include "layout.h"

#include "error.h"
#include "image.h"

#include <stdio.h>
#include <string.h>

enum { HEAD = 4, UNPACKED_MOST = 1 << 30, NAME_ROOM = 1024 };

struct idx {
    size_t dim[3];
    const unsigned char *data;
};

/* Whether a name, without .gz, ends so. */
static int is_kind(const char *name, const char *ending)
{
    char plain[NAME_ROOM];
    snprintf(plain, sizeof plain, "%s", name_base(name));
    if (name_ends(plain, ".gz"))
        plain[strlen(plain) - 3] = 0;
    return name_ends(plain, ending);
}

static int is_images(const char *name)
{
    return is_kind(name, "images-idx3-ubyte") || is_kind(name, "images.idx3-ubyte");
}

static int is_labels(const char *name)
{
    return is_kind(name, "labels-idx1-ubyte") || is_kind(name, "labels.idx1-ubyte");
}

int idx_match(const struct names *n, const struct source *s)
{
    (void)s;
    for (size_t i = 0; i < n->count; i++)
        if (is_images(n->name[i]) || is_labels(n->name[i]))
            return 1;
    return 0;
}

static int parse(struct idx *out, int axes, const unsigned char *b, size_t size, const char *name)
{
    const size_t head = HEAD + 4 * (size_t)axes;
    size_t count = 1;
    if (size < head || b[0] || b[1])
        return fail(ERR_INPUT, "%s is no IDX file: it does not begin with two zeros, a type and %d axes",
                    name, axes);
    if (b[2] != 8 || b[3] != axes)
        return fail(ERR_INPUT, "%s has elements of type %d and %d axes; bytes (type 8) and %d axes are read",
                    name, b[2], b[3], axes);
    for (int k = 0; k < axes; k++) {
        const unsigned char *d = b + HEAD + 4 * k;
        out->dim[k] = (size_t)d[0] << 24 | (size_t)d[1] << 16 | (size_t)d[2] << 8 | d[3];
        if (!out->dim[k] || out->dim[k] > (size - head) / count)
            return fail(ERR_INPUT, "%s is empty or cut short: it says %zu along axis %d and has %zu bytes",
                        name, out->dim[k], k, size);
        count *= out->dim[k];
    }
    out->data = b + head;
    return size - head == count
               ? 0
               : fail(ERR_INPUT, "%s says %zu elements and holds %zu", name, count, size - head);
}

/* The labels' file beside a file of images: "images" becomes "labels", idx3 idx1; packed or not. */
static int find_labels(const struct names *n, const char *images, const char **out)
{
    char wanted[NAME_ROOM];
    char *at = NULL;
    if (snprintf(wanted, sizeof wanted, "%s", images) >= NAME_ROOM)
        return fail(ERR_INPUT, "the path %.60s... is too long", images);
    for (char *next = strstr(wanted, "images"); next; next = strstr(next + 1, "images"))
        at = next;
    memcpy(at, "labels", 6);
    memcpy(strstr(at, "idx3"), "idx1", 4);
    const size_t length = strlen(wanted), plain = name_ends(wanted, ".gz") ? length - 3 : length;
    for (size_t i = 0; i < n->count; i++)
        if (strncmp(n->name[i], wanted, plain) == 0 &&
            (!n->name[i][plain] || strcmp(n->name[i] + plain, ".gz") == 0)) {
            *out = n->name[i];
            return 0;
        }
    return fail(ERR_INPUT, "%s has no labels beside it: %s is missing", images, wanted);
}

static enum list_split split_of(const char *name)
{
    const char *base = name_base(name);
    return strstr(base, "t10k") || strstr(base, "test") ? LIST_TEST
           : strstr(base, "val")                        ? LIST_VAL
                                                        : LIST_TRAIN;
}

static int read_pair(struct lists *out, const struct source *s, const struct names *n, const char *name,
                     enum list_split split)
{
    struct idx images = {{0}, NULL}, labels = {{0}, NULL};
    const unsigned char *bytes;
    const char *beside;
    size_t size;
    TRY(find_labels(n, name, &beside));
    TRY(layout_get(out, s, name, UNPACKED_MOST, &bytes, &size));
    TRY(parse(&images, 3, bytes, size, name));
    TRY(layout_get(out, s, beside, UNPACKED_MOST, &bytes, &size));
    TRY(parse(&labels, 1, bytes, size, beside));
    if (images.dim[0] != labels.dim[0])
        return fail(ERR_INPUT, "%s holds %zu images, but %s %zu labels", name, images.dim[0], beside,
                    labels.dim[0]);
    if (images.dim[1] > IMAGE_SIDE_LIMIT || images.dim[2] > IMAGE_SIDE_LIMIT)
        return fail(ERR_INPUT, "%s: images of %zu x %zu; at most %d on a side are accepted", name,
                    images.dim[2], images.dim[1], IMAGE_SIDE_LIMIT);
    TRY(layout_shape(out, name, (struct list_pixels){(int)images.dim[2], (int)images.dim[1], 1, 0}));
    const size_t picture = images.dim[1] * images.dim[2];
    TRY(layout_room(out, split, images.dim[0]));
    for (size_t i = 0; i < images.dim[0]; i++)
        TRY(layout_put(out, split, name, i, labels.data[i], images.data + i * picture, picture));
    return 0;
}

int idx_read(struct lists *out, const struct source *s, const struct names *n)
{
    const char *seen[LIST_SPLITS] = {0};
    for (size_t i = 0; i < n->count; i++) {
        const char *name = n->name[i];
        if (!is_images(name))
            continue;
        const enum list_split split = split_of(name);
        if (seen[split])
            return fail(ERR_INPUT,
                        "%s and %s are both the images of one split; give a folder with one of them",
                        seen[split], name);
        seen[split] = name;
        TRY(read_pair(out, s, n, name, split));
    }
    return seen[LIST_TRAIN] || seen[LIST_VAL] || seen[LIST_TEST]
               ? 0
               : fail(ERR_INPUT,
                      "there are labels (idx1-ubyte), but no images (images-idx3-ubyte) beside them");
}

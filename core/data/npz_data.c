/* npz_data.c - pictures as NumPy arrays in one .npz, in MedMNIST's layout (Yang et al. 2023, Scientific Data 10:41):
 * train_images, train_labels, and the same of val and test. Images are uint8 [N H W] or [N H W 3], labels whole numbers
 * [N] or [N 1]. */
#include "layout.h"

#include "error.h"
#include "image.h"
#include "npy.h"
#include "zip_file.h"

#include <stdio.h>
#include <string.h>

static const char *const split_names[LIST_SPLITS] = {"train", "val", "test"};
static const size_t unpacked_limit = (size_t)8 << 30;

int npz_match(const struct names *n, const struct source *s)
{
    (void)s;
    for (size_t i = 0; i < n->count; i++)
        if (name_ends(n->name[i], ".npz"))
            return 1;
    return 0;
}

/* The array "SPLIT_WHAT", held by the lists; data is NULL where there is none. */
static int get_array(struct lists *out, const struct zip_file *z, const char *split, const char *what,
                     struct npy *array, const unsigned char **data)
{
    char name[32];
    snprintf(name, sizeof name, "%s_%s.npy", split, what);
    const struct zip_member *m = zip_file_find(z, name);
    *data = NULL;
    if (!m)
        return 0;
    if (m->size > unpacked_limit)
        return fail(ERR_INPUT, "%s unpacks to %zu bytes, more than %zu GiB", name, m->size,
                    unpacked_limit >> 30);
    char *bytes = mem_alloc(m->size + 1, 1);
    if (!bytes)
        return ERR_MEMORY;
    TRY(lists_hold(out, bytes, NULL));
    TRY(zip_file_read(z, m, bytes, m->size));
    TRY(npy_read_header(array, bytes, m->size, name));
    const size_t element = safetensors_type_size(array->type), left = m->size - array->offset;
    if (!element || array->is_fortran)
        return fail(ERR_INPUT, "%s is of %s%s; images are uint8, labels whole numbers, row by row", name,
                    array->dtype, array->is_fortran ? " in Fortran's order" : "");
    if (left / element != array->count || left % element)
        return fail(ERR_INPUT, "%s has %zu elements of %s, but %zu bytes of them", name, array->count,
                    array->dtype, left);
    *data = (const unsigned char *)bytes + array->offset;
    return 0;
}

/* A little-endian whole number; -1 for one beyond int64. */
static int64_t whole(enum safetensors_type type, const unsigned char *b)
{
    const size_t size = safetensors_type_size(type);
    const int is_signed = type == SAFETENSORS_I8 || type == SAFETENSORS_I16 || type == SAFETENSORS_I32 ||
                          type == SAFETENSORS_I64;
    uint64_t v = is_signed && b[size - 1] & 0x80 ? ~(uint64_t)0 : 0;
    for (size_t k = size; k-- > 0;)
        v = v << 8 | b[k];
    return !is_signed && v > INT64_MAX ? -1 : (int64_t)v;
}

static int is_whole(enum safetensors_type type)
{
    return type == SAFETENSORS_U8 || type == SAFETENSORS_I8 || type == SAFETENSORS_U16 ||
           type == SAFETENSORS_I16 || type == SAFETENSORS_U32 || type == SAFETENSORS_I32 ||
           type == SAFETENSORS_U64 || type == SAFETENSORS_I64;
}

static int check_shapes(const struct npy *images, const struct npy *labels, const char *split)
{
    const int is_grey = images->rank == 3, is_rgb = images->rank == 4 && images->dim[3] == 3;
    if (images->type != SAFETENSORS_U8 || !(is_grey || is_rgb))
        return fail(ERR_INPUT, "%s_images is of %s with %zu axes; uint8 [N H W] or [N H W 3] is read", split,
                    images->dtype, images->rank);
    if (!is_whole(labels->type) || !labels->rank || labels->count != (size_t)labels->dim[0])
        return fail(ERR_INPUT,
                    "%s_labels is not one whole number an image ([N] or [N 1]); sets of several labels an "
                    "image are not read",
                    split);
    if (labels->count != (size_t)images->dim[0])
        return fail(ERR_INPUT, "%s_images holds %lld images, but %s_labels %zu labels", split,
                    (long long)images->dim[0], split, labels->count);
    for (int k = 1; k < 3; k++)
        if (images->dim[k] < 1 || images->dim[k] > IMAGE_SIDE_LIMIT)
            return fail(ERR_INPUT, "%s_images: a side is %lld pixels; 1 to %d are accepted", split,
                        (long long)images->dim[k], IMAGE_SIDE_LIMIT);
    return 0;
}

static int read_split(struct lists *out, const struct zip_file *z, enum list_split split)
{
    const char *name = split_names[split];
    struct npy images, labels;
    const unsigned char *pixels, *numbers;
    TRY(get_array(out, z, name, "images", &images, &pixels));
    TRY(get_array(out, z, name, "labels", &labels, &numbers));
    if (!pixels && !numbers)
        return 0;
    if (!pixels || !numbers)
        return fail(ERR_INPUT, "%s_%s is missing beside %s_%s", name, pixels ? "labels" : "images", name,
                    pixels ? "images" : "labels");
    TRY(check_shapes(&images, &labels, name));
    const int channels = images.rank == 4 ? 3 : 1;
    TRY(layout_shape(out, name, (struct list_pixels){(int)images.dim[2], (int)images.dim[1], channels, 0}));
    const size_t picture = (size_t)images.dim[1] * (size_t)images.dim[2] * (size_t)channels,
                 element = safetensors_type_size(labels.type);
    TRY(layout_room(out, split, labels.count));
    for (size_t i = 0; i < labels.count; i++)
        TRY(layout_put(out, split, name, i, whole(labels.type, numbers + i * element), pixels + i * picture,
                       picture));
    return 0;
}

static int read_arrays(struct lists *out, const struct zip_file *z, const char *name)
{
    for (int k = 0; k < LIST_SPLITS; k++)
        TRY(read_split(out, z, (enum list_split)k));
    return out->pixels.width
               ? 0
               : fail(ERR_INPUT, "%s holds no arrays train_images and train_labels (MedMNIST's layout)",
                      name);
}

int npz_read_data(struct lists *out, const struct source *s, const struct names *n)
{
    const char *name = NULL;
    for (size_t i = 0; i < n->count; i++) {
        if (!name_ends(n->name[i], ".npz"))
            continue;
        if (name)
            return fail(ERR_INPUT, "there are %s and %s; give one of the files", name, n->name[i]);
        name = n->name[i];
    }
    struct source_bytes b;
    struct zip_file *z = NULL;
    TRY(source_get(s, name, &b));
    int rc = zip_file_view(&z, b.bytes, b.size, name);
    if (rc == 0)
        rc = read_arrays(out, z, name);
    zip_file_close(z);
    source_release(&b);
    return rc;
}

/* npz_file.c - NumPy's .npz: a zip archive of .npy members. */
#include "tensor_private.h"

#include "error.h"
#include "npy.h"
#include "zip_file.h"

#include <string.h>

enum { NAME_SHOWN = 120 };

static void row_major(struct tensor_place *at, const struct npy *a)
{
    int64_t stride = 1;
    for (size_t k = 0; k < a->rank; k++) {
        size_t axis = a->is_fortran ? k : a->rank - 1 - k;
        at->stride[axis] = stride;
        stride *= a->dim[axis];
    }
}

static int add_member(struct tensor_list *l, struct zip_file *z, const struct zip_member *m, size_t index)
{
    static const char ending[] = ".npy";
    const size_t length = strlen(m->name), tail = sizeof ending - 1;
    unsigned char head[NPY_HEADER_LIMIT];
    const size_t size = m->size < sizeof head ? m->size : sizeof head;
    char name[1100];
    struct npy a;
    if (length <= tail || strcmp(m->name + length - tail, ending) != 0)
        return fail(ERR_INPUT, "%s: the member %.*s is no .npy file; an .npz holds nothing else", l->what,
                    NAME_SHOWN, m->name);
    memcpy(name, m->name, length - tail);
    name[length - tail] = 0;
    TRY(zip_file_read(z, m, head, size));
    int rc = npy_read_header(&a, head, size, name);
    if (rc < 0)
        return fail_in(rc, "%s", l->what);
    const size_t bytes = safetensors_type_size(a.type);
    if (bytes && m->size - a.offset != a.count * bytes)
        return fail(ERR_INPUT, "%s: %.*s has %zu elements of %s, which need %zu bytes, not %zu", l->what,
                    NAME_SHOWN, name, a.count, a.dtype, a.count * bytes, m->size - a.offset);
    struct tensor_place at = {.source = index};
    row_major(&at, &a);
    return tensor_list_add(
        l,
        &(struct tensor_entry){
            .name = name, .dtype = a.dtype, .type = a.type, .rank = a.rank, .count = a.count, .dim = a.dim},
        &at);
}

static int npz_open(void **self, struct tensor_list *l, const void *bytes, size_t size)
{
    struct zip_file *z = NULL;
    TRY(zip_file_view(&z, bytes, size, l->what));
    *self = z;
    for (size_t i = 0; i < zip_file_count(z); i++)
        TRY(add_member(l, z, zip_file_at(z, i), i));
    return 0;
}

static int npz_read(void *self, const struct tensor_list *l, size_t i, float *out)
{
    const struct zip_member *m = zip_file_at(self, l->places[i].source);
    const struct tensor_entry *e = &l->entries[i];
    const size_t data = e->count * safetensors_type_size(e->type);
    unsigned char *bytes = mem_alloc(m->size + 1, 1);
    if (!bytes)
        return ERR_MEMORY;
    int rc = zip_file_read(self, m, bytes, m->size);
    if (rc == 0)
        rc = tensor_gather(l, i, bytes + (m->size - data), e->count, out);
    mem_free(bytes);
    return rc;
}

static void npz_close(void *self)
{
    zip_file_close(self);
}

const struct tensor_container tensor_npz = {"NumPy .npz", npz_open, npz_read, npz_close};

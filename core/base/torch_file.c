/* torch_file.c - a file of torch.save or torch.jit.save: a zip archive with a pickle that names tensors and a member for
 * each storage. Layout: torch/serialization.py, torch/_utils.py, torch/csrc/jit/serialization/pickler.cpp. Nested
 * dictionaries, lists and a script's modules give names joined by dots. A script's programs are members that nothing here
 * looks at. */
#include "tensor_private.h"

#include "error.h"
#include "pickle.h"
#include "zip_file.h"

#include <stdio.h>
#include <string.h>

enum {
    PICKLE_LIMIT = 64 << 20,
    DEPTH_LIMIT = 12,
    WALK_LIMIT = 1 << 20, /* values of nested containers: a pickle may share them, and even hold itself */
    NAME_LIMIT = 512,
    NAME_SHOWN = 120,
};

enum { REBUILD_TENSOR, REBUILD_PARAMETER, ORDERED_DICT, SCRIPT_CLASS, SCRIPT_VALUE, STORAGES };
/* Rows from STORAGES on are the storages, in the order of storage_types. */
static const struct pickle_global globals[] = {
    [REBUILD_TENSOR] = {"torch._utils", "_rebuild_tensor_v2", PICKLE_VALUE},
    [REBUILD_PARAMETER] = {"torch._utils", "_rebuild_parameter", PICKLE_VALUE},
    [ORDERED_DICT] = {"collections", "OrderedDict", PICKLE_MAKES_DICT},
    [SCRIPT_CLASS] = {"__torch__", NULL, PICKLE_MAKES_OBJECT},
    /* build_intlist(list), restore_type_tag(value, type) ... */
    [SCRIPT_VALUE] = {"torch.jit._pickle", NULL, PICKLE_VALUE},
    [STORAGES] = {"torch", "FloatStorage", PICKLE_VALUE},
    {"torch", "DoubleStorage", PICKLE_VALUE},
    {"torch", "HalfStorage", PICKLE_VALUE},
    {"torch", "BFloat16Storage", PICKLE_VALUE},
    {"torch", "LongStorage", PICKLE_VALUE},
    {"torch", "IntStorage", PICKLE_VALUE},
    {"torch", "ShortStorage", PICKLE_VALUE},
    {"torch", "CharStorage", PICKLE_VALUE},
    {"torch", "ByteStorage", PICKLE_VALUE},
    {"torch", "BoolStorage", PICKLE_VALUE},
    {NULL, NULL, PICKLE_VALUE},
};
static const struct {
    enum safetensors_type type;
    const char *dtype;
} storage_types[] = {
    {SAFETENSORS_F32, "float32"},   {SAFETENSORS_F64, "float64"}, {SAFETENSORS_F16, "float16"},
    {SAFETENSORS_BF16, "bfloat16"}, {SAFETENSORS_I64, "int64"},   {SAFETENSORS_I32, "int32"},
    {SAFETENSORS_I16, "int16"},     {SAFETENSORS_I8, "int8"},     {SAFETENSORS_U8, "uint8"},
    {SAFETENSORS_BOOL, "bool"},
};

struct torch_file {
    struct zip_file *zip;
    char folder[NAME_LIMIT]; /* of the archive's members, with a final slash */
    void *storage;           /* the last one read: tensors may share it */
    size_t storage_member;
};

struct walk {
    struct tensor_list *list;
    struct torch_file *file;
    size_t visited;
};

static const char pickle_name[] = "data.pkl";

static int is_pickle_member(const char *name)
{
    const char *slash = strchr(name, '/');
    return slash && strcmp(slash + 1, pickle_name) == 0;
}

int torch_is_archive(const void *bytes, size_t size, const char *what)
{
    struct zip_file *z = NULL;
    int is = 0;
    TRY(zip_file_view(&z, bytes, size, what));
    for (size_t i = 0; i < zip_file_count(z) && !is; i++)
        is = is_pickle_member(zip_file_at(z, i)->name);
    zip_file_close(z);
    return is;
}

int torch_refuse_legacy(const void *bytes, size_t size, const char *what)
{
    static const unsigned char magic[] = {
        0x80, 0x02, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c,
        0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19}; /* pickled 0x1950a86a20f9469cfc6c */
    if (size < sizeof magic || memcmp(bytes, magic, sizeof magic) != 0)
        return 0;
    return fail(ERR_INPUT,
                "%s is in the form that PyTorch wrote before 1.6, which is not read; write it again with "
                "torch.save(torch.load(FILE, map_location=\"cpu\", weights_only=True), NEW)",
                what);
}

/* --- from the pickle's tree to entries */

static int refuse(const struct walk *w, const char *name, const char *why)
{
    return fail(ERR_INPUT, "%s: tensor %.*s %s", w->list->what, NAME_SHOWN, name, why);
}

static int is_call(const struct pickle_node *n, int64_t global)
{
    return n->kind == PICKLE_CALL && n->items[0]->number == global;
}

/* ('storage', torch.FloatStorage, '0', 'cpu', 590592): the member's index, its type and its elements */
static int find_storage(struct walk *w, const char *name, const struct pickle_node *n, size_t *member,
                        size_t *row, uint64_t *elements)
{
    const struct pickle_node *id = n->kind == PICKLE_PERSISTENT ? n->items[0] : NULL;
    char path[2 * NAME_LIMIT];
    if (!id || id->kind != PICKLE_TUPLE || id->count != 5 || id->items[0]->kind != PICKLE_STRING ||
        strcmp(id->items[0]->text, "storage") != 0 || id->items[1]->kind != PICKLE_GLOBAL ||
        id->items[1]->number < STORAGES || id->items[2]->kind != PICKLE_STRING ||
        id->items[4]->kind != PICKLE_INT || id->items[4]->number < 0)
        return refuse(w, name, "has no storage of a known kind");
    *row = (size_t)(id->items[1]->number - STORAGES);
    *elements = (uint64_t)id->items[4]->number;
    if (strlen(id->items[2]->text) > NAME_LIMIT / 2)
        return refuse(w, name, "has a storage with too long a name");
    snprintf(path, sizeof path, "%sdata/%s", w->file->folder, id->items[2]->text);
    const struct zip_member *m = zip_file_find(w->file->zip, path);
    if (!m)
        return refuse(w, name, "has a storage that the archive lacks");
    const size_t bytes = safetensors_type_size(storage_types[*row].type);
    if (!m->is_stored || m->size % bytes || m->size / bytes != *elements)
        return refuse(w, name, "has a storage of another size than the pickle says");
    *member = (size_t)(m - zip_file_at(w->file->zip, 0));
    return 0;
}

/* Sizes and strides, every element of which lies in the storage. */
static int read_layout(struct walk *w, const char *name, const struct pickle_node *args, uint64_t elements,
                       struct tensor_entry *e, struct tensor_place *at, int64_t dim[TENSOR_RANK])
{
    const struct pickle_node *offset = args->items[1], *size = args->items[2], *stride = args->items[3];
    if (offset->kind != PICKLE_INT || offset->number < 0 || size->kind != PICKLE_TUPLE ||
        stride->kind != PICKLE_TUPLE || size->count != stride->count || size->count > TENSOR_RANK)
        return refuse(w, name, "has an offset, a size or strides that cannot be");
    uint64_t last = (uint64_t)offset->number;
    e->rank = size->count;
    e->count = 1;
    for (size_t k = 0; k < e->rank; k++) {
        const struct pickle_node *n = size->items[k], *s = stride->items[k];
        if (n->kind != PICKLE_INT || s->kind != PICKLE_INT || n->number < 0 || s->number < 0 ||
            n->number > INT32_MAX || s->number > INT64_MAX / INT32_MAX)
            return refuse(w, name, "has a size or a stride that cannot be");
        dim[k] = n->number;
        at->stride[k] = s->number;
        if (n->number && e->count > SIZE_MAX / 8 / (size_t)n->number)
            return refuse(w, name, "has more elements than can be counted");
        e->count *= (size_t)n->number;
        last += n->number ? (uint64_t)(n->number - 1) * (uint64_t)s->number : 0;
        if (last > (uint64_t)INT64_MAX)
            return refuse(w, name, "has strides that lead out of its storage");
    }
    /* an expanded axis (stride 0) would let a small file stand for any amount of memory */
    if (e->count && (last >= elements || e->count > elements))
        return refuse(w, name,
                      "has strides that lead out of its storage, or elements that share their place");
    at->offset = (uint64_t)offset->number;
    e->dim = dim;
    return 0;
}

/* torch._utils._rebuild_tensor_v2(storage, offset, size, stride, requires_grad, hooks[, metadata]) */
static int add_tensor(struct walk *w, const char *name, const struct pickle_node *call)
{
    const struct pickle_node *args = call->items[1];
    struct tensor_entry e = {.name = name};
    struct tensor_place at = {0};
    int64_t dim[TENSOR_RANK] = {0};
    size_t row = 0;
    uint64_t elements = 0;
    if (args->count < 4)
        return refuse(w, name, "is made from too little");
    TRY(find_storage(w, name, args->items[0], &at.source, &row, &elements));
    e.type = storage_types[row].type;
    e.dtype = storage_types[row].dtype;
    TRY(read_layout(w, name, args, elements, &e, &at, dim));
    return tensor_list_add(w->list, &e, &at);
}

static int visit(struct walk *w, const char *name, const struct pickle_node *n, int depth);

static int visit_items(struct walk *w, const char *name, const struct pickle_node *n, int depth)
{
    const size_t step = n->kind == PICKLE_DICT ? 2 : 1;
    if (depth == DEPTH_LIMIT)
        return fail(ERR_INPUT, "%s: its dictionaries are nested deeper than %d levels", w->list->what,
                    DEPTH_LIMIT);
    for (size_t i = 0; i + step <= n->count; i += step) {
        char inner[NAME_LIMIT], index[24];
        const struct pickle_node *key = n->items[i];
        const char *part = key->kind == PICKLE_STRING ? key->text : index;
        if (step == 1 || key->kind == PICKLE_INT)
            snprintf(index, sizeof index, "%lld", step == 1 ? (long long)i : (long long)key->number);
        else if (key->kind != PICKLE_STRING)
            continue; /* tensors have names */
        if (step == 1)
            part = index;
        const int length = snprintf(inner, sizeof inner, "%s%s%s", name, *name ? "." : "", part);
        if (length < 0 || length >= NAME_LIMIT)
            return fail(ERR_INPUT, "%s: a name is longer than %d letters", w->list->what, NAME_LIMIT - 1);
        TRY(visit(w, inner, n->items[i + step - 1], depth + 1));
    }
    return 0;
}

/* Numbers and strings between the tensors (an epoch, say) are passed over. */
static int visit(struct walk *w, const char *name, const struct pickle_node *n, int depth)
{
    if (++w->visited > WALK_LIMIT)
        return fail(ERR_INPUT, "%s: it nests more than %d values", w->list->what, WALK_LIMIT);
    if (n->kind == PICKLE_DICT || n->kind == PICKLE_LIST || n->kind == PICKLE_TUPLE)
        return visit_items(w, name, n, depth);
    if (is_call(n, REBUILD_PARAMETER) || is_call(n, SCRIPT_VALUE))
        return n->items[1]->count && depth < DEPTH_LIMIT ? visit(w, name, n->items[1]->items[0], depth + 1)
                                                         : refuse(w, name, "is made from too little");
    if (is_call(n, REBUILD_TENSOR))
        return add_tensor(w, name, n);
    if (n->kind == PICKLE_CALL || n->kind == PICKLE_PERSISTENT || n->kind == PICKLE_GLOBAL)
        return refuse(w, name, "is not a plain tensor");
    return 0;
}

/* --- the archive */

static int check_byte_order(struct torch_file *t, const char *what)
{
    char path[NAME_LIMIT + 16], order[8] = "";
    snprintf(path, sizeof path, "%sbyteorder", t->folder);
    const struct zip_member *m = zip_file_find(t->zip, path);
    if (!m) /* files from before PyTorch 2.1 do not say */
        return 0;
    TRY(zip_file_read(t->zip, m, order, m->size < 7 ? m->size : 7));
    return strcmp(order, "little") == 0 ? 0 : fail(ERR_INPUT, "%s: its numbers are not little-endian", what);
}

static int find_folder(struct torch_file *t, const char *what, const struct zip_member **pickle)
{
    *pickle = NULL;
    for (size_t i = 0; i < zip_file_count(t->zip) && !*pickle; i++)
        if (is_pickle_member(zip_file_at(t->zip, i)->name))
            *pickle = zip_file_at(t->zip, i);
    if (!*pickle)
        return fail(ERR_INPUT, "%s is a zip archive, but neither PyTorch's nor NumPy's", what);
    const size_t length = (size_t)(strchr((*pickle)->name, '/') - (*pickle)->name) + 1;
    if (length >= sizeof t->folder / 2)
        return fail(ERR_INPUT, "%s: its folder's name is too long", what);
    memcpy(t->folder, (*pickle)->name, length);
    return 0;
}

static int read_pickle(struct torch_file *t, struct tensor_list *l, const struct zip_member *m)
{
    struct arena arena = {0};
    struct pickle_node *root = NULL;
    if (m->size > PICKLE_LIMIT)
        return fail(ERR_INPUT, "%s: its pickle has %zu bytes; at most %d are read", l->what, m->size,
                    PICKLE_LIMIT);
    unsigned char *bytes = mem_alloc(m->size + 1, 1);
    if (!bytes)
        return ERR_MEMORY;
    struct walk w = {.list = l, .file = t};
    int rc = zip_file_read(t->zip, m, bytes, m->size);
    if (rc == 0)
        rc = pickle_read(&root, &arena, bytes, m->size, globals, l->what);
    if (rc == 0)
        rc = visit(&w, "", root, 0);
    arena_finish(&arena);
    mem_free(bytes);
    return rc;
}

static int torch_open(void **self, struct tensor_list *l, const void *bytes, size_t size)
{
    const struct zip_member *pickle = NULL;
    struct torch_file *t = mem_alloc(1, sizeof *t);
    if (!t)
        return ERR_MEMORY;
    *self = t;
    TRY(zip_file_view(&t->zip, bytes, size, l->what));
    TRY(find_folder(t, l->what, &pickle));
    TRY(check_byte_order(t, l->what));
    return read_pickle(t, l, pickle);
}

static int torch_read(void *self, const struct tensor_list *l, size_t i, float *out)
{
    struct torch_file *t = self;
    const size_t source = l->places[i].source;
    const struct zip_member *m = zip_file_at(t->zip, source);
    if (!t->storage || t->storage_member != source) {
        void *storage = mem_alloc(m->size + 1, 1);
        int rc = storage ? zip_file_read(t->zip, m, storage, m->size) : ERR_MEMORY;
        if (rc < 0) {
            mem_free(storage);
            return rc;
        }
        mem_free(t->storage);
        t->storage = storage;
        t->storage_member = source;
    }
    return tensor_gather(l, i, t->storage, m->size / safetensors_type_size(l->entries[i].type), out);
}

static void torch_close(void *self)
{
    struct torch_file *t = self;
    if (!t)
        return;
    zip_file_close(t->zip);
    mem_free(t->storage);
    mem_free(t);
}

const struct tensor_container tensor_torch = {"PyTorch archive", torch_open, torch_read, torch_close};

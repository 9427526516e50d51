/* pack_file.c - the bytes of a pack: their layout and their writing. */
#include "pack_file.h"

#include "error.h"
#include "file.h"
#include "hash.h"
#include "json.h"
#include "memory.h"

#include <stdio.h>
#include <string.h>

const char pack_magic[8] = {'V', 'I', 'T', 'R', 'O', 'P', 'A', 'K'};
const char pack_end_magic[8] = {'V', 'I', 'T', 'R', 'O', 'E', 'N', 'D'};

struct pack_writer {
    struct pack_info info; /* strings lent */
    struct pack_layout layout;
    const int32_t *labels[PACK_SPLITS];
    struct file_writer *file; /* NULL: memory */
    unsigned char *bytes;
    uint64_t used, room;
    struct hash *hash; /* of the current split */
    int split;         /* the one being written */
    uint32_t done;     /* its pictures written so far */
    char fingerprint[PACK_SPLITS + 1][HASH_TEXT];
};

static uint64_t align(uint64_t at, uint64_t to)
{
    return (at + to - 1) / to * to;
}

struct pack_layout pack_layout(const uint32_t count[PACK_SPLITS], int size)
{
    uint64_t picture = (uint64_t)size * (uint64_t)size * 3, label = sizeof(int32_t);
    struct pack_layout l;
    l.labels[PACK_TRAIN] = PACK_HEAD;
    l.labels[PACK_VAL] = l.labels[PACK_TRAIN] + count[PACK_TRAIN] * label;
    l.rgb[PACK_TRAIN] = align(l.labels[PACK_VAL] + count[PACK_VAL] * label, 64);
    l.rgb[PACK_VAL] = l.rgb[PACK_TRAIN] + count[PACK_TRAIN] * picture;
    l.labels[PACK_TEST] = align(l.rgb[PACK_VAL] + count[PACK_VAL] * picture, 4096);
    l.rgb[PACK_TEST] = align(l.labels[PACK_TEST] + count[PACK_TEST] * label, 64);
    l.about = align(l.rgb[PACK_TEST] + count[PACK_TEST] * picture, 64);
    return l;
}

int pack_check_machine(void)
{
    const uint32_t one = 1;
    unsigned char first;
    memcpy(&first, &one, 1);
    return first == 1 ? 0 : fail(ERR_INPUT, "packs work on little-endian machines only");
}

int pack_fingerprint(const struct pack_info *info, char text[65])
{
    char all[1024];
    int n = snprintf(all, sizeof all,
                     "vitro pack %d\nsize %d\nclasses %d\nmean %.9g %.9g %.9g\ndeviation %.9g %.9g %.9g\n"
                     "train %s\nval %s\ntest %s\n",
                     PACK_VERSION, info->size, info->class_count, info->mean[0], info->mean[1], info->mean[2],
                     info->deviation[0], info->deviation[1], info->deviation[2],
                     info->split_fingerprint[PACK_TRAIN], info->split_fingerprint[PACK_VAL],
                     info->split_fingerprint[PACK_TEST]);
    return hash_bytes(all, (size_t)n, text);
}

static int put(struct pack_writer *w, const void *bytes, uint64_t size)
{
    if (w->file)
        TRY(file_put(w->file, bytes, size));
    else {
        if (w->used + size > w->room) {
            uint64_t room = w->used + size;
            unsigned char *grown = mem_grow(w->bytes, w->room, room, 1);
            if (!grown)
                return ERR_MEMORY;
            w->bytes = grown;
            w->room = room;
        }
        memcpy(w->bytes + w->used, bytes, size);
    }
    w->used += size;
    return 0;
}

/* Zeros up to `offset`. */
static int pad(struct pack_writer *w, uint64_t offset)
{
    static const unsigned char zeros[4096];
    return put(w, zeros, offset - w->used);
}

static int put_labels(struct pack_writer *w, int split)
{
    return put(w, w->labels[split], w->info.count[split] * sizeof(int32_t));
}

/* Starts the split's digest with its labels, and goes to the place of its first picture. */
static int begin_split(struct pack_writer *w)
{
    if (w->split == PACK_TEST) {
        TRY(pad(w, w->layout.labels[PACK_TEST]));
        TRY(put_labels(w, PACK_TEST));
    }
    TRY(pad(w, w->layout.rgb[w->split]));
    TRY(hash_begin(&w->hash));
    hash_add(w->hash, w->labels[w->split], w->info.count[w->split] * sizeof(int32_t));
    return 0;
}

static int end_split(struct pack_writer *w)
{
    struct hash *h = w->hash;
    w->hash = NULL;
    TRY(hash_end(h, w->fingerprint[w->split]));
    w->info.split_fingerprint[w->split] = w->fingerprint[w->split];
    w->split++;
    w->done = 0;
    return w->split < PACK_SPLITS ? begin_split(w) : 0;
}

int pack_writer_create(struct pack_writer **out, const char *path, const struct pack_info *info,
                       const int32_t *const labels[PACK_SPLITS])
{
    *out = NULL;
    TRY(pack_check_machine());
    struct pack_writer *w = mem_alloc(1, sizeof *w);
    if (!w)
        return ERR_MEMORY;
    int rc = 0;
    char head[PACK_HEAD] = {0};
    w->info = *info;
    w->layout = pack_layout(info->count, info->size);
    memcpy(w->labels, labels, sizeof w->labels);
    if (path)
        TRY_OUT(file_begin(&w->file, path));
    else {
        w->room = w->layout.about;
        w->bytes = mem_alloc(w->room, 1);
        rc = w->bytes ? 0 : ERR_MEMORY;
        if (rc < 0)
            goto out;
    }
    memcpy(head, pack_magic, sizeof pack_magic);
    head[8] = PACK_VERSION;
    TRY_OUT(put(w, head, sizeof head));
    TRY_OUT(put_labels(w, PACK_TRAIN));
    TRY_OUT(put_labels(w, PACK_VAL));
    TRY_OUT(begin_split(w));
    *out = w;
    return 0;
out:
    pack_writer_abandon(w);
    return rc;
}

int pack_writer_put(struct pack_writer *w, const unsigned char *rgb, size_t count)
{
    size_t picture = (size_t)w->info.size * (size_t)w->info.size * 3;
    while (count) {
        while (w->split < PACK_SPLITS && w->done == w->info.count[w->split])
            TRY(end_split(w));
        if (w->split == PACK_SPLITS)
            return fail(ERR_INPUT, "more pictures were given than the pack's counts say");
        size_t left = w->info.count[w->split] - w->done, step = count < left ? count : left;
        TRY(put(w, rgb, step * picture));
        hash_add(w->hash, rgb, step * picture);
        w->done += (uint32_t)step;
        rgb += step * picture;
        count -= step;
    }
    return 0;
}

static struct json *numbers(const double v[3])
{
    struct json *list = json_array();
    for (int i = 0; list && i < 3; i++)
        if (json_append_number(list, v[i]) < 0) {
            json_destroy(list);
            return NULL;
        }
    return list;
}

static int describe_splits(const struct pack_info *info, struct json *about)
{
    static const char *const names[PACK_SPLITS] = {"train", "val", "test"};
    struct json *splits = json_object();
    TRY(json_take(about, "splits", splits));
    for (int k = 0; k < PACK_SPLITS; k++) {
        struct json *split = json_object();
        TRY(json_take(splits, names[k], split));
        TRY(json_set_integer(split, "count", info->count[k]));
        TRY(json_set_string(split, "fingerprint", info->split_fingerprint[k]));
    }
    return 0;
}

static int describe(const struct pack_info *info, struct json *about)
{
    TRY(json_set_string(about, "task", info->task));
    TRY(json_set_string(about, "kind", info->kind));
    TRY(json_set_string(about, "origin", info->origin));
    TRY(json_set_integer(about, "size", info->size));
    TRY(json_set_string(about, "normalise", info->normalise));
    TRY(json_take(about, "mean", numbers(info->mean)));
    TRY(json_take(about, "deviation", numbers(info->deviation)));
    struct json *classes = json_array();
    TRY(json_take(about, "classes", classes));
    for (int i = 0; i < info->class_count; i++)
        TRY(json_append_string(classes, info->class_names[i]));
    TRY(describe_splits(info, about));
    return json_set_string(about, "fingerprint", info->fingerprint);
}

static int put_about(struct pack_writer *w)
{
    struct json *about = json_object();
    char *text = NULL, digest[HASH_TEXT];
    unsigned char length[8];
    int rc = about ? describe(&w->info, about) : ERR_MEMORY;
    if (rc < 0)
        goto out;
    text = json_text(about, 1);
    rc = text ? 0 : ERR_MEMORY;
    if (rc < 0)
        goto out;
    size_t size = strlen(text);
    for (int k = 0; k < 8; k++)
        length[k] = (unsigned char)((uint64_t)size >> 8 * k);
    TRY_OUT(hash_bytes(text, size, digest));
    TRY_OUT(pad(w, w->layout.about));
    TRY_OUT(put(w, text, size));
    TRY_OUT(put(w, digest, HASH_TEXT - 1));
    TRY_OUT(put(w, length, sizeof length));
    TRY_OUT(put(w, pack_end_magic, sizeof pack_end_magic));
out:
    json_destroy(about);
    mem_free(text);
    return rc;
}

int pack_writer_finish(struct pack_writer *w, struct pack **out)
{
    int rc = 0;
    while (w->split < PACK_SPLITS && w->done == w->info.count[w->split])
        TRY_OUT(end_split(w));
    if (w->split < PACK_SPLITS) {
        rc = fail(ERR_INPUT, "fewer pictures were given than the pack's counts say");
        goto out;
    }
    w->info.fingerprint = w->fingerprint[PACK_SPLITS];
    TRY_OUT(pack_fingerprint(&w->info, w->fingerprint[PACK_SPLITS]));
    TRY_OUT(put_about(w));
    if (w->file) {
        struct file_writer *file = w->file;
        w->file = NULL;
        rc = file_commit(file);
    } else {
        unsigned char *bytes = w->bytes;
        w->bytes = NULL;
        rc = pack_open_take(out, bytes, w->used);
    }
out:
    pack_writer_abandon(w);
    return rc;
}

void pack_writer_abandon(struct pack_writer *w)
{
    if (!w)
        return;
    file_abandon(w->file);
    hash_abandon(w->hash);
    mem_free(w->bytes);
    mem_free(w);
}

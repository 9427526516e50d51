/* pack.c - opening, reading and checking packs. Nothing a pack says is believed before it is checked
 * against the file's length. */
#include "pack.h"

#include "error.h"
#include "file.h"
#include "hash.h"
#include "json.h"
#include "memory.h"
#include "pack_file.h"

#include <math.h>
#include <string.h>

struct pack {
    struct pack_info info;
    struct pack_layout layout;
    struct file_map map;  /* of a file, or */
    unsigned char *owned; /* a block of memory */
    const unsigned char *bytes;
    size_t size;
    int sealed;         /* the test split is shut */
    struct json *about; /* owns the strings of info */
    const char **class_names;
};

/* the name, mean, deviation */
static const struct {
    const char *name;
    double mean[3], deviation[3];
} normalisations[] = {
    {"none", {0, 0, 0}, {1, 1, 1}},
    {"half", {0.5, 0.5, 0.5}, {0.5, 0.5, 0.5}},
    {"imagenet", {0.485, 0.456, 0.406}, {0.229, 0.224, 0.225}},
    {"clip", {0.48145466, 0.4578275, 0.40821073}, {0.26862954, 0.26130258, 0.27577711}},
};
const char pack_normalise_names[] = "none, half, imagenet, clip";

int pack_normalise(const char *name, double mean[3], double deviation[3])
{
    for (size_t i = 0; i < sizeof normalisations / sizeof *normalisations; i++) {
        if (strcmp(name, normalisations[i].name) != 0)
            continue;
        memcpy(mean, normalisations[i].mean, sizeof normalisations[i].mean);
        memcpy(deviation, normalisations[i].deviation, sizeof normalisations[i].deviation);
        return 0;
    }
    return fail(ERR_INPUT, "there is no normalisation \"%s\"; there are %s", name, pack_normalise_names);
}

const struct pack_info *pack_info(const struct pack *pack)
{
    return &pack->info;
}

struct pack_images pack_images(const struct pack *pack, enum pack_split split)
{
    if (split == PACK_TEST && pack->sealed)
        return (struct pack_images){0};
    int first = split == PACK_TRAINVAL ? PACK_TRAIN : (int)split;
    struct pack_images images = {.count = pack->info.count[first]};
    if (split == PACK_TRAINVAL)
        images.count += pack->info.count[PACK_VAL];
    images.labels = (const int32_t *)(const void *)(pack->bytes + pack->layout.labels[first]);
    images.rgb = pack->bytes + pack->layout.rgb[first];
    return images;
}

static uint64_t number_at(const unsigned char *bytes, int width)
{
    uint64_t v = 0;
    for (int k = width; k-- > 0;)
        v = v << 8 | bytes[k];
    return v;
}

static int damaged(const char *part)
{
    return fail(ERR_INPUT, "the pack is damaged: %s; prepare it again", part);
}

/* Finds the JSON text by the tail and parses it. */
static int open_about(struct pack *p, uint64_t *start)
{
    if (p->size < PACK_HEAD || memcmp(p->bytes, pack_magic, sizeof pack_magic) != 0)
        return fail(ERR_INPUT, "this is not a pack; `vitro pack` makes one from a data set's folder");
    uint64_t version = number_at(p->bytes + 8, 4);
    if (version != PACK_VERSION)
        return fail(ERR_INPUT, "the pack has version %llu, this program reads version %d; prepare it again",
                    (unsigned long long)version, PACK_VERSION);
    for (int i = 12; i < PACK_HEAD; i++)
        if (p->bytes[i])
            return damaged("its head is not zero where it should be");
    if (p->size < PACK_HEAD + PACK_TAIL ||
        memcmp(p->bytes + p->size - sizeof pack_end_magic, pack_end_magic, sizeof pack_end_magic) != 0)
        return damaged("its end is missing");
    const unsigned char *tail = p->bytes + p->size - PACK_TAIL;
    uint64_t length = number_at(tail + HASH_TEXT - 1, 8);
    if (length > p->size - PACK_HEAD - PACK_TAIL)
        return damaged("its description is longer than the file");
    *start = p->size - PACK_TAIL - length;
    char digest[HASH_TEXT];
    TRY(hash_bytes(p->bytes + *start, length, digest));
    if (memcmp(digest, tail, HASH_TEXT - 1) != 0)
        return damaged("its description does not match its checksum");
    return json_parse(&p->about, (const char *)p->bytes + *start, length, "the pack's description");
}

static int read_text(const struct json *object, const char *key, const char **out)
{
    *out = json_string(json_get(object, key));
    return *out ? 0 : damaged("its description lacks a text");
}

static int read_whole(const struct json *object, const char *key, int64_t low, int64_t high, int64_t *out)
{
    if (json_integer(json_get(object, key), out) < 0 || *out < low || *out > high)
        return damaged("a number of its description is missing or out of range");
    return 0;
}

static int read_three(const struct json *object, const char *key, double low, double out[3])
{
    const struct json *list = json_get(object, key), *item = json_first(list);
    if (!json_is_array(list) || json_count(list) != 3)
        return damaged("its mean or deviation is not three numbers");
    for (int i = 0; i < 3; i++, item = json_next(item))
        if (json_number(item, &out[i]) < 0 || out[i] < low || out[i] > 1e3)
            return damaged("its mean or deviation is out of range");
    return 0;
}

static int read_splits(struct pack *p)
{
    static const char *const names[PACK_SPLITS] = {"train", "val", "test"};
    const struct json *splits = json_get(p->about, "splits");
    for (int k = 0; k < PACK_SPLITS; k++) {
        const struct json *split = json_get(splits, names[k]);
        int64_t count;
        TRY(read_whole(split, "count", 0, PACK_COUNT_LIMIT, &count));
        p->info.count[k] = (uint32_t)count;
        TRY(read_text(split, "fingerprint", &p->info.split_fingerprint[k]));
        if (strlen(p->info.split_fingerprint[k]) != HASH_TEXT - 1)
            return damaged("a fingerprint has the wrong length");
    }
    return 0;
}

static int read_classes(struct pack *p)
{
    const struct json *classes = json_get(p->about, "classes");
    size_t count = json_is_array(classes) ? json_count(classes) : 0;
    if (!count || count > PACK_COUNT_LIMIT)
        return damaged("it names no classes");
    p->class_names = mem_alloc(count, sizeof *p->class_names);
    if (!p->class_names)
        return ERR_MEMORY;
    const struct json *item = json_first(classes);
    for (size_t i = 0; i < count; i++, item = json_next(item))
        if (!(p->class_names[i] = json_string(item)))
            return damaged("a class has no name");
    p->info.class_count = (int)count;
    p->info.class_names = p->class_names;
    return 0;
}

static int read_about(struct pack *p)
{
    struct pack_info *info = &p->info;
    int64_t size;
    char fingerprint[HASH_TEXT];
    TRY(read_text(p->about, "task", &info->task));
    TRY(read_text(p->about, "kind", &info->kind));
    TRY(read_text(p->about, "origin", &info->origin));
    TRY(read_text(p->about, "normalise", &info->normalise));
    TRY(read_text(p->about, "fingerprint", &info->fingerprint));
    TRY(read_whole(p->about, "size", 1, PACK_SIZE_LIMIT, &size));
    info->size = (int)size;
    TRY(read_three(p->about, "mean", -1e3, info->mean));
    TRY(read_three(p->about, "deviation", 1e-6, info->deviation));
    TRY(read_splits(p));
    TRY(read_classes(p));
    TRY(pack_fingerprint(info, fingerprint));
    return strcmp(fingerprint, info->fingerprint) == 0 ? 0 : damaged("its fingerprints do not fit together");
}

static int check_labels(const struct pack *p)
{
    for (int k = 0; k < PACK_SPLITS; k++) {
        struct pack_images images = pack_images(p, (enum pack_split)k);
        for (uint32_t i = 0; i < images.count; i++)
            if (images.labels[i] < 0 || images.labels[i] >= p->info.class_count)
                return damaged("a label is out of range");
    }
    return 0;
}

/* The gaps between the parts hold zeros, so that no byte of a pack goes unchecked. */
static int check_gaps(const struct pack *p)
{
    const struct pack_layout *l = &p->layout;
    const uint32_t *count = p->info.count;
    uint64_t picture = (uint64_t)p->info.size * (uint64_t)p->info.size * 3;
    const uint64_t gaps[][2] = {
        {l->labels[PACK_VAL] + count[PACK_VAL] * sizeof(int32_t), l->rgb[PACK_TRAIN]},
        {l->rgb[PACK_VAL] + count[PACK_VAL] * picture, l->labels[PACK_TEST]},
        {l->labels[PACK_TEST] + count[PACK_TEST] * sizeof(int32_t), l->rgb[PACK_TEST]},
        {l->rgb[PACK_TEST] + count[PACK_TEST] * picture, l->about},
    };
    for (size_t i = 0; i < (p->sealed ? 1 : sizeof gaps / sizeof *gaps); i++)
        for (uint64_t at = gaps[i][0]; at < gaps[i][1]; at++)
            if (p->bytes[at])
                return damaged("a gap between its parts is not zero");
    return 0;
}

static int open_bytes(struct pack *p)
{
    uint64_t start = 0;
    TRY(pack_check_machine());
    TRY(open_about(p, &start));
    TRY(read_about(p));
    p->layout = pack_layout(p->info.count, p->info.size);
    if (p->layout.about != start)
        return damaged("its length does not fit its counts and size");
    TRY(check_gaps(p));
    return check_labels(p);
}

/* Of a pack in memory the pages stay readable: it was generated, and can be generated again by anyone. */
int pack_seal(struct pack *pack)
{
    pack->sealed = 1;
    return pack->map.bytes ? file_shut(&pack->map, pack->layout.labels[PACK_TEST], pack->map.size)
                           : 0; /* what follows test was read */
}

static int open_file(struct pack **out, const char *path, int sealed)
{
    *out = NULL;
    struct pack *p = mem_alloc(1, sizeof *p);
    if (!p)
        return ERR_MEMORY;
    p->sealed = sealed;
    int rc = file_map(&p->map, path);
    if (rc == 0) {
        p->bytes = p->map.bytes;
        p->size = p->map.size;
        rc = open_bytes(p);
        if (rc == 0 && sealed)
            rc = pack_seal(p);
        if (rc < 0)
            fail_in(rc, "%s", path);
    }
    if (rc < 0) {
        pack_close(p);
        return rc;
    }
    *out = p;
    return 0;
}

int pack_open(struct pack **out, const char *path)
{
    return open_file(out, path, 0);
}

int pack_open_sealed(struct pack **out, const char *path)
{
    return open_file(out, path, 1);
}

int pack_open_take(struct pack **out, unsigned char *bytes, size_t size)
{
    *out = NULL;
    struct pack *p = mem_alloc(1, sizeof *p);
    if (!p) {
        mem_free(bytes);
        return ERR_MEMORY;
    }
    p->bytes = p->owned = bytes;
    p->size = size;
    int rc = open_bytes(p);
    if (rc < 0) {
        pack_close(p);
        return rc;
    }
    *out = p;
    return 0;
}

void pack_close(struct pack *pack)
{
    if (!pack)
        return;
    json_destroy(pack->about);
    mem_free(pack->class_names);
    file_unmap(&pack->map);
    mem_free(pack->owned);
    mem_free(pack);
}

static int check_split(const struct pack *p, int split)
{
    static const char *const names[PACK_SPLITS] = {"train", "val", "test"};
    struct pack_images images = pack_images(p, (enum pack_split)split);
    size_t picture = (size_t)p->info.size * (size_t)p->info.size * 3;
    struct hash *h = NULL;
    char digest[HASH_TEXT];
    TRY(hash_begin(&h));
    hash_add(h, images.labels, images.count * sizeof *images.labels);
    hash_add(h, images.rgb, images.count * picture);
    TRY(hash_end(h, digest));
    if (strcmp(digest, p->info.split_fingerprint[split]) == 0)
        return 0;
    return fail(ERR_INPUT,
                "the pack of %s is damaged: its %s split does not match its fingerprint; prepare it again",
                p->info.task, names[split]);
}

int pack_check(const struct pack *pack, enum pack_split split)
{
    if (split == PACK_TEST && pack->sealed)
        return fail(
            ERR_INPUT,
            "the test split of %s is sealed: training and tuning work without it; --final opens it, once, "
            "and writes that into the ledger",
            pack->info.task);
    if (split != PACK_TRAINVAL)
        return check_split(pack, (int)split);
    TRY(check_split(pack, PACK_TRAIN));
    return check_split(pack, PACK_VAL);
}

int pack_save(const struct pack *pack, const char *path)
{
    if (pack->sealed)
        return fail(ERR_INPUT, "the pack of %s is sealed and cannot be written anew", pack->info.task);
    return file_write(path, pack->bytes, pack->size);
}

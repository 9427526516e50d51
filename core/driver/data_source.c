/* data_source.c - see data_source.h. */
#include "data_source.h"

#include "builtin.h"
#include "corrupt.h"
#include "dataset.h"
#include "file.h"
#include "hash.h"
#include "list.h"
#include "machine.h"
#include "memory.h"
#include "progress.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static const char builtin_prefix[] = "builtin:", builtin_normalise[] = "half";
enum { BUILTIN_SEED = 1 }; /* the tasks are the same for everyone, whatever the trial's seed */

static int is_builtin(const char *data)
{
    return strncmp(data, builtin_prefix, sizeof builtin_prefix - 1) == 0;
}

/* Whether it is a file that begins as packs do; a folder, an archive and nothing at all are not. */
static int is_pack(const char *path)
{
    char magic[8] = "";
    struct stat about;
    FILE *f = stat(path, &about) == 0 && S_ISREG(about.st_mode) ? fopen(path, "rb") : NULL;
    size_t got = f ? fread(magic, 1, sizeof magic, f) : 0;
    if (f)
        fclose(f);
    return got == sizeof magic && memcmp(magic, "VITROPAK", sizeof magic) == 0;
}

/* "NAME" or "NAME:TRAIN/VAL/TEST" */
static int parse_builtin(const char *data, struct builtin_spec *spec, char name[64])
{
    const char *text = data + sizeof builtin_prefix - 1, *colon = strchr(text, ':');
    unsigned train, val, test;
    int used = 0;
    snprintf(name, 64, "%.*s", colon ? (int)(colon - text) : 60, text);
    spec->task = name;
    if (!colon)
        return 0;
    if (sscanf(colon, ":%9u/%9u/%9u%n", &train, &val, &test, &used) != 3 || colon[used])
        return fail(ERR_USAGE,
                    "the data \"%.80s\" is not understood; write builtin:NAME or "
                    "builtin:NAME:TRAIN/VAL/TEST with three numbers of images",
                    data);
    spec->count[PACK_TRAIN] = train;
    spec->count[PACK_VAL] = val;
    spec->count[PACK_TEST] = test;
    return 0;
}

static int draw_task(struct pack **out, const struct settings *s, int size)
{
    char name[64];
    struct builtin_spec spec = {
        .normalise = s->normalise ? s->normalise : builtin_normalise, .size = size, .seed = BUILTIN_SEED};
    TRY(parse_builtin(s->data, &spec, name));
    struct progress bar;
    char label[80];
    snprintf(label, sizeof label, "drawing %s", name);
    progress_begin(&bar, label, "images", 1);
    int rc = pack_builtin(out, &spec, progress_pack, &bar);
    progress_end(&bar);
    return rc;
}

/* Of everything that the pack will depend on: lists, files, size, normalisation. */
static int source_key(const struct settings *s, int size, char key[HASH_TEXT])
{
    struct source *source = NULL;
    struct lists lists = {0};
    struct hash *h = NULL;
    char head[128], found[FOUND_TEXT];
    int rc;
    TRY_OUT(source_open(&source, s->data, LIST_LANDMARK));
    TRY_OUT(dataset_read(&lists, source, NULL, found));
    TRY_OUT(hash_begin(&h));
    int length = snprintf(head, sizeof head, "vitro pack 1 %d %s %d", size, s->normalise, lists.class_count);
    hash_add(h, head, (size_t)length + 1);
    if (lists.pixels.width)
        hash_add(h, &lists.pixels, sizeof lists.pixels);
    for (int i = 0; i < lists.class_count; i++)
        hash_add(h, lists.class_names[i], strlen(lists.class_names[i]) + 1);
    for (int k = 0; k < LIST_SPLITS; k++)
        for (size_t i = 0; i < lists.split[k].count; i++) {
            const struct list_item *item = &lists.split[k].items[i];
            struct source_bytes bytes;
            TRY_OUT(list_item_get(item, source, &bytes));
            hash_add(h, &k, sizeof k);
            hash_add(h, &item->label, sizeof item->label);
            hash_add(h, &bytes.size, sizeof bytes.size);
            hash_add(h, bytes.bytes, bytes.size);
            source_release(&bytes);
        }
    rc = hash_end(h, key);
    h = NULL;
out:
    hash_abandon(h);
    lists_finish(&lists);
    source_close(source);
    return rc < 0 ? fail_in(rc, "%s", s->data) : rc;
}

static int build_pack(const struct settings *s, int size, const char *path)
{
    const struct pack_spec spec = {.source = s->data, .normalise = s->normalise, .size = size};
    struct progress bar;
    progress_begin(&bar, "preparing the data", "images", 1);
    int rc = pack_build(&spec, path, progress_pack, &bar);
    progress_end(&bar);
    return rc;
}

static int open_source(struct pack **out, const struct settings *s, int size)
{
    char folder[PATH_SIZE], path[PATH_SIZE + HASH_TEXT + 8], key[HASH_TEXT];
    double mean[3], deviation[3];
    if (!file_exists(s->data))
        return fail(ERR_IO,
                    "%s cannot be found; give --data a pack, a folder, an archive, an .npz or builtin:NAME",
                    s->data);
    if (!s->normalise)
        return fail(ERR_USAGE,
                    "%s: say how its pixels are normalised, with --normalise none, half, imagenet or "
                    "clip: what the model was trained with (half for timm's AugReg ViTs)",
                    s->data);
    TRY(pack_normalise(s->normalise, mean, deviation));
    TRY(source_key(s, size, key));
    TRY(file_cache_folder(folder, sizeof folder - 8));
    strcat(folder, "/packs");
    TRY(file_make_folders(folder));
    snprintf(path, sizeof path, "%s/%s.pack", folder, key);
    if (!file_exists(path)) {
        if (s->verbose)
            say("preparing %s at %d x %d pixels in %s", s->data, size, size, path);
        TRY(build_pack(s, size, path));
    }
    return pack_open(out, path);
}

static int open_pack(struct pack **out, const struct settings *s, int size)
{
    TRY(pack_open(out, s->data));
    const struct pack_info *info = pack_info(*out);
    int rc = 0;
    if (size && info->size != size)
        rc = fail(ERR_INPUT,
                  "%s holds images of %d pixels a side, but %d are asked for; prepare it again with "
                  "`vitro pack --size %d`",
                  s->data, info->size, size, size);
    else if (s->normalise && strcmp(info->normalise, s->normalise) != 0)
        rc = fail(ERR_INPUT,
                  "%s was prepared with the normalisation %s, but %s is asked for; prepare it again or "
                  "leave out --normalise",
                  s->data, info->normalise, s->normalise);
    if (rc < 0) {
        pack_close(*out);
        *out = NULL;
    }
    return rc;
}

static int open_clean(struct pack **out, const struct settings *s, int size)
{
    if (!s->data)
        return fail(ERR_USAGE,
                    "the data is missing; give --data a pack, a folder or archive in VTAB's format, or "
                    "builtin:NAME (`vitro tasks` lists the names)");
    if (is_builtin(s->data))
        return draw_task(out, s, size);
    return is_pack(s->data) ? open_pack(out, s, size) : open_source(out, s, size);
}

/* Takes the pack and gives it back corrupted, or nothing. */
static int corrupt_take(struct pack **pack, struct corruption what, uint64_t seed)
{
    struct pack *clean = *pack;
    struct progress bar;
    progress_begin(&bar, "corrupting the images", "images", 1);
    int rc = pack_corrupt(pack, clean, what, seed, progress_pack, &bar);
    progress_end(&bar);
    pack_close(clean);
    return rc;
}

int open_data(struct pack **out, const struct settings *s, int size)
{
    struct corruption what;
    *out = NULL;
    if (s->corrupt)
        TRY(corruption_parse(&what, s->corrupt));
    TRY(open_clean(out, s, size));
    return s->corrupt ? corrupt_take(out, what, s->corrupt_seed) : 0;
}

int data_size(const struct settings *s, int *size)
{
    struct pack *pack = NULL;
    *size = 0;
    if (!s->data || is_builtin(s->data) || !is_pack(s->data))
        return 0;
    TRY(pack_open(&pack, s->data));
    *size = pack_info(pack)->size;
    pack_close(pack);
    return 0;
}

/* pack_build.c - a data set's pictures, decoded and resized by a few threads, written in list order:
 * the bytes do not depend on the number of threads. */
#include "dataset.h"
#include "error.h"
#include "image_codec.h"
#include "list.h"
#include "memory.h"
#include "pack_file.h"
#include "processors.h"
#include "resize.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

enum { BATCH = 64, THREAD_LIMIT = 8 };

/* One batch of pictures in work; thread t takes items t, t + threads, ... */
struct batch {
    const struct source *source;
    const struct list_pixels *pixels;
    const struct list_item *items;
    size_t count;
    int size, threads;
    unsigned char *rgb; /* [BATCH][size][size][3] */
};

struct worker {
    const struct batch *batch;
    size_t first;
    int rc;
    size_t failed; /* the item */
    char sentence[1024];
};

/* Grey becomes three equal channels. */
static int from_pixels(struct image *out, const struct list_pixels *p, const unsigned char *bytes,
                       size_t size)
{
    const size_t count = (size_t)p->width * (size_t)p->height, channels = (size_t)p->channels;
    if (size != count * channels)
        return fail(ERR_INPUT, "the picture has %zu bytes for %d x %d pixels", size, p->width, p->height);
    TRY(image_allocate(out, (unsigned long)p->width, (unsigned long)p->height));
    for (size_t i = 0; i < count; i++)
        for (size_t c = 0; c < 3; c++)
            out->rgb[3 * i + c] = channels == 1 ? bytes[i] : bytes[p->is_planar ? c * count + i : 3 * i + c];
    return 0;
}

static int prepare(const struct batch *b, const struct list_item *item, unsigned char *out)
{
    struct source_bytes file = {0};
    struct image image = {0};
    TRY(list_item_get(item, b->source, &file));
    int rc = b->pixels->width ? from_pixels(&image, b->pixels, (const unsigned char *)file.bytes, file.size)
                              : image_decode(&image, file.bytes, file.size, item->path);
    if (rc == 0)
        rc = resize_bicubic(&image, out, b->size, b->size);
    image_finish(&image);
    source_release(&file);
    return rc;
}

static void *work(void *argument)
{
    struct worker *w = argument;
    const struct batch *b = w->batch;
    size_t picture = (size_t)b->size * (size_t)b->size * 3;
    for (size_t i = w->first; i < b->count && w->rc == 0; i += (size_t)b->threads) {
        w->rc = prepare(b, &b->items[i], b->rgb + i * picture);
        w->failed = i;
        if (w->rc < 0) /* sentences belong to a thread; carry this one over */
            snprintf(w->sentence, sizeof w->sentence, "%s", error_text());
    }
    return NULL;
}

/* Runs the batch; a thread that cannot be started has its share done here. */
static int run_batch(const struct batch *b)
{
    struct worker workers[THREAD_LIMIT] = {{0}};
    pthread_t thread[THREAD_LIMIT];
    int started[THREAD_LIMIT] = {0};
    for (int t = 0; t < b->threads; t++) {
        workers[t].batch = b;
        workers[t].first = (size_t)t;
        started[t] = t > 0 && pthread_create(&thread[t], NULL, work, &workers[t]) == 0;
    }
    for (int t = 0; t < b->threads; t++)
        if (!started[t])
            work(&workers[t]);
    const struct worker *first = NULL; /* the refusal of the first item in the list, for repeatability */
    for (int t = 0; t < b->threads; t++) {
        if (started[t])
            pthread_join(thread[t], NULL);
        if (workers[t].rc < 0 && (!first || workers[t].failed < first->failed))
            first = &workers[t];
    }
    return first ? fail(first->rc, "%s", first->sentence) : 0;
}

static int write_pictures(struct pack_writer *w, const struct lists *lists, struct batch *b,
                          pack_progress *progress, void *context)
{
    size_t total = 0, done = 0;
    for (int k = 0; k < LIST_SPLITS; k++)
        total += lists->split[k].count;
    for (int k = 0; k < LIST_SPLITS; k++)
        for (size_t i = 0; i < lists->split[k].count; i += b->count) {
            size_t left = lists->split[k].count - i;
            if (progress && progress(context, done, total))
                return fail(ERR_STOPPED, "preparing the data set was stopped");
            b->items = lists->split[k].items + i;
            b->count = left < BATCH ? left : BATCH;
            TRY(run_batch(b));
            TRY(pack_writer_put(w, b->rgb, b->count));
            done += b->count;
        }
    if (progress)
        progress(context, done, total);
    return 0;
}

/* The last part of the source's path without an archive's endings. */
static void name_task(char *out, size_t size, const char *source)
{
    static const char *const endings[] = {".tar", ".tgz", ".npz"};
    size_t end = strlen(source);
    while (end > 1 && source[end - 1] == '/')
        end--;
    size_t start = end;
    while (start && source[start - 1] != '/')
        start--;
    snprintf(out, size, "%.*s", (int)(end - start), source + start);
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        char *ending = strstr(out, endings[i]);
        if (ending && ending > out)
            *ending = 0;
    }
}

/* The three label arrays in one block, which the caller frees through labels[0]. */
static int gather_labels(const struct lists *lists, struct pack_info *info, int32_t *labels[PACK_SPLITS])
{
    size_t total = 0;
    for (int k = 0; k < PACK_SPLITS; k++)
        total += lists->split[k].count;
    int32_t *next = labels[0] = mem_alloc(total, sizeof *next);
    if (!next)
        return ERR_MEMORY;
    for (int k = 0; k < PACK_SPLITS; k++) {
        labels[k] = next;
        info->count[k] = (uint32_t)lists->split[k].count;
        for (size_t i = 0; i < lists->split[k].count; i++)
            *next++ = lists->split[k].items[i].label;
    }
    return 0;
}

static int build(const struct lists *lists, struct batch *batch, struct pack_info *info, const char *out_path,
                 pack_progress *progress, void *context)
{
    int32_t *labels[PACK_SPLITS] = {0};
    struct pack_writer *w = NULL;
    size_t picture = (size_t)batch->size * (size_t)batch->size * 3;
    int rc = gather_labels(lists, info, labels);
    if (rc < 0)
        return rc;
    batch->rgb = mem_alloc(BATCH, picture);
    rc = batch->rgb ? 0 : ERR_MEMORY;
    if (rc < 0)
        goto out;
    TRY_OUT(pack_writer_create(&w, out_path, info, (const int32_t *const *)labels));
    TRY_OUT(write_pictures(w, lists, batch, progress, context));
    rc = pack_writer_finish(w, NULL);
    w = NULL;
out:
    pack_writer_abandon(w);
    mem_free(batch->rgb);
    mem_free(labels[0]);
    return rc;
}

int pack_build(const struct pack_spec *spec, const char *out_path, pack_progress *progress, void *context)
{
    char task[128], found[FOUND_TEXT] = "", origin[FOUND_TEXT + 64];
    struct pack_info info = {
        .kind = "given", .origin = "images", .normalise = spec->normalise, .size = spec->size};
    struct source *source = NULL;
    struct lists lists = {0};
    if (spec->size < 1 || spec->size > PACK_SIZE_LIMIT)
        return fail(ERR_INPUT, "the picture size is %d; it must be between 1 and %d", spec->size,
                    PACK_SIZE_LIMIT);
    TRY(pack_normalise(spec->normalise, info.mean, info.deviation));
    TRY(source_open(&source, spec->source, LIST_LANDMARK));
    int rc = dataset_read(&lists, source, spec->folders, found);
    if (rc == 0) {
        if (spec->found)
            memcpy(spec->found, found, sizeof found);
        name_task(task, sizeof task, spec->source);
        info.task = spec->task ? spec->task : task;
        if (lists.is_drawn) {
            snprintf(origin, sizeof origin, "images; %s; seed %llu", found,
                     (unsigned long long)(spec->folders ? spec->folders->seed : 0));
            info.origin = origin;
        }
        info.class_count = lists.class_count;
        info.class_names = lists.class_names;
        struct batch batch = {
            .source = source, .pixels = &lists.pixels, .size = spec->size, .threads = (int)processor_count(THREAD_LIMIT)};
        rc = build(&lists, &batch, &info, out_path, progress, context);
    }
    lists_finish(&lists);
    source_close(source);
    return rc == ERR_INPUT ? fail_in(rc, "%s", spec->source) : rc;
}

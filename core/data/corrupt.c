/* corrupt.c - the list of corruptions, and pictures corrupted by a few threads. */
#include "corrupt_private.h"

#include "error.h"
#include "memory.h"
#include "pack_file.h"
#include "processors.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *name, *family;
    int (*run)(struct field *x, int severity, struct rng *r);
} table[] = {
#define X(name, family) {#name, family, corrupt_##name},
    CORRUPTIONS(X)
#undef X
};
enum { AT_ONCE = 256, THREAD_LIMIT = 8, SIDE_LEAST = 16 };

const char *corruption_name(enum corruption_kind kind)
{
    return table[kind].name;
}

const char *corruption_family(enum corruption_kind kind)
{
    return table[kind].family;
}

const char *corruption_text(struct corruption c, char text[CORRUPTION_TEXT])
{
    snprintf(text, CORRUPTION_TEXT, "%s:%d", table[c.kind].name, c.severity);
    return text;
}

static int unknown(const char *text, size_t length)
{
    char all[320] = "";
    for (int k = 0; k < CORRUPTION_COUNT; k++) {
        const size_t used = strlen(all);
        snprintf(all + used, sizeof all - used, "%s%s", k ? ", " : "", table[k].name);
    }
    return fail(ERR_INPUT, "there is no corruption \"%.*s\"; there are %s", (int)(length < 60 ? length : 60),
                text, all);
}

int corruption_parse(struct corruption *out, const char *text)
{
    const char *colon = strchr(text, ':');
    const size_t length = colon ? (size_t)(colon - text) : strlen(text);
    int kind = 0;
    while (kind < CORRUPTION_COUNT &&
           (strlen(table[kind].name) != length || memcmp(table[kind].name, text, length) != 0))
        kind++;
    if (kind == CORRUPTION_COUNT)
        return unknown(text, length);
    if (!colon || colon[1] < '1' || colon[1] > '0' + CORRUPTION_SEVERITIES || colon[2])
        return fail(ERR_INPUT, "the corruption \"%.60s\" needs a severity from 1 to %d, as in %s:3", text,
                    CORRUPTION_SEVERITIES, table[kind].name);
    *out = (struct corruption){(enum corruption_kind)kind, colon[1] - '0'};
    return 0;
}

/* --- pictures */

static int corrupt_one(const struct corrupt_job *job, uint32_t i, struct field *x)
{
    char purpose[CORRUPTION_TEXT + 16];
    const size_t bytes = field_count(x);
    const unsigned char *in = job->in + i * bytes;
    unsigned char *out = job->out + i * bytes;
    snprintf(purpose, sizeof purpose, "corruption %s:%d", table[job->what.kind].name, job->what.severity);
    struct rng r = rng_named(job->seed, purpose);
    r.stream += (job->first + i + 1) * 0x9E3779B97F4A7C15u; /* odd: every picture has a stream of its own */
    for (size_t k = 0; k < bytes; k++)
        x->v[k] = in[k] / 255.0f;
    TRY(table[job->what.kind].run(x, job->what.severity - 1, &r));
    for (size_t k = 0; k < bytes; k++) {
        const float v = x->v[k] * 255 + .5f;
        out[k] = (unsigned char)(v < 0 ? 0 : v > 255 ? 255 : v);
    }
    return 0;
}

struct worker { /* takes pictures first, first + step, ... of `from` .. `to` */
    const struct corrupt_job *job;
    uint32_t from, to, step;
    int rc;
    char sentence[512];
};

static void *work(void *argument)
{
    struct worker *w = argument;
    struct field x = {0};
    w->rc = field_init(&x, w->job->side, 3);
    for (uint32_t i = w->from; i < w->to && w->rc == 0; i += w->step)
        w->rc = corrupt_one(w->job, i, &x);
    if (w->rc < 0) /* sentences belong to a thread */
        snprintf(w->sentence, sizeof w->sentence, "%s", error_text());
    field_finish(&x);
    return NULL;
}

static int run_part(const struct corrupt_job *job, uint32_t from, uint32_t to, uint32_t threads)
{
    struct worker workers[THREAD_LIMIT] = {{0}};
    pthread_t thread[THREAD_LIMIT];
    int started[THREAD_LIMIT] = {0}, rc = 0;
    for (uint32_t t = 0; t < threads; t++) {
        workers[t] = (struct worker){.job = job, .from = from + t, .to = to, .step = threads};
        started[t] = t > 0 && pthread_create(&thread[t], NULL, work, &workers[t]) == 0;
    }
    for (uint32_t t = 0; t < threads; t++)
        if (!started[t])
            work(&workers[t]);
    for (uint32_t t = 0; t < threads; t++) {
        if (started[t])
            pthread_join(thread[t], NULL);
        if (workers[t].rc < 0 && rc == 0)
            rc = fail(workers[t].rc, "%s", workers[t].sentence);
    }
    return rc;
}

int corrupt_pictures(const struct corrupt_job *job, pack_progress *progress, void *context)
{
    const uint32_t threads = processor_count(THREAD_LIMIT);
    if (job->side < SIDE_LEAST)
        return fail(ERR_INPUT, "pictures of %d x %d pixels cannot be corrupted; they need %d a side",
                    job->side, job->side, SIDE_LEAST);
    for (uint32_t at = 0; at < job->count; at += AT_ONCE) {
        const uint32_t end = job->count - at < AT_ONCE ? job->count : at + AT_ONCE;
        if (progress && progress(context, at, job->count))
            return fail(ERR_STOPPED, "corrupting the pictures was stopped");
        TRY(run_part(job, at, end, threads));
    }
    if (progress)
        progress(context, job->count, job->count);
    return 0;
}

/* --- packs */

static int put_split(struct pack_writer *w, const struct pack *pack, enum pack_split split,
                     const struct corrupt_job *like, pack_progress *progress, void *context)
{
    const struct pack_images images = pack_images(pack, split);
    struct corrupt_job job = *like;
    if (!images.count)
        return 0;
    job.count = images.count;
    job.in = images.rgb;
    job.first = corrupt_number(split, 0);
    job.out = mem_alloc(images.count, (size_t)job.side * (size_t)job.side * 3);
    int rc = job.out ? corrupt_pictures(&job, progress, context) : ERR_MEMORY;
    if (rc == 0)
        rc = pack_writer_put(w, job.out, images.count);
    mem_free(job.out);
    return rc;
}

int pack_corrupt(struct pack **out, const struct pack *pack, struct corruption what, uint64_t seed,
                 pack_progress *progress, void *context)
{
    char origin[256], text[CORRUPTION_TEXT];
    struct pack_info info = *pack_info(pack);
    const int32_t *labels[PACK_SPLITS];
    struct pack_writer *w = NULL;
    *out = NULL;
    snprintf(origin, sizeof origin, "%.160s, %s (seed %llu)", info.origin, corruption_text(what, text),
             (unsigned long long)seed);
    info.origin = origin;
    for (int k = 0; k < PACK_SPLITS; k++) {
        const struct pack_images images = pack_images(pack, (enum pack_split)k);
        labels[k] = images.labels;
        info.count[k] = images.count;
    }
    TRY(pack_writer_create(&w, NULL, &info, labels));
    const struct corrupt_job like = {.what = what, .seed = seed, .side = info.size};
    int rc = 0;
    for (int k = 0; rc == 0 && k < PACK_SPLITS; k++)
        rc = put_split(w, pack, (enum pack_split)k, &like, progress, context);
    if (rc == 0)
        return pack_writer_finish(w, out);
    pack_writer_abandon(w);
    return rc;
}

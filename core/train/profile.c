/* profile.c - see profile.h. */
#include "profile.h"

#include "clock.h"
#include "error.h"
#include "foresee.h"
#include "memory.h"
#include "place.h"
#include "rng.h"
#include "session_private.h"

#include <stdlib.h>
#include <string.h>

struct bench { /* what both kinds of steps work on */
    struct session *session;
    const struct profile_spec *spec;
    struct feed feed;
    int32_t *order;
    double *seconds; /* [steps] */
};

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* Sorts; the mean of the middle two where their number is even. */
static double median(double *numbers, uint32_t count)
{
    qsort(numbers, count, sizeof *numbers, by_size);
    return (numbers[(count - 1) / 2] + numbers[count / 2]) / 2;
}

static int prepare(struct bench *b)
{
    const uint32_t batch = (uint32_t)b->spec->recipe->batch;
    const int32_t side = b->session->spec.vit->shape.image, classes = b->session->spec.vit->shape.classes;
    size_t bytes = (size_t)batch * (size_t)side * (size_t)side * 3;
    unsigned char *rgb = mem_alloc(bytes, 1);
    int32_t *labels = mem_alloc(batch, sizeof *labels);
    struct rng g = {.seed = b->spec->recipe->seed};
    int rc = ERR_MEMORY;
    b->order = mem_alloc(batch, sizeof *b->order);
    b->seconds = mem_alloc(b->spec->steps, sizeof *b->seconds);
    if (!rgb || !labels || !b->order || !b->seconds)
        goto out;
    for (size_t i = 0; i < bytes; i++)
        rgb[i] = (unsigned char)rng_u32(&g);
    for (uint32_t i = 0; i < batch; i++) {
        labels[i] = (int32_t)(i % (uint32_t)classes);
        b->order[i] = (int32_t)i;
    }
    rc = feed_create(&b->feed, b->session->spec.engine, rgb, labels, (int32_t)batch, side);
out:
    mem_free(rgb);
    mem_free(labels);
    return rc;
}

static int compile(const struct bench *b, int profile, struct run **out)
{
    const struct recipe *r = b->spec->recipe;
    return session_program(b->session,
                           &(struct program_spec){.feed = &b->feed,
                                                  .batch = (uint32_t)r->batch,
                                                  .series = 1,
                                                  .recipe = b->spec->inference ? NULL : r,
                                                  .update = !b->spec->inference,
                                                  .profile = profile,
                                                  .again = b->spec->again},
                           out);
}

static int step(const struct bench *b, struct run *run, uint32_t number, double zero, struct profile_step *at)
{
    const float rate = b->spec->recipe->lr_start;
    at->begin = clock_seconds() - zero;
    TRY(run_begin(run, &(struct run_series){.first = number,
                                            .steps = 1,
                                            .seed = b->spec->recipe->seed,
                                            .order = b->order,
                                            .rates = b->spec->inference ? NULL : &rate}));
    at->submit = clock_seconds() - zero;
    TRY(run_go(run, 1));
    at->wait = clock_seconds() - zero;
    TRY(run_wait(run, 0));
    at->end = clock_seconds() - zero;
    return 0;
}

/* Steps as they are outside a profile. */
static int time_plain(const struct bench *b, double *seconds)
{
    struct run *run = NULL;
    struct profile_step at;
    int rc;
    TRY_OUT(compile(b, 0, &run));
    TRY_OUT(step(b, run, 0, 0, &at));
    for (uint32_t i = 0; i < b->spec->steps; i++) {
        TRY_OUT(step(b, run, i + 1, 0, &at));
        b->seconds[i] = at.end - at.begin;
    }
    *seconds = median(b->seconds, b->spec->steps);
out:
    run_destroy(run);
    return rc;
}

static int allocate(struct profile *p)
{
    p->count = run_profile_count(p->run);
    p->works = mem_alloc(p->count, sizeof *p->works);
    p->owners = mem_alloc(p->count, sizeof *p->owners);
    p->starts = mem_alloc((size_t)p->steps * p->count, sizeof *p->starts);
    p->times = mem_alloc((size_t)p->steps * p->count, sizeof *p->times);
    p->host = mem_alloc(p->steps, sizeof *p->host);
    return p->works && p->owners && p->starts && p->times && p->host ? 0 : ERR_MEMORY;
}

/* Whose work it is: of the method whose tensor's gradient it is, else of who recorded it. Names live with the
 * method, or for good. */
static const char *owner_of(const struct method *m, const struct run_time *t)
{
    struct place place;
    if (t->gradient >= 0)
        return method_owner(m, (size_t)t->gradient);
    if (!place_read(t->place, &place))
        return t->place ? t->place : "step";
    for (size_t i = 0; i < method_parts(m); i++) {
        struct method_part part;
        if (method_part(m, i, &part) == 0 && strcmp(part.name, place.who) == 0)
            return part.name;
    }
    return place.site == VITRO_AT_HEAD ? "head" : place_backbone;
}

static int time_works(const struct bench *b, struct profile *p)
{
    double zero = clock_seconds();
    struct profile_step first;
    TRY(step(b, p->run, 0, zero, &first));
    for (uint32_t i = 0; i < p->steps; i++) {
        TRY(step(b, p->run, i + 1, zero, &p->host[i]));
        for (uint32_t k = 0; k < p->count; k++) {
            TRY(run_profile(p->run, k, &p->works[k]));
            p->starts[i * p->count + k] = p->works[k].start_ns;
            p->times[i * p->count + k] = p->works[k].ns;
        }
    }
    return 0;
}

static void summarise(const struct bench *b, struct profile *p)
{
    for (uint32_t k = 0; k < p->count; k++) {
        for (uint32_t i = 0; i < p->steps; i++)
            b->seconds[i] = p->times[i * p->count + k];
        p->works[k].ns = median(b->seconds, p->steps);
        p->busy_seconds += p->works[k].ns * 1e-9;
        for (uint32_t i = 0; i < p->steps; i++)
            b->seconds[i] = p->starts[i * p->count + k];
        p->works[k].start_ns = median(b->seconds, p->steps);
        p->owners[k] = owner_of(b->session->spec.method, &p->works[k]);
    }
    for (uint32_t i = 0; i < p->steps; i++)
        b->seconds[i] = p->host[i].end - p->host[i].begin;
    p->seconds = median(b->seconds, p->steps);
    for (uint32_t i = 0; i < p->steps; i++) {
        const double *starts = p->starts + i * p->count, *times = p->times + i * p->count;
        double end = 0;
        for (uint32_t k = 0; k < p->count; k++)
            end = starts[k] + times[k] > end ? starts[k] + times[k] : end;
        b->seconds[i] = end * 1e-9;
    }
    p->span_seconds = median(b->seconds, p->steps);
}

int profile_session(struct profile *out, struct session *s, const struct profile_spec *spec)
{
    struct bench b = {.session = s, .spec = spec};
    int rc;
    enum run_together together = RUN_AS_PAYS;
    *out = (struct profile){.steps = spec->steps};
    const struct foresee_spec wanted = {.recipe = spec->recipe,
                                        .images = (uint32_t)spec->recipe->batch,
                                        .inference = spec->inference,
                                        .checkpoint_activations = spec->again};
    TRY_OUT(memory_check(&s->spec, &wanted, 1, &together));
    TRY_OUT(prepare(&b));
    TRY_OUT(time_plain(&b, &out->plain_seconds));
    TRY_OUT(compile(&b, 1, &out->run));
    TRY_OUT(allocate(out));
    TRY_OUT(time_works(&b, out));
    summarise(&b, out);
    device_memory(engine_device(s->spec.engine), &out->device_bytes);
out:
    if (rc < 0)
        profile_finish(out);
    feed_destroy(&b.feed);
    mem_free(b.order);
    mem_free(b.seconds);
    return rc;
}

void profile_finish(struct profile *p)
{
    run_destroy(p->run);
    mem_free(p->works);
    mem_free(p->owners);
    mem_free(p->starts);
    mem_free(p->times);
    mem_free(p->host);
    *p = (struct profile){0};
}

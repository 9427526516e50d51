/* foresee.c - see foresee.h. */
#include "foresee.h"

#include "error.h"
#include "feature_cache.h"
#include "session_private.h"

#include <stdio.h>
#include <string.h>

const char *bytes_text(uint64_t bytes, char text[32])
{
    static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB"};
    double size = (double)bytes;
    int unit = 0;
    for (; size >= 1024 && unit < 4; unit++)
        size /= 1024;
    snprintf(text, 32, unit && size < 10 ? "%.1f %s" : "%.0f %s", size, units[unit]);
    return text;
}

static void list_alive(struct foreseen *out, const struct run *run)
{
    out->alive_all = run_alive_count(run);
    for (uint32_t i = 0; i < out->alive_all && i < FORESEEN_ALIVE; i++) {
        struct run_alive a = run_alive(run, i);
        char shape[SHAPE_TEXT] = "";
        out->alive[i].bytes = a.bytes;
        if (a.shape.rank)
            shape_text(a.shape, shape);
        snprintf(out->alive[i].text, sizeof out->alive[i].text, "%s%s%s%s%s%s%s", a.name, *shape ? " " : "",
                 shape, a.place ? ", " : "", a.place ? a.place : "",
                 a.made == RUN_STEP || a.made == RUN_FORWARD ? "" : ", ",
                 a.made == RUN_STEP || a.made == RUN_FORWARD ? "" : run_phases[a.made]);
        out->alive_count = i + 1;
    }
}

static int make_program(struct session *s, const struct foresee_spec *f, struct feed *feed,
                        struct features *features, struct run **run)
{
    const struct recipe *r = f->recipe;
    const uint32_t batch = (uint32_t)r->batch, steps = (f->images + batch - 1) / batch;
    struct program_spec program = {.feed = feed, .batch = batch, .series = steps, .explain = 1};
    TRY(feed_create(feed, s->spec.engine, NULL, NULL, (int32_t)f->images, s->spec.vit->shape.image));
    if (f->inference)
        return session_program(s, &program, run);
    program.recipe = r;
    program.update = 1;
    program.again = f->checkpoint_activations;
    features->limit = feature_bytes(engine_device(s->spec.engine), f->feature_cache);
    if (features->limit && (uint64_t)r->epochs * f->images > f->images + (uint64_t)batch)
        program.features = features;
    return session_program(s, &program, run);
}

static int rehearse(struct foreseen *out, const struct session_spec *spec, const struct foresee_spec *f)
{
    int rc;
    struct session *s = NULL;
    struct feed feed = {0};
    struct features features = {0};
    struct run *run = NULL;
    TRY_OUT(session_create(&s, spec));
    TRY_OUT(make_program(s, f, &feed, &features, &run));
    out->bank = bank_memory(s->bank);
    out->run = run_memory(run);
    out->features = features.bytes;
    out->images = feed.images.size + feed.labels.size;
    list_alive(out, run);
out:
    run_destroy(run);
    features_finish(&features);
    feed_destroy(&feed);
    session_destroy(s);
    return rc;
}

int foresee(struct foreseen *out, const struct session_spec *session, const struct foresee_spec *spec)
{
    struct device *d = engine_device(session->engine);
    *out = (struct foreseen){.budget = device_budget(d)};
    device_rehearse_begin(d);
    int rc = rehearse(out, session, spec);
    out->peak = device_rehearse_end(d);
    return rc;
}

/* Whether it fits with that batch. */
static int fits(const struct session_spec *session, struct foresee_spec spec, int32_t batch)
{
    struct foreseen f;
    struct recipe recipe = *spec.recipe;
    recipe.batch = batch;
    spec.recipe = &recipe;
    return foresee(&f, session, &spec) == 0 && f.peak <= f.budget;
}

/* The largest batch that fits, below the recipe's; 0: none. */
static int32_t largest_batch(const struct session_spec *session, const struct foresee_spec *spec)
{
    int32_t good = 0, bad = spec->recipe->batch;
    while (bad - good > 1) {
        int32_t middle = good + (bad - good) / 2;
        if (fits(session, *spec, middle))
            good = middle;
        else
            bad = middle;
    }
    return good;
}

/* What would make it fit: the same bits in more time before another batch, which is another training. */
static void say_remedy(const struct session_spec *session, const struct foresee_spec *spec, char *text,
                       size_t size)
{
    struct foresee_spec again = *spec;
    int32_t wanted = spec->recipe->batch, batch = largest_batch(session, spec), with_again = 0;
    again.checkpoint_activations = 1;
    if (!spec->checkpoint_activations && !spec->inference)
        with_again = fits(session, again, wanted) ? wanted : largest_batch(session, &again);
    if (with_again == wanted && batch)
        snprintf(
            text, size,
            "it fits with --checkpoint-activations, for the same bits in more time, or with a batch of %d",
            batch);
    else if (with_again == wanted)
        snprintf(text, size, "it fits with --checkpoint-activations, for the same bits in more time");
    else if (with_again > batch)
        snprintf(text, size, "a batch of %d fits, or of %d with --checkpoint-activations", batch, with_again);
    else if (batch)
        snprintf(text, size, "a batch of %d fits", batch);
    else
        snprintf(text, size,
                 "not even one image a step fits: use a smaller model or image, or a larger device");
}

static int refuse(const struct session_spec *session, const struct foresee_spec *spec,
                  const struct foreseen *f)
{
    char takes[32], has[32], missing[32], remedy[192];
    say_remedy(session, spec, remedy, sizeof remedy);
    return fail(ERR_DEVICE,
                "%s with a batch of %d takes %s of device memory, but there are %s on %s: %s are missing; %s",
                method_text(session->method), spec->recipe->batch, bytes_text(f->peak, takes),
                bytes_text(f->budget, has), device_info(engine_device(session->engine))->name,
                bytes_text(f->peak - f->budget, missing), remedy);
}

int memory_check(const struct session_spec *session, const struct foresee_spec *spec)
{
    struct foreseen f;
    TRY(foresee(&f, session, spec));
    return f.peak <= f.budget ? 0 : refuse(session, spec, &f);
}

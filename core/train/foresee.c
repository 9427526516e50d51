/* foresee.c - see foresee.h. */
#include "foresee.h"

#include "error.h"
#include "feature_cache.h"
#include "memory.h"
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

struct rehearsal { /* of one training */
    struct session *session;
    struct features features;
    struct traced step;
};

static int trace(struct rehearsal *t, const struct foresee_spec *f, const struct feed *feed, uint32_t share)
{
    const struct recipe *r = f->recipe;
    const uint32_t batch = (uint32_t)r->batch, steps = (f->images + batch - 1) / batch;
    struct program_spec program = {.feed = feed, .batch = batch, .series = steps, .explain = 1};
    if (f->inference)
        return session_trace(t->session, &program, &t->step);
    program.recipe = r;
    program.update = 1;
    program.again = f->checkpoint_activations;
    t->features.limit = feature_bytes(engine_device(t->session->spec.engine), f->feature_cache) / share;
    const uint64_t rows =
        (uint64_t)r->epochs * recipe_steps(r, f->images) * batch; /* as member_trace counts them */
    if (t->features.limit && rows > f->images + (uint64_t)batch)
        program.features = &t->features;
    return session_trace(t->session, &program, &t->step);
}

static void add_bank(struct bank_memory *to, const struct bank_memory *b)
{
    to->frozen += b->frozen;
    to->layouts += b->layouts;
    to->weights += b->weights;
    to->gradients += b->gradients;
    to->moments += b->moments;
    to->factors += b->factors;
}

static void sum_up(struct foreseen *out, const struct rehearsal *all, uint32_t count,
                   const struct frozen *shared)
{
    for (uint32_t i = 0; i < count; i++) {
        const struct bank_memory bank = bank_memory(all[i].session->bank);
        add_bank(&out->bank, &bank);
        out->features += all[i].features.bytes;
    }
    if (shared) {
        const struct frozen_memory m = frozen_memory(shared);
        out->bank.frozen += m.tensors;
        out->bank.layouts += m.layouts;
    }
}

/* As training.c does it. */
static int rehearse(struct foreseen *out, const struct session_spec *sessions,
                    const struct foresee_spec *specs, uint32_t count, enum run_together together)
{
    int rc = ERR_MEMORY;
    struct engine *engine = sessions->engine;
    struct frozen *shared = NULL;
    struct feed feed = {0};
    struct run *run = NULL;
    struct rehearsal *all = mem_alloc(count, sizeof *all);
    struct run_spec *runs = mem_alloc(count, sizeof *runs);
    if (!all || !runs)
        goto out;
    if (count > 1)
        TRY_OUT(frozen_create(&shared, engine));
    for (uint32_t i = 0; i < count; i++) {
        struct session_spec s = sessions[i];
        s.shared = shared;
        TRY_OUT(session_create(&all[i].session, &s));
    }
    TRY_OUT(feed_create(&feed, engine, NULL, NULL, (int32_t)specs->images, sessions->vit->shape.image));
    for (uint32_t i = 0; i < count; i++) {
        all[i].features.before = i ? &all[i - 1].features : NULL;
        TRY_OUT(trace(&all[i], &specs[i], &feed, count));
        runs[i] = all[i].step.spec;
    }
    TRY_OUT(run_create_packed(&run, runs, count, together));
    sum_up(out, all, count, shared);
    out->run = run_memory(run);
    out->images = feed.images.size + feed.labels.size;
    list_alive(out, run);
out:
    run_destroy(run);
    for (uint32_t i = 0; all && i < count; i++) {
        session_trace_finish(&all[i].step);
        features_finish(&all[i].features);
    }
    feed_destroy(&feed);
    for (uint32_t i = 0; all && i < count; i++)
        session_destroy(all[i].session);
    frozen_destroy(shared);
    mem_free(all);
    mem_free(runs);
    return rc;
}

int foresee_packed(struct foreseen *out, const struct session_spec *sessions,
                   const struct foresee_spec *specs, uint32_t count, enum run_together together)
{
    struct device *d = engine_device(sessions->engine);
    *out = (struct foreseen){.budget = device_budget(d)};
    device_rehearse_begin(d);
    int rc = rehearse(out, sessions, specs, count, together);
    out->peak = device_rehearse_end(d);
    return rc;
}

int foresee(struct foreseen *out, const struct session_spec *session, const struct foresee_spec *spec)
{
    return foresee_packed(out, session, spec, 1, RUN_SIDE_BY_SIDE);
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

static int refuse_packed(const struct session_spec *sessions, const struct foresee_spec *specs,
                         uint32_t count, const struct foreseen *f)
{
    char takes[32], has[32], missing[32];
    struct foreseen fewer;
    uint32_t fit = count - 1;
    while (fit > 1 &&
           (foresee_packed(&fewer, sessions, specs, fit, RUN_IN_TURN) < 0 || fewer.peak > f->budget))
        fit--;
    bytes_text(f->peak, takes);
    bytes_text(f->budget, has);
    bytes_text(f->peak - f->budget, missing);
    return fail(ERR_DEVICE,
                "%u packed trials with a batch of %d take %s of device memory, but there are %s on %s: %s "
                "are missing; "
                "%s %u at once",
                count, specs->recipe->batch, takes, has, device_info(engine_device(sessions->engine))->name,
                missing, fit > 1 ? "it fits with" : "train", fit);
}

int foresee_as_pays(struct foreseen *out, const struct session_spec *sessions,
                    const struct foresee_spec *specs, uint32_t count, enum run_together *together)
{
    if (*together == RUN_AS_PAYS)
        *together = device_info(engine_device(sessions->engine))->is_cpu ? RUN_IN_TURN : RUN_SIDE_BY_SIDE;
    TRY(foresee_packed(out, sessions, specs, count, *together));
    if (count == 1 || out->peak <= out->budget || *together == RUN_IN_TURN)
        return 0;
    *together = RUN_IN_TURN;
    return foresee_packed(out, sessions, specs, count, *together);
}

int memory_check(const struct session_spec *sessions, const struct foresee_spec *specs, uint32_t count,
                 enum run_together *together)
{
    struct foreseen f;
    TRY(foresee_as_pays(&f, sessions, specs, count, together));
    if (f.peak <= f.budget)
        return 0;
    return count == 1 ? refuse(sessions, specs, &f) : refuse_packed(sessions, specs, count, &f);
}

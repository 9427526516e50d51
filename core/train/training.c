/* training.c - the loop of one trial: a series of replays an epoch, losses read late, checkpoints between. */
#include "session.h"

#include "checkpoint.h"
#include "clock.h"
#include "error.h"
#include "file.h"
#include "foresee.h"
#include "memory.h"
#include "recovery.h"
#include "run.h"
#include "session_private.h"
#include "steering.h"

#include <math.h>
#include <string.h>

struct training {
    struct session *session;
    const struct train_spec *spec;
    struct feed feed;
    struct run *run;
    struct recovery copy;
    uint32_t filed, recovered; /* steps in the file; times that the device was lost */
    uint32_t steps_an_epoch;
    struct checkpoint at; /* steps done, all steps, losses */
    int32_t *order;       /* of the current epoch */
    float *rates;
    double started, seconds, epoch_loss;
    uint32_t counted; /* steps that `seconds` covers */
    struct features features;
    struct train_features kept; /* what is told of them */
};

static int report(struct training *t, uint32_t submitted)
{
    if (!t->spec->report)
        return 0;
    double seconds = clock_seconds() - t->started;
    uint32_t fresh = submitted - (t->at.step - t->counted);
    struct train_progress p = {
        .epoch = (int32_t)(submitted / t->steps_an_epoch),
        .epochs = t->spec->recipe.epochs,
        .step = submitted,
        .steps = t->at.steps,
        .loss = (float)t->epoch_loss,
        .images_a_second = seconds > 0 ? fresh * (double)t->spec->recipe.batch / seconds : 0,
        .features = t->kept,
    };
    return t->spec->report(t->spec->context, &p)
               ? fail(ERR_STOPPED, "stopped at step %u of %u", submitted, t->at.steps)
               : 0;
}

/* features_report */
static int report_features(void *context, uint32_t done, uint32_t images)
{
    struct training *t = context;
    t->kept = (struct train_features){
        .images = images, .done = done, .bytes = t->features.bytes, .saved = t->features.prefix.saved};
    return report(t, t->at.step) == ERR_STOPPED;
}

static int take_copy(struct training *t)
{
    t->copy.scaling = t->at.scaling;
    return recovery_take(&t->copy, t->session, t->at.step);
}

/* A checkpoint: in the file where there is one, or else in memory. */
static int save(struct training *t)
{
    const char *identity = t->spec->identity ? t->spec->identity : "";
    if (!t->spec->checkpoint)
        return recovery_is_due(&t->copy) ? take_copy(t) : 0;
    TRY(checkpoint_write(t->spec->checkpoint, identity, t->session->bank, &t->at));
    t->filed = t->at.step;
    return 0;
}

/* Submits `count` steps of the current epoch, the first of which is at->step, and reads their losses. */
static int run_series(struct training *t, uint32_t count)
{
    const struct recipe *r = &t->spec->recipe;
    uint32_t first = t->at.step, within = first % t->steps_an_epoch;
    struct run_series series = {.first = first,
                                .steps = count,
                                .seed = r->seed,
                                .order = t->order + (size_t)within * (size_t)r->batch,
                                .rates = t->rates};
    int stopped = 0;
    uint32_t done = 0;
    TRY(run_begin(t->run, &series));
    while (done < count && stopped == 0) {
        uint32_t stride = run_stride(t->run), left = count - done;
        stride = stride < left ? stride : left;
        TRY(run_go(t->run, stride));
        stopped = report(t, first + (done += stride));
    }
    TRY(run_wait(t->run, 0));
    TRY(run_log(t->run, 0, 0, done, t->at.losses + first));
    TRY(run_scaling(t->run, 0, &t->at.scaling));
    t->at.step += done;
    t->counted += done;
    return stopped;
}

/* The mean loss of an epoch's steps so far, or a refusal when one is not finite. */
static int check_losses(struct training *t, int32_t epoch)
{
    uint32_t from = (uint32_t)epoch * t->steps_an_epoch;
    double sum = 0;
    for (uint32_t i = from; i < t->at.step; i++) {
        if (!isfinite(t->at.losses[i]))
            return fail(ERR_DIVERGED,
                        "diverged: the loss of step %u (epoch %d) is %f; try a smaller learning rate", i,
                        epoch, (double)t->at.losses[i]);
        sum += (double)t->at.losses[i];
    }
    t->epoch_loss = t->at.step > from ? sum / (t->at.step - from) : NAN;
    return 0;
}

static int run_epoch(struct training *t, int32_t epoch)
{
    const struct recipe *r = &t->spec->recipe;
    uint32_t end = (uint32_t)(epoch + 1) * t->steps_an_epoch;
    uint32_t each =
        t->spec->checkpoint && t->spec->checkpoint_steps ? t->spec->checkpoint_steps : t->steps_an_epoch;
    TRY(recipe_order(r, epoch, t->spec->images.count, t->order));
    for (uint32_t i = 0; i < t->steps_an_epoch; i++)
        t->rates[i] = recipe_rate(r, epoch);
    while (t->at.step < end) {
        uint32_t left = end - t->at.step, until = each - t->at.step % each, word;
        TRY(steering_until(t->session, t->at.step, t->at.steps, &word));
        until = until < word ? until : word;
        int rc = run_series(t, left < until ? left : until);
        if (rc < 0 && rc != ERR_STOPPED)
            return rc;
        TRY(check_losses(t, epoch));
        TRY(steering_step(t->session, t->at.step, t->at.steps));
        if (rc < 0 || t->at.step == end || t->at.step % each == 0)
            TRY(save(t));
        if (rc < 0)
            return fail(rc, "stopped at step %u of %u%s%s", t->at.step, t->at.steps,
                        t->spec->checkpoint ? "; the same command goes on from " : "",
                        t->spec->checkpoint ? t->spec->checkpoint : "");
    }
    return 0;
}

static int training_begin(struct training *t)
{
    const struct train_spec *s = t->spec;
    TRY(recipe_check(&s->recipe, s->images.count));
    t->steps_an_epoch = recipe_steps(&s->recipe, s->images.count);
    t->at.steps = t->steps_an_epoch * (uint32_t)s->recipe.epochs;
    t->at.losses = mem_alloc(t->at.steps, sizeof *t->at.losses);
    t->order = mem_alloc((size_t)t->steps_an_epoch * (size_t)s->recipe.batch, sizeof *t->order);
    t->rates = mem_alloc(t->steps_an_epoch, sizeof *t->rates);
    if (!t->at.losses || !t->order || !t->rates)
        return ERR_MEMORY;
    t->epoch_loss = NAN;
    if (s->checkpoint && file_exists(s->checkpoint)) {
        TRY(checkpoint_read(s->checkpoint, s->identity ? s->identity : "", t->session->bank, &t->at));
        t->session->prepared = 1;
    }
    return 0;
}

/* The program of a step; features are worth a pass over the images where more than one is left. */
static int compile(struct training *t)
{
    struct feed *feed = &t->feed;
    const struct recipe *r = &t->spec->recipe;
    struct session *s = t->session;
    uint64_t left = (uint64_t)(t->at.steps - t->at.step) * (uint64_t)r->batch;
    struct program_spec program = {.feed = feed,
                                   .batch = (uint32_t)r->batch,
                                   .series = t->steps_an_epoch,
                                   .recipe = r,
                                   .update = 1,
                                   .again = t->spec->checkpoint_activations};
    t->features.limit = feature_bytes(engine_device(s->spec.engine), t->spec->feature_cache);
    t->features.report = report_features;
    t->features.context = t;
    if (t->features.limit && left > (uint64_t)t->spec->images.count + (uint64_t)r->batch)
        program.features = &t->features;
    TRY(session_program(s, &program, &t->run));
    if (t->at.scaling.scale > 0) /* resumed */
        run_set_scaling(t->run, 0, &t->at.scaling);
    else if (t->spec->loss_scale > 0)
        run_set_scaling(t->run, 0, &(struct run_scaling){.scale = t->spec->loss_scale});
    t->kept.seconds = t->features.seconds;
    if (t->features.tape && !t->features.uses_images)
        feed_drop_images(feed);
    return 0;
}

/* What lies on the device, beside the session's bank. */
static void release(struct training *t)
{
    run_destroy(t->run);
    t->run = NULL;
    features_finish(&t->features);
    feed_destroy(&t->feed);
}

/* From where the training stands to its end. */
static int go_on(struct training *t, struct train_result *result, double start)
{
    struct session *s = t->session;
    const struct train_spec *spec = t->spec;
    TRY(feed_create(&t->feed, s->spec.engine, spec->images.rgb, spec->images.labels,
                    (int32_t)spec->images.count, s->spec.vit->shape.image));
    TRY(steering_begin(s, &t->feed, &spec->recipe, t->at.steps));
    if (!t->copy.arenas)
        TRY(take_copy(t));
    TRY(compile(t));
    if (t->started <= 0) {
        t->started = clock_seconds();
        result->compile_seconds = t->started - start - t->kept.seconds;
    }
    for (int32_t e = (int32_t)(t->at.step / t->steps_an_epoch); e < spec->recipe.epochs; e++)
        TRY(run_epoch(t, e));
    return isnan(t->epoch_loss) ? check_losses(t, spec->recipe.epochs - 1) : 0; /* resumed at the very end */
}

enum { RECOVERIES_MOST = 3 };

/* After a loss: everything anew, from the later of the two checkpoints. */
static int recover(struct training *t)
{
    const uint32_t step = t->at.step;
    const int from_file = t->filed > t->copy.step;
    t->recovered++;
    release(t);
    TRY(recovery_rebuild(&t->copy, t->session, !from_file));
    t->at.step = t->copy.step;
    t->at.scaling = t->copy.scaling;
    if (from_file)
        TRY(checkpoint_read(t->spec->checkpoint, t->spec->identity ? t->spec->identity : "", t->session->bank,
                            &t->at));
    t->counted -= step - t->at.step;
    engine_say(
        t->session->spec.engine,
        "warning: the device was lost while training; it was opened anew, and the training goes on from step "
        "%u of %u",
        t->at.step, t->at.steps);
    return 0;
}

int session_train(struct session *s, const struct train_spec *spec, struct train_result *result)
{
    int rc;
    struct training t = {.session = s, .spec = spec};
    double start = clock_seconds();
    *result = (struct train_result){0};
    TRY_OUT(training_begin(&t));
    result->resumed = t.at.step;
    const struct foresee_spec wanted = {.recipe = &spec->recipe,
                                        .images = spec->images.count,
                                        .checkpoint_activations = spec->checkpoint_activations,
                                        .feature_cache = spec->feature_cache};
    TRY_OUT(memory_check(&s->spec, &wanted));
    rc = go_on(&t, result, start);
    while (rc == ERR_LOST && t.copy.arenas && t.recovered < RECOVERIES_MOST) {
        rc = recover(&t);
        if (rc == 0)
            rc = go_on(&t, result, start);
    }
out:
    result->seconds = t.started > 0 ? clock_seconds() - t.started + t.kept.seconds : 0;
    result->features = t.kept;
    result->loss_scale = t.at.scaling.scale;
    result->skipped = t.at.scaling.skipped;
    result->steps = t.at.step;
    result->recovered = t.recovered;
    result->last_loss = (float)t.epoch_loss;
    result->images_a_second =
        result->seconds > 0 ? t.counted * (double)spec->recipe.batch / result->seconds : 0;
    device_memory(engine_device(s->spec.engine), &result->device_bytes);
    if (spec->losses && t.at.losses)
        memcpy(spec->losses, t.at.losses, t.at.step * sizeof *spec->losses);
    release(&t);
    recovery_finish(&t.copy);
    mem_free(t.at.losses);
    mem_free(t.order);
    mem_free(t.rates);
    return rc;
}

/* member.c - see member.h. */
#include "member.h"

#include "clock.h"
#include "error.h"
#include "file.h"
#include "memory.h"
#include "steering.h"

#include <math.h>

int member_begin(struct member *m)
{
    const struct train_spec *s = m->spec;
    TRY(recipe_check(&s->recipe, s->images.count));
    m->steps_an_epoch = recipe_steps(&s->recipe, s->images.count);
    m->at.steps = m->steps_an_epoch * (uint32_t)s->recipe.epochs;
    m->at.losses = mem_alloc(m->at.steps, sizeof *m->at.losses);
    m->order = mem_alloc((size_t)m->steps_an_epoch * (size_t)s->recipe.batch, sizeof *m->order);
    m->rates = mem_alloc(m->steps_an_epoch, sizeof *m->rates);
    if (!m->at.losses || !m->order || !m->rates)
        return ERR_MEMORY;
    m->ordered = -1;
    m->epoch_loss = NAN;
    if (s->checkpoint && file_exists(s->checkpoint)) {
        TRY(checkpoint_read(s->checkpoint, s->identity ? s->identity : "", m->session->bank, &m->at));
        m->session->prepared = 1;
    }
    m->result->resumed = m->at.step;
    m->over = m->at.step == m->at.steps;
    return 0;
}

void member_traced(struct member *m)
{
    session_trace_finish(&m->step);
    m->step = (struct traced){0};
}

void member_release(struct member *m)
{
    member_traced(m);
    features_finish(&m->features);
}

void member_finish(struct member *m)
{
    recovery_finish(&m->copy);
    mem_free(m->at.losses);
    mem_free(m->order);
    mem_free(m->rates);
}

int member_report(struct member *m, uint32_t submitted)
{
    const struct train_spec *s = m->spec;
    if (!s->report)
        return 0;
    const double seconds = m->seconds + (m->began > 0 ? (clock_seconds() - m->began) / m->sharing : 0);
    const uint32_t fresh = submitted - (m->at.step - m->counted);
    struct train_progress p = {
        .epoch = (int32_t)(submitted / m->steps_an_epoch),
        .epochs = s->recipe.epochs,
        .step = submitted,
        .steps = m->at.steps,
        .loss = (float)m->epoch_loss,
        .images_a_second = seconds > 0 ? fresh * (double)s->recipe.batch / seconds : 0,
        .features = m->kept,
    };
    return s->report(s->context, &p) ? fail(ERR_STOPPED, "stopped at step %u of %u", submitted, m->at.steps)
                                     : 0;
}

/* features_report */
static int report_features(void *context, uint32_t done, uint32_t images)
{
    struct member *m = context;
    m->kept = (struct train_features){
        .images = images, .done = done, .bytes = m->features.bytes, .saved = m->features.prefix.saved};
    return member_report(m, m->at.step) == ERR_STOPPED;
}

/* Features are worth a pass over the images where more than one is left. */
int member_trace(struct member *m, const struct feed *feed, uint32_t share, const struct member *before)
{
    const struct recipe *r = &m->spec->recipe;
    struct session *s = m->session;
    uint64_t left = (uint64_t)(m->at.steps - m->at.step) * (uint64_t)r->batch;
    struct program_spec program = {.feed = feed,
                                   .batch = (uint32_t)r->batch,
                                   .series = m->steps_an_epoch,
                                   .recipe = r,
                                   .update = 1,
                                   .again = m->spec->checkpoint_activations};
    m->features.limit = feature_bytes(engine_device(s->spec.engine), m->spec->feature_cache) / share;
    m->features.report = report_features;
    m->features.context = m;
    m->features.before = before ? &before->features : NULL;
    if (m->features.limit && left > (uint64_t)m->spec->images.count + (uint64_t)r->batch)
        program.features = &m->features;
    TRY(session_trace(s, &program, &m->step));
    m->kept.seconds = m->features.seconds;
    return 0;
}

int member_until(const struct member *m, uint32_t *steps)
{
    const struct train_spec *s = m->spec;
    const uint32_t each = s->checkpoint && s->checkpoint_steps ? s->checkpoint_steps : m->steps_an_epoch,
                   checkpoint = each - m->at.step % each,
                   epoch = m->steps_an_epoch - m->at.step % m->steps_an_epoch;
    uint32_t word;
    TRY(steering_until(m->session, m->at.step, m->at.steps, &word));
    *steps = epoch < checkpoint ? epoch : checkpoint;
    *steps = *steps < word ? *steps : word;
    return 0;
}

int member_series(struct member *m, struct run *run, uint32_t part, uint32_t steps)
{
    const struct recipe *r = &m->spec->recipe;
    const int32_t epoch = (int32_t)(m->at.step / m->steps_an_epoch);
    const uint32_t within = m->at.step % m->steps_an_epoch;
    if (epoch != m->ordered) {
        TRY(recipe_order(r, epoch, m->spec->images.count, m->order));
        m->ordered = epoch;
    }
    for (uint32_t i = 0; i < steps; i++)
        m->rates[i] = recipe_rate(r, epoch);
    const struct run_series series = {.part = part,
                                      .first = m->at.step,
                                      .steps = steps,
                                      .seed = r->seed,
                                      .order = m->order + (size_t)within * (size_t)r->batch,
                                      .rates = m->rates};
    return run_begin(run, &series);
}

int member_take(struct member *m, struct run *run, uint32_t part, uint32_t steps)
{
    TRY(run_log(run, part, 0, steps, m->at.losses + m->at.step)); /* each part logs its loss alone */
    TRY(run_scaling(run, part, &m->at.scaling));
    m->at.step += steps;
    m->counted += steps;
    m->seconds += (clock_seconds() - m->began) / m->sharing;
    m->began = 0;
    return 0;
}

/* The mean loss of an epoch's steps so far, or a refusal when one is not finite. */
static int check_losses(struct member *m, uint32_t epoch)
{
    uint32_t from = epoch * m->steps_an_epoch;
    double sum = 0;
    for (uint32_t i = from; i < m->at.step; i++) {
        if (!isfinite(m->at.losses[i]))
            return fail(ERR_DIVERGED,
                        "diverged: the loss of step %u (epoch %u) is %f; try a smaller learning rate", i,
                        epoch, (double)m->at.losses[i]);
        sum += (double)m->at.losses[i];
    }
    m->epoch_loss = m->at.step > from ? sum / (m->at.step - from) : NAN;
    return 0;
}

int member_check(struct member *m)
{
    return isnan(m->epoch_loss) ? check_losses(m, (uint32_t)m->spec->recipe.epochs - 1) : 0;
}

int member_take_copy(struct member *m)
{
    m->copy.scaling = m->at.scaling;
    return recovery_take(&m->copy, m->session, m->at.step);
}

/* A checkpoint: in the file where there is one, or else in memory. */
static int save(struct member *m)
{
    const char *identity = m->spec->identity ? m->spec->identity : "";
    if (!m->spec->checkpoint)
        return recovery_is_due(&m->copy) ? member_take_copy(m) : 0;
    TRY(checkpoint_write(m->spec->checkpoint, identity, m->session->bank, &m->at));
    m->filed = m->at.step;
    return 0;
}

int member_settle(struct member *m, int stopping)
{
    const struct train_spec *s = m->spec;
    const uint32_t each = s->checkpoint && s->checkpoint_steps ? s->checkpoint_steps : m->steps_an_epoch;
    int rc = check_losses(m, (m->at.step - 1) / m->steps_an_epoch);
    m->over = rc < 0 || m->at.step == m->at.steps;
    TRY(rc);
    TRY(steering_step(m->session, m->at.step, m->at.steps));
    return stopping || m->at.step % m->steps_an_epoch == 0 || m->at.step % each == 0 ? save(m) : 0;
}

int member_recover(struct member *m)
{
    const uint32_t step = m->at.step;
    const int from_file = m->filed > m->copy.step;
    TRY(recovery_fill(&m->copy, m->session, !from_file));
    m->began = 0;
    if (*m->result->diverged) /* it stays where it ended */
        return 0;
    m->at.step = m->copy.step;
    m->at.scaling = m->copy.scaling;
    if (from_file)
        TRY(checkpoint_read(m->spec->checkpoint, m->spec->identity ? m->spec->identity : "", m->session->bank,
                            &m->at));
    m->counted -= step - m->at.step;
    m->over = m->at.step == m->at.steps;
    return 0;
}

/* training.c - the loop of a training, or of several in one command buffer: series of replays, losses read late, what
 * is due between. Of several, those furthest behind work, and the others rest until these have caught up. */
#include "session.h"

#include "clock.h"
#include "error.h"
#include "foresee.h"
#include "member.h"
#include "memory.h"
#include "steering.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

struct training {
    struct member *members;
    uint32_t count;
    struct engine *engine;
    enum run_together together;
    struct feed feed;
    struct run *run;
    unsigned char *resting; /* per member, in the present series */
    int started;            /* the first step was near */
    uint32_t recovered;     /* times that the device was lost */
};

/* --- what trainings must agree on to share a step */

static int refuse(const struct training *t, uint32_t i, const char *what, double is, double first)
{
    return fail(ERR_INPUT,
                "packed trials work in one step: the %s of trial %u (%s) is %g, the first's is %g; give all "
                "the same, or "
                "train it by itself",
                what, i + 1, method_text(t->members[i].session->spec.method), is, first);
}

static int check_agreement(const struct training *t)
{
    const struct member *one = t->members;
    for (uint32_t i = 1; i < t->count; i++) {
        const struct member *m = &t->members[i];
        const struct recipe *r = &m->spec->recipe, *first = &one->spec->recipe;
        const struct session_spec *s = &m->session->spec, *lead = &one->session->spec;
        if (r->batch != first->batch)
            return refuse(t, i, "batch", r->batch, first->batch);
        if (r->epochs != first->epochs)
            return refuse(t, i, "number of epochs", r->epochs, first->epochs);
        if (r->drop_last != first->drop_last)
            return refuse(t, i, "drop_last", r->drop_last, first->drop_last);
        if (s->number != lead->number)
            return refuse(t, i, "precision", (double)s->number, (double)lead->number);
        if (s->engine != lead->engine || vit_backbone(s->vit) != vit_backbone(lead->vit) ||
            s->shared != lead->shared || memcmp(s->mean, lead->mean, sizeof s->mean) ||
            memcmp(s->std, lead->std, sizeof s->std) || m->spec->images.rgb != one->spec->images.rgb ||
            m->spec->images.labels != one->spec->images.labels ||
            m->spec->images.count != one->spec->images.count)
            return fail(
                ERR_INPUT,
                "packed trials work in one step: trial %u (%s) has another device, backbone or data than the "
                "first; train it by itself",
                i + 1, method_text(s->method));
    }
    return 0;
}

static int check_memory(struct training *t)
{
    struct session_spec *sessions = mem_alloc(t->count, sizeof *sessions);
    struct foresee_spec *specs = mem_alloc(t->count, sizeof *specs);
    int rc = sessions && specs ? 0 : ERR_MEMORY;
    for (uint32_t i = 0; i < t->count && rc == 0; i++) {
        const struct train_spec *s = t->members[i].spec;
        sessions[i] = t->members[i].session->spec;
        specs[i] = (struct foresee_spec){.recipe = &s->recipe,
                                         .images = s->images.count,
                                         .checkpoint_activations = s->checkpoint_activations,
                                         .feature_cache = s->feature_cache};
    }
    if (rc == 0)
        rc = memory_check(sessions, specs, t->count, &t->together);
    mem_free(sessions);
    mem_free(specs);
    return rc;
}

/* --- the run */

static int make_run(struct training *t)
{
    int rc = 0;
    struct run_spec *specs = mem_alloc(t->count, sizeof *specs);
    if (!specs)
        return ERR_MEMORY;
    for (uint32_t i = 0; i < t->count && rc == 0; i++) {
        rc = member_trace(&t->members[i], &t->feed, t->count, i ? &t->members[i - 1] : NULL);
        specs[i] = t->members[i].step.spec;
    }
    if (rc == 0)
        rc = run_create_packed(&t->run, specs, t->count, t->together);
    for (uint32_t i = 0; i < t->count; i++)
        member_traced(&t->members[i]);
    mem_free(specs);
    return rc;
}

static int compile(struct training *t)
{
    int uses_images = 0;
    TRY(make_run(t));
    for (uint32_t i = 0; i < t->count; i++) {
        const struct member *m = &t->members[i];
        if (m->at.scaling.scale > 0) /* resumed */
            run_set_scaling(t->run, i, &m->at.scaling);
        else if (m->spec->loss_scale > 0)
            run_set_scaling(t->run, i, &(struct run_scaling){.scale = m->spec->loss_scale});
        uses_images |= !m->features.tape || m->features.uses_images;
    }
    if (!uses_images)
        feed_drop_images(&t->feed);
    return 0;
}

/* What lies on the device, beside the sessions' banks. */
static void release(struct training *t)
{
    run_destroy(t->run);
    t->run = NULL;
    for (uint32_t i = 0; i < t->count; i++)
        member_release(&t->members[i]);
    feed_destroy(&t->feed);
}

/* --- the loop */

/* Who works in the next series, and how many steps it has; 0: all are at their ends. */
static int choose(struct training *t, uint32_t *steps)
{
    uint32_t least = UINT32_MAX, working = 0;
    *steps = 0;
    for (uint32_t i = 0; i < t->count; i++)
        if (!t->members[i].over && t->members[i].at.step < least)
            least = t->members[i].at.step;
    if (least == UINT32_MAX)
        return 0;
    *steps = UINT32_MAX;
    for (uint32_t i = 0; i < t->count; i++) {
        struct member *m = &t->members[i];
        uint32_t until = m->at.step - least;
        t->resting[i] = m->over || until > 0;
        working += !t->resting[i];
        if (!t->resting[i])
            TRY(member_until(m, &until));
        if (!m->over && until < *steps)
            *steps = until;
    }
    for (uint32_t i = 0; i < t->count; i++)
        t->members[i].sharing = working;
    return 0;
}

/* Submits the steps, unless someone stops it; returns how many were. */
static int submit(struct training *t, uint32_t steps, uint32_t *done)
{
    int stopped = 0;
    const double now = clock_seconds();
    for (uint32_t i = 0; i < t->count; i++)
        if (!t->resting[i])
            t->members[i].began = now;
    for (*done = 0; *done < steps && stopped == 0;) {
        uint32_t stride = run_stride(t->run), left = steps - *done;
        stride = stride < left ? stride : left;
        TRY(run_go(t->run, stride));
        *done += stride;
        for (uint32_t i = 0; i < t->count; i++)
            if (!t->resting[i] && member_report(&t->members[i], t->members[i].at.step + *done) < 0)
                stopped = ERR_STOPPED;
    }
    TRY(run_wait(t->run, 0));
    return stopped;
}

/* A training that diverged is over, and is the reason of nothing else. */
static int settle(struct member *m, int stopping)
{
    int rc = member_settle(m, stopping);
    if (rc != ERR_DIVERGED)
        return rc;
    snprintf(m->result->diverged, sizeof m->result->diverged, "%s", error_text());
    return 0;
}

static int run_series(struct training *t, uint32_t steps)
{
    uint32_t done;
    const struct member *m = NULL;
    TRY(run_rest(t->run, t->resting));
    for (uint32_t i = 0; i < t->count; i++)
        if (!t->resting[i])
            TRY(member_series(&t->members[i], t->run, i, steps));
    int rc = submit(t, steps, &done);
    if (rc < 0 && rc != ERR_STOPPED)
        return rc;
    for (uint32_t i = 0; i < t->count; i++)
        if (!t->resting[i])
            TRY(member_take(&t->members[i], t->run, i, done));
    for (uint32_t i = 0; i < t->count; i++)
        if (!t->resting[i]) {
            TRY(settle(&t->members[i], rc < 0));
            m = t->members[i].over ? m : &t->members[i];
        }
    if (rc == 0 || !m) /* none is left to be stopped */
        return 0;
    return fail(rc, "stopped at step %u of %u%s%s", m->at.step, m->at.steps,
                m->spec->checkpoint ? "; the same command goes on from " : "",
                m->spec->checkpoint ? m->spec->checkpoint : "");
}

/* `seconds` have passed; the features' are told apart. */
static void note_start(struct training *t, double seconds)
{
    t->started = 1;
    for (uint32_t i = 0; i < t->count; i++)
        seconds -= t->members[i].kept.seconds;
    for (uint32_t i = 0; i < t->count; i++)
        t->members[i].result->compile_seconds = seconds / t->count;
}

/* From where the trainings stand to their ends. */
static int go_on(struct training *t, double start)
{
    const struct session *s = t->members->session;
    const struct images *images = &t->members->spec->images;
    uint32_t steps;
    TRY(feed_create(&t->feed, t->engine, images->rgb, images->labels, (int32_t)images->count,
                    s->spec.vit->shape.image));
    for (uint32_t i = 0; i < t->count; i++) {
        struct member *m = &t->members[i];
        TRY(steering_begin(m->session, &t->feed, &m->spec->recipe, m->at.steps));
        if (!m->copy.arenas)
            TRY(member_take_copy(m));
    }
    TRY(compile(t));
    if (!t->started)
        note_start(t, clock_seconds() - start);
    for (;;) {
        TRY(choose(t, &steps));
        if (!steps)
            break;
        TRY(run_series(t, steps));
    }
    for (uint32_t i = 0; i < t->count; i++)
        if (!*t->members[i].result->diverged)
            TRY(member_check(&t->members[i]));
    return 0;
}

enum { RECOVERIES_MOST = 3 };

/* After a loss: everything anew, each training from the later of its two checkpoints. */
static int recover(struct training *t)
{
    t->recovered++;
    release(t);
    for (uint32_t i = 0; i < t->count; i++)
        recovery_drop(t->members[i].session);
    if (t->members->session->spec.shared)
        frozen_clear(t->members->session->spec.shared);
    TRY(engine_recover(t->engine));
    for (uint32_t i = 0; i < t->count; i++)
        TRY(member_recover(&t->members[i]));
    engine_say(
        t->engine,
        "warning: the device was lost while training; it was opened anew, and the training goes on from step "
        "%u of %u",
        t->members->at.step, t->members->at.steps);
    return 0;
}

static int train(struct training *t)
{
    const double start = clock_seconds();
    for (uint32_t i = 0; i < t->count; i++)
        TRY(member_begin(&t->members[i]));
    TRY(check_agreement(t));
    TRY(check_memory(t));
    int rc = go_on(t, start);
    while (rc == ERR_LOST && t->members->copy.arenas && t->recovered < RECOVERIES_MOST) {
        rc = recover(t);
        if (rc == 0)
            rc = go_on(t, start);
    }
    return rc;
}

/* Seconds that its features took, shared by those that have them in common. */
static double feature_seconds(const struct training *t, const struct features *f)
{
    const struct features *whose = f->lender ? f->lender : f;
    uint32_t sharing = 0;
    for (uint32_t i = 0; i < t->count; i++) {
        const struct features *other = &t->members[i].features;
        sharing += other == whose || other->lender == whose;
    }
    return whose->seconds / sharing;
}

static void fill_result(const struct training *t, const struct member *m)
{
    struct train_result *r = m->result;
    r->features = m->kept;
    r->features.seconds = feature_seconds(t, &m->features);
    r->seconds = m->seconds + r->features.seconds;
    r->loss_scale = m->at.scaling.scale;
    r->skipped = m->at.scaling.skipped;
    r->steps = m->at.step;
    r->recovered = t->recovered;
    r->packed = t->count;
    r->in_turn = t->count > 1 && t->together == RUN_IN_TURN;
    r->last_loss = (float)m->epoch_loss;
    r->images_a_second = r->seconds > 0 ? m->counted * (double)m->spec->recipe.batch / r->seconds : 0;
    device_memory(engine_device(t->engine), &r->device_bytes);
    if (m->spec->losses && m->at.losses)
        memcpy(m->spec->losses, m->at.losses, m->at.step * sizeof *m->spec->losses);
}

int session_train_packed(struct session *const *sessions, const struct train_spec *specs, uint32_t count,
                         enum run_together together, struct train_result *results)
{
    struct training t = {.engine = sessions[0]->spec.engine,
                         .together = together,
                         .members = mem_alloc(count, sizeof *t.members),
                         .resting = mem_alloc(count, 1)};
    int rc = t.members && t.resting ? 0 : ERR_MEMORY;
    t.count = t.members ? count : 0;
    for (uint32_t i = 0; i < t.count; i++) {
        results[i] = (struct train_result){0};
        t.members[i] = (struct member){.session = sessions[i], .spec = &specs[i], .result = &results[i]};
    }
    if (rc == 0)
        rc = train(&t);
    for (uint32_t i = 0; i < t.count; i++)
        fill_result(&t, &t.members[i]);
    release(&t);
    for (uint32_t i = 0; i < t.count; i++)
        member_finish(&t.members[i]);
    mem_free(t.members);
    mem_free(t.resting);
    return rc;
}

int session_train(struct session *s, const struct train_spec *spec, struct train_result *result)
{
    TRY(session_train_packed(&s, spec, 1, RUN_AS_PAYS, result));
    return *result->diverged ? fail(ERR_DIVERGED, "%s", result->diverged) : 0;
}

/* record.c - see record.h.
 *
 * A driver's watchdog ends work that keeps a GPU busy too long: after 0.6 to 7.5 s with Intel's, 2 s on
 * Windows, 10 s with AMD's. What matters is the length of one submit, so a long step is several of them, and a
 * long dispatch several dispatches of some of its workgroups each. Neither changes a bit. A short step, on the
 * other hand, is submitted many times at once, so that the host's part of it does not show.
 *
 * Between two barriers a GPU may run works in any order, and one dispatch's workgroups too. A software driver never does;
 * a device that pretends to work backwards has every group's works recorded the other way round, in parts wherever they
 * can be divided, the last part first. */
#include "record.h"

#include "error.h"
#include "push.h"

#include <math.h>

enum { MEASURED_STEPS = 2, PARTS_BACKWARDS = 4 };

/* What a device does at the very least, until it is measured; own memory means a card of its own. */
struct rate {
    double flops, bytes; /* a second */
};
static const struct rate slow_cpu = {10e9, 2e9}, slow_gpu = {50e9, 5e9};
static const double dispatch_seconds = 10e-6;

static double estimate(const struct program *p, const struct work *w)
{
    const struct rate rate = device_info(engine_device(p->engine))->is_cpu ? slow_cpu : slow_gpu;
    double bytes = 0;
    for (uint32_t k = 0; k < w->ref_count; k++)
        bytes += (double)p->slots[w->refs[k].slot].bytes;
    return dispatch_seconds + w->flops / rate.flops + (w->bytes > 0 ? w->bytes : bytes) / rate.bytes;
}

int pace_begin(struct pace *pace, const struct program *p)
{
    pace->seconds = mem_alloc(p->work_count, sizeof *pace->seconds);
    pace->segment = mem_alloc(p->work_count, 2 * sizeof *pace->segment);
    pace->parts = pace->segment + p->work_count;
    pace->at_once = 1;
    if (!pace->seconds || !pace->segment)
        return ERR_MEMORY;
    for (uint32_t i = 0; i < p->work_count; i++)
        pace->seconds[i] = estimate(p, &p->works[i]);
    return 0;
}

void pace_finish(struct pace *pace)
{
    mem_free(pace->seconds);
    mem_free(pace->segment);
}

/* The axis along which a dispatch has most workgroups. */
static int longest_axis(const uint32_t groups[3])
{
    int axis = 0;
    for (int i = 1; i < 3; i++)
        axis = groups[i] > groups[axis] ? i : axis;
    return axis;
}

/* A profile's notes are in the usual order. */
static int is_backwards(const struct program *p, const struct pace *pace)
{
    return device_info(engine_device(p->engine))->backwards && !pace->whole;
}

struct division { /* of a work into dispatches; one of several parts has a kernel for parts */
    uint32_t parts;
    int apart; /* each is a segment of its own */
    const struct kernel *kernel;
};

static int divide(struct program *p, const struct work *w, double seconds, struct pace *pace,
                  struct division *d)
{
    const struct engine_pace limit = engine_pace(p->engine);
    const uint32_t most = w->groups[longest_axis(w->groups)];
    const int too_long = limit.parts > 1 && !pace->whole && seconds > 1.5 * limit.submit_seconds;
    int can = 0;
    *d = (struct division){.parts = 1, .apart = too_long};
    if (!too_long && !is_backwards(p, pace))
        return 0;
    if (!w->custom && most > 1)
        can = engine_kernel_in_parts(p->engine, w->shader, w->constants, w->constant_count, &d->kernel);
    TRY(can);
    if (can) {
        uint32_t room = too_long ? limit.parts : PARTS_BACKWARDS;
        room = most < room ? most : room;
        double wanted = too_long && limit.submit_seconds > 0 ? ceil(seconds / limit.submit_seconds) : room;
        d->parts = wanted < room ? (uint32_t)wanted : room;
    } else if (too_long && pace->measured && seconds > 10 * limit.submit_seconds && !pace->told) {
        pace->told = 1;
        engine_say(p->engine,
                   "one dispatch of %s takes %.1f s and cannot be divided; should the driver end it as hung, "
                   "use a smaller batch",
                   w->label, seconds);
    }
    d->apart &= d->parts > 1;
    return 0;
}

static void dispatch_parts(struct stream *stream, const struct dispatch *whole, const struct division *in,
                           int backwards)
{
    const int axis = longest_axis(whole->groups);
    struct dispatch d = *whole;
    uint32_t base[3] = {0};
    for (uint32_t i = 0; i < in->parts; i++) {
        const uint64_t all = whole->groups[axis], part = backwards ? in->parts - 1 - i : i;
        base[axis] = (uint32_t)(all * part / in->parts);
        d.groups[axis] = (uint32_t)(all * (part + 1) / in->parts) - base[axis];
        d.flops = whole->flops * d.groups[axis] / (double)all;
        d.bytes = whole->bytes * d.groups[axis] / (double)all;
        if (in->apart)
            stream_cut(stream);
        stream_dispatch_part(stream, &d, base);
    }
    if (in->apart)
        stream_cut(stream);
}

/* Whether steps, or else the set-up, are recorded without it. */
static int is_left_out(const struct program *p, const struct work *w, int setup)
{
    return w->setup != setup || (!setup && p->idle && p->idle[w->part]);
}

/* Which work is recorded i-th: its mirror image within its group. */
static uint32_t find_mirrored(const struct program *p, uint32_t i)
{
    const struct work *w = p->works;
    uint32_t first = i, last = i;
    while (first > 0 && w[first - 1].setup == w[i].setup && w[first - 1].group == w[i].group)
        first--;
    while (last + 1 < p->work_count && w[last + 1].setup == w[i].setup && w[last + 1].group == w[i].group)
        last++;
    return first + last - i;
}

void pace_restart(struct pace *pace)
{
    pace->measured = 0;
    pace->at_once = 1;
}

int record_work(struct program *p, struct stream *stream, int setup, struct pace *pace)
{
    const double limit = engine_pace(p->engine).submit_seconds;
    const int backwards = is_backwards(p, pace);
    double sum = 0; /* of the segment so far */
    int32_t group = 0;
    TRY(stream_begin(stream));
    for (uint32_t n = 0; n < p->work_count; n++) {
        const uint32_t i = backwards ? find_mirrored(p, n) : n;
        const struct work *w = &p->works[i];
        if (is_left_out(p, w, setup))
            continue;
        struct dispatch d = {.push = w->push,
                             .label = w->label,
                             .flops = w->flops,
                             .bytes = w->bytes,
                             .groups = {w->groups[0], w->groups[1], w->groups[2]}};
        struct division in;
        TRY(divide(p, w, pace->seconds[i], pace, &in));
        d.kernel = in.parts > 1 ? in.kernel : w->custom;
        if (!d.kernel)
            TRY(engine_kernel(p->engine, w->shader, w->constants, w->constant_count, &d.kernel));
        if (w->group != group)
            stream_barrier(stream);
        group = w->group;
        if (in.apart || sum + pace->seconds[i] > limit) {
            stream_cut(stream);
            sum = 0;
        }
        if (in.parts > 1)
            dispatch_parts(stream, &d, &in, backwards);
        else
            stream_dispatch(stream, &d);
        sum += in.apart ? 0 : pace->seconds[i];
        pace->segment[i] = stream_segment_count(stream) - (in.apart ? in.parts : 1);
        pace->parts[i] = in.apart ? in.parts : 0;
    }
    return stream_end(stream);
}

/* Shares what the segments took among their works, in proportion to what was thought before. */
static void learn(struct pace *pace, const struct program *p, const double *took, uint32_t segments)
{
    double *thought = mem_alloc(segments, sizeof *thought);
    if (!thought)
        return; /* nothing was learnt: the estimates stay */
    for (uint32_t i = 0; i < p->work_count; i++)
        if (!is_left_out(p, &p->works[i], 0) && !pace->parts[i])
            thought[pace->segment[i]] += pace->seconds[i];
    for (uint32_t i = 0; i < p->work_count; i++) {
        if (is_left_out(p, &p->works[i], 0))
            continue;
        if (!pace->parts[i]) {
            pace->seconds[i] *= took[pace->segment[i]] / thought[pace->segment[i]];
            continue;
        }
        pace->seconds[i] = 0;
        for (uint32_t k = 0; k < pace->parts[i]; k++)
            pace->seconds[i] += took[pace->segment[i] + k];
    }
    mem_free(thought);
}

static int measure(struct pace *pace, struct program *p, struct stream *stream)
{
    const double limit = engine_pace(p->engine).submit_seconds;
    const uint32_t segments = stream_segment_count(stream);
    double all = 0, *took = mem_alloc(segments, sizeof *took);
    if (!took)
        return ERR_MEMORY;
    int rc = stream_submit_timed(stream, took);
    for (uint32_t i = 0; i < segments; i++)
        all += took[i];
    if (rc == 0)
        learn(pace, p, took, segments);
    mem_free(took);
    TRY(rc);
    pace->measured++;
    pace->at_once = all > 0 && limit / all < UINT32_MAX ? (uint32_t)(limit / all) : 1;
    pace->at_once = pace->at_once ? pace->at_once : 1;
    return segments > 1 || all > limit ? record_work(p, stream, 0, pace) : 0;
}

int pace_go(struct pace *pace, struct program *p, struct stream *stream, uint32_t steps)
{
    for (; steps > 0 && pace->measured < MEASURED_STEPS; steps--)
        TRY(measure(pace, p, stream));
    return stream_repeat(stream, steps, pace->at_once);
}

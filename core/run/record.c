/* record.c - see record.h.
 *
 * A driver's watchdog ends work that keeps a GPU busy too long: after 0.6 to 7.5 s with Intel's, 2 s on
 * Windows, 10 s with AMD's. What matters is the length of one submit, so a long step is several of them, and a
 * long dispatch several dispatches of some of its workgroups each. Neither changes a bit. A short step, on the
 * other hand, is submitted many times at once, so that the host's part of it does not show. */
#include "record.h"

#include "error.h"
#include "push.h"

#include <math.h>

enum { MEASURED_STEPS = 2 };

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

/* How many dispatches a work is recorded as; its kernel then is one for parts. */
static int divide(struct program *p, const struct work *w, double seconds, struct pace *pace, uint32_t *parts,
                  const struct kernel **kernel)
{
    const struct engine_pace limit = engine_pace(p->engine);
    const uint32_t most = w->groups[longest_axis(w->groups)];
    int can = 0;
    *parts = 1;
    if (limit.parts <= 1 || pace->whole || seconds <= 1.5 * limit.submit_seconds)
        return 0;
    if (!w->custom && most > 1)
        can = engine_kernel_in_parts(p->engine, w->shader, w->constants, w->constant_count, kernel);
    TRY(can);
    if (can) {
        uint32_t room = most < limit.parts ? most : limit.parts;
        double wanted = limit.submit_seconds > 0 ? ceil(seconds / limit.submit_seconds) : room;
        *parts = wanted < room ? (uint32_t)wanted : room;
    } else if (pace->measured && seconds > 10 * limit.submit_seconds && !pace->told) {
        pace->told = 1;
        engine_say(p->engine,
                   "one dispatch of %s takes %.1f s and cannot be divided; should the driver end it as hung, "
                   "use a smaller batch",
                   w->label, seconds);
    }
    return 0;
}

static void dispatch_parts(struct stream *stream, const struct dispatch *whole, uint32_t parts)
{
    const int axis = longest_axis(whole->groups);
    struct dispatch d = *whole;
    uint32_t base[3] = {0};
    for (uint32_t i = 0; i < parts; i++) {
        const uint64_t all = whole->groups[axis];
        base[axis] = (uint32_t)(all * i / parts);
        d.groups[axis] = (uint32_t)(all * (i + 1) / parts) - base[axis];
        d.flops = whole->flops * d.groups[axis] / (double)all;
        d.bytes = whole->bytes * d.groups[axis] / (double)all;
        stream_cut(stream);
        stream_dispatch_part(stream, &d, base);
    }
    stream_cut(stream);
}

/* Whether steps, or else the set-up, are recorded without it. */
static int is_left_out(const struct program *p, const struct work *w, int setup)
{
    return w->setup != setup || (!setup && p->idle && p->idle[w->part]);
}

void pace_restart(struct pace *pace)
{
    pace->measured = 0;
    pace->at_once = 1;
}

int record_work(struct program *p, struct stream *stream, int setup, struct pace *pace)
{
    const double limit = engine_pace(p->engine).submit_seconds;
    double sum = 0; /* of the segment so far */
    int32_t group = 0;
    TRY(stream_begin(stream));
    for (uint32_t i = 0; i < p->work_count; i++) {
        const struct work *w = &p->works[i];
        if (is_left_out(p, w, setup))
            continue;
        struct dispatch d = {.push = w->push,
                             .label = w->label,
                             .flops = w->flops,
                             .bytes = w->bytes,
                             .groups = {w->groups[0], w->groups[1], w->groups[2]}};
        uint32_t parts;
        TRY(divide(p, w, pace->seconds[i], pace, &parts, &d.kernel));
        if (parts == 1) {
            d.kernel = w->custom;
            if (!w->custom)
                TRY(engine_kernel(p->engine, w->shader, w->constants, w->constant_count, &d.kernel));
        }
        if (w->group != group)
            stream_barrier(stream);
        group = w->group;
        if (parts > 1 || sum + pace->seconds[i] > limit) {
            stream_cut(stream);
            sum = 0;
        }
        if (parts > 1) {
            dispatch_parts(stream, &d, parts);
        } else {
            stream_dispatch(stream, &d);
            sum += pace->seconds[i];
        }
        pace->segment[i] = stream_segment_count(stream) - parts;
        pace->parts[i] = parts > 1 ? parts : 0;
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

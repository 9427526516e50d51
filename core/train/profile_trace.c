/* profile_trace.c - see profile.h: the trace. Format: "Trace Event Format", Google, 2016. */
#include "profile.h"

#include "error.h"

#include <stdio.h>

enum { NAME = 192 };
enum { TRACE_PROCESS = 1, TRACK_DEVICE = 1, TRACK_HOST = 2 };

static int name_track(struct json *events, const char *what, int track, const char *name)
{
    struct json *e = json_object();
    TRY(json_append_take(events, e));
    TRY(json_set_string(e, "ph", "M"));
    TRY(json_set_string(e, "name", what));
    TRY(json_set_integer(e, "pid", TRACE_PROCESS));
    TRY(json_set_integer(e, "tid", track));
    struct json *args = json_object();
    TRY(json_take(e, "args", args));
    return json_set_string(args, "name", name);
}

/* An event with a beginning and a length, in microseconds; *args: where to say more. */
static int add_event(struct json *events, const char *name, const char *category, int track, double begin,
                     double length, struct json **args)
{
    struct json *e = json_object();
    TRY(json_append_take(events, e));
    TRY(json_set_string(e, "ph", "X"));
    TRY(json_set_string(e, "name", name));
    TRY(json_set_string(e, "cat", category));
    TRY(json_set_integer(e, "pid", TRACE_PROCESS));
    TRY(json_set_integer(e, "tid", track));
    TRY(json_set_number(e, "ts", begin));
    TRY(json_set_number(e, "dur", length));
    *args = json_object();
    return json_take(e, "args", *args);
}

static int add_host(struct json *events, const struct profile_step *s, uint32_t number)
{
    const struct {
        const char *name;
        double from, to;
    } parts[] = {
        {"write the batch", s->begin, s->submit}, {"submit", s->submit, s->wait}, {"wait", s->wait, s->end}};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        struct json *args;
        TRY(add_event(events, parts[i].name, "host", TRACK_HOST, parts[i].from * 1e6,
                      (parts[i].to - parts[i].from) * 1e6, &args));
        TRY(json_set_integer(args, "step", number));
    }
    return 0;
}

static int add_work(struct json *events, const struct profile *p, uint32_t step, uint32_t i, double zero)
{
    const struct run_time *t = &p->works[i];
    double start = p->starts[step * p->count + i], ns = p->times[step * p->count + i];
    char name[NAME], shape[SHAPE_TEXT];
    struct json *args;
    if (t->place)
        snprintf(name, sizeof name, "%s, %s", t->label, t->place);
    else
        snprintf(name, sizeof name, "%s", t->label);
    TRY(add_event(events, name, run_phases[t->phase], TRACK_DEVICE, zero + start * 1e-3, ns * 1e-3, &args));
    TRY(json_set_integer(args, "step", step));
    TRY(json_set_string(args, "kernel", t->kernel));
    TRY(json_set_string(args, "method", p->owners[i]));
    if (t->shape.rank)
        TRY(json_set_string(args, "shape", shape_text(t->shape, shape)));
    TRY(json_set_number(args, "flops", t->flops));
    TRY(json_set_number(args, "bytes", t->bytes));
    if (ns <= 0)
        return 0;
    TRY(json_set_number(args, "GFLOP/s", t->flops / ns));
    return json_set_number(args, "GB/s", t->bytes / ns);
}

/* The two clocks share no zero. A step's last dispatch ends at the latest when the host has waited for it, so the
 * device's track is put there: what it shows too late is the time that waking the host took. */
static int add_step(struct json *events, const struct profile *p, uint32_t step)
{
    double end = 0;
    for (uint32_t i = 0; i < p->count; i++) {
        double at = p->starts[step * p->count + i] + p->times[step * p->count + i];
        end = at > end ? at : end;
    }
    double zero = p->host[step].end * 1e6 - end * 1e-3;
    TRY(add_host(events, &p->host[step], step));
    for (uint32_t i = 0; i < p->count; i++)
        TRY(add_work(events, p, step, i, zero));
    return 0;
}

int profile_trace(struct json **out, const struct profile *p, const char *device)
{
    int rc = 0;
    struct json *document = json_object();
    struct json *events = json_array();
    TRY_OUT(json_take(document, "traceEvents", events));
    TRY_OUT(json_set_string(document, "displayTimeUnit", "ms"));
    TRY_OUT(name_track(events, "process_name", 0, "vitro profile"));
    TRY_OUT(name_track(events, "thread_name", TRACK_DEVICE, device));
    TRY_OUT(name_track(events, "thread_name", TRACK_HOST, "host"));
    for (uint32_t i = 0; i < p->steps; i++)
        TRY_OUT(add_step(events, p, i));
    *out = document;
    document = NULL;
out:
    json_destroy(document);
    return rc;
}

/* kernel_extension.c - kernels that plugins bring: checked, traced as their equivalents, recorded. */
#include "kernel_extension.h"

#include "error.h"
#include "ops_private.h"
#include "spirv.h"

#include <string.h>

_Static_assert((int)VITRO_KERNEL_INPUTS == (int)CUSTOM_INPUTS, "one number of inputs");
_Static_assert((int)VITRO_KERNEL_PUSH == (int)CUSTOM_PUSH, "one size of arguments");
_Static_assert((int)VITRO_KERNEL_CONSTANTS == (int)CUSTOM_CONSTANTS, "one number of constants");

enum { GROUPS_LIMIT = 65535 }; /* what every device of Vulkan allows */

struct use { /* of a kernel in a forward, kept for its derivative */
    struct plugin_trace place;
    vitro_kernel kernel;
    vitro_dispatch dispatch;
    struct custom call; /* holds what the dispatch points to */
    value in[CUSTOM_INPUTS];
};

static struct plugin_trace *self_of(vitro_trace *t)
{
    return (struct plugin_trace *)(void *)t;
}

/* Why the kernel cannot be used, into the tape; 0 or -1. */
static int check_kernel(struct tape *t, const vitro_kernel *given, vitro_kernel *k)
{
    const size_t least = offsetof(vitro_kernel, equivalent) + sizeof given->equivalent;
    struct spirv module;
    memset(k, 0, sizeof *k);
    if (given && given->size >= least)
        memcpy(k, given, given->size < sizeof *k ? given->size : sizeof *k);
    if (!k->name || !k->equivalent || !k->spirv)
        tape_fail(t, "dispatch: the kernel lacks its %s",
                  !given || given->size < least ? "size"
                  : !k->name                    ? "name"
                  : !k->spirv                   ? "module"
                                                : "equivalent");
    else if (k->inputs < 1 || k->inputs > CUSTOM_INPUTS)
        tape_fail(t, "kernel %.64s has %u inputs; 1 to %d are possible", k->name, k->inputs, CUSTOM_INPUTS);
    else if (k->push_size > CUSTOM_PUSH || k->push_size % 4 || k->constants > CUSTOM_CONSTANTS)
        tape_fail(t,
                  "kernel %.64s has %u bytes of arguments and %u constants; a multiple of 4 up to %d and at "
                  "most %d are possible",
                  k->name, k->push_size, k->constants, CUSTOM_PUSH, CUSTOM_CONSTANTS);
    else if (spirv_read(&module, k->spirv, k->spirv_size) < 0)
        tape_fail(t, "kernel %.64s: %s", k->name, error_text());
    else if (module.push_bytes > 8 * (k->inputs + 1) + k->push_size)
        tape_fail(
            t,
            "kernel %.64s: its module reads %u bytes of push constants; %u addresses and its own %u are "
            "%u",
            k->name, module.push_bytes, k->inputs + 1, k->push_size, 8 * (k->inputs + 1) + k->push_size);
    else
        return 0;
    return -1;
}

/* The dispatch as a call of the tape; `d` then points into the call. */
static int check_dispatch(struct tape *t, const vitro_kernel *k, const vitro_dispatch *given,
                          vitro_dispatch *d, struct custom *call)
{
    const size_t least = offsetof(vitro_dispatch, groups) + sizeof given->groups;
    memset(d, 0, sizeof *d);
    if (given && given->size >= least)
        memcpy(d, given, given->size < sizeof *d ? given->size : sizeof *d);
    int groups = 1;
    for (int i = 0; i < 3; i++)
        groups &= d->groups[i] >= 1 && d->groups[i] <= GROUPS_LIMIT;
    if (!groups || (k->push_size && !d->push) || (k->constants && !d->constants)) {
        tape_fail(t, "kernel %.64s: %s", k->name,
                  !given || given->size < least ? "its dispatch lacks its size"
                  : groups                      ? "its dispatch lacks the arguments or constants that it has"
                           : "each of its three numbers of workgroups must be 1 to 65535");
        return -1;
    }
    *call = (struct custom){.name = k->name,
                            .spirv = k->spirv,
                            .spirv_bytes = k->spirv_size,
                            .inputs = k->inputs,
                            .push_bytes = k->push_size,
                            .constant_count = k->constants,
                            .groups = {d->groups[0], d->groups[1], d->groups[2]}};
    if (k->push_size)
        memcpy(call->push, d->push, k->push_size);
    if (k->constants)
        memcpy(call->constants, d->constants, k->constants * sizeof *call->constants);
    d->push = call->push;
    d->constants = call->constants;
    return 0;
}

/* The kernel's function by operations, of the shape that was promised. */
static value trace_equivalent(struct plugin_trace *p, const struct use *u)
{
    struct tape *t = p->trace->tape;
    struct shape want = {.rank = u->dispatch.shape.rank};
    char is[SHAPE_TEXT], was[SHAPE_TEXT];
    p->trace->in_equivalent = 1;
    value y = u->kernel.equivalent(p->in->self, &p->pub, &u->dispatch, u->in);
    p->trace->in_equivalent = 0;
    if (tape_why(t))
        return 0;
    if (!tape_node(t, y))
        return tape_fail(t, "kernel %.64s: its equivalent returned no value", u->kernel.name);
    for (int i = 0; i < SHAPE_RANK && i < want.rank; i++)
        want.dim[i] = u->dispatch.shape.dim[i];
    if (!shape_equal(tape_shape(t, y), want))
        return tape_fail(t, "kernel %.64s: its equivalent is %s, its output is said to be %s", u->kernel.name,
                         shape_text(tape_shape(t, y), is),
                         want.rank >= 0 && want.rank <= SHAPE_RANK ? shape_text(want, was) : "of no shape");
    return y;
}

static int run_vjp(void *context, struct tape *t, value y, value d_y)
{
    struct use *u = context;
    value d_in[CUSTOM_INPUTS] = {0};
    struct plugin_trace p = u->place;
    p.phase = PHASE_BACKWARD;
    trace_place(p.trace, u->kernel.name, p.record->site.kind, p.block);
    u->kernel.vjp(p.in->self, &p.pub, &u->dispatch, u->in, y, d_y, d_in);
    trace_complaint(p.trace, p.in);
    for (uint32_t i = 0; i < u->kernel.inputs && !tape_why(t); i++)
        if (d_in[i] && !tape_node(t, d_in[i]))
            tape_fail(t, "d_in[%u] is not a value of this trace", i);
        else
            tape_add_gradient(t, u->in[i], d_in[i]);
    tape_place(t, NULL);
    return tape_why(t) ? ERR_PLUGIN : 0;
}

static int check_inputs(struct tape *t, struct use *u, const vitro_value *in)
{
    for (uint32_t i = 0; i < u->kernel.inputs; i++) {
        if (!in || !tape_node(t, in[i])) {
            if (!tape_why(t))
                tape_fail(t, "kernel %.64s: its input %u is not a value of this trace", u->kernel.name, i);
            return -1;
        }
        u->in[i] = in[i];
    }
    return 0;
}

static vitro_value dispatch(vitro_trace *trace, const vitro_kernel *kernel, const vitro_dispatch *d,
                            const vitro_value *in)
{
    struct plugin_trace *p = self_of(trace);
    struct tape *t = p->trace->tape;
    if (tape_why(t))
        return 0;
    if (!(p->phase & (PHASE_FORWARD | PHASE_BACKWARD)) || p->trace->in_equivalent)
        return tape_fail(t, "dispatch is for a forward or a backward, and not for an equivalent");
    struct use *u = arena_alloc(&p->trace->arena, 1, sizeof *u);
    if (!u)
        return tape_fail(t, "%s", error_text());
    if (check_kernel(t, kernel, &u->kernel) < 0 ||
        check_dispatch(t, &u->kernel, d, &u->dispatch, &u->call) < 0 || check_inputs(t, u, in) < 0)
        return 0;
    value y = trace_equivalent(p, u);
    u->place = *p;
    int derive = p->phase == PHASE_BACKWARD || !u->kernel.vjp || p->trace->derive;
    return y ? tape_custom(t, y, u->in, &u->call, derive ? NULL : run_vjp, u) : 0;
}

const vitro_kernel_ops kernel_extension = {.size = sizeof(vitro_kernel_ops), .dispatch = dispatch};

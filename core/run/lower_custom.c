/* lower_custom.c - kernels from outside: which of them this device runs, and their dispatches. Where it runs
 * none, the value is its equivalent's. */
#include "program.h"

#include <string.h>

_Static_assert((CUSTOM_INPUTS + 1) * sizeof(uint64_t) + CUSTOM_PUSH <= KERNEL_PUSH_MAX, "arguments fit");
_Static_assert(CUSTOM_INPUTS + 1 <= WORK_REFS, "references fit");
_Static_assert(CUSTOM_CONSTANTS + 1 <= KERNEL_CONSTANTS_MAX, "constants fit");

int choose_customs(struct program *p, const value *roots, size_t count)
{
    for (value v = 1; v < tape_size(p->tape); v++)
        p->kernels[v] = tape_node(p->tape, v)->op == OP_CUSTOM;
    for (int again = 1; again;) { /* an equivalent may need more of them */
        again = 0;
        tape_live_with(p->tape, roots, count, p->kernels, p->live);
        for (value v = 1; v < tape_size(p->tape); v++) {
            const struct kernel *kernel;
            if (!p->live[v] || !p->kernels[v])
                continue;
            int rc = engine_custom(p->engine, tape_call(p->tape, tape_node(p->tape, v)), &kernel);
            if (rc < 0)
                return rc;
            p->kernels[v] = (unsigned char)rc;
            again |= !rc;
        }
    }
    return 0;
}

void lower_custom(struct program *p, value v, const struct node *n)
{
    const struct custom *call = tape_call(p->tape, n);
    unsigned char push[KERNEL_PUSH_MAX] = {0};
    struct ref refs[CUSTOM_INPUTS + 1];
    uint32_t addresses = (call->inputs + 1) * (uint32_t)sizeof(uint64_t);
    double floats = (double)shape_count(n->shape);
    const struct kernel *kernel;
    if (!p->kernels[v])
        return;
    int rc = engine_custom(p->engine, call, &kernel);
    if (rc < 0) {
        program_refuse(p, rc);
        return;
    }
    for (uint32_t i = 0; i < call->inputs; i++) {
        refs[i] = program_value(p, n->in[i + 1]);
        floats += (double)shape_count(tape_shape(p->tape, n->in[i + 1]));
    }
    refs[call->inputs] = program_value(p, v);
    memcpy(push + addresses, call->push, call->push_bytes);
    struct work *w = program_emit(p, SHADER_COUNT, push, addresses + call->push_bytes, refs, call->inputs + 1,
                                  1u << call->inputs, call->groups);
    w->custom = kernel;
    w->label = call->name;
    w->bytes = floats * sizeof(float);
}

/* custom.c - kernels from outside as values: what is dispatched is kept beside the nodes. */
#include "tape_private.h"

#include "error.h"

const struct custom *tape_call(const struct tape *t, const struct node *custom)
{
    return t->calls[custom->attr.custom.call];
}

static int keep_call(struct tape *t, const struct custom *call, uint32_t *at)
{
    struct custom *copy = arena_alloc(&t->names, 1, sizeof *copy);
    const struct custom **calls =
        copy ? mem_grow(t->calls, t->call_count, t->call_count + 1, sizeof *calls) : NULL;
    if (!calls) {
        tape_fail(t, "%s", error_text());
        return ERR_MEMORY;
    }
    *copy = *call;
    t->calls = calls;
    calls[t->call_count] = copy;
    *at = t->call_count++;
    return 0;
}

value tape_custom(struct tape *t, value equivalent, const value *in, const struct custom *call,
                  hooked_rule rule, void *context)
{
    union attr attr = attr_zero();
    value all[OP_INPUTS] = {equivalent};
    if (!equivalent)
        return 0;
    for (uint32_t i = 0; i + 1 < OP_INPUTS; i++) /* what the kernel does not read repeats what it does */
        all[i + 1] = in[i < call->inputs ? i : 0];
    if (keep_call(t, call, &attr.custom.call) < 0)
        return 0;
    if (rule && keep_rule(t, (struct rule){.call = rule, .context = context}, &attr.custom.rule) < 0)
        return 0;
    attr.custom.rule += rule != NULL;
    return record(t, OP_CUSTOM, tape_shape(t, equivalent), all, attr, NULL);
}

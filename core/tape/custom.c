/* custom.c - kernels from outside as values: what is dispatched is kept beside the nodes. */
#include "tape_private.h"

#include "error.h"

#include <string.h>

const struct custom *tape_call(const struct tape *t, const struct node *custom)
{
    return t->calls[custom->attr.custom.call];
}

static int keep_call(struct tape *t, const struct custom *call, uint32_t *at)
{
    struct custom *copy = arena_alloc(&t->names, 1, sizeof *copy);
    const struct custom **calls =
        copy ? mem_grow(t->calls, t->call_count, t->call_count + 1, sizeof *calls) : NULL;
    if (!calls)
        return ERR_MEMORY;
    *copy = *call;
    t->calls = calls;
    calls[t->call_count] = copy;
    *at = t->call_count++;
    return 0;
}

/* The rule's number and one. */
static int keep_rule(struct tape *t, hooked_rule rule, void *context, uint32_t *at)
{
    struct rule *rules = mem_grow(t->rules, t->rule_count, t->rule_count + 1, sizeof *rules);
    if (!rules)
        return ERR_MEMORY;
    t->rules = rules;
    rules[t->rule_count] = (struct rule){.call = rule, .context = context};
    *at = ++t->rule_count;
    return 0;
}

value tape_custom(struct tape *t, value equivalent, const value *in, const struct custom *call,
                  hooked_rule rule, void *context)
{
    union attr attr;
    value all[OP_INPUTS] = {equivalent};
    memset(&attr, 0, sizeof attr); /* all bytes take part in comparisons */
    if (!equivalent)
        return 0;
    for (uint32_t i = 0; i + 1 < OP_INPUTS; i++) /* what the kernel does not read repeats what it does */
        all[i + 1] = in[i < call->inputs ? i : 0];
    if (keep_call(t, call, &attr.custom.call) < 0 ||
        (rule && keep_rule(t, rule, context, &attr.custom.rule) < 0))
        return tape_fail(t, "%s", error_text());
    return record(t, OP_CUSTOM, tape_shape(t, equivalent), all, attr, NULL);
}

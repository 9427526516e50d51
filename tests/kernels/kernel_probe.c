/* kernel_probe.c - a plugin with one kernel, y = x gain k + c, which its option makes go wrong in one way. */
#include <vitro/kernel.h>
#include <vitro/sdk.h>

#include <string.h>

#include "kernel_probe_spv.h"

#define WAYS(X)                                                                                              \
    X(good)                                                                                                  \
    X(no_vjp)                                                                                                \
    X(other)                                                                                                 \
    X(capability)                                                                                            \
    X(bad_magic) X(cut_short) X(more_push) X(odd_push) X(no_push) X(no_groups) X(many_groups) X(wrong_shape) \
        X(wild_shape) X(no_value) X(nested) X(many_inputs) X(bad_input) X(no_equivalent) X(no_size)          \
            X(wrong_gradient) X(bad_gradient) X(in_penalty)
#define X(way) WAY_##way,
enum { WAYS(X) };
#undef X
#define X(way) #way,
static const char *const way_names[] = {WAYS(X) NULL};
#undef X

enum { WORDS = sizeof kernel_probe_spv / sizeof *kernel_probe_spv };
struct probe {
    int32_t way;
    float k;
    vitro_param gain;
};
struct arguments {
    uint32_t count, n;
    float k;
};
static uint32_t module[WORDS + 2]; /* a test's licence: what it holds is the same in all instances */
static const float c = 0.25f;

static const vitro_option options[] = {
    VITRO_OPT_ENUM(struct probe, way, WAY_good, way_names, NULL, "what goes wrong"),
    VITRO_OPT_FLOAT(struct probe, k, 1.5, -10, 10, NULL, "factor"),
    VITRO_OPT_END,
};

static vitro_value use(struct probe *p, vitro_trace *t, vitro_value x);

static vitro_value equivalent(void *self, vitro_trace *t, const vitro_dispatch *d, const vitro_value *in)
{
    struct probe *p = self;
    const struct arguments *a = d->push;
    float shift;
    memcpy(&shift, d->constants, sizeof shift);
    vitro_value y = t->op->affine(t, vitro_mul(t, in[0], in[1]), a->k, shift);
    switch (p->way) {
    case WAY_no_value: return 0;
    case WAY_nested: return use(p, t, in[0]);
    case WAY_wrong_shape: return vitro_rows(t, y);
    case WAY_other: return vitro_scale(t, y, 3);
    default: return y;
    }
}

static void vjp(void *self, vitro_trace *t, const vitro_dispatch *d, const vitro_value *in, vitro_value out,
                vitro_value d_out, vitro_value *d_in)
{
    struct probe *p = self;
    const struct arguments *a = d->push;
    (void)out;
    d_in[0] = vitro_scale(t, vitro_mul(t, d_out, in[1]), a->k);
    d_in[1] = vitro_scale(t, vitro_sum_rows(t, vitro_mul(t, d_out, in[0])), a->k);
    if (p->way == WAY_wrong_gradient)
        d_in[0] = vitro_rows(t, d_in[0]);
    if (p->way == WAY_bad_gradient)
        d_in[1] = 1u << 30;
}

static vitro_kernel kernel_of(const struct probe *p)
{
    vitro_kernel k = {
        .size = sizeof k,
        .inputs = 2,
        .push_size = sizeof(struct arguments),
        .constants = 1,
        .name = "probe",
        .spirv = kernel_probe_spv,
        .spirv_size = sizeof kernel_probe_spv,
        .equivalent = equivalent,
        .vjp = p->way == WAY_no_vjp ? NULL : vjp,
    };
    switch (p->way) {
    case WAY_capability: k.spirv = module, k.spirv_size = sizeof module; break;
    case WAY_bad_magic: k.spirv++, k.spirv_size -= 4; break;
    case WAY_cut_short: k.spirv_size -= 8; break;
    case WAY_more_push: k.push_size = 8; break;
    case WAY_odd_push: k.push_size = 10; break;
    case WAY_many_inputs: k.inputs = 8; break;
    case WAY_no_equivalent: k.equivalent = NULL; break;
    case WAY_no_size: k.size = 0; break;
    }
    return k;
}

static vitro_value use(struct probe *p, vitro_trace *t, vitro_value x)
{
    const vitro_kernel_ops *own = t->host->extension(t->host, VITRO_KERNEL);
    vitro_shape s = t->op->shape(t, x);
    struct arguments a = {1, 1, p->k};
    vitro_kernel k = kernel_of(p);
    for (int32_t i = 0; i < s.rank; i++)
        a.count *= (uint32_t)s.dim[i];
    a.n = (uint32_t)s.dim[s.rank - 1];
    uint32_t shift;
    memcpy(&shift, &c, sizeof shift);
    vitro_dispatch d = {.size = sizeof d, .shape = s, .groups = {3, 1, 1}, .push = &a, .constants = &shift};
    if (p->way == WAY_no_push)
        d.push = NULL;
    if (p->way == WAY_no_groups)
        d.groups[1] = 0;
    if (p->way == WAY_many_groups)
        d.groups[2] = 65536;
    if (p->way == WAY_wild_shape)
        d.shape.rank = 1000;
    if (!own || own->size < sizeof *own)
        return t->op->fail(t, "no kernels here");
    return own->dispatch(
        t, &k, &d, (const vitro_value[]){x, p->way == WAY_bad_input ? 12345678 : vitro_get(t, p->gain)});
}

/* Behind the header a capability that no plugin is offered: Float64, 10. */
static int init(void *self, const vitro_host *host)
{
    (void)self, (void)host;
    memcpy(module, kernel_probe_spv, 5 * sizeof *module);
    module[5] = 2u << 16 | 17;
    module[6] = 10;
    memcpy(module + 7, kernel_probe_spv + 5, (WORDS - 5) * sizeof *module);
    return 0;
}

static int declare(void *self, vitro_decl *d)
{
    struct probe *p = self;
    p->gain = VITRO_PARAM(d, .name = "gain", .shape = VITRO_SHAPE(d->model->dim), .init = VITRO_ONES);
    d->hook(d, VITRO_BIT(MLP_OUT), (vitro_blocks){0, 0});
    return 0;
}

static vitro_value forward(void *self, vitro_trace *t, const vitro_site *site, vitro_value x)
{
    struct probe *p = self;
    (void)site;
    return p->way == WAY_in_penalty ? x : use(p, t, x);
}

static vitro_value penalty(void *self, vitro_trace *t, int32_t block)
{
    struct probe *p = self;
    if (p->way != WAY_in_penalty || block < 0)
        return 0;
    return use(p, t, vitro_get(t, p->gain));
}

const vitro_plugin_info vitro_plugin = {
    VITRO_HEAD,
    .id = "kernel_probe",
    .version = "1",
    .options = options,
    .self_size = sizeof(struct probe),
    .init = init,
    .declare = declare,
    .forward = forward,
    .penalty = penalty,
};

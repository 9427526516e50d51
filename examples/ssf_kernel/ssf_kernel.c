/* ssf_kernel.c - SSF with kernels of its own: y = x scale + shift in one pass, and so its derivative.
 *
 * Lian et al. 2022, arXiv 2210.08823, at the linear layers of the blocks. The extension is vitro/kernel.h: each
 * kernel is a module and the same function by operations. */
#include <vitro/kernel.h>
#include <vitro/sdk.h>

#include "scale_shift_spv.h"
#include "scale_sum_spv.h"

#define UNITS(X) X(QKV) X(PROJ) X(FC1) X(FC2)
#define X(id) {VITRO_AT_##id, "scale." #id, "shift." #id},
static const struct unit {
    int32_t site;
    const char *scale, *shift;
} units[] = {UNITS(X)};
#undef X
enum { UNIT_COUNT = sizeof units / sizeof *units, MOST_GROUPS = 4096, COLUMNS_A_GROUP = 64 };

struct ssf {
    vitro_param scale[VITRO_SITE_COUNT], shift[VITRO_SITE_COUNT];
};

struct rows { /* the kernels' own arguments, as the shaders have them */
    uint32_t count, length;
};

static struct rows rows_of(vitro_trace *t, vitro_value x)
{
    vitro_shape s = t->op->shape(t, x);
    struct rows r = {1, 1};
    for (int32_t i = 0; i < s.rank; i++)
        *(i + 1 < s.rank ? &r.count : &r.length) *= (uint32_t)s.dim[i];
    return r;
}

static vitro_value dispatch(vitro_trace *t, const vitro_kernel *k, const vitro_dispatch *d,
                            const vitro_value *in)
{
    const vitro_kernel_ops *own = t->host->extension(t->host, VITRO_KERNEL);
    return own ? own->dispatch(t, k, d, in) : t->op->fail(t, "this host has no vitro.kernel/1");
}

/* --- out = sum of d x over the rows: in = d, x */

static vitro_value sum_by_ops(void *self, vitro_trace *t, const vitro_dispatch *d, const vitro_value *in)
{
    (void)self, (void)d;
    return vitro_sum_rows(t, vitro_mul(t, in[0], in[1]));
}

static const vitro_kernel sum_kernel = {
    .size = sizeof sum_kernel,
    .inputs = 2,
    .push_size = sizeof(struct rows),
    .name = "ssf scale gradient",
    .spirv = scale_sum_spv,
    .spirv_size = sizeof scale_sum_spv,
    .equivalent = sum_by_ops,
};

static vitro_value sum_of_products(vitro_trace *t, vitro_value a, vitro_value b)
{
    struct rows rows = rows_of(t, a);
    const vitro_dispatch d = {
        .size = sizeof d,
        .shape = VITRO_SHAPE((int32_t)rows.length),
        .groups = {(rows.length + COLUMNS_A_GROUP - 1) / COLUMNS_A_GROUP, 1, 1},
        .push = &rows,
    };
    return dispatch(t, &sum_kernel, &d, (const vitro_value[]){a, b});
}

/* --- y = x scale + shift, constant 1 saying whether with the shift: in = x, scale, shift */

static vitro_value scaled(vitro_trace *t, vitro_value x, vitro_value scale, vitro_value shift);

static vitro_value scale_by_ops(void *self, vitro_trace *t, const vitro_dispatch *d, const vitro_value *in)
{
    (void)self;
    vitro_value y = vitro_mul(t, in[0], in[1]);
    return d->constants[0] ? vitro_add(t, y, in[2]) : y;
}

/* d_x = d_y scale, d_scale = sum d_y x, d_shift = sum d_y over the rows */
static void scale_back(void *self, vitro_trace *t, const vitro_dispatch *d, const vitro_value *in,
                       vitro_value y, vitro_value d_y, vitro_value *d_in)
{
    (void)self, (void)d, (void)y;
    d_in[0] = scaled(t, d_y, in[1], 0);
    d_in[1] = sum_of_products(t, d_y, in[0]);
    d_in[2] = vitro_sum_rows(t, d_y);
}

static const vitro_kernel scale_kernel = {
    .size = sizeof scale_kernel,
    .inputs = 3,
    .push_size = sizeof(struct rows),
    .constants = 1,
    .name = "ssf scale and shift",
    .spirv = scale_shift_spv,
    .spirv_size = sizeof scale_shift_spv,
    .equivalent = scale_by_ops,
    .vjp = scale_back,
};

static vitro_value scaled(vitro_trace *t, vitro_value x, vitro_value scale, vitro_value shift)
{
    struct rows rows = rows_of(t, x);
    const uint32_t with_shift = shift != 0;
    const vitro_dispatch d = {
        .size = sizeof d,
        .shape = t->op->shape(t, x),
        .groups = {rows.count < MOST_GROUPS ? rows.count : MOST_GROUPS, 1, 1},
        .push = &rows,
        .constants = &with_shift,
    };
    return dispatch(t, &scale_kernel, &d, (const vitro_value[]){x, scale, shift ? shift : scale});
}

/* --- the method */

static int declare(void *self, vitro_decl *d)
{
    struct ssf *f = self;
    for (int i = 0; i < UNIT_COUNT; i++) {
        const struct unit *u = &units[i];
        int32_t n = vitro_width(d->model, u->site);
        f->scale[u->site] = VITRO_PARAM(d, .name = u->scale, .shape = VITRO_SHAPE(n), .wise = VITRO_TO_ONE,
                                        .init = VITRO_NORMAL, .init_mean = 1, .init_arg = 0.02f);
        f->shift[u->site] = VITRO_PARAM(d, .name = u->shift, .shape = VITRO_SHAPE(n), .wise = VITRO_TO_ZERO,
                                        .init = VITRO_NORMAL, .init_arg = 0.02f);
        d->hook(d, 1u << u->site, (vitro_blocks){0, 0});
    }
    return 0;
}

static int64_t param_count(const void *self, const vitro_model *m)
{
    (void)self;
    return 2 * (int64_t)m->depth * (5 * m->dim + m->hidden);
}

static vitro_value forward(void *self, vitro_trace *t, const vitro_site *site, vitro_value x)
{
    struct ssf *f = self;
    return scaled(t, x, vitro_get(t, f->scale[site->kind]), vitro_get(t, f->shift[site->kind]));
}

const vitro_plugin_info vitro_plugin = {
    VITRO_HEAD,
    .id = "ssf_kernel",
    .version = "1.0",
    .summary = "SSF at the linear layers, by compute shaders of its own",
    .paper = "arXiv:2210.08823",
    .self_size = sizeof(struct ssf),
    .declare = declare,
    .param_count = param_count,
    .forward = forward,
};

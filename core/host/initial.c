/* initial.c - what a tensor holds before training: the backbone's numbers or the declared draw. */
#include "method_private.h"

#include "error.h"
#include "rng.h"

#include <math.h>
#include <string.h>

/* Elements that meet in one output of the map, PyTorch's fan_in: all axes but the first. */
static double fan_in(struct shape s)
{
    return (double)shape_count(s) / s.dim[0];
}

/* All axes but the inputs': the second, or the last of a convolution [out, k, k, in]. */
static double fan_out(struct shape s)
{
    return (double)shape_count(s) / s.dim[s.rank == 4 ? 3 : 1];
}

static void fill_constant(float *out, int64_t count, float number)
{
    for (int64_t i = 0; i < count; i++)
        out[i] = number;
}

static void fill_uniform(float *out, int64_t count, struct rng rng, double bound)
{
    for (int64_t i = 0; i < count; i++)
        out[i] = (float)((2 * rng_uniform(&rng) - 1) * bound);
}

static void fill_normal(float *out, int64_t count, struct rng rng, double mean, double deviation)
{
    for (int64_t i = 0; i < count; i++)
        out[i] = (float)(mean + deviation * rng_normal(&rng));
}

/* Drawn again until within two deviations: one draw in 22 is not. */
static void fill_truncated(float *out, int64_t count, struct rng rng, double mean, double deviation)
{
    for (int64_t i = 0; i < count; i++) {
        double x;
        do
            x = rng_normal(&rng);
        while (fabs(x) > 2);
        out[i] = (float)(mean + deviation * x);
    }
}

/* [m, n]: ones on the diagonal; [out, k, k, in]: the same in the middle tap. */
static void fill_eye(float *out, struct shape s)
{
    int64_t rows = s.dim[0], columns = s.dim[s.rank - 1], stride = shape_count(s) / rows, middle = 0;
    fill_constant(out, shape_count(s), 0);
    if (s.rank == 4)
        middle = ((int64_t)(s.dim[1] / 2) * s.dim[2] + s.dim[2] / 2) * columns;
    for (int64_t i = 0; i < rows && i < columns; i++)
        out[i * stride + middle + i] = 1;
}

int method_initial(const struct method *m, size_t id, uint64_t seed, float *out)
{
    if (id >= m->tensor_count)
        return fail(ERR_INPUT, "method %s has no tensor %zu", m->text, id);
    const struct tensor *t = &m->tensors[id];
    int64_t count = shape_count(t->shape);
    double arg = (double)t->init_arg;
    struct rng rng = rng_named(seed, t->name);
    if (t->source >= 0 && !m->vit->tensors[t->source].data)
        return fail(ERR_INPUT, "%s has no contents: the model is an outline", t->name);
    if (t->source >= 0) {
        memcpy(out, m->vit->tensors[t->source].data, (size_t)count * sizeof *out);
        return 0;
    }
    switch (t->init) {
    case VITRO_ZEROS: fill_constant(out, count, 0); break;
    case VITRO_ONES: fill_constant(out, count, 1); break;
    case VITRO_NORMAL: fill_normal(out, count, rng, (double)t->init_mean, arg); break;
    case VITRO_UNIFORM: fill_uniform(out, count, rng, arg); break;
    case VITRO_XAVIER: /* Glorot and Bengio 2010 */
        fill_uniform(out, count, rng, sqrt(6 / (arg > 0 ? arg : fan_in(t->shape) + fan_out(t->shape))));
        break;
    case VITRO_KAIMING: /* as PyTorch's nn.Linear: He et al. 2015 with a = sqrt(5) */
        fill_uniform(out, count, rng, 1 / sqrt(arg > 0 ? arg : fan_in(t->shape)));
        break;
    case VITRO_EYE: fill_eye(out, t->shape); break;
    case VITRO_TRUNCATED: fill_truncated(out, count, rng, (double)t->init_mean, arg); break;
    case VITRO_COUNT:
        for (int64_t i = 0; i < count; i++)
            out[i] = (float)i;
        break;
    }
    return 0;
}

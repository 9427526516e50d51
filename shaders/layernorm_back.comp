// layernorm_back.comp - the gradient of layernorm.comp's input, and of its gain and bias where PARAMS, with
// mean and deviation computed again from x, which is read anyway; for GPUs.
//
// With xh the normalised row, r = 1 / sqrt(var + eps) and g = w dy (or dy where not AFFINE):
//     dx = r (g - mean(g) - xh mean(g xh)), plus add[row] where ADD (the gradient of a residual branch);
//     dw = sum over rows of dy xh, db = sum over rows of dy: of this workgroup's rows in partial [groups][2][N].
// x, dy, add, dx [rows][N]; w [N]; dx may be dy or add itself. Each subgroup takes every SUBGROUPS-th of the
// workgroup's rows_per_group rows; their sums are added in the subgroups' order.
// Grid: (ceil(rows / rows_per_group), 1, 1).
#version 450
#extension GL_GOOGLE_include_directive : require
#include "rows_gpu.glsl"

layout(constant_id = 3) const uint AFFINE = 1;
layout(constant_id = 4) const uint ADD = 0;
layout(constant_id = 5) const uint PARAMS = 0;

layout(push_constant) uniform Push {
    RF x, w, dy, add, dx, partial;
    uint rows, width; // width: N
    float eps;
    uint rows_per_group;
};

const uint HELD = PARAMS != 0 ? LANES * VECTORS : 1;
shared vec4 held_w[HELD], held_b[HELD];

void write_row(uint row, inout vec4 dw[VECTORS], inout vec4 db[VECTORS])
{
    vec4 d[VECTORS], g[VECTORS];
    float mean = 0.0, r = 0.0, mean_g = 0.0, slope = 0.0;
    FOR_VECTORS {
        d[j] = row_load(x + row * N, AT(j));
        g[j] = row_load(dy + row * N, AT(j));
        mean += sum_of(d[j]);
    }
    mean = subgroupAdd(mean) / float(N);
    FOR_VECTORS {
        d[j] = keep(d[j] - mean, AT(j));
        r += dot(d[j], d[j]);
    }
    r = inversesqrt(subgroupAdd(r) / float(N) + eps);
    FOR_VECTORS {
        d[j] *= r;
        if (PARAMS != 0u) {
            dw[j] = fma(g[j], d[j], dw[j]);
            db[j] += g[j];
        }
        if (AFFINE != 0u)
            g[j] *= row_load(w, AT(j));
        mean_g += sum_of(g[j]);
        slope += dot(g[j], d[j]);
    }
    mean_g = subgroupAdd(mean_g) / float(N);
    slope = subgroupAdd(slope) / float(N);
    FOR_VECTORS {
        vec4 v = r * (g[j] - mean_g - d[j] * slope);
        if (ADD != 0u)
            v += row_load(add + row * N, AT(j));
        row_store(dx + row * N, AT(j), v);
    }
}

void main()
{
    const uint first = gl_WorkGroupID.x * rows_per_group, end = min(first + rows_per_group, rows);
    vec4 dw[VECTORS], db[VECTORS];
    FOR_VECTORS dw[j] = db[j] = vec4(0.0);
    for (uint row = first + gl_SubgroupID; row < end; row += SUBGROUPS)
        write_row(row, dw, db);
    if (PARAMS == 0u)
        return;
    for (uint s = 0u; s < SUBGROUPS; s++) {
        if (s == gl_SubgroupID)
            FOR_VECTORS {
                if (s != 0u) {
                    dw[j] += held_w[AT(j)];
                    db[j] += held_b[AT(j)];
                }
                held_w[AT(j)] = dw[j];
                held_b[AT(j)] = db[j];
            }
        barrier();
    }
    RF to = partial + gl_WorkGroupID.x * (2u * N);
    if (gl_SubgroupID == 0u)
        FOR_VECTORS {
            row_store(to, AT(j), held_w[AT(j)]);
            row_store(to + N, AT(j), held_b[AT(j)]);
        }
}

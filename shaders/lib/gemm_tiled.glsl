// gemm_tiled.glsl - the product without matrix units: INVOCATIONS = (ROWS / MI) (COLUMNS / NI) of them compute
// MI x NI numbers of a tile each, by fours, from slices of A and B in shared memory, while the next slices are on
// their way into registers. TILE_4 is the type of four numbers in shared memory: vec4, or f16vec4 where products
// are of fp16. Grid: (ceil(N / COLUMNS), ceil(M / ROWS), batches x shares).
//
// Shared memory holds slice[k][m], in fours. An operand that lies along k is turned on the way there: its numbers
// of one four go to four rows. The fours of a row are then permuted (turned), which keeps the 32 writes at a time,
// as the reads, in different banks.
const uint A_PITCH = ROWS / 4 + 1, B_PITCH = COLUMNS / 4 + 1; // in fours
shared TILE_4 slice_a[BUFFERS * DEPTH * A_PITCH], slice_b[BUFFERS * DEPTH * B_PITCH];

const uint A_FOURS = ROWS * DEPTH / 4 / INVOCATIONS, B_FOURS = COLUMNS * DEPTH / 4 / INVOCATIONS; // each fetches
const uint ACROSS = COLUMNS / NI, DOWN = ROWS / MI; // invocations along n and m

uint turned(uint kind, uint fours, uint step)
{
    return (kind & KIND_ACROSS) != 0u ? 0u : 2u * (step / 4u) & (fours - 1u) & 6u;
}

// The fours u, u + INVOCATIONS, ... of a slice from step k on, of the operand's rows (or columns) from `first` on.
#define FETCH_SLICE(raw, count, p, start, kind, first, width, k, stride, end)                                        \
    [[unroll]] for (uint i = 0u; i < count; i++) {                                                            \
        const uint u = gl_LocalInvocationIndex + i * INVOCATIONS;                                             \
        raw[i] = (kind & KIND_ACROSS) != 0u                                                                   \
                     ? fetch(p, start, kind, (k) + u / (width / 4u), first + u % (width / 4u) * 4u, stride, k_end, end) \
                     : fetch(p, start, kind, first + u / (DEPTH / 4u), (k) + u % (DEPTH / 4u) * 4u, stride, end, k_end); \
    }

#define STASH_SLICE(raw, count, slice, kind, width, pitch, base)                       \
    [[unroll]] for (uint i = 0u; i < count; i++) {                                     \
        const uint u = gl_LocalInvocationIndex + i * INVOCATIONS;                      \
        const TILE_4 x = TILE_4(opened(kind, raw[i]));                                 \
        if ((kind & KIND_ACROSS) != 0u) {                                              \
            slice[base + u / (width / 4u) * pitch + u % (width / 4u)] = x;             \
        } else {                                                                       \
            const uint step = u % (DEPTH / 4u) * 4u, m = u / (DEPTH / 4u);             \
            const uint at = base + step * pitch + (m / 4u ^ turned(kind, width / 4u, step)); \
            [[unroll]] for (uint q = 0u; q < 4u; q++)                                  \
                slice[at + q * pitch][m % 4u] = x[q];                                  \
        }                                                                              \
    }

void main()
{
    const uint z = batch_of_group(), k_end = end_of_share();
    const uint row = gl_WorkGroupID.y * ROWS, column = gl_WorkGroupID.x * COLUMNS;
    const uint ty = gl_LocalInvocationIndex / ACROSS, tx = gl_LocalInvocationIndex % ACROSS;
    const uint a_stride = (A_KIND & KIND_ACROSS) != 0u ? a_col : a_row;
    uvec4 raw_a[A_FOURS], raw_b[B_FOURS];
    vec4 acc[MI][NI / 4];
    [[unroll]] for (uint i = 0u; i < MI; i++)
        [[unroll]] for (uint j = 0u; j < NI / 4u; j++)
            acc[i][j] = vec4(0.0);

    uint buffer_of_slice = 0u, k = first_of_share();
    FETCH_SLICE(raw_a, A_FOURS, a, z * a_batch, A_KIND, row, ROWS, k, a_stride, M)
    FETCH_SLICE(raw_b, B_FOURS, b, z * b_batch, B_KIND, column, COLUMNS, k, b_row, N)
    STASH_SLICE(raw_a, A_FOURS, slice_a, A_KIND, ROWS, A_PITCH, 0u)
    STASH_SLICE(raw_b, B_FOURS, slice_b, B_KIND, COLUMNS, B_PITCH, 0u)
    barrier();
    for (; k < k_end; k += DEPTH) {
        const bool more = k + DEPTH < k_end;
        const uint at_a = buffer_of_slice * DEPTH * A_PITCH, at_b = buffer_of_slice * DEPTH * B_PITCH;
        if (more) {
            FETCH_SLICE(raw_a, A_FOURS, a, z * a_batch, A_KIND, row, ROWS, k + DEPTH, a_stride, M)
            FETCH_SLICE(raw_b, B_FOURS, b, z * b_batch, B_KIND, column, COLUMNS, k + DEPTH, b_row, N)
        }
        [[unroll]] for (uint l = 0u; l < DEPTH; l++) {
            vec4 y[NI / 4];
            [[unroll]] for (uint j = 0u; j < NI / 4u; j++)
                y[j] = vec4(slice_b[at_b + l * B_PITCH + (tx + j * ACROSS ^ turned(B_KIND, COLUMNS / 4u, l))]);
            [[unroll]] for (uint i = 0u; i < MI / 4u; i++) {
                vec4 x = vec4(slice_a[at_a + l * A_PITCH + (ty + i * DOWN ^ turned(A_KIND, ROWS / 4u, l))]);
                [[unroll]] for (uint q = 0u; q < 4u; q++)
                    [[unroll]] for (uint j = 0u; j < NI / 4u; j++)
                        acc[4u * i + q][j] = fma(vec4(x[q]), y[j], acc[4u * i + q][j]);
            }
        }
        if (BUFFERS == 1u)
            barrier();
        buffer_of_slice ^= BUFFERS - 1u;
        if (more) {
            STASH_SLICE(raw_a, A_FOURS, slice_a, A_KIND, ROWS, A_PITCH, buffer_of_slice * DEPTH * A_PITCH)
            STASH_SLICE(raw_b, B_FOURS, slice_b, B_KIND, COLUMNS, B_PITCH, buffer_of_slice * DEPTH * B_PITCH)
        }
        barrier();
    }
    [[unroll]] for (uint i = 0u; i < MI; i++)
        [[unroll]] for (uint j = 0u; j < NI / 4u; j++) {
            const uint m = row + (i / 4u * DOWN + ty) * 4u + i % 4u, n = column + (tx + j * ACROSS) * 4u;
            if (m < M && n < N)
                finish(m, n, acc[i][j]);
        }
}

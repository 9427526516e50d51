/* test_vit_resample.c - position embeddings for other grids are PyTorch's. */
#include "error.h"
#include "memory.h"
#include "resample.h"
#include "safetensors.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* Of the largest number of a grid: PyTorch sums 16 products in float32, here it is double. */
static const double tolerance = 1e-6;
enum { DIM = 8, LARGEST = 1 + 24 * 24 };

static void every_grid_of_the_golden_file_is_matched(void **state)
{
    (void)state;
    static float from[LARGEST * DIM], to[LARGEST * DIM], golden[LARGEST * DIM];
    struct safetensors *f = NULL;
    assert_int_equal(safetensors_open(&f, GOLDEN "/pos_resample.safetensors"), 0);
    int cases = 0;
    double worst = 0;
    for (size_t i = 0; i < safetensors_count(f); i++) {
        const struct safetensors_entry *e = safetensors_at(f, i);
        char source[32];
        int old, grid;
        if (sscanf(e->name, "from_%d_to_%d", &old, &grid) != 2)
            continue;
        snprintf(source, sizeof source, "from_%d", old);
        assert_int_equal(e->count, (1 + grid * grid) * DIM);
        assert_int_equal(safetensors_need(f, source, SAFETENSORS_F32, (size_t)((1 + old * old) * DIM), from),
                         0);
        assert_int_equal(safetensors_read(f, e, SAFETENSORS_F32, golden), 0);
        assert_int_equal(resample_positions(RESAMPLE_ANTIALIAS, from, old, to, grid, 1, DIM), 0);
        double largest = 0, difference = 0;
        for (int j = 0; j < (1 + grid * grid) * DIM; j++) {
            largest = fmax(largest, fabs((double)golden[j]));
            difference = fmax(difference, fabs((double)to[j] - (double)golden[j]));
        }
        worst = fmax(worst, difference / largest);
        assert_memory_equal(to, from, DIM * sizeof *to); /* the class token's */
        cases++;
    }
    print_message("%d grids, largest relative difference %.2g\n", cases, worst);
    assert_int_equal(cases, 16);
    assert_true(worst < tolerance);
    safetensors_close(f);
}

static void a_constant_stays_constant_on_every_pair_of_grids(void **state)
{
    (void)state;
    static float from[1 + 17 * 17], to[1 + 17 * 17];
    for (int i = 0; i < 1 + 17 * 17; i++)
        from[i] = 3;
    for (int old = 1; old <= 17; old++)
        for (int grid = 1; grid <= 17; grid++) {
            assert_int_equal(resample_positions(RESAMPLE_ANTIALIAS, from, old, to, grid, 1, 1), 0);
            for (int j = 0; j < 1 + grid * grid; j++)
                assert_true(fabs((double)to[j] - 3) < 3 * tolerance);
        }
}

static void no_memory_is_refused_at_every_allocation(void **state)
{
    (void)state;
    float from[5] = {0}, to[10];
    int rc = ERR_MEMORY;
    long k = 0;
    for (; rc < 0; k++) {
        mem_fail_after(k);
        rc = resample_positions(RESAMPLE_ANTIALIAS, from, 2, to, 3, 1, 1);
        mem_fail_after(-1);
        assert_true(rc == 0 || rc == ERR_MEMORY);
    }
    assert_int_equal(k, 6); /* five allocations, and then success */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_grid_of_the_golden_file_is_matched),
        cmocka_unit_test(a_constant_stays_constant_on_every_pair_of_grids),
        cmocka_unit_test(no_memory_is_refused_at_every_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

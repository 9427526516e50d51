/* test_memory.c - allocations are zeroed, fail when told to, and arenas free as a whole. */
#include "error.h"
#include "memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static int all_zero(const unsigned char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (bytes[i])
            return 0;
    return 1;
}

static void new_memory_is_zero(void **state)
{
    (void)state;
    unsigned char *block = mem_alloc(3, 7);
    assert_true(all_zero(block, 21));
    memset(block, 255, 21);
    block = mem_grow(block, 21, 100, 1);
    assert_int_equal(block[20], 255);
    assert_true(all_zero(block + 21, 79));
    mem_free(block);
    mem_free(NULL);
}

static void impossible_sizes_are_refused(void **state)
{
    (void)state;
    struct arena a = {0};
    assert_null(mem_alloc(SIZE_MAX, 16));
    assert_non_null(strstr(error_text(), "out of memory"));
    assert_null(mem_grow(NULL, 0, SIZE_MAX / 2, 16));
    assert_null(arena_alloc(&a, SIZE_MAX / 2, 16));
    arena_finish(&a);
}

static void the_chosen_allocation_fails_once(void **state)
{
    (void)state;
    mem_fail_after(1);
    void *first = mem_alloc(1, 1), *second = mem_alloc(1, 1), *third = mem_alloc(1, 1);
    assert_non_null(first);
    assert_null(second);
    assert_non_null(third);
    mem_free(first);
    mem_free(third);
    mem_fail_after(-1);
}

static void an_arena_serves_small_and_large_blocks(void **state)
{
    (void)state;
    struct arena a = {0};
    for (size_t n = 1; n < 300000; n = n * 3 + 1) {
        unsigned char *p = arena_alloc(&a, n, 1);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % 16, 0);
        assert_true(all_zero(p, n));
        memset(p, 1, n);
    }
    assert_string_equal(arena_string(&a, "words"), "words");
    arena_finish(&a);
    assert_null(a.blocks);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(new_memory_is_zero),
        cmocka_unit_test(impossible_sizes_are_refused),
        cmocka_unit_test(the_chosen_allocation_fails_once),
        cmocka_unit_test(an_arena_serves_small_and_large_blocks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

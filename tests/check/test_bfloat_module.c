/* test_bfloat_module.c - a module for fp16 becomes one for bf16, and nothing else of it changes. */
#include "bfloat_module.h"

#include "error.h"
#include "memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define OP(op, words) ((words) << 16 | (op))
enum { HEADER = 5, MEMORY_MODEL = 14, CAPABILITY = 17, TYPE_FLOAT = 22, CONSTANT = 43 };

/* header; Shader; memory model; float of 32 and of 16 bits; a constant of each */
static const uint32_t module[] = {
    0x07230203,
    0x10500,
    0,
    9,
    0,
    OP(CAPABILITY, 2),
    1,
    OP(MEMORY_MODEL, 3),
    5348,
    1,
    OP(TYPE_FLOAT, 3),
    1,
    32,
    OP(TYPE_FLOAT, 3),
    2,
    16,
    OP(CONSTANT, 4),
    1,
    3,
    0x3f800000,
    OP(CONSTANT, 4),
    2,
    4,
    0,
};
enum { WORDS = sizeof module / sizeof *module, OF_HALF_CONSTANT = WORDS - 1 };

static void the_small_float_becomes_bf16_and_the_rest_stays(void **state)
{
    (void)state;
    uint32_t *twin;
    size_t bytes;
    assert_int_equal(bfloat_module(module, sizeof module, &twin, &bytes), 0);
    size_t count = bytes / 4, extension = 1 + 5; /* "SPV_KHR_bfloat16" and its zero: 17 bytes */
    assert_int_equal(count, WORDS + 4 + extension + 1);
    assert_memory_equal(twin, module, HEADER * 4);
    const uint32_t *at = twin + HEADER;
    assert_true(at[0] == OP(CAPABILITY, 2) && at[1] == 5116 && at[3] == 5118);
    assert_true(at[4] == OP(CAPABILITY, 2) && at[5] == 1);
    assert_string_equal((const char *)(at + 7), "SPV_KHR_bfloat16");
    at += 6 + extension;
    assert_memory_equal(at, module + 7, 6 * 4); /* memory model and the larger float */
    assert_true(at[6] == OP(TYPE_FLOAT, 4) && at[7] == 2 && at[8] == 16 && at[9] == 0);
    assert_memory_equal(at + 10, module + 16, (WORDS - 16) * 4);
    mem_free(twin);
}

static void a_constant_that_would_change_its_meaning_is_refused(void **state)
{
    (void)state;
    uint32_t changed[WORDS], *twin;
    size_t bytes;
    memcpy(changed, module, sizeof module);
    changed[OF_HALF_CONSTANT] = 0x3c00; /* 1 in fp16, 0.0078 in bf16 */
    assert_int_equal(bfloat_module(changed, sizeof changed, &twin, &bytes), ERR_INPUT);
}

static void a_module_that_is_cut_off_is_refused(void **state)
{
    (void)state;
    uint32_t *twin;
    size_t bytes;
    assert_int_equal(bfloat_module(module, sizeof module - 4, &twin, &bytes), ERR_INPUT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_small_float_becomes_bf16_and_the_rest_stays),
        cmocka_unit_test(a_constant_that_would_change_its_meaning_is_refused),
        cmocka_unit_test(a_module_that_is_cut_off_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_spirv.c - a module is read for what it says of itself; whatever else comes is refused, never believed. */
#include "error.h"
#include "memory.h"
#include "rng.h"
#include "spirv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "kernel_probe_spv.h"

enum { WORDS = sizeof kernel_probe_spv / sizeof *kernel_probe_spv };

/* In memory of just its size, so that a sanitizer sees a read beyond. */
static int read_copy(struct spirv *out, const uint32_t *words, size_t count)
{
    uint32_t *copy = mem_alloc(count ? count : 1, sizeof *copy);
    assert_non_null(copy);
    memcpy(copy, words, count * sizeof *copy);
    int rc = spirv_read(out, copy, count * sizeof *copy);
    mem_free(copy);
    return rc;
}

static void a_compiled_shader_is_read(void **state)
{
    (void)state;
    struct spirv s;
    int addresses = 0;
    assert_int_equal(read_copy(&s, kernel_probe_spv, WORDS), 0);
    assert_int_equal(s.push_bytes, 3 * 8 + 3 * 4);
    for (uint32_t i = 0; i < s.capability_count; i++)
        addresses |= s.capabilities[i] == 5347;
    assert_true(addresses);
}

static void no_prefix_of_it_is_a_module(void **state)
{
    (void)state;
    struct spirv s;
    for (size_t n = 0; n < WORDS; n++)
        assert_int_equal(read_copy(&s, kernel_probe_spv, n), ERR_INPUT);
    assert_int_equal(spirv_read(&s, kernel_probe_spv, sizeof kernel_probe_spv - 1), ERR_INPUT);
    assert_int_equal(spirv_read(&s, NULL, 400), ERR_INPUT);
}

static void no_damage_makes_it_read_beyond_its_end(void **state)
{
    (void)state;
    struct rng g = rng_named(1, "damage");
    uint32_t words[WORDS];
    struct spirv s;
    static const uint32_t evil[] = {0,          1,          0xffff,        0x10000,
                                    0xffffffff, 0x80000000, 5u << 16 | 72, 4u << 16 | 59};
    for (size_t at = 0; at < WORDS; at++)
        for (size_t k = 0; k < sizeof evil / sizeof *evil; k++) {
            memcpy(words, kernel_probe_spv, sizeof words);
            words[at] = evil[k];
            words[rng_below(&g, WORDS)] ^= 1u << rng_below(&g, 32);
            int rc = read_copy(&s, words, WORDS);
            assert_true(rc == 0 || rc == ERR_INPUT);
        }
}

static void refused(uint32_t at, uint32_t word, const char *says)
{
    uint32_t words[WORDS];
    struct spirv s;
    memcpy(words, kernel_probe_spv, sizeof words);
    words[at] = word;
    assert_int_equal(read_copy(&s, words, WORDS), ERR_INPUT);
    if (!strstr(error_text(), says))
        fail_msg("\"%s\" does not say \"%s\"", error_text(), says);
}

/* The first instruction of that code, with a word of its operands changed. */
static void refused_in(uint32_t code, uint32_t operand, uint32_t word, const char *says)
{
    size_t at = 5;
    while (at < WORDS && (kernel_probe_spv[at] & 0xffff) != code)
        at += kernel_probe_spv[at] >> 16;
    assert_true(at < WORDS);
    refused((uint32_t)at + operand, word, says);
}

static void what_the_host_cannot_serve_is_refused_by_name(void **state)
{
    (void)state;
    refused(0, 0x03022307, "no SPIR-V module");
    refused(1, 1 << 16 | 6 << 8, "version 1.6");
    refused(3, 1u << 30, "names");
    refused_in(14, 1, 0, "64-bit buffer addresses"); /* OpMemoryModel: Logical */
    refused_in(15, 1, 4, "not for compute");         /* OpEntryPoint: Fragment */
    refused_in(15, 3, 0x6e69616e, "no entry point main");
    refused_in(71, 2, 34, "descriptor"); /* OpDecorate: DescriptorSet */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_compiled_shader_is_read),
        cmocka_unit_test(no_prefix_of_it_is_a_module),
        cmocka_unit_test(no_damage_makes_it_read_beyond_its_end),
        cmocka_unit_test(what_the_host_cannot_serve_is_refused_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

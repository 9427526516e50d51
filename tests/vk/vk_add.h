/* vk_add.h - a kernel of three constants and four push constants, made, run and judged. */
#ifndef VITRO_TESTS_VK_ADD_H
#define VITRO_TESTS_VK_ADD_H

#include "kernel.h"
#include "stream.h"
#include "vk_group.h"

#include "vk_test_add_spv.h"

struct add_push { /* of vk_test_add.comp */
    uint64_t a, b, result;
    uint32_t count;
};

/* a + scale * b + term by a kernel that is made anew, with two of its constants. */
static void adds_right(float scale, int term)
{
    enum { COUNT = 1003, GROUP = 32 };
    static float a[COUNT], b[COUNT], result[COUNT];
    for (int i = 0; i < COUNT; i++) {
        a[i] = (float)i;
        b[i] = (float)(i * i % 97);
    }
    struct buffer ba = make(BUFFER_DEVICE, sizeof a, "a"), bb = make(BUFFER_HOST, sizeof b, "b");
    struct buffer br = make(BUFFER_DEVICE, sizeof result, "result");
    assert_ok(buffer_write(d, &ba, 0, a, sizeof a));
    assert_ok(buffer_write(d, &bb, 0, b, sizeof b));
    struct kernel_spec spec = {
        .name = "add",
        .spirv = vk_test_add_spv,
        .spirv_bytes = sizeof vk_test_add_spv,
        .push_bytes = sizeof(struct add_push) - 4,
        .constant_count = 3,
        .constants = {GROUP, 0, (uint32_t)term},
    };
    memcpy(&spec.constants[1], &scale, sizeof scale);
    struct kernel *k;
    struct stream *s;
    assert_ok(kernel_create(&k, d, &spec));
    assert_string_equal(kernel_name(k), "add");
    assert_ok(stream_create(&s, d, 0));
    assert_ok(stream_begin(s));
    struct add_push push = {ba.address, bb.address, br.address, COUNT};
    stream_dispatch(s, &(struct dispatch){k, &push, {(COUNT + GROUP - 1) / GROUP, 1, 1}, "add", 0, 0});
    assert_ok(stream_end(s));
    assert_ok(stream_submit(s));
    assert_ok(stream_wait(s, 0));
    assert_ok(buffer_read(d, &br, 0, result, sizeof result));
    for (int i = 0; i < COUNT; i++)
        assert_true(result[i] == a[i] + scale * b[i] + (float)term); /* exact: small multiples of 1/2 */
    stream_destroy(s);
    kernel_destroy(d, k);
    buffer_destroy(d, &ba);
    buffer_destroy(d, &bb);
    buffer_destroy(d, &br);
}

#endif

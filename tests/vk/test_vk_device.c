/* test_vk_device.c - buffers, the device itself, and the file of compiled pipelines. */
#include "kernel.h"
#include "memory.h"
#include "stream.h"
#include "vk_group.h"

#include "vk_test_step_spv.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct step_push { /* of vk_test_step.comp */
    uint64_t state;
    uint32_t factor, term;
};

/* ---- buffers ---- */

static void a_buffer_starts_zeroed_with_its_slack(void **state)
{
    (void)state;
    enum { SIZE = 1001, SLACK = 65536 };
    static const unsigned char zeros[SIZE];
    unsigned char bytes[SIZE];
    for (int kind = 0; kind < 2; kind++) {
        struct buffer b = make((enum buffer_kind)kind, SIZE, "zeroed");
        assert_int_equal(b.size, SIZE);
        assert_true(b.address != 0 && b.address % 16 == 0);
        memset(bytes, 1, SIZE);
        assert_ok(buffer_read(d, &b, 0, bytes, SIZE));
        assert_memory_equal(bytes, zeros, SIZE);
        for (size_t i = 0; b.mapped && i < SIZE + SLACK; i++)
            assert_int_equal(((unsigned char *)b.mapped)[i], 0);
        buffer_destroy(d, &b);
        assert_null(b.object);
    }
}

static void what_is_written_at_any_offset_is_read_back(void **state)
{
    (void)state;
    enum { SIZE = 20 * 1000 * 1000 + 3 }; /* more than two staging buffers */
    static const size_t pieces[][2] = {{0, 1},        {1, 2},   {3, 4097}, {4099, 9 * 1000 * 1000},
                                       {SIZE - 1, 1}, {SIZE, 0}};
    unsigned char *written = mem_alloc(SIZE, 1), *read = mem_alloc(SIZE, 1);
    assert_non_null(written);
    assert_non_null(read);
    uint32_t x = 1;
    for (size_t i = 0; i < SIZE; i++)
        written[i] = (unsigned char)((x = x * 1664525u + 1013904223u) >> 24);
    struct buffer b = make(BUFFER_DEVICE, SIZE, "round trip");
    assert_ok(buffer_write(d, &b, 0, written, SIZE));
    assert_ok(buffer_read(d, &b, 0, read, SIZE));
    assert_memory_equal(read, written, SIZE);
    for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
        size_t at = pieces[i][0], size = pieces[i][1];
        for (size_t k = 0; k < size; k++)
            written[at + k] ^= 0x5a;
        assert_ok(buffer_write(d, &b, at, written + at, size));
        memset(read, 0, SIZE);
        assert_ok(buffer_read(d, &b, at, read, size));
        assert_memory_equal(read, written + at, size);
    }
    assert_ok(buffer_read(d, &b, 0, read, SIZE));
    assert_memory_equal(read, written, SIZE);
    buffer_destroy(d, &b);
    mem_free(written);
    mem_free(read);
}

static void a_copy_beyond_the_buffer_is_refused(void **state)
{
    (void)state;
    unsigned char bytes[8] = {0};
    struct buffer b = make(BUFFER_DEVICE, 6, "small");
    assert_int_equal(buffer_write(d, &b, 0, bytes, 7), ERR_INPUT);
    assert_says("7 bytes at offset 0 cannot be written: the buffer has 6");
    assert_int_equal(buffer_read(d, &b, 7, bytes, 0), ERR_INPUT);
    assert_int_equal(buffer_read(d, &b, 1, bytes, SIZE_MAX), ERR_INPUT);
    buffer_destroy(d, &b);
}

static void memory_is_accounted_for(void **state)
{
    (void)state;
    enum { SIZE = 1 << 20 };
    uint64_t peak, before = device_memory(d, NULL);
    struct buffer a = make(BUFFER_DEVICE, SIZE, "a"), b = make(BUFFER_DEVICE, SIZE, "b");
    uint64_t both = device_memory(d, &peak);
    assert_true(both >= before + 2 * SIZE && peak >= both);
    buffer_destroy(d, &a);
    buffer_destroy(d, &b);
    assert_true(device_memory(d, &peak) == before && peak >= both);
}

static void a_buffer_larger_than_the_device_is_refused_with_the_numbers(void **state)
{
    (void)state;
    struct buffer b;
    assert_int_equal(buffer_create(&b, d, BUFFER_DEVICE, (size_t)1 << 50, "activations"), ERR_DEVICE);
    assert_says("buffer 'activations' of 1.0 PiB does not fit on ");
    assert_says("in use by this program); use a smaller batch");
    assert_null(b.object);
    assert_int_equal(buffer_create(&b, d, BUFFER_DEVICE, SIZE_MAX, "wraps"), ERR_DEVICE);
    assert_int_equal(buffer_create(&b, d, BUFFER_DEVICE, SIZE_MAX - 70000, "wraps"), ERR_DEVICE);
}

/* ---- the device ---- */

static void a_failed_allocation_is_one_sentence_and_leaves_nothing(void **state)
{
    (void)state;
    struct device *own;
    struct buffer b[3];
    assert_ok(device_open(&own, &(struct device_spec){.index = -1, .fail_allocation_after = 3}));
    assert_ok(buffer_create(&b[0], own, BUFFER_DEVICE, 4096, "first"));
    assert_ok(buffer_create(&b[1], own, BUFFER_HOST, 4096, "second"));
    uint64_t used = device_memory(own, NULL);
    assert_int_equal(buffer_create(&b[2], own, BUFFER_DEVICE, 3 << 20, "third"), ERR_DEVICE);
    assert_says("buffer 'third' of 3.0 MiB does not fit on ");
    assert_says("the driver is out of memory (");
    assert_true(device_memory(own, NULL) == used);
    assert_ok(buffer_create(&b[2], own, BUFFER_DEVICE, 4096, "fourth"));
    for (int i = 0; i < 3; i++)
        buffer_destroy(own, &b[i]);
    device_close(own);
    assert_says("the driver is out of memory ("); /* closing keeps the reason */
}

static void failing_host_memory_is_survived(void **state)
{
    (void)state;
    for (long i = 0;; i++) {
        struct device *own = NULL;
        struct buffer b = {0};
        struct kernel *k = NULL;
        struct stream *s = NULL;
        struct kernel_spec spec = {.name = "step",
                                   .spirv = vk_test_step_spv,
                                   .spirv_bytes = sizeof vk_test_step_spv,
                                   .push_bytes = 16};
        mem_fail_after(i);
        int rc = device_open(&own, &(struct device_spec){.index = -1, .stage_copies = 1});
        if (rc == 0)
            rc = buffer_create(&b, own, BUFFER_DEVICE, 64, "b");
        if (rc == 0)
            rc = buffer_write(own, &b, 0, &i, sizeof i);
        if (rc == 0)
            rc = kernel_create(&k, own, &spec);
        if (rc == 0)
            rc = stream_create(&s, own, 1);
        if (rc == 0)
            rc = stream_begin(s);
        if (rc == 0) {
            struct step_push push = {b.address, 1, 1};
            stream_dispatch(s, &(struct dispatch){k, &push, {1, 1, 1}, "step", 0, 0});
            rc = stream_end(s);
        }
        mem_fail_after(-1);
        stream_destroy(s);
        kernel_destroy(own, k);
        if (own)
            buffer_destroy(own, &b);
        device_close(own);
        if (rc == 0) {
            assert_true(i >= 6); /* device, buffer object, staging, kernel, stream, records, queries */
            break;
        }
        assert_int_equal(rc, ERR_MEMORY);
    }
}

static void a_device_that_is_not_there_is_refused(void **state)
{
    (void)state;
    struct device *own;
    assert_int_equal(device_open(&own, &(struct device_spec){.index = 99}), ERR_DEVICE);
    assert_says("device 99 was asked for, but there are only ");
    assert_null(own);
    device_close(NULL);
}

static void the_list_agrees_with_the_opened_device(void **state)
{
    (void)state;
    struct device_info infos[INSTANCE_DEVICES_MAX];
    int count = device_list(infos, INSTANCE_DEVICES_MAX), found = 0;
    const struct device_info *own = device_info(d);
    assert_true(count > 0);
    for (int i = 0; i < count; i++)
        found |= memcmp(&infos[i], own, sizeof *own) == 0;
    assert_true(found);
    assert_int_equal(device_list(NULL, 0), count);
    assert_true(own->name[0] && own->driver[0] && own->heap_bytes > 0 && own->max_allocation > 0);
    assert_true(own->subgroup_min <= own->subgroup_size && own->subgroup_size <= own->subgroup_max);
    assert_true(own->shared_bytes >= 16384 && own->max_invocations >= 128); /* what Vulkan guarantees */
}

/* ---- the file of compiled pipelines ---- */

static void replace_byte(const char *path, long offset)
{
    FILE *f = fopen(path, "r+b");
    assert_non_null(f);
    assert_int_equal(fseek(f, offset, SEEK_SET), 0);
    int c = fgetc(f);
    assert_int_equal(fseek(f, offset, SEEK_SET), 0);
    fputc(c ^ 1, f);
    fclose(f);
}

static void a_damaged_pipeline_file_is_ignored_and_replaced(void **state)
{
    (void)state;
    static const long damages[] = {0, 20, 90}; /* in the magic words, the fingerprint, the driver's data */
    char folder[] = "/tmp/vitro_test_XXXXXX", path[64];
    struct pipeline_cache cache;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/pipelines", folder);
    assert_ok(pipeline_cache_open(&cache, d, path));
    assert_string_equal(cache.loaded, "");
    pipeline_cache_close(&cache, d);
    assert_ok(pipeline_cache_open(&cache, d, path));
    assert_int_equal(strlen(cache.loaded), HASH_TEXT - 1);
    pipeline_cache_close(&cache, d);
    for (int i = 0; i < 3; i++) {
        replace_byte(path, damages[i]);
        assert_ok(pipeline_cache_open(&cache, d, path));
        assert_string_equal(cache.loaded, "");
        pipeline_cache_close(&cache, d);
        assert_ok(pipeline_cache_open(&cache, d, path));
        assert_int_equal(strlen(cache.loaded), HASH_TEXT - 1);
        pipeline_cache_close(&cache, d);
    }
    assert_int_equal(truncate(path, 60), 0);
    assert_ok(pipeline_cache_open(&cache, d, path));
    assert_string_equal(cache.loaded, "");
    pipeline_cache_close(&cache, d);
    unlink(path);
    rmdir(folder);
}

static void a_failed_call_is_named_with_its_reason(void **state)
{
    (void)state;
    assert_int_equal(vk_check(VK_SUCCESS, "vkX()"), 0);
    assert_int_equal(vk_check(VK_INCOMPLETE, "vkX()"), 0);
    assert_int_equal(vk_check(VK_ERROR_DEVICE_LOST, "d->vk.vkQueueSubmit(d->queue, 1)"), ERR_LOST);
    assert_says("vkQueueSubmit: the device was lost: ");
    assert_says("(VK_ERROR_DEVICE_LOST)");
    assert_int_equal(vk_check(VK_ERROR_OUT_OF_HOST_MEMORY, "vkCreateInstance(&info)"), ERR_MEMORY);
    assert_says("vkCreateInstance: ");
    assert_int_equal(vk_check((VkResult)-77, "vkX()"), ERR_DEVICE);
    assert_says("vkX: the driver answered with VkResult -77");
}

static void the_validation_layer_is_heard(void **state)
{
    (void)state;
    struct device *own;
    if (!d->set_name)
        skip(); /* only under the layer */
    assert_ok(device_open(&own, &(struct device_spec){.index = -1, .validate = 1}));
    assert_ok(device_check(own));
    VkBufferCreateInfo nothing = {.sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO,
                                  .usage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT};
    VkBuffer b = VK_NULL_HANDLE; /* of 0 bytes, which Vulkan forbids */
    if (own->vk.vkCreateBuffer(own->handle, &nothing, NULL, &b) == VK_SUCCESS)
        own->vk.vkDestroyBuffer(own->handle, b, NULL);
    assert_int_equal(device_check(own), ERR_DEVICE);
    assert_says("the validation layer reported ");
    device_close(own);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_buffer_starts_zeroed_with_its_slack),
        cmocka_unit_test(what_is_written_at_any_offset_is_read_back),
        cmocka_unit_test(a_copy_beyond_the_buffer_is_refused),
        cmocka_unit_test(memory_is_accounted_for),
        cmocka_unit_test(a_buffer_larger_than_the_device_is_refused_with_the_numbers),
        cmocka_unit_test(a_failed_allocation_is_one_sentence_and_leaves_nothing),
        cmocka_unit_test(failing_host_memory_is_survived),
        cmocka_unit_test(a_device_that_is_not_there_is_refused),
        cmocka_unit_test(the_list_agrees_with_the_opened_device),
        cmocka_unit_test(a_damaged_pipeline_file_is_ignored_and_replaced),
        cmocka_unit_test(a_failed_call_is_named_with_its_reason),
        cmocka_unit_test(the_validation_layer_is_heard),
        cmocka_unit_test(nothing_was_reported_and_nothing_leaked),
    };
    return run_groups(tests, sizeof tests / sizeof tests[0]);
}

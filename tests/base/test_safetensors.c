/* test_safetensors.c - files are read as they were written, and hostile ones are refused. */
#include "error.h"
#include "file.h"
#include "memory.h"
#include "rng.h"
#include "safetensors.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { FLIPS = 4000 }; /* of the fuzz test: 0.1 s */
#define PATH "a.safetensors"

static char folder[64];

static int enter_folder(void **state)
{
    (void)state;
    strcpy(folder, "vitro_safetensors_XXXXXX");
    return mkdtemp(folder) && chdir(folder) == 0 ? 0 : -1;
}

static int leave_folder(void **state)
{
    (void)state;
    unlink(PATH);
    return chdir("..") == 0 && rmdir(folder) == 0 ? 0 : -1;
}

/* A block of exactly the file's size, so that a read behind its end is noticed. */
struct bytes {
    unsigned char *at;
    size_t size;
};

static struct bytes make(const char *header, const void *data, size_t data_size)
{
    uint64_t length = strlen(header);
    struct bytes b = {malloc(8 + length + data_size), 8 + length + data_size};
    assert_non_null(b.at);
    memcpy(b.at, &length, 8);
    memcpy(b.at + 8, header, length);
    if (data)
        memcpy(b.at + 8 + length, data, data_size);
    else
        memset(b.at + 8 + length, 0, data_size);
    return b;
}

static struct safetensors *view(struct bytes b)
{
    struct safetensors *f = NULL;
    if (safetensors_view(&f, b.at, b.size, "bytes") < 0)
        fail_msg("%s", error_text());
    return f;
}

/* Opens, reads whatever it can, closes; returns what opening returned. */
static int use(const void *bytes, size_t size)
{
    struct safetensors *f = NULL;
    int rc = safetensors_view(&f, bytes, size, "bytes");
    if (rc < 0) {
        assert_null(f);
        assert_true(strlen(error_text()) > 10);
        return rc;
    }
    for (size_t i = 0; i < safetensors_count(f); i++) {
        const struct safetensors_entry *e = safetensors_at(f, i);
        assert_ptr_equal(safetensors_find(f, e->name), e);
        if (e->type == SAFETENSORS_UNKNOWN)
            continue; /* its count is bounded by nothing */
        float *numbers = malloc(e->count * 4 + 1);
        assert_non_null(numbers);
        if (safetensors_read(f, e, SAFETENSORS_F32, numbers) == 0)
            assert_true(2 * e->count <= size); /* F16 and BF16 are the shortest */
        free(numbers);
    }
    safetensors_metadata(f, "key");
    safetensors_close(f);
    return 0;
}

static void refuse(struct bytes b, const char *sentence)
{
    int rc = use(b.at, b.size);
    if (rc != ERR_INPUT || !strstr(error_text(), sentence))
        fail_msg("expected a refusal with \"%s\", got %d: %s", sentence, rc, rc ? error_text() : "accepted");
    free(b.at);
}

static const float floats[6] = {1.5f, -2, 3e-41f, 0, 65504, 1e-3f};
static const int64_t longs[2] = {INT64_MIN, 7};
static const int32_t ints[1] = {-5};
static const uint8_t octets[3] = {0, 255, 9};
static const struct safetensors_item items[] = {
    {"w", SAFETENSORS_F32, 2, {2, 3}, floats},     {"h", SAFETENSORS_F16, 1, {6}, floats},
    {"l", SAFETENSORS_I64, 1, {2}, longs},         {"scalar", SAFETENSORS_I32, 0, {0}, ints},
    {"empty", SAFETENSORS_F32, 2, {0, 4}, floats}, {"bytes \"x\"", SAFETENSORS_U8, 1, {3}, octets},
};
enum { ITEMS = sizeof items / sizeof *items };
static const struct safetensors_note notes[] = {{"format", "pt"}, {"key", "a \"value\"\n"}};

static struct bytes written(void)
{
    char *text;
    size_t size;
    assert_int_equal(safetensors_write(PATH, items, ITEMS, notes, 2), 0);
    assert_int_equal(file_read(PATH, 1 << 20, &text, &size), 0);
    struct bytes b = {malloc(size), size};
    memcpy(b.at, text, size);
    mem_free(text);
    return b;
}

static void what_was_written_reads_back(void **state)
{
    (void)state;
    struct safetensors *f = NULL;
    free(written().at);
    assert_int_equal(safetensors_open(&f, PATH), 0);
    assert_int_equal(safetensors_count(f), ITEMS);
    float w[6], h[6];
    int64_t l[2];
    int32_t scalar;
    uint8_t u[3];
    assert_int_equal(safetensors_need(f, "w", SAFETENSORS_F32, 6, w), 0);
    assert_memory_equal(w, floats, sizeof w);
    assert_int_equal(safetensors_need(f, "h", SAFETENSORS_F32, 6, h), 0);
    assert_true(h[0] == 1.5f && h[1] == -2 && h[2] == 0 && h[4] == 65504 && fabsf(h[5] - 1e-3f) < 1e-6f);
    assert_int_equal(safetensors_need(f, "l", SAFETENSORS_I64, 2, l), 0);
    assert_memory_equal(l, longs, sizeof l);
    assert_int_equal(safetensors_need(f, "scalar", SAFETENSORS_I32, 1, &scalar), 0);
    assert_int_equal(scalar, -5);
    assert_int_equal(safetensors_need(f, "empty", SAFETENSORS_F32, 0, NULL), 0);
    assert_int_equal(safetensors_need(f, "bytes \"x\"", SAFETENSORS_U8, 3, u), 0);
    assert_memory_equal(u, octets, 3);
    char text[SAFETENSORS_TEXT];
    assert_string_equal(safetensors_shape_text(safetensors_find(f, "w"), text), "[2 3]");
    assert_string_equal(safetensors_metadata(f, "key"), "a \"value\"\n");
    assert_null(safetensors_metadata(f, "other"));
    assert_int_equal(safetensors_need(f, "gone", SAFETENSORS_F32, 6, w), ERR_INPUT);
    assert_non_null(strstr(error_text(), "tensor gone is missing"));
    assert_int_equal(safetensors_need(f, "w", SAFETENSORS_F32, 5, w), ERR_INPUT);
    assert_non_null(strstr(error_text(), "tensor w: it is [2 3]; 5 elements are needed"));
    assert_int_equal(safetensors_need(f, "l", SAFETENSORS_F32, 2, w), ERR_INPUT);
    assert_non_null(strstr(error_text(), "its type I64 cannot be read as F32"));
    safetensors_close(f);
}

static void the_bytes_depend_on_the_arguments_only_and_data_is_aligned(void **state)
{
    (void)state;
    static const char header[] = "{\"__metadata__\":{\"format\":\"pt\"},"
                                 "\"w\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]}}";
    char *text;
    size_t size;
    assert_int_equal(safetensors_write(PATH, items, 1, notes, 1), 0);
    assert_int_equal(file_read(PATH, 1 << 20, &text, &size), 0);
    const size_t length = (sizeof header - 1 + 7) / 8 * 8;
    assert_int_equal(size, 8 + length + 24);
    assert_int_equal((unsigned char)text[0], length);
    assert_memory_equal(text + 8, header, sizeof header - 1);
    for (size_t i = sizeof header - 1; i < length; i++)
        assert_int_equal(text[8 + i], ' ');
    assert_memory_equal(text + 8 + length, floats, 24);
    mem_free(text);
}

static void a_file_of_the_python_library_is_read(void **state)
{
    (void)state;
    struct safetensors *f = NULL;
    float pos[26 * 8];
    assert_int_equal(safetensors_open(&f, GOLDEN "/pos_resample.safetensors"), 0);
    assert_int_equal(safetensors_count(f), 19);
    assert_int_equal(safetensors_need(f, "from_5", SAFETENSORS_F32, 26 * 8, pos), 0);
    safetensors_close(f);
}

static void f16_bf16_and_f64_are_read_as_f32(void **state)
{
    (void)state;
    unsigned char data[20] = {0x00, 0x3C, 0x80, 0x3F}; /* 1 in F16, 1 in BF16 */
    const double doubles[2] = {0.1, 1e39};
    memcpy(data + 4, doubles, 16);
    struct bytes b = make("{\"a\":{\"dtype\":\"F16\",\"shape\":[1],\"data_offsets\":[0,2]},"
                          "\"b\":{\"dtype\":\"BF16\",\"shape\":[1],\"data_offsets\":[2,4]},"
                          "\"c\":{\"dtype\":\"F64\",\"shape\":[1,1,1,1,1],\"data_offsets\":[4,12]},"
                          "\"d\":{\"dtype\":\"F64\",\"shape\":[],\"data_offsets\":[12,20]}}",
                          data, 20);
    struct safetensors *f = view(b);
    float x;
    assert_int_equal(safetensors_need(f, "a", SAFETENSORS_F32, 1, &x), 0);
    assert_true(x == 1);
    assert_int_equal(safetensors_need(f, "b", SAFETENSORS_F32, 1, &x), 0);
    assert_true(x == 1);
    assert_int_equal(safetensors_need(f, "c", SAFETENSORS_F32, 1, &x), 0);
    assert_true(x == 0.1f);
    assert_int_equal(safetensors_need(f, "d", SAFETENSORS_F32, 1, &x), ERR_INPUT);
    assert_non_null(strstr(error_text(), "tensor d: element 0 is 1e+39, which float32 cannot hold"));
    safetensors_close(f);
    free(b.at);
}

static void a_tensor_of_unknown_type_is_listed_but_not_read(void **state)
{
    (void)state;
    struct bytes b = make("{\"q\":{\"dtype\":\"F4\",\"shape\":[3],\"data_offsets\":[0,2]}}", NULL, 2);
    struct safetensors *f = view(b);
    float x[3];
    assert_int_equal(safetensors_at(f, 0)->type, SAFETENSORS_UNKNOWN);
    assert_int_equal(safetensors_need(f, "q", SAFETENSORS_F32, 3, x), ERR_INPUT);
    assert_non_null(strstr(error_text(), "tensor q: its type F4 cannot be read as F32"));
    assert_int_equal(safetensors_need(f, "q", SAFETENSORS_UNKNOWN, 3, x), ERR_INPUT);
    safetensors_close(f);
    free(b.at);
}

#define ENTRY(name, shape, from, to) \
    "\"" name "\":{\"dtype\":\"U8\",\"shape\":" shape ",\"data_offsets\":[" from "," to "]}"

static void a_header_that_contradicts_itself_or_its_data_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *header, *sentence;
    } cases[] = {
        {"", "does not begin with {"},
        {"[]", "does not begin with {"},
        {" {}", "does not begin with {"},
        {"{", "is not JSON"},
        {"{} x", "something follows"},
        {"{}", "the last 4 bytes belong to no tensor"},
        {"{" ENTRY("a", "[4]", "0", "4") "," ENTRY("a", "[4]", "0", "4") "}", "has the name a twice"},
        {"{" ENTRY("a", "[4]", "0", "4") "," ENTRY("\\u001b[2J", "[0]", "4", "4") "}", "control character"},
        {"{" ENTRY("a", "[3]", "0", "3") "}", "the last 1 bytes belong to no tensor"},
        {"{" ENTRY("a", "[3]", "1", "4") "}", "tensor a: its data begins at byte 1, but bytes from 0 on"},
        {"{" ENTRY("a", "[1]", "0", "1") "," ENTRY("b", "[2]", "2", "4") "}",
         "tensor b: its data begins at byte 2"},
        {"{" ENTRY("a", "[3]", "0", "3") "," ENTRY("b", "[2]", "2", "4") "}", "inside that of a"},
        {"{" ENTRY("a", "[4]", "0", "4") "," ENTRY("b", "[4]", "0", "4") "}", "inside that of a"},
        {"{" ENTRY("a", "[4]", "0", "4") "," ENTRY("e", "[0]", "2", "2") "}", "inside that of a"},
        {"{" ENTRY("a", "[5]", "0", "5") "}", "do not lie in the 4 bytes"},
        {"{" ENTRY("a", "[2]", "4", "2") "}", "data_offsets 4 to 2 do not lie"},
        {"{" ENTRY("a", "[4]", "-4", "0") "}", "data_offsets are not two whole numbers"},
        {"{" ENTRY("a", "[4]", "0.5", "4") "}", "data_offsets are not two whole numbers"},
        {"{" ENTRY("a", "[4]", "0", "18446744073709551616") "}", "data_offsets are not two whole numbers"},
        {"{" ENTRY("a", "[4]", "0", "4,5") "}", "data_offsets are not two whole numbers"},
        {"{" ENTRY("a", "[3]", "0", "4") "}", "its 3 elements of U8 need 3 bytes, not 4"},
        {"{" ENTRY("a", "[-4]", "0", "4") "}", "axis 0 is not a whole number"},
        {"{" ENTRY("a", "[-2,-2]", "0", "4") "}", "axis 0 is not a whole number"},
        {"{" ENTRY("a", "[4,1.5]", "0", "4") "}", "axis 1 is not a whole number"},
        {"{" ENTRY("a", "[4,\"1\"]", "0", "4") "}", "axis 1 is not a whole number"},
        {"{" ENTRY("a", "[9007199254740993]", "0", "4") "}", "axis 0 is not a whole number"},
        {"{" ENTRY("a", "[4294967296,4294967296]", "0", "4") "}", "more elements than can be counted"},
        {"{" ENTRY("a", "[4294967296,1073741824,4]", "0", "4") "}", "more elements than can be counted"},
        {"{" ENTRY("a", "[4503599627370496,1024,4]", "0", "4") "}", "more elements than can be counted"},
        {"{" ENTRY("a", "4", "0", "4") "}", "must give dtype, shape and data_offsets"},
        {"{" ENTRY("a", "{}", "0", "4") "}", "must give dtype, shape and data_offsets"},
        {"{\"a\":[]}", "must give dtype, shape and data_offsets"},
        {"{\"a\":null}", "must give dtype, shape and data_offsets"},
        {"{\"a\":{\"shape\":[4],\"data_offsets\":[0,4]}}", "must give dtype"},
        {"{\"a\":{\"dtype\":8,\"shape\":[4],\"data_offsets\":[0,4]}}", "must give dtype"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4],\"shape\":[1]}}", "nothing else"},
        {"{\"a\":{\"dtype\":\"\\u0007\",\"shape\":[4],\"data_offsets\":[0,4]}}",
         "dtype holds a control character"},
        {"{\"__metadata__\":[],\"a\":{}}", "__metadata__ is not an object"},
        {"{\"__metadata__\":{\"k\":1}}", "__metadata__ has k, which is not a string"},
        {"{\"__metadata__\":{\"k\":\"1\",\"k\":\"2\"}}", "has the name k twice"},
        {"{\"__metadata__\":{},\"__metadata__\":{}}", "has the name __metadata__ twice"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        refuse(make(cases[i].header, "abcd", 4), cases[i].sentence);
}

static void a_header_longer_than_allowed_or_than_the_file_is_refused(void **state)
{
    (void)state;
    static const uint64_t lengths[] = {100000001, UINT64_MAX, UINT64_MAX - 7, (uint64_t)1 << 63};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        struct bytes b = make("{}", NULL, 0);
        memcpy(b.at, &lengths[i], 8);
        refuse(b, "is no safetensors file: its header would have");
    }
    struct bytes b = make("{}", NULL, 0);
    b.at[0] = 3;
    refuse(b, "is cut off: its header should have 3 bytes, and 2 are there");
}

static void a_header_deep_or_crowded_beyond_use_is_refused(void **state)
{
    (void)state;
    enum { DEEP = 100000, MANY = 3000000 };
    char *text = malloc(MANY + 1);
    assert_non_null(text);
    memset(text, '[', DEEP);
    memcpy(text, "{\"a\":", 5);
    text[DEEP] = 0;
    refuse(make(text, NULL, 0), "deeper than 64 levels");
    memset(text, ',', MANY);
    text[0] = '{';
    text[MANY] = 0;
    refuse(make(text, NULL, 0), "has 2999999 commas");
    free(text);
}

static void every_truncation_is_refused(void **state)
{
    (void)state;
    struct bytes b = written();
    for (size_t size = 0; size < b.size; size++) {
        unsigned char *cut = malloc(size ? size : 1);
        assert_non_null(cut);
        memcpy(cut, b.at, size);
        assert_int_equal(use(cut, size), ERR_INPUT);
        free(cut);
    }
    assert_int_equal(use(b.at, b.size), 0);
    free(b.at);
}

/* Same seed, same flips: a finding here is found again. */
static void flipped_bits_are_read_or_refused_without_harm(void **state)
{
    (void)state;
    struct bytes b = written();
    struct rng r = rng_named(1, "flips");
    uint64_t header;
    memcpy(&header, b.at, 8);
    int refused = 0;
    for (int i = 0; i < FLIPS; i++) {
        unsigned char *copy = malloc(b.size);
        assert_non_null(copy);
        memcpy(copy, b.at, b.size);
        for (uint32_t n = rng_below(&r, 4) + 1; n > 0; n--)
            copy[rng_below(&r, (uint32_t)header + 8)] ^= (unsigned char)(1u << rng_below(&r, 8));
        refused += use(copy, b.size) < 0;
        free(copy);
    }
    assert_true(refused > FLIPS / 2 && refused < FLIPS); /* a bit of a name or a note does no harm */
    free(b.at);
}

static void running_out_of_memory_is_refused_at_every_allocation(void **state)
{
    (void)state;
    struct bytes b = written();
    int rc = ERR_MEMORY;
    for (long k = 0; rc < 0; k++) {
        mem_fail_after(k);
        rc = use(b.at, b.size);
        mem_fail_after(-1);
        assert_true(rc == 0 || (rc == ERR_MEMORY && k < 100));
    }
    free(b.at);
}

static void a_failed_write_leaves_the_old_file(void **state)
{
    (void)state;
    struct bytes before = written();
    for (long k = 0; k < 3; k++) {
        file_fail_after(k);
        assert_int_equal(safetensors_write(PATH, items, 1, NULL, 0), ERR_IO);
        file_fail_after(-1);
    }
    static const float big[] = {1, 65520};
    const struct safetensors_item wrong[] = {{"big", SAFETENSORS_F16, 1, {2}, big},
                                             {"x", SAFETENSORS_F64, 1, {2}, big},
                                             {"big", SAFETENSORS_F32, 1, {2}, big}};
    assert_int_equal(safetensors_write(PATH, wrong, 1, NULL, 0), ERR_INPUT);
    assert_non_null(strstr(error_text(), "tensor big: element 1 is 65520, which F16 cannot hold"));
    assert_int_equal(safetensors_write(PATH, wrong + 1, 1, NULL, 0), ERR_INPUT);
    const struct safetensors_item twice[] = {wrong[2], wrong[2]};
    assert_int_equal(safetensors_write(PATH, twice, 2, NULL, 0), ERR_INPUT);
    char *text;
    size_t size;
    assert_int_equal(file_read(PATH, 1 << 20, &text, &size), 0);
    assert_int_equal(size, before.size);
    assert_memory_equal(text, before.at, size);
    mem_free(text);
    free(before.at);
}

static void a_path_that_is_no_file_is_refused(void **state)
{
    (void)state;
    struct safetensors *f = NULL;
    assert_int_equal(safetensors_open(&f, "nowhere.safetensors"), ERR_IO);
    assert_null(f);
    assert_int_equal(safetensors_open(&f, "."), ERR_IO);
    assert_int_equal(file_write(PATH, "", 0), 0);
    assert_int_equal(safetensors_open(&f, PATH), ERR_INPUT);
    assert_non_null(strstr(error_text(), "it has 0 bytes"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_written_reads_back),
        cmocka_unit_test(the_bytes_depend_on_the_arguments_only_and_data_is_aligned),
        cmocka_unit_test(a_file_of_the_python_library_is_read),
        cmocka_unit_test(f16_bf16_and_f64_are_read_as_f32),
        cmocka_unit_test(a_tensor_of_unknown_type_is_listed_but_not_read),
        cmocka_unit_test(a_header_that_contradicts_itself_or_its_data_is_refused),
        cmocka_unit_test(a_header_longer_than_allowed_or_than_the_file_is_refused),
        cmocka_unit_test(a_header_deep_or_crowded_beyond_use_is_refused),
        cmocka_unit_test(every_truncation_is_refused),
        cmocka_unit_test(flipped_bits_are_read_or_refused_without_harm),
        cmocka_unit_test(running_out_of_memory_is_refused_at_every_allocation),
        cmocka_unit_test(a_failed_write_leaves_the_old_file),
        cmocka_unit_test(a_path_that_is_no_file_is_refused),
    };
    return cmocka_run_group_tests(tests, enter_folder, leave_folder);
}

/* test_tensor_file.c - archives of tensors are read whatever holds them, nothing of them is executed, and damage is
 * refused. */
#include "error.h"
#include "file.h"
#include "memory.h"
#include "npy.h"
#include "pickle.h"
#include "rng.h"
#include "tensor_file.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define FOLDER GOLDEN "/families/"
enum { FLIPS = 400, CUTS = 200 };

static const struct pickle_global globals[] = {{"collections", "OrderedDict", PICKLE_MAKES_DICT},
                                               {"torch", "FloatStorage", PICKLE_VALUE},
                                               {"__torch__", NULL, PICKLE_MAKES_OBJECT},
                                               {NULL, NULL, PICKLE_VALUE}};

static void refuse_pickle(const char *bytes, size_t size, const char *sentence)
{
    struct arena arena = {0};
    struct pickle_node *out = NULL;
    int rc = pickle_read(&out, &arena, bytes, size, globals, "p");
    if (rc != ERR_INPUT || !strstr(error_text(), sentence))
        fail_msg("expected a refusal with \"%s\", got %d: %s", sentence, rc, rc ? error_text() : "accepted");
    arena_finish(&arena);
}
#define REFUSE(bytes, sentence) refuse_pickle(bytes, sizeof(bytes) - 1, sentence)

static void a_pickle_that_names_a_function_is_refused_by_its_name(void **state)
{
    (void)state;
    REFUSE("\x80\x02"
           "cos\nsystem\nX\x02\0\0\0lsq\0\x85R.",
           "os.system");
    REFUSE("\x80\x04\x8c\x08"
           "builtins\x8c\x04"
           "eval\x93.",
           "builtins.eval");
    REFUSE("\x80\x02"
           "cargparse\nNamespace\n)\x81.",
           "argparse.Namespace");
}

static void opcodes_that_plain_tensors_do_not_need_are_refused(void **state)
{
    (void)state;
    REFUSE("\x80\x02(ios\nsystem\n.", "opcode 0x69");
    REFUSE("\x80\x02)\x81.", "missing from its stack");
    REFUSE("\x80\x02"
           "ccollections\nOrderedDict\n)\x81.",
           "no class");
    REFUSE("\x80\x02"
           "c__torch__.a\nB\nN\x85\x81.",
           "from arguments");
    REFUSE("\x80\x02"
           "c__torch__x\nB\n)\x81.",
           "__torch__x.B");
    REFUSE("\x80\x02"
           "c__torch__\nB\n)\x81q\x01h\x01"
           "b.",
           "no dictionary");
    REFUSE("\x80\x05N.", "protocol");
    REFUSE("\x80\x02", "ends early");
    REFUSE("\x80\x02.", "one value");
    REFUSE("\x80\x02NN.", "one value");
    REFUSE("\x80\x02h\x05.", "not kept");
    REFUSE("\x80\x02u.", "mark");
    REFUSE("\x80\x02(u.", "container");
    REFUSE("\x80\x02}(Nu.", "no value");
    REFUSE("\x80\x02NNR.", "no function");
    REFUSE("\x80\x02NNb.", "no dictionary");
    REFUSE("\x80\x02X\xff\xff\xff\x7fx.", "longer");
    REFUSE("\x80\x02X\x02\0\0\0\x1b[.", "control character");
    REFUSE("\x80\x02\x8a\x09xxxxxxxxx.", "64 bits");
    REFUSE("\x80\x02Nr\xff\xff\xff\xff.", "2^20");
}

/* What the pickle is: a dictionary of so many keys and values. */
static struct pickle_node *read_dictionary(struct arena *arena, const char *bytes, size_t size, size_t count)
{
    struct pickle_node *d = NULL;
    assert_int_equal(pickle_read(&d, arena, bytes, size, globals, "p"), 0);
    assert_int_equal(d->kind, PICKLE_DICT);
    assert_int_equal(d->count, count);
    return d;
}

static void containers_numbers_and_calls_become_a_tree(void **state)
{
    (void)state;
    static const char bytes[] = "\x80\x02"
                                "ccollections\nOrderedDict\n)Rq\x01(X\x01\0\0\0aK\x07X\x01\0\0\0b"
                                "J\xff\xff\xff\xff"
                                "X\x01\0\0\0c\x8a\x02\x00\xff"
                                "X\x01\0\0\0dG?\xf0\0\0\0\0\0\0u.";
    struct arena arena = {0};
    const struct pickle_node *d = read_dictionary(&arena, bytes, sizeof bytes - 1, 8);
    assert_string_equal(d->items[0]->text, "a");
    assert_int_equal(d->items[1]->number, 7);
    assert_int_equal(d->items[3]->number, -1);
    assert_int_equal(d->items[5]->number, -256);
    assert_true(d->items[7]->real == 1);
    arena_finish(&arena);
}

/* torch.jit.save's: class, NEWOBJ, a dictionary, BUILD. */
static void an_object_of_a_script_is_a_dictionary_of_its_attributes(void **state)
{
    (void)state;
    static const char bytes[] = "\x80\x02"
                                "c__torch__.clip.model\nCLIP\nq\x01)\x81}(X\x01\0\0\0aK\x07X\x01\0\0\0b"
                                "c__torch__\nInner\n)\x81}(X\x01\0\0\0cK\x08ubub.";
    struct arena arena = {0};
    const struct pickle_node *d = read_dictionary(&arena, bytes, sizeof bytes - 1, 4);
    assert_int_equal(d->items[1]->number, 7);
    assert_string_equal(d->items[3]->items[0]->text, "c");
    assert_int_equal(d->items[3]->items[1]->number, 8);
    arena_finish(&arena);
}

static char *put(char *at, const char *bytes, size_t count)
{
    memcpy(at, bytes, count);
    return at + count;
}

/* Its attributes set over and over: two bytes each time, for any number of items. */
static void a_pickle_cannot_grow_by_repeating_itself(void **state)
{
    (void)state;
    static const char begin[] = "\x80\x02"
                                "c__torch__\nB\n)\x81q\x01}(";
    enum { PAIRS = 20000, TIMES = 60, BYTES = sizeof begin + 4 * PAIRS + 3 * TIMES + 16 };
    char *p = calloc(BYTES, 1), *at = p;
    at = put(at, begin, sizeof begin - 1);
    for (int i = 0; i < PAIRS; i++)
        at = put(at, "K\x01K\x02", 4);
    at = put(at, "uq\x02", 3);
    for (int i = 0; i < TIMES; i++)
        at = put(at, "bh\x02", 3);
    at = put(at, "b.", 2);
    refuse_pickle(p, (size_t)(at - p), "more than 2097152 values");
    free(p);
}

static int read_npy(struct npy *a, const char *dictionary)
{
    char bytes[512] = "\x93NUMPY\x01";
    const size_t length = strlen(dictionary);
    bytes[8] = (char)length;
    memcpy(bytes + 10, dictionary, length);
    return npy_read_header(a, bytes, 10 + length, "a");
}

static void numpys_headers_are_read_strictly(void **state)
{
    (void)state;
    struct npy a;
    assert_int_equal(read_npy(&a, "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }  \n"), 0);
    assert_int_equal(a.rank, 2);
    assert_int_equal(a.count, 12);
    assert_int_equal(a.type, SAFETENSORS_F32);
    assert_int_equal(read_npy(&a, "{'shape': (), 'fortran_order': True, 'descr': '>f4'}"), 0);
    assert_int_equal(a.rank, 0);
    assert_int_equal(a.count, 1);
    assert_int_equal(a.type, SAFETENSORS_UNKNOWN); /* big-endian: listed, not read */
    assert_int_equal(read_npy(&a, "{'descr': '<f2', 'fortran_order': False, 'shape': (5,)}"), 0);
    assert_int_equal(a.dim[0], 5);
    static const char *const bad[] = {
        "",
        "{}",
        "{'descr': '<f4', 'fortran_order': False}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4)} x",
        "{'descr': '<f4', 'fortran_order': 0, 'shape': (3, 4)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (3 4)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (-3,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (3,), 'shape': (4,)}",
        "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (3,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (999999999999999999,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999, 99999999999)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,1)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), 'more': 1}",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (read_npy(&a, bad[i]) != ERR_INPUT)
            fail_msg("accepted: %s", bad[i]);
}

static void what_pytorch_wrote_before_its_zip_form_is_refused_with_the_remedy(void **state)
{
    (void)state;
    struct tensor_file *f = NULL;
    static const char legacy[] = "\x80\x02\x8a\x0al\xfc\x9c"
                                 "F\xf9 j\xa8P\x19.";
    assert_int_equal(tensor_file_view(&f, legacy, sizeof legacy - 1, "old.pth"), ERR_INPUT);
    assert_non_null(strstr(error_text(), "weights_only=True"));
}

/* Everything is read; what it gives is not looked at. */
static int read_all(const void *bytes, size_t size)
{
    struct tensor_file *f = NULL;
    TRY(tensor_file_view(&f, bytes, size, "damaged"));
    int rc = 0;
    for (size_t i = 0; i < tensor_file_count(f); i++) {
        const struct tensor_entry *e = tensor_file_at(f, i);
        float *out = e->count < 1 << 20 ? malloc((e->count + 1) * sizeof *out) : NULL;
        if (out && tensor_file_read(f, e, out) < 0)
            rc = ERR_INPUT;
        free(out);
    }
    tensor_file_close(f);
    return rc;
}

static void flipped_bits_and_cut_ends_are_read_or_refused_without_harm(void **state)
{
    (void)state;
    static const char *const files[] = {"timm_views.pt", "mae.pth", "google.npz", "big_vision.npz",
                                        "timm.safetensors"};
    struct rng g = rng_named(3, "damage");
    for (size_t k = 0; k < sizeof files / sizeof *files; k++) {
        char path[1024], *bytes = NULL;
        size_t size = 0, refused = 0;
        snprintf(path, sizeof path, FOLDER "%s", files[k]);
        assert_int_equal(file_read(path, 1 << 20, &bytes, &size), 0);
        assert_int_equal(read_all(bytes, size), 0);
        for (int i = 0; i < FLIPS; i++) {
            const size_t at = rng_below(&g, (uint32_t)size);
            const char was = bytes[at];
            bytes[at] = (char)(was ^ (1 << rng_below(&g, 8)));
            refused += read_all(bytes, size) < 0;
            bytes[at] = was;
        }
        for (int i = 0; i < CUTS; i++)
            assert_true(read_all(bytes, rng_below(&g, (uint32_t)size)) < 0);
        print_message("%-18s %zu of %d flips refused\n", files[k], refused, FLIPS);
        mem_free(bytes);
    }
}

static void no_memory_is_refused_at_every_allocation(void **state)
{
    (void)state;
    static const char *const files[] = {"openai_clip.pt", "openai_clip_script.pt", "big_vision.npz",
                                        "hf_vit"};
    for (size_t k = 0; k < sizeof files / sizeof *files; k++) {
        char path[1024];
        struct tensor_file *f = NULL;
        long n = 0;
        snprintf(path, sizeof path, FOLDER "%s", files[k]);
        for (int rc = -1; rc < 0; n++) {
            mem_fail_after(n);
            rc = tensor_file_open(&f, path);
            mem_fail_after(-1);
            if (rc < 0)
                assert_null(f);
            assert_true(n < 100000);
        }
        assert_true(n > 5);
        tensor_file_close(f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pickle_that_names_a_function_is_refused_by_its_name),
        cmocka_unit_test(opcodes_that_plain_tensors_do_not_need_are_refused),
        cmocka_unit_test(containers_numbers_and_calls_become_a_tree),
        cmocka_unit_test(an_object_of_a_script_is_a_dictionary_of_its_attributes),
        cmocka_unit_test(a_pickle_cannot_grow_by_repeating_itself),
        cmocka_unit_test(numpys_headers_are_read_strictly),
        cmocka_unit_test(what_pytorch_wrote_before_its_zip_form_is_refused_with_the_remedy),
        cmocka_unit_test(flipped_bits_and_cut_ends_are_read_or_refused_without_harm),
        cmocka_unit_test(no_memory_is_refused_at_every_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

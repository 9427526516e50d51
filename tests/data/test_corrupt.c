/* test_corrupt.c - corruptions against NumPy, SciPy and Pillow (tests/reference/make_corruption_golden.py), and that
 * each depends on seed, picture, corruption and severity and on nothing else. */
#include "corrupt_private.h"

#include "builtin.h"
#include "error.h"
#include "file.h"
#include "memory.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { NAME = 24, DRAWN = 96, GREY = 102 /* 0.4 of white */ };
/* Sums in another order, in float: a byte on the edge between two may fall to either. */
static const int BYTE = 1;
static const double FILTER = 2e-6; /* one rounding to float a pass, values up to 1 */
/* Of 96 x 96 x 3 x 8 = 221,184 values: five standard errors of mean and deviation, deviations up to 0.45. */
static const double NOISE = 5 * 0.45 / 470;

struct golden {
    char *bytes;
    const unsigned char *at;
    uint32_t side;
    const unsigned char *picture;
};

static uint32_t next_u32(struct golden *g)
{
    uint32_t v;
    memcpy(&v, g->at, sizeof v);
    g->at += sizeof v;
    return v;
}

static int read_golden(void **state)
{
    static struct golden g;
    size_t size;
    assert_int_equal(file_read(GOLDEN "/corruptions.bin", 1 << 20, &g.bytes, &size), 0);
    *state = &g;
    return 0;
}

static int free_golden(void **state)
{
    mem_free(((struct golden *)*state)->bytes);
    return 0;
}

static struct golden begin(void **state, uint32_t *cases)
{
    struct golden g = *(struct golden *)*state;
    g.at = (const unsigned char *)g.bytes;
    *cases = next_u32(&g);
    g.side = next_u32(&g);
    g.picture = g.at;
    g.at += g.side * g.side * 3;
    return g;
}

static void corrupt(const char *text, uint64_t seed, uint64_t first, uint32_t count, int side,
                    const unsigned char *in, unsigned char *out)
{
    struct corrupt_job job = {
        .seed = seed, .first = first, .side = side, .count = count, .in = in, .out = out};
    assert_int_equal(corruption_parse(&job.what, text), 0);
    if (corrupt_pictures(&job, NULL, NULL) < 0)
        fail_msg("%s: %s", text, error_text());
}

static void what_is_not_random_equals_numpy_scipy_and_pillow(void **state)
{
    uint32_t cases;
    struct golden g = begin(state, &cases);
    assert_int_equal(cases, 18);
    const size_t bytes = g.side * g.side * 3;
    unsigned char *out = mem_alloc(bytes, 1);
    for (uint32_t k = 0; k < cases; k++) {
        const char *name = (const char *)g.at;
        const unsigned char *answer = g.at + NAME;
        g.at += NAME + bytes;
        corrupt(name, 0, 0, 1, (int)g.side, g.picture, out);
        /* Pillow's own work is met to the bit */
        const int most = strncmp(name, "jpeg", 4) == 0 || strncmp(name, "pixel", 5) == 0 ? 0 : BYTE;
        for (size_t i = 0; i < bytes; i++)
            if (abs(out[i] - answer[i]) > most)
                fail_msg("%s: byte %zu is %d, not %d", name, i, out[i], answer[i]);
    }
    mem_free(out);
}

static int apply(struct field *f, const char *name, const double *p)
{
    struct field out = {0};
    if (strcmp(name, "gauss") == 0)
        return field_gauss(f, p[0], p[1], (enum edge)(int)p[2]);
    if (strcmp(name, "motion") == 0)
        return field_motion(f, p[0], p[1], p[2]);
    TRY(field_zoom(&out, f, p[0]));
    memcpy(f->v, out.v, field_count(f) * sizeof *f->v);
    field_finish(&out);
    return 0;
}

static void filters_equal_scipys(void **state)
{
    uint32_t cases;
    struct golden g = begin(state, &cases);
    g.at += cases * (NAME + g.side * g.side * 3);
    cases = next_u32(&g);
    assert_int_equal(cases, 12);
    const size_t count = g.side * g.side;
    const unsigned char *input = g.at;
    struct field f, answer;
    assert_int_equal(field_init(&answer, (int)g.side, 1), 0);
    g.at += count * sizeof(float);
    for (uint32_t k = 0; k < cases; k++) {
        const char *name = (const char *)g.at;
        double p[4];
        memcpy(p, g.at + NAME, sizeof p);
        memcpy(answer.v, g.at + NAME + sizeof p, count * sizeof(float));
        g.at += NAME + sizeof p + count * sizeof(float);
        assert_int_equal(field_init(&f, (int)g.side, 1), 0);
        memcpy(f.v, input, count * sizeof(float));
        assert_int_equal(apply(&f, name, p), 0);
        for (size_t i = 0; i < count; i++)
            if (fabs((double)f.v[i] - (double)answer.v[i]) > FILTER)
                fail_msg("%s(%g, %g, %g): value %zu is %.8f, not %.8f", name, p[0], p[1], p[2], i,
                         (double)f.v[i], (double)answer.v[i]);
        field_finish(&f);
    }
    field_finish(&answer);
}

static void measure(const unsigned char *rgb, size_t count, double *mean, double *deviation)
{
    double sum = 0, squares = 0;
    for (size_t i = 0; i < count; i++) {
        sum += rgb[i] / 255.0;
        squares += rgb[i] / 255.0 * (rgb[i] / 255.0);
    }
    *mean = sum / (double)count;
    *deviation = sqrt(squares / (double)count - *mean * *mean);
}

static void noise_has_the_mean_and_deviation_of_its_formula(void **state)
{
    enum { PICTURES = 8 };
    uint32_t cases;
    struct golden g = begin(state, &cases);
    const size_t count = g.side * g.side, bytes = (size_t)PICTURES * DRAWN * DRAWN * 3;
    g.at += cases * (NAME + count * 3);
    cases = next_u32(&g);
    g.at += count * sizeof(float) + cases * (NAME + 4 * sizeof(double) + count * sizeof(float));
    cases = next_u32(&g);
    assert_int_equal(cases, 15);
    unsigned char *in = mem_alloc(bytes, 2), *out = in + bytes;
    memset(in, GREY, bytes);
    for (uint32_t k = 0; k < cases; k++) {
        const char *name = (const char *)g.at;
        double wanted[2], mean, deviation;
        memcpy(wanted, g.at + NAME, sizeof wanted);
        g.at += NAME + sizeof wanted;
        corrupt(name, 1, 0, PICTURES, DRAWN, in, out);
        measure(out, bytes, &mean, &deviation);
        if (fabs(mean - wanted[0]) > NOISE || fabs(deviation - wanted[1]) > NOISE)
            fail_msg("%s: mean %.4f and deviation %.4f, not %.4f and %.4f", name, mean, deviation, wanted[0],
                     wanted[1]);
    }
    mem_free(in);
}

static struct pack *drawn(uint32_t count, int side)
{
    struct pack *pack = NULL;
    const struct builtin_spec spec = {
        .task = "textures", .normalise = "half", .size = side, .seed = 1, .count = {2, 1, count}};
    assert_int_equal(pack_builtin(&pack, &spec, NULL, NULL), 0);
    return pack;
}

/* Mean distance of bytes, 0 .. 1. */
static double distance(const unsigned char *a, const unsigned char *b, size_t count)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += abs(a[i] - b[i]) / 255.0;
    return sum / (double)count;
}

static void every_corruption_changes_pictures_and_its_last_severity_more_than_its_first(void **state)
{
    (void)state;
    enum { COUNT = 2, SIDE = 224 };
    struct pack *pack = drawn(COUNT, SIDE);
    const struct pack_images images = pack_images(pack, PACK_TEST);
    const size_t bytes = (size_t)COUNT * SIDE * SIDE * 3;
    unsigned char *out = mem_alloc(bytes, 1);
    for (int kind = 0; kind < CORRUPTION_COUNT; kind++) {
        double far[2];
        for (int k = 0; k < 2; k++) {
            char text[CORRUPTION_TEXT];
            corrupt(corruption_text((struct corruption){(enum corruption_kind)kind, k ? 5 : 1}, text), 3, 0,
                    COUNT, SIDE, images.rgb, out);
            far[k] = distance(images.rgb, out, bytes);
        }
        /* severities of elastic_transform are of different kinds: wide waves first, small jitter last */
        if (far[0] <= 0 || (far[1] <= far[0] && kind != CORRUPTION_elastic_transform))
            fail_msg("%s: pictures differ by %.4f at severity 1 and %.4f at 5",
                     corruption_name((enum corruption_kind)kind), far[0], far[1]);
    }
    mem_free(out);
    pack_close(pack);
}

static void a_picture_depends_on_seed_number_corruption_and_severity_alone(void **state)
{
    (void)state;
    static const char *const texts[] = {"gaussian_noise:1", "glass_blur:3", "motion_blur:2",      "snow:2",
                                        "frost:3",          "fog:5",        "elastic_transform:1"};
    enum { COUNT = 5, PICTURE = DRAWN * DRAWN * 3 };
    struct pack *pack = drawn(COUNT, DRAWN);
    unsigned char *in = mem_alloc(COUNT, PICTURE), *out = mem_alloc(COUNT, PICTURE), one[PICTURE];
    for (int i = 0; i < COUNT; i++) /* the same picture over and over */
        memcpy(in + (size_t)i * PICTURE, pack_images(pack, PACK_TEST).rgb, PICTURE);
    for (size_t t = 0; t < sizeof texts / sizeof *texts; t++) {
        corrupt(texts[t], 7, 10, COUNT, DRAWN, in, out);
        corrupt(texts[t], 7, 13, 1, DRAWN, in, one);
        assert_memory_equal(one, out + 3 * (size_t)PICTURE, PICTURE); /* alone or among others */
        assert_memory_not_equal(one, out + 2 * (size_t)PICTURE, PICTURE);
        corrupt(texts[t], 8, 13, 1, DRAWN, in, one);
        assert_memory_not_equal(one, out + 3 * (size_t)PICTURE, PICTURE);
    }
    mem_free(in);
    mem_free(out);
    pack_close(pack);
}

static void a_corrupted_pack_has_its_labels_and_a_fingerprint_of_its_own(void **state)
{
    (void)state;
    struct corruption what;
    struct pack *pack = drawn(4, DRAWN), *once = NULL, *again = NULL, *other = NULL;
    assert_int_equal(corruption_parse(&what, "fog:2"), 0);
    assert_int_equal(pack_corrupt(&once, pack, what, 0, NULL, NULL), 0);
    assert_int_equal(pack_corrupt(&again, pack, what, 0, NULL, NULL), 0);
    assert_int_equal(pack_corrupt(&other, pack, what, 1, NULL, NULL), 0);
    assert_string_equal(pack_info(once)->fingerprint, pack_info(again)->fingerprint);
    assert_string_not_equal(pack_info(once)->fingerprint, pack_info(pack)->fingerprint);
    assert_string_not_equal(pack_info(once)->fingerprint, pack_info(other)->fingerprint);
    assert_non_null(strstr(pack_info(once)->origin, "fog:2 (seed 0)"));
    assert_int_equal(pack_check(once, PACK_TEST), 0);
    for (int k = 0; k < PACK_SPLITS; k++) {
        const struct pack_images a = pack_images(pack, (enum pack_split)k),
                                 b = pack_images(once, (enum pack_split)k);
        assert_int_equal(a.count, b.count);
        assert_memory_equal(a.labels, b.labels, a.count * sizeof *a.labels);
    }
    pack_close(other);
    pack_close(again);
    pack_close(once);
    pack_close(pack);
}

static void wrong_names_and_severities_are_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {"fog", "fog:", "fog:0", "fog:6", "fog:33", "mist:3", ":3", ""};
    struct corruption c;
    char text[CORRUPTION_TEXT];
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_int_equal(corruption_parse(&c, wrong[i]), ERR_INPUT);
    for (int kind = 0; kind < CORRUPTION_COUNT; kind++) {
        const struct corruption whole = {(enum corruption_kind)kind, 4};
        assert_int_equal(corruption_parse(&c, corruption_text(whole, text)), 0);
        assert_int_equal(c.kind, kind);
        assert_int_equal(c.severity, 4);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_not_random_equals_numpy_scipy_and_pillow),
        cmocka_unit_test(filters_equal_scipys),
        cmocka_unit_test(noise_has_the_mean_and_deviation_of_its_formula),
        cmocka_unit_test(every_corruption_changes_pictures_and_its_last_severity_more_than_its_first),
        cmocka_unit_test(a_picture_depends_on_seed_number_corruption_and_severity_alone),
        cmocka_unit_test(a_corrupted_pack_has_its_labels_and_a_fingerprint_of_its_own),
        cmocka_unit_test(wrong_names_and_severities_are_refused),
    };
    return cmocka_run_group_tests(tests, read_golden, free_golden);
}

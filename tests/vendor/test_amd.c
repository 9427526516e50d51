/* test_amd.c - what AMD's compiler makes of every kernel that realistic trainings choose, through RADV's null
 * device: registers, spills, shared memory and occupancy for GPUs that are not there.
 *
 * Prints a table for each GPU; with VITRO_REPORT=FILE also writes everything as JSON. */
#include "error.h"
#include "json.h"
#include "memory.h"
#include "run.h"
#include "session.h"
#include "session_private.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { BATCH = 64, IMAGE = 224, PATCH = 16, CLASSES = 100, DEPTH = 2 };

static const struct family { /* as RADV_FORCE_FAMILY knows it */
    const char *name, *what;
    int spills_fail; /* a spilled register in a kernel that a training chooses fails the test */
} families[] = {
    {"NAVI31", "RDNA 3, RX 7900", 1}, {"GFX1201", "RDNA 4, RX 9070", 1},
    {"NAVI21", "RDNA 2, RX 6800", 0}, {"MI200", "CDNA 2, Instinct MI250", 0},
    {"VEGA10", "GCN 5, Vega 56", 0},
};

enum { VIT_B = 2 };
static const struct model {
    const char *name;
    int32_t dim, heads;
} models[] = {{"ViT-Ti", 192, 3}, {"ViT-S", 384, 6}, [VIT_B] = {"ViT-B", 768, 12}, {"ViT-L", 1024, 16}};

static const char *const methods[] = {"linear", "bitfit", "lora", "vpt", "adaptformer", "full"};

/* What is reported, by the names that RADV gives it. */
enum { VGPRS, SGPRS, SPILLED_VGPRS, SPILLED_SGPRS, LDS, SCRATCH, OCCUPANCY, CODE, COLUMNS };
static const struct column {
    const char *radv, *head, *key;
} columns[COLUMNS] = {
    [VGPRS] = {"VGPRs", "VGPR", "vgprs"},
    [SGPRS] = {"SGPRs", "SGPR", "sgprs"},
    [SPILLED_VGPRS] = {"Spilled VGPRs", "spill V", "spilled_vgprs"},
    [SPILLED_SGPRS] = {"Spilled SGPRs", "spill S", "spilled_sgprs"},
    [LDS] = {"LDS size", "LDS B", "lds_bytes"},
    [SCRATCH] = {"Scratch size", "scratch", "scratch_bytes"},
    [OCCUPANCY] = {"Subgroups per SIMD", "waves", "waves_per_simd"},
    [CODE] = {"Code size", "code B", "code_bytes"},
};

struct report { /* of one GPU */
    struct device *device;
    const struct family *family;
    struct json *rows;             /* NULL: no JSON is wanted */
    int kernels, spilling, untold; /* untold: not all of the columns are known of them */
};

static void must(int rc)
{
    if (rc < 0)
        fail_msg("%s", error_text());
}

/* Lowers and compiles one program; nothing of it runs. */
static void compile(struct session *session, const struct feed *feed, int train)
{
    struct recipe recipe = recipe_default;
    struct run *run;
    recipe.precision = (int32_t)session->spec.number;
    must(session_program(
        session,
        &(struct program_spec){
            .feed = feed, .batch = BATCH, .series = 1, .recipe = train ? &recipe : NULL, .update = train},
        &run));
    run_destroy(run);
}

static void compile_method(struct engine *engine, struct plugins *plugins, const struct vit *vit,
                           const struct feed *feed, const char *name, enum number number, int infer)
{
    struct method *method;
    struct session *session;
    must(method_create(&method, plugins, name));
    must(method_declare(method, vit));
    must(session_create(&session, &(struct session_spec){.engine = engine,
                                                         .method = method,
                                                         .vit = vit,
                                                         .number = number,
                                                         .mean = {0.5f, 0.5f, 0.5f},
                                                         .std = {0.5f, 0.5f, 0.5f}}));
    if (infer)
        compile(session, feed, 0);
    compile(session, feed, 1);
    session_destroy(session);
    method_destroy(method);
}

/* Every kernel of the trainings above, in each precision: a model's depth chooses none, so two blocks stand for all.
 * `only`: of this model, which saves time where kernels only have to compile; NULL: of every one. */
static void compile_all(struct engine *engine, const struct model *only)
{
    static const char *const search[] = {PLUGINS, NULL};
    struct plugins *plugins;
    size_t bytes = (size_t)BATCH * IMAGE * IMAGE * 3;
    unsigned char *rgb = mem_alloc(bytes, 1);
    int32_t *labels = mem_alloc(BATCH, sizeof *labels);
    assert_true(rgb && labels);
    must(plugins_create(&plugins, search));
    for (size_t m = 0; m < sizeof models / sizeof models[0]; m++) {
        struct vit *vit;
        struct feed feed;
        if (only && only != &models[m])
            continue;
        must(vit_create(&vit, &(struct vit_shape){.image = IMAGE,
                                                  .patch = PATCH,
                                                  .dim = models[m].dim,
                                                  .depth = DEPTH,
                                                  .heads = models[m].heads,
                                                  .hidden = 4 * models[m].dim,
                                                  .classes = CLASSES,
                                                  .eps = 1e-6f}));
        must(feed_create(&feed, engine, rgb, labels, BATCH, IMAGE));
        for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++)
            for (int n = 0; n < NUMBER_COUNT; n++)
                compile_method(engine, plugins, vit, &feed, methods[i], (enum number)n, i == 0);
        feed_destroy(&feed);
        vit_destroy(vit);
    }
    plugins_destroy(plugins);
    mem_free(rgb);
    mem_free(labels);
}

static void add_row(struct report *r, const char *kernel, const uint32_t *constants, uint32_t count,
                    const double *values)
{
    struct json *row = json_object(), *list = json_array();
    for (uint32_t i = 0; i < count; i++)
        json_append_number(list, constants[i]);
    json_set_string(row, "kernel", kernel);
    json_take(row, "constants", list);
    for (int c = 0; c < COLUMNS; c++)
        json_set_number(row, columns[c].key, values[c]);
    json_append_take(r->rows, row);
}

static void see(void *context, const struct kernel *kernel, const uint32_t *constants, uint32_t count)
{
    enum { STATISTICS = 64 };
    struct report *r = context;
    struct kernel_statistic found[STATISTICS];
    double values[COLUMNS] = {0};
    char text[128] = "";
    int n = kernel_statistics(r->device, kernel, found, STATISTICS), told = 0;
    must(n);
    for (int i = 0; i < n && i < STATISTICS; i++)
        for (int c = 0; c < COLUMNS; c++)
            if (!strcmp(found[i].name, columns[c].radv))
                values[c] = found[i].value, told++;
    for (uint32_t i = 0; i < count; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s%u", i ? " " : "",
                 (unsigned)constants[i]);
    printf("  %-22s %-30s", kernel_name(kernel), text);
    for (int c = 0; c < COLUMNS; c++)
        printf(" %7.0f", values[c]);
    printf("\n");
    r->kernels++;
    r->untold += told < COLUMNS;
    int spills = values[SPILLED_VGPRS] > 0 || values[SPILLED_SGPRS] > 0 || values[SCRATCH] > 0;
    r->spilling += spills;
    if (r->rows)
        add_row(r, kernel_name(kernel), constants, count, values);
}

static struct json *document; /* what VITRO_REPORT asks for, or NULL */

static void report_family(const struct family *f)
{
    struct report r = {.family = f, .rows = document ? json_array() : NULL};
    struct engine *engine;
    assert_int_equal(setenv("RADV_FORCE_FAMILY", f->name, 1), 0);
    const struct device_limits limits = {.max_groups = 65535}; /* AMD's allow more, Intel's do not */
    must(device_open(&r.device, &(struct device_spec){.index = 0, .compile_only = 1, .limits = &limits}));
    const struct device_info *info = device_info(r.device);
    assert_non_null(strstr(info->driver, "radv"));
    assert_false(info->is_cpu);
    assert_true(info->has_subgroup_sums);
    must(engine_create(&engine, r.device, ENGINE_AUTO));
    compile_all(engine, f->spills_fail ? NULL : &models[VIT_B]);
    printf("\n%s (%s), %s, waves of %u, %s, %s\n  %-22s %-30s", f->name, f->what, info->driver,
           (unsigned)engine_lanes(engine), info->has_coopmat ? "matrix units" : "no matrix units",
           info->has_bf16 ? "bf16" : "no bf16", "kernel", "constants");
    for (int c = 0; c < COLUMNS; c++)
        printf(" %7s", columns[c].head);
    printf("\n");
    engine_kernels(engine, see, &r);
    printf("  %d kernels, %d of them spill\n", r.kernels, r.spilling);
    engine_destroy(engine);
    device_close(r.device);
    if (document)
        json_take(document, f->name, r.rows);
    assert_true(r.kernels > 0);
    assert_int_equal(r.untold, 0);
    if (f->spills_fail)
        assert_int_equal(r.spilling, 0);
}

#define FAMILY(index, sentence)          \
    static void sentence(void **state)   \
    {                                    \
        (void)state;                     \
        report_family(&families[index]); \
    }
FAMILY(0, no_kernel_that_a_training_chooses_spills_on_navi31)
FAMILY(1, no_kernel_that_a_training_chooses_spills_on_gfx1201)
FAMILY(2, every_kernel_compiles_for_navi21)
FAMILY(3, every_kernel_compiles_for_mi200)
FAMILY(4, every_kernel_compiles_for_vega10)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_kernel_that_a_training_chooses_spills_on_navi31),
        cmocka_unit_test(no_kernel_that_a_training_chooses_spills_on_gfx1201),
        cmocka_unit_test(every_kernel_compiles_for_navi21),
        cmocka_unit_test(every_kernel_compiles_for_mi200),
        cmocka_unit_test(every_kernel_compiles_for_vega10),
    };
    const char *driver = getenv("VITRO_VULKAN_DRIVER"), *report = getenv("VITRO_REPORT");
    FILE *manifest = driver ? fopen(driver, "r") : NULL;
    if (!manifest) {
        printf(
            "skipped: there is no manifest of AMD's driver in '%s'; scripts/other_drivers.sh brings it, and "
            "VITRO_VULKAN_DRIVER names another\n",
            driver ? driver : "");
        return 77;
    }
    fclose(manifest);
    document = report && *report ? json_object() : NULL;
    int rc = cmocka_run_group_tests(tests, NULL, NULL);
    if (document && json_write_file(document, report) < 0) {
        fprintf(stderr, "%s\n", error_text());
        rc = 1;
    }
    json_destroy(document);
    return rc;
}

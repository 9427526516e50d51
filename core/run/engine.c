/* engine.c - see engine.h. */
#include "engine.h"

#include "bfloat_module.h"
#include "error.h"
#include "ladder.h"
#include "memory.h"
#include "products.h"
#include "push.h"
#include "spirv.h"
#include "tape.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "adamw_spv.h"
#include "advance_spv.h"
#include "attention_back_kv_cpu_spv.h"
#include "attention_back_kv_spv.h"
#include "attention_back_kv_tile_cpu_spv.h"
#include "attention_back_q_cpu_spv.h"
#include "attention_back_q_spv.h"
#include "attention_back_q_tile_cpu_spv.h"
#include "attention_cpu_spv.h"
#include "attention_matrix_back_kv_spv.h"
#include "attention_matrix_back_q_spv.h"
#include "attention_matrix_spv.h"
#include "attention_spv.h"
#include "attention_tile_cpu_spv.h"
#include "column_sum_cpu_spv.h"
#include "column_sum_spv.h"
#include "cross_entropy_spv.h"
#include "feed_spv.h"
#include "finite_spv.h"
#include "gather_spv.h"
#include "gemm_cpu_spv.h"
#include "gemm_packed_spv.h"
#include "gemm_reduce_spv.h"
#include "gemm_spv.h"
#include "gemm_subgroup_spv.h"
#include "gemm_workgroup_spv.h"
#include "layernorm_back_cpu_spv.h"
#include "layernorm_back_spv.h"
#include "layernorm_cpu_spv.h"
#include "layernorm_spv.h"
#include "map_spv.h"
#include "narrow_spv.h"
#include "pack_cpu_spv.h"
#include "patches_spv.h"
#include "record_spv.h"
#include "row_sum_spv.h"
#include "softmax_back_spv.h"
#include "softmax_spv.h"
#include "unfold_spv.h"
#include "vitro_run_plain.h"

enum { LANES_MAX = 64, LANES_CPU_STYLE = 16 }; /* the latter: packed panels are so wide (lib/gemm.glsl) */

static const struct source {
    const char *name, *row; /* of shaders.h */
    const uint32_t *spirv;
    size_t bytes;
    uint32_t push_bytes;
} sources[SHADER_COUNT] = {
#define X(NAME, name, push) {#name, #NAME, name##_spv, sizeof name##_spv, sizeof(push)},
    SHADERS(X)
#undef X
};

/* Whether the kernel is made of the file's for fp16, as the row's name says. */
static int is_bfloat_twin(const struct source *s)
{
    static const char suffix[] = "_BF16";
    const size_t length = strlen(s->row), of_suffix = sizeof suffix - 1;
    return length > of_suffix && !strcmp(s->row + length - of_suffix, suffix);
}

/* The same for devices without subgroups that can be relied on. */
static const struct {
    const uint32_t *spirv;
    size_t bytes;
} plain_sources[SHADER_COUNT] = {
#define X(NAME, name, push) {name##_plain_spv, sizeof name##_plain_spv},
    SHADERS(X)
#undef X
};

struct entry { /* one pipeline */
    struct entry *next;
    int in_parts;
    uint32_t count, constants[KERNEL_CONSTANTS_MAX];
    struct kernel *kernel;
};

struct outside { /* a pipeline of a kernel from outside, or that it was refused */
    struct outside *next;
    const uint32_t *spirv;
    uint32_t push_bytes, count, constants[CUSTOM_CONSTANTS];
    struct kernel *kernel;
};

struct engine {
    struct device *device;
    struct outside *outside;
    int unwanted; /* kernels from outside are not used */
    void (*log)(void *context, const char *text);
    void *log_context;
    uint32_t lanes;
    int cpu_style;
    int plain; /* workgroups of `lanes` that need not be a subgroup */
    int in_step;
    int attention_in_tiles;
    int wide; /* everything is stored as floats */
    struct ladder *ladder;
    struct products *products;
    struct {
        const uint32_t *spirv;
        size_t bytes;
    } replaced[SHADER_COUNT];
    struct engine_pace pace;
    struct entry *entries[SHADER_COUNT];
};

/* Where the kernels in tiles were measured to be faster, 1.9 times forward and backward: on Mesa 26.2. Mesa 26.1 reads
 * their addresses back from vectors, is no faster than with a row a lane, and takes twice as long to compile. */
static int takes_attention_in_tiles(const struct engine *e, const struct device_info *info)
{
    const uint32_t mesa_26_2 = 26u << 22 | 2u << 12; /* as driverVersion has it */
    return e->in_step && info->driver_version >= mesa_26_2 && (e->lanes == 8 || e->lanes == 16);
}

int engine_create(struct engine **out, struct device *device, enum engine_style style)
{
    struct engine *e = mem_alloc(1, sizeof *e);
    if (!e)
        return ERR_MEMORY;
    int rc = ladder_create(&e->ladder);
    if (rc == 0)
        rc = products_create(&e->products);
    if (rc < 0) {
        engine_destroy(e);
        return rc;
    }
    e->device = device;
    const struct device_info *info = device_info(device);
    const int cpu_style = style == ENGINE_AUTO ? info->is_cpu : style == ENGINE_CPU;
    e->plain = !info->has_subgroup_sums || (cpu_style && info->subgroup_size > LANES_CPU_STYLE);
    e->cpu_style = cpu_style || e->plain;
    const uint32_t most = e->plain ? LANES_CPU_STYLE : LANES_MAX;
    e->lanes = info->subgroup_size < most ? info->subgroup_size : most;
    e->pace = (struct engine_pace){.submit_seconds = 0.1, .parts = info->is_cpu ? 1 : 64};
    e->in_step = info->is_llvmpipe && e->cpu_style && !e->plain;
    e->attention_in_tiles = takes_attention_in_tiles(e, info);
    *out = e;
    return 0;
}

static void destroy_outside(struct engine *e)
{
    for (struct outside *o = e->outside, *next; o; o = next) {
        next = o->next;
        kernel_destroy(e->device, o->kernel);
        mem_free(o);
    }
}

static void destroy_kernels(struct engine *e)
{
    destroy_outside(e);
    e->outside = NULL;
    for (int s = 0; s < SHADER_COUNT; s++) {
        for (struct entry *i = e->entries[s], *next; i; i = next) {
            next = i->next;
            kernel_destroy(e->device, i->kernel);
            mem_free(i);
        }
        e->entries[s] = NULL;
    }
}

void engine_destroy(struct engine *e)
{
    if (e) {
        destroy_kernels(e);
        ladder_destroy(e->ladder);
        products_destroy(e->products);
    }
    mem_free(e);
}

int engine_recover(struct engine *e)
{
    destroy_kernels(e);
    products_forget_checks(e->products);
    return device_reopen(e->device);
}

struct device *engine_device(const struct engine *e)
{
    return e->device;
}

uint32_t engine_lanes(const struct engine *e)
{
    return e->lanes;
}

int engine_in_step(const struct engine *e)
{
    return e->in_step;
}

uint32_t engine_team(const struct engine *e, uint64_t subgroups)
{
    enum { TEAM = 4, ENOUGH = 256 };
    return e->in_step && subgroups >= ENOUGH ? TEAM : 1;
}

int engine_attention_in_tiles(const struct engine *e)
{
    return e->attention_in_tiles;
}

int engine_stores_halves(const struct engine *e)
{
    return !e->cpu_style && !e->wide;
}

void engine_want_halves(struct engine *e, int want)
{
    e->wide = !want;
}

void engine_turn_attention(struct engine *e)
{
    e->attention_in_tiles = !e->attention_in_tiles;
}

int engine_cpu_style(const struct engine *e)
{
    return e->cpu_style;
}

struct ladder *engine_ladder(const struct engine *e)
{
    return e->ladder;
}

int engine_has(const struct engine *e, enum shader shader)
{
    (void)e;
    return sources[shader].bytes > sizeof(uint32_t); /* one word: the compiler could not build it */
}

/* Creates the kernel of a source, or of its twin for bf16. */
static int make_kernel(struct engine *e, enum shader shader, struct kernel_spec *spec, struct kernel **out)
{
    const struct source *source = &sources[shader];
    uint32_t *twin = NULL;
    spec->name = source->name;
    spec->push_bytes = source->push_bytes;
    spec->spirv = e->plain ? plain_sources[shader].spirv : source->spirv;
    spec->spirv_bytes = e->plain ? plain_sources[shader].bytes : source->bytes;
    if (e->replaced[shader].spirv) {
        spec->spirv = e->replaced[shader].spirv;
        spec->spirv_bytes = e->replaced[shader].bytes;
        return kernel_create(out, e->device, spec);
    }
    if (!engine_has(e, shader))
        return fail(ERR_DEVICE, "the kernel %s is not in this program: its shader compiler was too old",
                    source->name);
    if (is_bfloat_twin(source)) {
        TRY(bfloat_module(source->spirv, source->bytes, &twin, &spec->spirv_bytes));
        spec->spirv = twin;
    }
    int rc = kernel_create(out, e->device, spec);
    mem_free(twin);
    return rc;
}

struct products *engine_products(const struct engine *e)
{
    return e->products;
}

int engine_shaders_digest(char text[HASH_TEXT])
{
    struct hash *hash;
    TRY(hash_begin(&hash));
    for (int i = 0; i < SHADER_COUNT; i++)
        hash_add(hash, sources[i].spirv, sources[i].bytes);
    return hash_end(hash, text);
}

void engine_replace(struct engine *e, enum shader shader, const uint32_t *spirv, size_t bytes)
{
    e->replaced[shader].spirv = spirv;
    e->replaced[shader].bytes = bytes;
}

struct engine_pace engine_pace(const struct engine *e)
{
    return e->pace;
}

void engine_set_pace(struct engine *e, struct engine_pace pace)
{
    e->pace = pace;
}

static int get_kernel(struct engine *e, enum shader shader, const uint32_t *constants, uint32_t count,
                      int in_parts, const struct kernel **out)
{
    for (struct entry *i = e->entries[shader]; i; i = i->next)
        if (i->in_parts == in_parts && i->count == count &&
            (!count || !memcmp(i->constants, constants, count * sizeof *constants))) {
            *out = i->kernel;
            return 0;
        }
    struct entry *made = mem_alloc(1, sizeof *made);
    if (!made)
        return ERR_MEMORY;
    made->in_parts = in_parts;
    made->count = count;
    struct kernel_spec spec = {
        .constant_count = count + 1, .subgroup_size = e->plain ? 0 : e->lanes, .in_parts = in_parts};
    spec.constants[0] = e->lanes;
    if (count) {
        memcpy(made->constants, constants, count * sizeof *constants);
        memcpy(spec.constants + 1, constants, count * sizeof *constants);
    }
    int rc = make_kernel(e, shader, &spec, &made->kernel);
    if (rc < 0) {
        mem_free(made);
        return rc;
    }
    made->next = e->entries[shader];
    e->entries[shader] = made;
    *out = made->kernel;
    return 0;
}

int engine_kernel(struct engine *e, enum shader shader, const uint32_t *constants, uint32_t count,
                  const struct kernel **out)
{
    return get_kernel(e, shader, constants, count, 0, out);
}

int engine_kernel_in_parts(struct engine *e, enum shader shader, const uint32_t *constants, uint32_t count,
                           const struct kernel **out)
{
    struct spirv module;
    TRY(spirv_read(&module, sources[shader].spirv, sources[shader].bytes));
    if (module.counts_workgroups)
        return 0;
    int rc = get_kernel(e, shader, constants, count, 1, out);
    return rc < 0 ? rc : 1;
}

void engine_kernels(const struct engine *e, engine_see *see, void *context)
{
    for (int s = 0; s < SHADER_COUNT; s++)
        for (const struct entry *i = e->entries[s]; i; i = i->next)
            see(context, i->kernel, i->constants, i->count);
}

void engine_want_custom(struct engine *e, int want)
{
    e->unwanted = !want;
}

void engine_set_log(struct engine *e, void (*log)(void *context, const char *text), void *context)
{
    e->log = log;
    e->log_context = context;
}

void engine_say(const struct engine *e, const char *format, ...)
{
    char text[1024];
    va_list args;
    if (!e->log)
        return;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    e->log(e->log_context, text);
}

static struct outside *find_outside(const struct engine *e, const struct custom *call, uint32_t push_bytes)
{
    for (struct outside *o = e->outside; o; o = o->next)
        if (o->spirv == call->spirv && o->push_bytes == push_bytes && o->count == call->constant_count &&
            !memcmp(o->constants, call->constants, o->count * sizeof *o->constants))
            return o;
    return NULL;
}

/* Its workgroups are as large as its module says, so subgroups are as the driver likes them. */
static int make_outside(struct engine *e, const struct custom *call, struct outside *o)
{
    struct spirv module;
    struct kernel_spec spec = {.name = call->name,
                               .spirv = call->spirv,
                               .spirv_bytes = call->spirv_bytes,
                               .push_bytes = o->push_bytes,
                               .constant_count = o->count + 1};
    spec.constants[0] = e->lanes;
    memcpy(spec.constants + 1, o->constants, o->count * sizeof *o->constants);
    TRY(spirv_read(&module, call->spirv, call->spirv_bytes));
    TRY(kernel_suits(e->device, &module));
    return kernel_create(&o->kernel, e->device, &spec);
}

int engine_custom(struct engine *e, const struct custom *call, const struct kernel **out)
{
    uint32_t push_bytes = (call->inputs + 1) * (uint32_t)sizeof(uint64_t) + call->push_bytes;
    if (e->unwanted)
        return 0;
    struct outside *o = find_outside(e, call, push_bytes);
    if (!o) {
        if (!(o = mem_alloc(1, sizeof *o)))
            return ERR_MEMORY;
        o->spirv = call->spirv;
        o->push_bytes = push_bytes;
        o->count = call->constant_count;
        memcpy(o->constants, call->constants, sizeof o->constants);
        o->next = e->outside;
        e->outside = o;
        if (make_outside(e, call, o) < 0)
            engine_say(e, "the kernel %s is not used here, but its equivalent: %.800s", call->name,
                       error_text());
    }
    *out = o->kernel;
    return o->kernel != NULL;
}

/* kernel.c - compute pipelines whose only inputs are specialisation and push constants. */
#include "address_pairs.h"
#include "kernel_binary.h"
#include "memory.h"
#include "pair_memory.h"
#include "spirv.h"

#include <stdio.h>

static const uint32_t spirv_magic = 0x07230203;

static int check(const struct device *d, const struct kernel_spec *spec)
{
    if (spec->spirv_bytes < 20 || spec->spirv_bytes % 4 || spec->spirv[0] != spirv_magic)
        return fail(ERR_INPUT, "kernel %s: %zu bytes that are no SPIR-V module; compile the shader again",
                    spec->name, spec->spirv_bytes);
    if (spec->push_bytes > KERNEL_PUSH_MAX || spec->push_bytes % 4)
        return fail(ERR_INPUT, "kernel %s: %u bytes of push constants; a multiple of 4 up to %d is allowed",
                    spec->name, (unsigned)spec->push_bytes, KERNEL_PUSH_MAX);
    if (spec->constant_count > KERNEL_CONSTANTS_MAX)
        return fail(ERR_INPUT, "kernel %s: %u specialisation constants; at most %d are allowed", spec->name,
                    (unsigned)spec->constant_count, KERNEL_CONSTANTS_MAX);
    uint32_t size = spec->subgroup_size;
    uint32_t least = d->subgroup_control ? d->info.subgroup_min : d->info.subgroup_size;
    uint32_t most = d->subgroup_control ? d->info.subgroup_max : d->info.subgroup_size;
    if (size && (size < least || size > most || (size & (size - 1))))
        return fail(ERR_DEVICE,
                    "kernel %s: subgroups of %u are not to be had on %s (%u to %u, powers of two)",
                    spec->name, (unsigned)size, d->info.name, (unsigned)least, (unsigned)most);
    return 0;
}

static int create_layout(struct kernel *k, struct device *d)
{
    VkPushConstantRange range = {
        .stageFlags = VK_SHADER_STAGE_COMPUTE_BIT,
        .size = k->push_bytes,
    };
    VkPipelineLayoutCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO,
        .pushConstantRangeCount = k->push_bytes ? 1 : 0,
        .pPushConstantRanges = &range,
    };
    return VK(d->vk.vkCreatePipelineLayout(d->handle, &info, NULL, &k->layout));
}

/* Rows of a workgroup that are known to be no multiple of a subgroup have none that is full. */
static int fills_subgroups(const struct kernel_spec *spec)
{
    struct spirv module;
    return spirv_read(&module, spec->spirv, spec->spirv_bytes) < 0 ||
           module.local_size[0] % spec->subgroup_size == 0;
}

static int create_pipeline(struct kernel *k, struct device *d, const struct kernel_stage *stage)
{
    VkShaderModuleCreateInfo code = {
        .sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO,
        .codeSize = stage->bytes,
        .pCode = stage->code,
    };
    VkPipelineShaderStageRequiredSubgroupSizeCreateInfo subgroup = {
        .sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_REQUIRED_SUBGROUP_SIZE_CREATE_INFO,
        .requiredSubgroupSize = stage->subgroup_size,
    };
    VkComputePipelineCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO,
        .flags = (stage->in_parts ? (VkPipelineCreateFlags)VK_PIPELINE_CREATE_DISPATCH_BASE_BIT : 0) |
                 (d->statistics ? (VkPipelineCreateFlags)VK_PIPELINE_CREATE_CAPTURE_STATISTICS_BIT_KHR : 0),
        .stage =
            {
                .sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO,
                .pNext = stage->subgroup_size ? &subgroup : NULL,
                .flags =
                    stage->full_subgroups ? VK_PIPELINE_SHADER_STAGE_CREATE_REQUIRE_FULL_SUBGROUPS_BIT : 0,
                .stage = VK_SHADER_STAGE_COMPUTE_BIT,
                .pName = "main",
                .pSpecializationInfo = &stage->constants,
            },
        .layout = k->layout,
    };
    TRY(VK(d->vk.vkCreateShaderModule(d->handle, &code, NULL, &info.stage.module)));
    int rc = VK(d->vk.vkCreateComputePipelines(d->handle, d->cache.handle, 1, &info, NULL, &k->pipeline));
    d->vk.vkDestroyShaderModule(d->handle, info.stage.module, NULL);
    return rc;
}

/* Without 64-bit integers: addresses are pairs of words in arithmetic and in memory. The caller frees *out. */
static int without_int64(const struct kernel_spec *spec, uint32_t **out, size_t *bytes)
{
    uint32_t *pairs;
    size_t pairs_bytes;
    TRY(address_pairs(spec->spirv, spec->spirv_bytes, &pairs, &pairs_bytes));
    int rc = pair_memory(pairs, pairs_bytes, out, bytes);
    mem_free(pairs);
    return rc;
}

static int build(struct kernel *k, struct device *d, const struct kernel_spec *spec)
{
    VkSpecializationMapEntry entries[KERNEL_CONSTANTS_MAX];
    for (uint32_t i = 0; i < spec->constant_count; i++)
        entries[i] = (VkSpecializationMapEntry){.constantID = i, .offset = 4 * i, .size = 4};
    /* Without the control every subgroup has the default size, which `check` compared. */
    int control = spec->subgroup_size && d->subgroup_control && fills_subgroups(spec);
    struct kernel_stage stage = {
        .code = spec->spirv,
        .bytes = spec->spirv_bytes,
        .push_bytes = spec->push_bytes,
        .constants = {spec->constant_count, entries, 4 * spec->constant_count, spec->constants},
        .full_subgroups = control,
        .subgroup_size = control && d->info.subgroup_min < d->info.subgroup_max ? spec->subgroup_size : 0,
        .in_parts = spec->in_parts,
    };
    uint32_t *own = NULL;
    TRY(create_layout(k, d));
    if (!d->features.core.features.shaderInt64) {
        TRY(without_int64(spec, &own, &stage.bytes));
        stage.code = own;
    }
    int rc = d->binaries.on ? binary_create(&k->shader, d, &stage) : create_pipeline(k, d, &stage);
    mem_free(own);
    return rc;
}

int kernel_create(struct kernel **out, struct device *d, const struct kernel_spec *spec)
{
    *out = NULL;
    TRY(check(d, spec));
    struct kernel *k = mem_alloc(1, sizeof *k);
    if (!k)
        return ERR_MEMORY;
    k->name = spec->name;
    k->push_bytes = spec->push_bytes;
    k->in_parts = spec->in_parts;
    int rc = build(k, d, spec);
    if (rc < 0) {
        kernel_destroy(d, k);
        return fail_in(rc, "kernel %s", spec->name);
    }
    device_name_object(d, k->shader ? (VkObjectType)BINARY_OBJECT_TYPE : VK_OBJECT_TYPE_PIPELINE,
                       k->shader ? k->shader : (uint64_t)k->pipeline, k->name);
    *out = k;
    return 0;
}

void kernel_destroy(struct device *d, struct kernel *k)
{
    if (!k)
        return;
    if (k->pipeline)
        d->vk.vkDestroyPipeline(d->handle, k->pipeline, NULL);
    binary_destroy(d, k->shader);
    if (k->layout)
        d->vk.vkDestroyPipelineLayout(d->handle, k->layout, NULL);
    mem_free(k);
}

const char *kernel_name(const struct kernel *k)
{
    return k->name;
}

void kernel_bind(struct device *d, VkCommandBuffer command, const struct kernel *k)
{
    if (k->shader)
        binary_bind(d, command, k->shader);
    else
        d->vk.vkCmdBindPipeline(command, VK_PIPELINE_BIND_POINT_COMPUTE, k->pipeline);
}

static double statistic_value(const VkPipelineExecutableStatisticKHR *s)
{
    switch (s->format) {
    case VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_BOOL32_KHR: return s->value.b32 ? 1 : 0;
    case VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_INT64_KHR: return (double)s->value.i64;
    case VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_UINT64_KHR: return (double)s->value.u64;
    default: return s->value.f64;
    }
}

int kernel_statistics(struct device *d, const struct kernel *k, struct kernel_statistic *list, int room)
{
    enum { STATISTICS_MAX = 64 };
    static const VkStructureType type = VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_STATISTIC_KHR;
    VkPipelineExecutableStatisticKHR found[STATISTICS_MAX] = {0};
    uint32_t count = STATISTICS_MAX;
    if (!d->statistics)
        return 0;
    for (int i = 0; i < STATISTICS_MAX; i++)
        found[i].sType = type;
    VkPipelineExecutableInfoKHR info = {
        .sType = VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_INFO_KHR,
        .pipeline = k->pipeline, /* its first executable, and a compute pipeline's only one */
    };
    TRY(VK(d->vk.vkGetPipelineExecutableStatisticsKHR(d->handle, &info, &count, found)));
    for (int i = 0; i < (int)count && i < room; i++) {
        snprintf(list[i].name, sizeof list[i].name, "%s", found[i].name);
        list[i].value = statistic_value(&found[i]);
    }
    return (int)count;
}

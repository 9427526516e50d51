/* kernel_binary.c - a folder of the driver's binaries, one file a kernel. Its name says all that the binary was
 * made from; the folder's, who made it. */
#include "kernel_binary.h"

#include "cache_file.h"
#include "file.h"
#include "memory.h"
#include "sweep.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char extension[] = "VK_EXT_shader_object", magic[] = "vitro kernel 1 ";
_Static_assert((sizeof magic - 1 + HASH_TEXT) % 16 == 0,
               "in the file a binary begins where Vulkan allows it to");
static const size_t binary_limit = (size_t)16 << 20;
static const uint64_t folder_limit = (uint64_t)256 << 20;

/* By the registry. */
enum {
    FEATURES = 1000482000,
    PROPERTIES = 1000482001,
    CREATE_INFO = 1000482002,
    CODE_BINARY = 0,
    CODE_SPIRV = 1,
    FULL_SUBGROUPS = 4,
    DISPATCH_BASE = 16
};

struct binary_properties { /* VkPhysicalDeviceShaderObjectPropertiesEXT */
    VkStructureType sType;
    void *pNext;
    uint8_t uuid[VK_UUID_SIZE];
    uint32_t version;
};

struct shader_info { /* VkShaderCreateInfoEXT */
    VkStructureType sType;
    const void *pNext;
    VkFlags flags;
    VkShaderStageFlagBits stage;
    VkShaderStageFlags next_stage;
    int code_type;
    size_t code_size;
    const void *code;
    const char *entry;
    uint32_t set_count;
    const VkDescriptorSetLayout *sets;
    uint32_t range_count;
    const VkPushConstantRange *ranges;
    const VkSpecializationInfo *constants;
};

/* Below the user's cache folder or in VITRO_KERNEL_CACHE; one for each driver, whose version alone is not enough: a
 * distribution builds one version several times. */
static int name_folder(struct device *d, const char *asked)
{
    struct binary_properties own = {.sType = (VkStructureType)PROPERTIES};
    VkPhysicalDeviceProperties2 head = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2,
                                        .pNext = &own};
    char cache[768], text[HASH_TEXT];
    struct hash *h;
    vkGetPhysicalDeviceProperties2(d->physical, &head);
    if (!asked)
        TRY(file_cache_folder(cache, sizeof cache));
    TRY(hash_begin(&h));
    hash_add(h, &d->info.driver_version, sizeof d->info.driver_version);
    hash_add(h, d->info.driver, strlen(d->info.driver));
    hash_add(h, d->info.name, strlen(d->info.name));
    hash_add(h, d->info.pipeline_cache_uuid, sizeof d->info.pipeline_cache_uuid);
    hash_add(h, own.uuid, sizeof own.uuid);
    hash_add(h, &own.version, sizeof own.version);
    TRY(hash_end(h, text));
    int n = asked ? snprintf(d->binaries.folder, sizeof d->binaries.folder, "%s/%.16s", asked, text)
                  : snprintf(d->binaries.folder, sizeof d->binaries.folder, "%s/kernels/%.16s", cache, text);
    return n < (int)sizeof d->binaries.folder ? file_make_folders(d->binaries.folder) : ERR_INPUT;
}

void *binaries_enable(struct device *d, struct binary_features *f, void *next, const char **name)
{
    struct binaries *b = &d->binaries;
    struct binary_features has = {.sType = (VkStructureType)FEATURES};
    VkPhysicalDeviceFeatures2 head = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2, .pNext = &has};
    const char *folder = getenv("VITRO_KERNEL_CACHE");
    memset(b, 0, sizeof *b);
    if (!d->info.is_llvmpipe || d->compile_only || d->info.api_version < VK_API_VERSION_1_3 ||
        (folder && !folder[0]) || survey_has_extension(d->physical, extension) <= 0)
        return next;
    vkGetPhysicalDeviceFeatures2(d->physical, &head);
    b->on = has.shaderObject && name_folder(d, folder) == 0;
    if (!b->on)
        return next;
    *f = (struct binary_features){.sType = (VkStructureType)FEATURES, .pNext = next, .shaderObject = VK_TRUE};
    *name = extension;
    return f;
}

static void find_function(const struct device *d, const char *name, void *out)
{
    PFN_vkVoidFunction found = vkGetDeviceProcAddr(d->handle, name);
    memcpy(out, &found, sizeof found);
}

void binaries_open(struct device *d)
{
    struct binaries *b = &d->binaries;
    if (!b->on)
        return;
    find_function(d, "vkCreateShadersEXT", &b->create);
    find_function(d, "vkDestroyShaderEXT", &b->destroy);
    find_function(d, "vkGetShaderBinaryDataEXT", &b->data);
    find_function(d, "vkCmdBindShadersEXT", &b->bind);
}

void binaries_close(struct device *d)
{
    if (d->binaries.grew)
        sweep_folder(d->binaries.folder, folder_limit);
    d->binaries = (struct binaries){0};
}

static int name_file(const struct device *d, const struct kernel_stage *stage, char *path, size_t size)
{
    const uint32_t rest[] = {stage->push_bytes, (uint32_t)stage->full_subgroups, stage->subgroup_size,
                             (uint32_t)stage->in_parts};
    char text[HASH_TEXT];
    struct hash *h;
    TRY(hash_begin(&h));
    hash_add(h, stage->code, stage->bytes);
    hash_add(h, stage->constants.pData, stage->constants.dataSize);
    hash_add(h, rest, sizeof rest);
    TRY(hash_end(h, text));
    snprintf(path, size, "%s/%s", d->binaries.folder, text);
    return 0;
}

static int make(struct device *d, struct shader_info *info, int type, const void *code, size_t size,
                uint64_t *shader)
{
    info->code_type = type;
    info->code = code;
    info->code_size = size;
    *shader = 0;
    VkResult result = d->binaries.create(d->handle, 1, info, NULL, shader);
    if (result == VK_SUCCESS)
        return 0;
    *shader = 0; /* not negative: VK_INCOMPATIBLE_SHADER_BINARY_EXT */
    return result < 0 ? vk_check(result, "vkCreateShadersEXT()")
                      : fail(ERR_DEVICE, "the driver refuses its own binary");
}

/* Keeps the shader's binary, and replaces the shader by what the next run will make of that. When either fails, only
 * time is lost. */
static void keep(struct device *d, struct shader_info *info, uint64_t *shader, const char *path)
{
    uint64_t again;
    size_t size = 0;
    if (d->binaries.data(d->handle, *shader, &size, NULL) != VK_SUCCESS || !size || size > binary_limit)
        return;
    char *data = mem_alloc(size, 1);
    if (data && d->binaries.data(d->handle, *shader, &size, data) == VK_SUCCESS &&
        make(d, info, CODE_BINARY, data, size, &again) == 0) {
        binary_destroy(d, *shader);
        *shader = again;
        d->binaries.grew |= cache_file_write(path, magic, data, size) == 0;
    }
    mem_free(data);
}

int binary_create(uint64_t *shader, struct device *d, const struct kernel_stage *stage)
{
    VkPushConstantRange range = {.stageFlags = VK_SHADER_STAGE_COMPUTE_BIT, .size = stage->push_bytes};
    VkPipelineShaderStageRequiredSubgroupSizeCreateInfo subgroup = {
        .sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_REQUIRED_SUBGROUP_SIZE_CREATE_INFO,
        .requiredSubgroupSize = stage->subgroup_size,
    };
    struct shader_info info = {
        .sType = (VkStructureType)CREATE_INFO,
        .pNext = stage->subgroup_size ? &subgroup : NULL,
        .flags = (stage->full_subgroups ? FULL_SUBGROUPS : 0) | (stage->in_parts ? DISPATCH_BASE : 0),
        .stage = VK_SHADER_STAGE_COMPUTE_BIT,
        .entry = "main",
        .range_count = stage->push_bytes ? 1 : 0,
        .ranges = &range,
        .constants = &stage->constants,
    };
    struct cache_file kept;
    char path[sizeof d->binaries.folder + HASH_TEXT + 1];
    TRY(name_file(d, stage, path, sizeof path));
    cache_file_read(&kept, path, magic, binary_limit);
    int rc = kept.data ? make(d, &info, CODE_BINARY, kept.data, kept.size, shader) : ERR_IO;
    cache_file_free(&kept);
    if (rc == 0)
        return 0;
    TRY(make(d, &info, CODE_SPIRV, stage->code, stage->bytes, shader));
    keep(d, &info, shader, path);
    return 0;
}

void binary_destroy(struct device *d, uint64_t shader)
{
    if (shader)
        d->binaries.destroy(d->handle, shader, NULL);
}

void binary_bind(struct device *d, VkCommandBuffer command, uint64_t shader)
{
    static const VkShaderStageFlagBits stage = VK_SHADER_STAGE_COMPUTE_BIT;
    d->binaries.bind(command, 1, &stage, &shader);
}

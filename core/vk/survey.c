/* survey.c - what a physical device is, what it offers, and whether it can run the kernels. */
#include "survey_matrix.h"

#include "memory.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* member of struct features, needed by every kernel, what it is called in a refusal */
#define FEATURES(X)                                                                    \
    X(core.features.shaderInt64, 0, "")                                                \
    X(core.features.shaderInt16, 0, "")                                                \
    X(v11.storageBuffer16BitAccess, 0, "")                                             \
    X(v12.bufferDeviceAddress, 1, "buffer addresses in shaders (bufferDeviceAddress)") \
    X(v12.storageBuffer8BitAccess, 0, "")                                              \
    X(v12.uniformAndStorageBuffer8BitAccess, 0, "")                                    \
    X(v12.shaderInt8, 0, "")                                                           \
    X(v12.scalarBlockLayout, 1, "scalar block layout (scalarBlockLayout)")             \
    X(v12.timelineSemaphore, 1, "timeline semaphores (timelineSemaphore)")             \
    X(v12.shaderFloat16, 0, "")                                                        \
    X(v12.shaderSubgroupExtendedTypes, 0, "")                                          \
    X(v12.vulkanMemoryModel, 0, "")                                                    \
    X(v12.vulkanMemoryModelDeviceScope, 0, "")                                         \
    X(subgroup.subgroupSizeControl, 0, "")                                             \
    X(subgroup.computeFullSubgroups, 0, "")

int survey_has_extension(VkPhysicalDevice physical, const char *name)
{
    uint32_t count = 0;
    TRY(VK(vkEnumerateDeviceExtensionProperties(physical, NULL, &count, NULL)));
    VkExtensionProperties *list = mem_alloc(count + 1, sizeof *list);
    if (!list)
        return ERR_MEMORY;
    int rc = VK(vkEnumerateDeviceExtensionProperties(physical, NULL, &count, list));
    for (uint32_t i = 0; rc == 0 && i < count; i++)
        rc = strcmp(list[i].extensionName, name) == 0;
    mem_free(list);
    return rc;
}

/* 1, 0 or negative */
static int has_subgroup_control(VkPhysicalDevice physical, uint32_t api_version)
{
    if (api_version < VK_API_VERSION_1_2)
        return 0;
    return api_version >= VK_API_VERSION_1_3
               ? 1
               : survey_has_extension(physical, VK_EXT_SUBGROUP_SIZE_CONTROL_EXTENSION_NAME);
}

void features_link(struct features *f, int with_subgroup)
{
    f->core.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2;
    f->v11.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_FEATURES;
    f->v12.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES;
    f->subgroup.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_FEATURES;
    f->core.pNext = &f->v11;
    f->v11.pNext = &f->v12;
    f->v12.pNext = with_subgroup ? &f->subgroup : NULL;
    f->subgroup.pNext = NULL;
}

int survey_features(VkPhysicalDevice physical, const struct device_info *info, struct features *want)
{
    memset(want, 0, sizeof *want);
    if (info->api_version < VK_API_VERSION_1_2)
        return fail(ERR_DEVICE, "%s offers only Vulkan %u.%u; version 1.2 is needed: update its driver",
                    info->name, VK_API_VERSION_MAJOR(info->api_version),
                    VK_API_VERSION_MINOR(info->api_version));
    struct features has = {0};
    int control = has_subgroup_control(physical, info->api_version);
    TRY(control);
    features_link(&has, control);
    vkGetPhysicalDeviceFeatures2(physical, &has.core);
    features_link(want, control);
#define X(member, needed, words)                                                                         \
    if (needed && !has.member)                                                                           \
        return fail(ERR_DEVICE, "%s lacks %s; use another device or a newer driver", info->name, words); \
    want->member = has.member;
    FEATURES(X)
#undef X
    uint32_t family, bits;
    return survey_queue(physical, &family, &bits);
}

int survey_queue(VkPhysicalDevice physical, uint32_t *family, uint32_t *timestamp_bits)
{
    VkQueueFamilyProperties families[16];
    uint32_t count = 16;
    vkGetPhysicalDeviceQueueFamilyProperties(physical, &count, families);
    int best = -1;
    for (uint32_t i = 0; i < count; i++) {
        VkQueueFlags flags = families[i].queueFlags;
        if (!(flags & VK_QUEUE_COMPUTE_BIT))
            continue;
        if (best < 0 || !(flags & VK_QUEUE_GRAPHICS_BIT)) {
            best = (int)i;
            if (!(flags & VK_QUEUE_GRAPHICS_BIT))
                break;
        }
    }
    if (best < 0)
        return fail(ERR_DEVICE, "the device has no queue that computes; use another device");
    *family = (uint32_t)best;
    *timestamp_bits = families[best].timestampValidBits;
    return 0;
}

/* Fields that Vulkan 1.2 added: only read where the driver knows them. */
struct properties {
    VkPhysicalDeviceProperties2 core;
    VkPhysicalDeviceMaintenance3Properties maintenance;
    VkPhysicalDeviceSubgroupProperties subgroup;
    VkPhysicalDeviceDriverProperties driver;
    VkPhysicalDeviceSubgroupSizeControlProperties control;
};

static int read_properties(VkPhysicalDevice physical, struct properties *p)
{
    memset(p, 0, sizeof *p);
    p->core.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2;
    p->maintenance.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MAINTENANCE_3_PROPERTIES;
    p->subgroup.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_PROPERTIES;
    p->driver.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_DRIVER_PROPERTIES;
    p->control.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_PROPERTIES;
    vkGetPhysicalDeviceProperties(physical, &p->core.properties);
    uint32_t api_version = p->core.properties.apiVersion;
    if (api_version < VK_API_VERSION_1_1)
        return 0;
    int control = has_subgroup_control(physical, api_version);
    TRY(control);
    p->core.pNext = &p->maintenance;
    p->maintenance.pNext = &p->subgroup;
    if (api_version >= VK_API_VERSION_1_2)
        p->subgroup.pNext = &p->driver;
    if (control)
        p->driver.pNext = &p->control;
    vkGetPhysicalDeviceProperties2(physical, &p->core);
    return 0;
}

/* A processor's heap is its memory, of which Mesa 22 admits only 2 GiB. */
static uint64_t device_heap(VkPhysicalDevice physical, int is_cpu)
{
    VkPhysicalDeviceMemoryProperties memory;
    long pages = sysconf(_SC_PHYS_PAGES), page_bytes = sysconf(_SC_PAGESIZE);
    uint64_t largest = is_cpu && pages > 0 && page_bytes > 0 ? (uint64_t)pages * (uint64_t)page_bytes : 0;
    vkGetPhysicalDeviceMemoryProperties(physical, &memory);
    for (uint32_t i = 0; i < memory.memoryHeapCount; i++) {
        if ((memory.memoryHeaps[i].flags & VK_MEMORY_HEAP_DEVICE_LOCAL_BIT) &&
            memory.memoryHeaps[i].size > largest)
            largest = memory.memoryHeaps[i].size;
    }
    return largest;
}

static void subgroup_sizes(const struct properties *p, struct device_info *info)
{
    int chosen = (p->control.requiredSubgroupSizeStages & VK_SHADER_STAGE_COMPUTE_BIT) != 0;
    info->subgroup_size = p->subgroup.subgroupSize;
    info->subgroup_min = chosen ? p->control.minSubgroupSize : info->subgroup_size;
    info->subgroup_max = chosen ? p->control.maxSubgroupSize : info->subgroup_size;
}

static int offers(VkPhysicalDevice physical, const struct properties *p, struct device_info *info)
{
    struct features has = {0};
    if (info->api_version < VK_API_VERSION_1_2)
        return 0;
    int control = has_subgroup_control(physical, info->api_version);
    TRY(control);
    features_link(&has, control);
    vkGetPhysicalDeviceFeatures2(physical, &has.core);
    if (p->subgroup.supportedStages & VK_SHADER_STAGE_COMPUTE_BIT)
        info->subgroup_operations = p->subgroup.supportedOperations;
    const VkSubgroupFeatureFlags wanted =
        VK_SUBGROUP_FEATURE_ARITHMETIC_BIT | VK_SUBGROUP_FEATURE_SHUFFLE_BIT;
    info->has_subgroup_sums = (info->subgroup_operations & wanted) == wanted &&
                              has.subgroup.subgroupSizeControl && has.subgroup.computeFullSubgroups;
    info->has_fp16 = has.v12.shaderFloat16 && has.v11.storageBuffer16BitAccess;
    return info->has_subgroup_sums ? survey_matrix(physical, info) : 0;
}

int survey_info(VkPhysicalDevice physical, struct device_info *info)
{
    static const int ranks[] = {
        [VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU] = 0, [VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU] = 1,
        [VK_PHYSICAL_DEVICE_TYPE_VIRTUAL_GPU] = 2,  [VK_PHYSICAL_DEVICE_TYPE_OTHER] = 3,
        [VK_PHYSICAL_DEVICE_TYPE_CPU] = 4,
    };
    struct properties p;
    TRY(read_properties(physical, &p));
    const VkPhysicalDeviceProperties *core = &p.core.properties;
    uint32_t family = 0, timestamp_bits = 0;
    memset(info, 0, sizeof *info);
    snprintf(info->name, sizeof info->name, "%s", core->deviceName);
    snprintf(info->driver, sizeof info->driver, "%.120s%s%.120s", p.driver.driverName,
             p.driver.driverInfo[0] ? ", " : "", p.driver.driverInfo);
    info->api_version = core->apiVersion;
    info->vendor_id = core->vendorID;
    info->device_id = core->deviceID;
    info->driver_version = core->driverVersion;
    memcpy(info->pipeline_cache_uuid, core->pipelineCacheUUID, sizeof info->pipeline_cache_uuid);
    info->is_cpu = core->deviceType == VK_PHYSICAL_DEVICE_TYPE_CPU;
    info->is_llvmpipe = p.driver.driverID == VK_DRIVER_ID_MESA_LLVMPIPE;
    subgroup_sizes(&p, info);
    info->shared_bytes = core->limits.maxComputeSharedMemorySize;
    info->max_invocations = core->limits.maxComputeWorkGroupInvocations;
    memcpy(info->max_groups, core->limits.maxComputeWorkGroupCount, sizeof info->max_groups);
    info->max_storage_range = core->limits.maxStorageBufferRange;
    info->max_allocation = p.maintenance.maxMemoryAllocationSize;
    info->heap_bytes = device_heap(physical, info->is_cpu);
    TRY(offers(physical, &p, info));
    if (survey_queue(physical, &family, &timestamp_bits) == 0 && timestamp_bits > 0)
        info->timestamp_ns = (double)core->limits.timestampPeriod;
    return (size_t)core->deviceType < sizeof ranks / sizeof ranks[0] ? ranks[core->deviceType] : 3;
}

/* device.c - opening a device with one compute queue, and closing it. */
#include "survey_matrix.h"

#include "kernel_binary.h"
#include "memory.h"

#include <stdio.h>
#include <string.h>

int device_list(struct device_info *infos, int room)
{
    struct device_limits limits;
    struct features unused = {0};
    TRY(limits_choose(&limits, NULL));
    struct instance *in = mem_alloc(1, sizeof *in);
    if (!in)
        return ERR_MEMORY;
    int rc = instance_open(in, 0);
    if (rc == 0) {
        rc = (int)in->count;
        for (int i = 0; i < rc && i < room; i++) {
            infos[i] = in->infos[i];
            limits_apply(&limits, &infos[i], &unused);
        }
    }
    instance_close(in);
    mem_free(in);
    return rc;
}

/* The device that was asked for, or the first that can run us; refuses with the reason. */
static int choose(struct device *d, int index, struct features *want)
{
    const struct instance *in = &d->instance;
    if (in->count == 0)
        return fail(ERR_DEVICE, "there is no Vulkan device; install a driver (mesa-vulkan-drivers runs on "
                                "any processor)");
    if (index >= (int)in->count)
        return fail(ERR_DEVICE, "device %d was asked for, but there are only %u, counted from 0", index,
                    (unsigned)in->count);
    uint32_t first = index < 0 ? 0 : (uint32_t)index;
    uint32_t last = index < 0 ? in->count - 1 : first;
    char reason[MESSAGE_SIZE] = "";
    for (uint32_t i = first; i <= last; i++) {
        int rc = survey_features(in->physical[i], &in->infos[i], want);
        if (rc == 0) {
            d->physical = in->physical[i];
            d->info = in->infos[i];
            return 0;
        }
        if (!reason[0])
            snprintf(reason, sizeof reason, "%s", error_text());
    }
    return fail(ERR_DEVICE, "%s", reason);
}

/* Whether the device's memory is the processor's; also the largest buffer it allows. */
static int shares_memory(const struct device *d, uint64_t *max_buffer)
{
    VkPhysicalDeviceMaintenance4Properties limits = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MAINTENANCE_4_PROPERTIES,
        .maxBufferSize = UINT64_MAX, /* Vulkan 1.2 has no such limit */
    };
    VkPhysicalDeviceProperties2 properties = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2,
        .pNext = d->info.api_version >= VK_API_VERSION_1_3 ? &limits : NULL,
    };
    vkGetPhysicalDeviceProperties2(d->physical, &properties);
    *max_buffer = limits.maxBufferSize < d->info.max_allocation ? limits.maxBufferSize : d->info.max_allocation;
    return properties.properties.deviceType == VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU ||
           properties.properties.deviceType == VK_PHYSICAL_DEVICE_TYPE_CPU;
}

static int create(struct device *d, const struct features *want)
{
    static const char *const control_extension = VK_EXT_SUBGROUP_SIZE_CONTROL_EXTENSION_NAME;
    static const char *const statistics_extension = VK_KHR_PIPELINE_EXECUTABLE_PROPERTIES_EXTENSION_NAME;
    const char *extensions[MATRIX_EXTENSIONS + 3], *binaries = NULL;
    uint32_t count;
    struct matrix_features matrix;
    void *wanted = matrix_enable(&d->info, &matrix, (void *)&want->core, extensions, &count);
    int control =
        d->info.api_version < VK_API_VERSION_1_3 ? survey_has_extension(d->physical, control_extension) : 0;
    TRY(control);
    d->has_budget = survey_has_extension(d->physical, VK_EXT_MEMORY_BUDGET_EXTENSION_NAME);
    TRY(d->has_budget);
    if (control)
        extensions[count++] = control_extension;
    d->statistics = d->compile_only ? survey_has_extension(d->physical, statistics_extension) : 0;
    TRY(d->statistics);
    VkPhysicalDevicePipelineExecutablePropertiesFeaturesKHR statistics = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PIPELINE_EXECUTABLE_PROPERTIES_FEATURES_KHR,
        .pNext = wanted,
        .pipelineExecutableInfo = VK_TRUE,
    };
    if (d->statistics) {
        extensions[count++] = statistics_extension;
        wanted = &statistics;
    }
    struct binary_features objects;
    wanted = binaries_enable(d, &objects, wanted, &binaries);
    if (binaries)
        extensions[count++] = binaries;
    float priority = 1.0f;
    TRY(survey_queue(d->physical, &d->family, &d->timestamp_bits));
    VkDeviceQueueCreateInfo queue = {
        .sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO,
        .queueFamilyIndex = d->family,
        .queueCount = 1,
        .pQueuePriorities = &priority,
    };
    VkDeviceCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO,
        .pNext = wanted,
        .queueCreateInfoCount = 1,
        .pQueueCreateInfos = &queue,
        .enabledExtensionCount = count,
        .ppEnabledExtensionNames = extensions,
    };
    TRY(VK(vkCreateDevice(d->physical, &info, NULL, &d->handle)));
    volkLoadDeviceTable(&d->vk, d->handle);
    d->vk.vkGetDeviceQueue(d->handle, d->family, 0, &d->queue);
    vkGetPhysicalDeviceMemoryProperties(d->physical, &d->memory);
    d->staged = !shares_memory(d, &d->max_buffer);
    d->features = *want;
    d->subgroup_control = want->subgroup.subgroupSizeControl && want->subgroup.computeFullSubgroups;
    return 0;
}

int device_open_on(struct device *d, const struct device_spec *spec)
{
    struct features want;
    struct device_limits limits;
    char path[sizeof d->cache.path];
    d->compile_only = spec->compile_only;
    TRY(limits_choose(&limits, spec->limits));
    TRY(instance_open(&d->instance, spec->validate));
    TRY(choose(d, spec->index, &want));
    limits_apply(&limits, &d->info, &want);
    TRY(create(d, &want));
    if (spec->validate)
        d->set_name = (PFN_vkSetDebugUtilsObjectNameEXT)vkGetInstanceProcAddr(d->instance.handle,
                                                                              "vkSetDebugUtilsObjectNameEXT");
    d->staged |= spec->stage_copies;
    d->limit = spec->memory ? spec->memory : UINT64_MAX;
    d->fail_in = spec->fail_allocation_after;
    d->lose_in = d->losses < (spec->lose_times ? spec->lose_times : 1) ? spec->lose_submit : 0;
    if (limits.max_allocation && limits.max_allocation < d->max_buffer)
        d->max_buffer = limits.max_allocation;
    if (d->compile_only)
        return 0; /* a cache would keep the compiler from telling */
    TRY(transfer_open(d));
    binaries_open(d);
    pipeline_cache_path(d, path, sizeof path);
    return path[0] ? pipeline_cache_open(&d->cache, d, path) : 0;
}

int device_open(struct device **out, const struct device_spec *spec)
{
    *out = NULL;
    struct device *d = mem_alloc(1, sizeof *d);
    if (!d)
        return ERR_MEMORY;
    d->spec = *spec;
    if (spec->limits) {
        d->limits = *spec->limits;
        d->spec.limits = &d->limits; /* lent for the call only */
    }
    int rc = device_open_on(d, spec);
    if (rc < 0) {
        device_close(d);
        return rc;
    }
    *out = d;
    return 0;
}

void device_shut(struct device *d)
{
    char text[MESSAGE_SIZE]; /* closing after a failure must not change what it said */
    snprintf(text, sizeof text, "%s", error_text());
    if (d->handle) {
        if (!d->compile_only)
            d->vk.vkDeviceWaitIdle(d->handle);
        pipeline_cache_close(&d->cache, d);
        binaries_close(d);
        transfer_close(d);
        d->vk.vkDestroyDevice(d->handle, NULL);
        d->handle = VK_NULL_HANDLE;
    }
    instance_close(&d->instance);
    fail(0, "%s", text);
}

void device_close(struct device *d)
{
    if (!d)
        return;
    device_shut(d);
    mem_free(d);
}

const struct device_info *device_info(const struct device *d)
{
    return &d->info;
}

int device_check(struct device *d)
{
    const struct validation *v = &d->instance.validation;
    if (v->errors == 0)
        return 0;
    return fail(ERR_DEVICE, "the validation layer reported %u errors, the first: %s", v->errors, v->first);
}

uint64_t device_memory(const struct device *d, uint64_t *peak)
{
    if (peak)
        *peak = d->peak;
    return d->used;
}

void device_count_buffers(struct device *d, int count)
{
    d->uncounted = !count;
}

uint64_t device_budget(const struct device *d)
{
    VkPhysicalDeviceMemoryBudgetPropertiesEXT budget = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_BUDGET_PROPERTIES_EXT,
    };
    VkPhysicalDeviceMemoryProperties2 memory = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_PROPERTIES_2,
        .pNext = d->has_budget ? &budget : NULL,
    };
    uint64_t least = d->info.heap_bytes < d->limit ? d->info.heap_bytes : d->limit, most = 0;
    vkGetPhysicalDeviceMemoryProperties2(d->physical, &memory);
    for (uint32_t i = 0; d->has_budget && i < memory.memoryProperties.memoryHeapCount; i++)
        if ((memory.memoryProperties.memoryHeaps[i].flags & VK_MEMORY_HEAP_DEVICE_LOCAL_BIT) &&
            budget.heapBudget[i] > most)
            most = budget.heapBudget[i];
    return most && most < least ? most : least;
}

uint64_t device_largest_buffer(const struct device *d)
{
    return buffer_largest(d->max_buffer);
}

void device_rehearse_begin(struct device *d)
{
    d->rehearses = 1;
    d->rehearsed = d->rehearsed_peak = 0;
    d->rehearsed_address = (uint64_t)1 << 40;
}

uint64_t device_rehearse_end(struct device *d)
{
    d->rehearses = 0;
    return d->rehearsed_peak;
}

int device_rehearses(const struct device *d)
{
    return d->rehearses;
}

void device_name_object(struct device *d, VkObjectType type, uint64_t object, const char *name)
{
    if (!d->set_name || !name)
        return;
    VkDebugUtilsObjectNameInfoEXT info = {
        .sType = VK_STRUCTURE_TYPE_DEBUG_UTILS_OBJECT_NAME_INFO_EXT,
        .objectType = type,
        .objectHandle = object,
        .pObjectName = name,
    };
    d->set_name(d->handle, &info); /* only a name: a failure changes nothing */
}

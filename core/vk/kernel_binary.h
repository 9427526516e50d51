/* kernel_binary.h - kernels as the driver's own binaries, kept between runs (VK_EXT_shader_object).
 *
 * lavapipe's pipeline cache holds nothing: it reads and optimises each module anew in each process, some 20 ms a kernel,
 * most of a second before a small training begins. A shader object gives away what came of that, and is made from it within
 * 1 ms. Only the machine code has a cache of lavapipe's own. */
#ifndef VITRO_VK_KERNEL_BINARY_H
#define VITRO_VK_KERNEL_BINARY_H

#include "vk_private.h"

struct kernel_stage { /* a compute shader, as pipelines and shader objects are made from it */
    const uint32_t *code;
    size_t bytes;
    uint32_t push_bytes;
    VkSpecializationInfo constants;
    int full_subgroups;
    uint32_t subgroup_size; /* 0: the only one there is */
    int in_parts;
};

/* The extension is younger than the Vulkan headers of Debian 12: its structures as the registry lays them out. */
struct binary_features { /* VkPhysicalDeviceShaderObjectFeaturesEXT */
    VkStructureType sType;
    void *pNext;
    VkBool32 shaderObject;
};

/* Decides whether the device's kernels are binaries: on lavapipe, where that has them and there is a folder to keep them in
 * (VITRO_KERNEL_CACHE, or below the user's cache folder). Then chains the feature in front of `next`, sets *name to the
 * extension's, and returns the head; else returns `next`, and there will be pipelines. */
void *binaries_enable(struct device *d, struct binary_features *f, void *next, const char **name);
void binaries_open(struct device *d); /* once the device is there */
void binaries_close(struct device *d);

/* From the kept binary, or from the stage, whose binary is kept then. */
int binary_create(uint64_t *shader, struct device *d, const struct kernel_stage *stage);
void binary_destroy(struct device *d, uint64_t shader);
void binary_bind(struct device *d, VkCommandBuffer command, uint64_t shader);
enum { BINARY_OBJECT_TYPE = 1000482000 }; /* VK_OBJECT_TYPE_SHADER_EXT */

#endif

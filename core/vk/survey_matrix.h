/* survey_matrix.h - what the survey asks about matrix units and small floats: extensions that are younger than
 * the Vulkan headers of Debian 12, so their structures are declared here, as the registry lays them out. */
#ifndef VITRO_VK_SURVEY_MATRIX_H
#define VITRO_VK_SURVEY_MATRIX_H

#include "vk_private.h"

struct matrix_features { /* to be switched on: the head of a chain that ends where the caller says */
    struct {
        VkStructureType sType;
        void *pNext;
        VkBool32 matrix, robust;
    } matrix; /* VkPhysicalDeviceCooperativeMatrixFeaturesKHR */
    struct {
        VkStructureType sType;
        void *pNext;
        VkBool32 workgroup_scope, flexible_dimensions, reductions, conversions, per_element,
            tensor_addressing, block_loads;
    } matrix2; /* VkPhysicalDeviceCooperativeMatrix2FeaturesNV */
    struct {
        VkStructureType sType;
        void *pNext;
        VkBool32 type, dot_product, matrix;
    } bfloat; /* VkPhysicalDeviceShaderBfloat16FeaturesKHR */
};

/* Fills in the fields of `info` about matrices and compute units; the rest of it is known. */
int survey_matrix(VkPhysicalDevice physical, struct device_info *info);

enum { MATRIX_EXTENSIONS = 3 };
/* What a device opened for `info` switches on: chains it in front of `next`, names the extensions, and
 * returns the head. */
void *matrix_enable(const struct device_info *info, struct matrix_features *f, void *next,
                    const char *extensions[MATRIX_EXTENSIONS], uint32_t *count);

#endif

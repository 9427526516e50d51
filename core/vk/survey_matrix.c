/* survey_matrix.c - see survey_matrix.h. */
#include "survey_matrix.h"

#include "memory.h"

#include <stdlib.h>
#include <string.h>

static const char *const matrix_extension = "VK_KHR_cooperative_matrix";
static const char *const matrix2_extension = "VK_NV_cooperative_matrix2";
static const char *const bfloat_extension = "VK_KHR_shader_bfloat16";

/* numbers of the registry */
enum {
    MATRIX_FEATURES = 1000506000,
    MATRIX_PROPERTIES = 1000506001,
    MATRIX2_FEATURES = 1000593000,
    FLEXIBLE_PROPERTIES = 1000593001,
    MATRIX2_PROPERTIES = 1000593002,
    BFLOAT_FEATURES = 1000141000,
    COMPONENT_FLOAT16 = 0,
    COMPONENT_FLOAT32 = 1,
    COMPONENT_BFLOAT16 = 1000141000,
    SCOPE_WORKGROUP = 2,
    SCOPE_SUBGROUP = 3,
};

struct matrix_property { /* VkCooperativeMatrixPropertiesKHR */
    VkStructureType sType;
    void *pNext;
    uint32_t m, n, k;
    int a, b, c, result;
    VkBool32 saturating;
    int scope;
};
typedef VkResult(VKAPI_PTR *matrix_query)(VkPhysicalDevice, uint32_t *, struct matrix_property *);

struct flexible_property { /* VkCooperativeMatrixFlexibleDimensionsPropertiesNV */
    VkStructureType sType;
    void *pNext;
    uint32_t m, n, k; /* granularities */
    int a, b, c, result;
    VkBool32 saturating;
    int scope;
    uint32_t invocations;
};
typedef VkResult(VKAPI_PTR *flexible_query)(VkPhysicalDevice, uint32_t *, struct flexible_property *);

struct matrix2_limits { /* VkPhysicalDeviceCooperativeMatrix2PropertiesNV */
    VkStructureType sType;
    void *pNext;
    uint32_t invocations, dimension, reserved_shared;
};

/* fp16 or bf16 operands with float sums: what products take; or negative */
static int number_of(int a, int b, int c, int result)
{
    if (a != b || c != COMPONENT_FLOAT32 || result != COMPONENT_FLOAT32)
        return -1;
    return a == COMPONENT_FLOAT16 ? NUMBER_FP16 : a == COMPONENT_BFLOAT16 ? NUMBER_BF16 : -1;
}

/* A physical device's function by its name: the instance that it belongs to is volk's last one. */
static void find_function(const char *name, void *out, size_t size)
{
    PFN_vkVoidFunction f = vkGetInstanceProcAddr(volkGetLoadedInstance(), name);
    memcpy(out, &f, size);
}

static int add_matrices(VkPhysicalDevice physical, struct device_info *info)
{
    matrix_query query;
    uint32_t count = 0;
    find_function("vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR", &query, sizeof query);
    if (!query)
        return 0;
    TRY(VK(query(physical, &count, NULL)));
    struct matrix_property *list = mem_alloc(count + 1, sizeof *list);
    if (!list)
        return ERR_MEMORY;
    for (uint32_t i = 0; i < count; i++)
        list[i].sType = (VkStructureType)MATRIX_PROPERTIES;
    int rc = VK(query(physical, &count, list));
    for (uint32_t i = 0; rc == 0 && i < count && info->matrix_count < DEVICE_MATRICES; i++) {
        const struct matrix_property *p = &list[i];
        int number = number_of(p->a, p->b, p->c, p->result);
        if (p->scope == SCOPE_SUBGROUP && !p->saturating && number > 0)
            info->matrices[info->matrix_count++] =
                (struct device_matrix){(enum number)number, p->m, p->n, p->k};
    }
    mem_free(list);
    return rc;
}

/* The coarsest granularity among the sizes of workgroup that the kernels use. */
static int add_flexible(VkPhysicalDevice physical, struct device_info *info)
{
    flexible_query query;
    uint32_t count = 0;
    find_function("vkGetPhysicalDeviceCooperativeMatrixFlexibleDimensionsPropertiesNV", &query, sizeof query);
    if (!query)
        return 0;
    TRY(VK(query(physical, &count, NULL)));
    struct flexible_property *list = mem_alloc(count + 1, sizeof *list);
    if (!list)
        return ERR_MEMORY;
    for (uint32_t i = 0; i < count; i++)
        list[i].sType = (VkStructureType)FLEXIBLE_PROPERTIES;
    int rc = VK(query(physical, &count, list));
    for (uint32_t i = 0; rc == 0 && i < count && info->flexible_count < DEVICE_MATRICES; i++) {
        const struct flexible_property *p = &list[i];
        int number = number_of(p->a, p->b, p->c, p->result);
        if (p->scope == SCOPE_WORKGROUP && !p->saturating && number > 0)
            info->flexible[info->flexible_count++] =
                (struct device_flexible){{(enum number)number, p->m, p->n, p->k}, p->invocations};
    }
    mem_free(list);
    return rc;
}

/* How many processors work side by side, where an extension tells: it decides how finely work is cut. */
static int count_units(VkPhysicalDevice physical, struct device_info *info)
{
    VkPhysicalDeviceShaderSMBuiltinsPropertiesNV nv = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_SM_BUILTINS_PROPERTIES_NV};
    VkPhysicalDeviceShaderCoreProperties2AMD amd = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_CORE_PROPERTIES_2_AMD};
    VkPhysicalDeviceShaderCorePropertiesAMD shape = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_CORE_PROPERTIES_AMD, .pNext = &amd};
    VkPhysicalDeviceProperties2 properties = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2};
    int has_nv = survey_has_extension(physical, VK_NV_SHADER_SM_BUILTINS_EXTENSION_NAME),
        has_amd = survey_has_extension(physical, VK_AMD_SHADER_CORE_PROPERTIES_2_EXTENSION_NAME);
    TRY(has_nv);
    TRY(has_amd);
    if (!has_nv && !has_amd)
        return 0;
    properties.pNext = has_nv ? (void *)&nv : (void *)&shape;
    vkGetPhysicalDeviceProperties2(physical, &properties);
    info->compute_units = has_nv ? nv.shaderSMCount : amd.activeComputeUnitCount;
    return 0;
}

static void read_features(VkPhysicalDevice physical, struct matrix_features *f, int matrix2, int bfloat)
{
    VkPhysicalDeviceFeatures2 head = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2,
                                      .pNext = &f->matrix};
    f->matrix.sType = (VkStructureType)MATRIX_FEATURES;
    f->matrix2.sType = (VkStructureType)MATRIX2_FEATURES;
    f->bfloat.sType = (VkStructureType)BFLOAT_FEATURES;
    void **end = &f->matrix.pNext;
    if (matrix2) {
        *end = &f->matrix2;
        end = &f->matrix2.pNext;
    }
    if (bfloat)
        *end = &f->bfloat;
    vkGetPhysicalDeviceFeatures2(physical, &head);
}

static int add_matrix2(VkPhysicalDevice physical, const struct matrix_features *f, struct device_info *info)
{
    struct matrix2_limits limits = {.sType = (VkStructureType)MATRIX2_PROPERTIES};
    VkPhysicalDeviceProperties2 properties = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2,
                                              .pNext = &limits};
    if (!f->matrix2.workgroup_scope || !f->matrix2.flexible_dimensions || !f->matrix2.per_element ||
        !f->matrix2.tensor_addressing)
        return 0;
    vkGetPhysicalDeviceProperties2(physical, &properties);
    info->flexible_invocations = limits.invocations;
    info->flexible_dimension = limits.dimension;
    info->flexible_reserved = limits.reserved_shared;
    TRY(add_flexible(physical, info));
    info->has_coopmat2 = info->flexible_count > 0;
    return 0;
}

int survey_matrix(VkPhysicalDevice physical, struct device_info *info)
{
    struct matrix_features has = {0};
    if (info->api_version < VK_API_VERSION_1_2)
        return 0;
    TRY(count_units(physical, info));
    int matrix = survey_has_extension(physical, matrix_extension),
        matrix2 = survey_has_extension(physical, matrix2_extension),
        bfloat = survey_has_extension(physical, bfloat_extension);
    TRY(matrix);
    TRY(matrix2);
    TRY(bfloat);
    /* lavapipe (26.1.6) crashes on cooperative matrices when its vectors are wider than 256 bits */
    if (!matrix || (info->is_llvmpipe && info->subgroup_size > 8))
        return 0;
    read_features(physical, &has, matrix2, bfloat);
    if (!has.matrix.matrix || !info->has_fp16)
        return 0;
    info->has_bf16 = has.bfloat.type && has.bfloat.matrix;
    TRY(add_matrices(physical, info));
    info->has_coopmat = info->matrix_count > 0;
    return matrix2 ? add_matrix2(physical, &has, info) : 0;
}

void *matrix_enable(const struct device_info *info, struct matrix_features *f, void *next,
                    const char *extensions[MATRIX_EXTENSIONS], uint32_t *count)
{
    memset(f, 0, sizeof *f);
    *count = 0;
    if (info->has_coopmat) {
        f->matrix.sType = (VkStructureType)MATRIX_FEATURES;
        f->matrix.pNext = next;
        f->matrix.matrix = VK_TRUE;
        next = &f->matrix;
        extensions[(*count)++] = matrix_extension;
    }
    if (info->has_coopmat2) {
        f->matrix2.sType = (VkStructureType)MATRIX2_FEATURES;
        f->matrix2.pNext = next;
        f->matrix2.workgroup_scope = f->matrix2.flexible_dimensions = f->matrix2.per_element =
            f->matrix2.tensor_addressing = VK_TRUE;
        next = &f->matrix2;
        extensions[(*count)++] = matrix2_extension;
    }
    if (info->has_bf16) {
        f->bfloat.sType = (VkStructureType)BFLOAT_FEATURES;
        f->bfloat.pNext = next;
        f->bfloat.type = f->bfloat.matrix = VK_TRUE;
        next = &f->bfloat;
        extensions[(*count)++] = bfloat_extension;
    }
    return next;
}

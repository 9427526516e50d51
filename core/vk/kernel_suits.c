/* kernel_suits.c - whether a module from outside asks for no more than the device offers: drivers need not
 * notice by themselves. */
#include "vk_private.h"

#include "spirv.h"

/* number in the SPIR-V specification, section 3.31; name; whether this device runs it */
#define CAPABILITIES(X)                                                                  \
    X(0, Matrix, 1)                                                                      \
    X(1, Shader, 1)                                                                      \
    X(9, Float16, f->v12.shaderFloat16)                                                  \
    X(11, Int64, f->core.features.shaderInt64)                                           \
    X(22, Int16, f->core.features.shaderInt16)                                           \
    X(39, Int8, f->v12.shaderInt8)                                                       \
    X(61, GroupNonUniform, 1)                                                            \
    X(63, GroupNonUniformArithmetic, operations &VK_SUBGROUP_FEATURE_ARITHMETIC_BIT)     \
    X(64, GroupNonUniformBallot, operations &VK_SUBGROUP_FEATURE_BALLOT_BIT)             \
    X(65, GroupNonUniformShuffle, operations &VK_SUBGROUP_FEATURE_SHUFFLE_BIT)           \
    X(4433, StorageBuffer16BitAccess, f->v11.storageBuffer16BitAccess)                   \
    X(4448, StorageBuffer8BitAccess, f->v12.storageBuffer8BitAccess)                     \
    X(4449, UniformAndStorageBuffer8BitAccess, f->v12.uniformAndStorageBuffer8BitAccess) \
    X(5345, VulkanMemoryModel, f->v12.vulkanMemoryModel)                                 \
    X(5346, VulkanMemoryModelDeviceScope, f->v12.vulkanMemoryModelDeviceScope)           \
    X(5347, PhysicalStorageBufferAddresses, f->v12.bufferDeviceAddress)

/* 1 offered, 0 not, -1 none that a plugin may ask for */
static int offers(const struct features *f, uint32_t operations, uint32_t capability, const char **name)
{
    switch (capability) {
#define X(number, word, has) \
    case number: *name = #word; return (has) != 0;
        CAPABILITIES(X)
#undef X
    default: return -1;
    }
}

int kernel_suits(const struct device *d, const struct spirv *module)
{
    uint64_t invocations = 1;
    for (uint32_t i = 0; i < module->capability_count; i++) {
        const char *name = "";
        int offered = offers(&d->features, d->info.subgroup_operations, module->capabilities[i], &name);
        if (offered < 0)
            return fail(ERR_DEVICE, "it needs capability %u of SPIR-V, which is not offered to plugins",
                        (unsigned)module->capabilities[i]);
        if (!offered)
            return fail(ERR_DEVICE, "it needs %s, which %s lacks", name, d->info.name);
    }
    for (int i = 0; i < 3 && invocations <= d->info.max_invocations; i++)
        invocations *= module->local_size[i] ? module->local_size[i] : 1;
    if (invocations > d->info.max_invocations)
        return fail(ERR_DEVICE, "its workgroups have %llu invocations, those of %s at most %u",
                    (unsigned long long)invocations, d->info.name, (unsigned)d->info.max_invocations);
    return 0;
}

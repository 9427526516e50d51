/* vk_result.c - Vulkan's results as error codes and sentences. */
#include "vk_private.h"

#include <string.h>

/* result, our code, what it means and what helps */
#define RESULTS(X)                                                                                    \
    X(VK_ERROR_OUT_OF_HOST_MEMORY, MEMORY, "the driver ran out of host memory; close other programs") \
    X(VK_ERROR_OUT_OF_DEVICE_MEMORY, DEVICE,                                                          \
      "the device is out of memory; use a smaller batch or close its other users")                    \
    X(VK_ERROR_DEVICE_LOST, LOST,                                                                     \
      "the device was lost: the driver reset it, a kernel ran too long or read outside its buffers; " \
      "start the program again")                                                                      \
    X(VK_ERROR_INITIALIZATION_FAILED, DEVICE, "the driver could not start; check its installation")   \
    X(VK_ERROR_MEMORY_MAP_FAILED, DEVICE, "memory could not be mapped; use a smaller batch")          \
    X(VK_ERROR_LAYER_NOT_PRESENT, DEVICE, "a Vulkan layer is missing; install it")                    \
    X(VK_ERROR_EXTENSION_NOT_PRESENT, DEVICE, "an extension is missing; update the driver")           \
    X(VK_ERROR_FEATURE_NOT_PRESENT, DEVICE, "a feature is missing; update the driver")                \
    X(VK_ERROR_INCOMPATIBLE_DRIVER, DEVICE,                                                           \
      "no Vulkan driver was found; install one (mesa-vulkan-drivers runs on any processor)")          \
    X(VK_ERROR_TOO_MANY_OBJECTS, DEVICE, "the driver allows no more objects of this kind")            \
    X(VK_ERROR_FRAGMENTATION, DEVICE, "the driver's pool is fragmented; start the program again")     \
    X(VK_ERROR_INVALID_SHADER_NV, DEVICE, "the driver refused the shader; update the driver")         \
    X(VK_ERROR_UNKNOWN, DEVICE, "the driver failed without saying why; update it")

static const struct {
    VkResult result;
    int code;
    const char *name, *meaning;
} results[] = {
#define X(result, code, meaning) {result, ERR_##code, #result, meaning},
    RESULTS(X)
#undef X
};
enum { RESULT_COUNT = sizeof results / sizeof results[0] };

static int find(VkResult result)
{
    for (int i = 0; i < RESULT_COUNT; i++) {
        if (results[i].result == result)
            return i;
    }
    return -1;
}

int vk_check(VkResult result, const char *call)
{
    if (result >= 0)
        return 0;
    const char *name = strstr(call, "vk.vk"); /* "d->vk.vkCreateFence(...)": from vkCreateFence */
    name = name ? name + 3 : call;
    int length = (int)strcspn(name, "(");
    int i = find(result);
    if (i < 0)
        return fail(ERR_DEVICE, "%.*s: the driver answered with VkResult %d; update the driver", length, name,
                    (int)result);
    return fail(results[i].code, "%.*s: %s (%s)", length, name, results[i].meaning, results[i].name);
}

/* instance.c - the loader, an instance of Vulkan, and the devices it shows, best first. */
#include "vk_private.h"

#include "memory.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const validation_layer = "VK_LAYER_KHRONOS_validation";

static pthread_mutex_t loader_lock = PTHREAD_MUTEX_INITIALIZER; /* guards volk's globals */
static void *loader;
static VkInstance keeper;

static int load_functions(void)
{
    const char *asked = getenv("VITRO_VULKAN_LOADER"), *driver = getenv("VITRO_VULKAN_DRIVER");
    if (driver && *driver &&
        (setenv("VK_DRIVER_FILES", driver, 1) ||
         setenv("VK_ICD_FILENAMES", driver, 1) /* older loaders' name */))
        return fail(ERR_MEMORY, "out of memory: the environment cannot hold VITRO_VULKAN_DRIVER");
    const char *name = asked && *asked ? asked : "libvulkan.so.1";
    void *library = dlopen(name, RTLD_NOW | RTLD_LOCAL);
    if (!library)
        return fail(ERR_DEVICE,
                    "the Vulkan loader '%s' could not be opened; install it (libvulkan1) or name it in "
                    "VITRO_VULKAN_LOADER",
                    name);
    void *symbol = dlsym(library, "vkGetInstanceProcAddr");
    PFN_vkGetInstanceProcAddr get = NULL;
    memcpy(&get, &symbol, sizeof get); /* POSIX: a function's address fits an object pointer */
    if (!get) {
        dlclose(library);
        return fail(ERR_DEVICE,
                    "'%s' is no Vulkan loader: it lacks vkGetInstanceProcAddr; name another in "
                    "VITRO_VULKAN_LOADER",
                    name);
    }
    volkInitializeCustom(get);
    if (volkGetInstanceVersion() < VK_API_VERSION_1_2) {
        dlclose(library);
        return fail(ERR_DEVICE, "the Vulkan loader '%s' is older than version 1.2; update it", name);
    }
    loader = library; /* stays open for the life of the process */
    return 0;
}

int loader_open(void)
{
    pthread_mutex_lock(&loader_lock);
    int rc = loader ? 0 : load_functions();
    pthread_mutex_unlock(&loader_lock);
    return rc;
}

static VKAPI_ATTR VkBool32 VKAPI_CALL hear(VkDebugUtilsMessageSeverityFlagBitsEXT severity,
                                           VkDebugUtilsMessageTypeFlagsEXT types,
                                           const VkDebugUtilsMessengerCallbackDataEXT *data, void *user)
{
    (void)severity;
    (void)types;
    struct validation *v = user;
    if (v->errors++ == 0)
        snprintf(v->first, sizeof v->first, "%s", data->pMessage ? data->pMessage : "(no text)");
    return VK_FALSE;
}

static VkDebugUtilsMessengerCreateInfoEXT messenger_info(struct instance *in)
{
    return (VkDebugUtilsMessengerCreateInfoEXT){
        .sType = VK_STRUCTURE_TYPE_DEBUG_UTILS_MESSENGER_CREATE_INFO_EXT,
        .messageSeverity = VK_DEBUG_UTILS_MESSAGE_SEVERITY_ERROR_BIT_EXT,
        .messageType = VK_DEBUG_UTILS_MESSAGE_TYPE_VALIDATION_BIT_EXT,
        .pfnUserCallback = hear,
        .pUserData = &in->validation,
    };
}

static int find_validation_layer(void)
{
    uint32_t count = 0;
    TRY(VK(vkEnumerateInstanceLayerProperties(&count, NULL)));
    VkLayerProperties *layers = mem_alloc(count + 1, sizeof *layers);
    if (!layers)
        return ERR_MEMORY;
    int rc = VK(vkEnumerateInstanceLayerProperties(&count, layers));
    int found = 0;
    for (uint32_t i = 0; rc == 0 && i < count; i++)
        found |= strcmp(layers[i].layerName, validation_layer) == 0;
    mem_free(layers);
    if (rc == 0 && !found)
        return fail(ERR_DEVICE,
                    "validation was asked for, but %s is not installed or is switched off; install it "
                    "(vulkan-validationlayers) or do without",
                    validation_layer);
    return rc;
}

static int create(struct instance *in, int validate)
{
    static const char *const debug_utils = VK_EXT_DEBUG_UTILS_EXTENSION_NAME;
    int newer = volkGetInstanceVersion() >= VK_API_VERSION_1_3;
    VkApplicationInfo application = {
        .sType = VK_STRUCTURE_TYPE_APPLICATION_INFO,
        .pApplicationName = "vitro",
        .apiVersion = newer ? VK_API_VERSION_1_3 : VK_API_VERSION_1_2,
    };
    VkDebugUtilsMessengerCreateInfoEXT messenger = messenger_info(in);
    VkInstanceCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO,
        .pNext = validate ? &messenger : NULL,
        .pApplicationInfo = &application,
        .enabledLayerCount = validate ? 1 : 0,
        .ppEnabledLayerNames = &validation_layer,
        .enabledExtensionCount = validate ? 1 : 0,
        .ppEnabledExtensionNames = &debug_utils,
    };
    TRY(VK(vkCreateInstance(&info, NULL, &in->handle)));
    volkLoadInstanceOnly(in->handle); /* core functions are the loader's, the same for every instance */
    in->destroy_messenger = vkDestroyDebugUtilsMessengerEXT;
    return validate ? VK(vkCreateDebugUtilsMessengerEXT(in->handle, &messenger, NULL, &in->messenger)) : 0;
}

/* Best first; devices of equal rank stay in the driver's order. */
static void insert_ranked(struct instance *in, VkPhysicalDevice physical, const struct device_info *info,
                          int *ranks, int rank)
{
    uint32_t at = in->count++;
    while (at > 0 && ranks[at - 1] > rank) {
        in->physical[at] = in->physical[at - 1];
        in->infos[at] = in->infos[at - 1];
        ranks[at] = ranks[at - 1];
        at--;
    }
    in->physical[at] = physical;
    in->infos[at] = *info;
    ranks[at] = rank;
}

static int enumerate(struct instance *in)
{
    VkPhysicalDevice found[INSTANCE_DEVICES_MAX];
    int ranks[INSTANCE_DEVICES_MAX];
    uint32_t count = INSTANCE_DEVICES_MAX; /* more are ignored: VK_INCOMPLETE is no error */
    TRY(VK(vkEnumeratePhysicalDevices(in->handle, &count, found)));
    for (uint32_t i = 0; i < count; i++) {
        struct device_info info;
        int rank = survey_info(found[i], &info);
        TRY(rank);
        insert_ranked(in, found[i], &info, ranks, rank);
    }
    return 0;
}

static int start(struct instance *in, int validate)
{
    pthread_mutex_lock(&loader_lock);
    int rc = create(in, validate);
    if (rc == 0)
        rc = enumerate(in);
    pthread_mutex_unlock(&loader_lock);
    if (rc < 0)
        instance_close(in);
    return rc;
}

/* An instance that is never used and never destroyed: with its last instance the loader would unload
 * the drivers, which costs time (and Mesa 22 a little memory) every time. */
static void keep_drivers(void)
{
    VkApplicationInfo application = {
        .sType = VK_STRUCTURE_TYPE_APPLICATION_INFO,
        .apiVersion = VK_API_VERSION_1_2,
    };
    VkInstanceCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO,
        .pApplicationInfo = &application,
    };
    pthread_mutex_lock(&loader_lock);
    if (!keeper && vkCreateInstance(&info, NULL, &keeper) != VK_SUCCESS)
        keeper = VK_NULL_HANDLE; /* nothing depends on it */
    pthread_mutex_unlock(&loader_lock);
}

static const struct device_info *find_lavapipe(const struct instance *in)
{
    for (uint32_t i = 0; i < in->count; i++) {
        if (in->infos[i].is_llvmpipe)
            return &in->infos[i];
    }
    return NULL;
}

/* Mesa 22 takes a new width only once it was unloaded, Mesa 26 is never unloaded and takes it at any time. */
static int settle_vector_width(struct instance *in, int validate)
{
    const struct device_info *lavapipe = find_lavapipe(in);
    if (!lavapipe)
        return 0;
    int bits, changed = vector_width_settle(lavapipe, &bits);
    if (changed == 0)
        return 0;
    if (changed == 1 && bits == 32 * (int)lavapipe->subgroup_size)
        keep_drivers();
    instance_close(in);
    TRY(changed);
    TRY(start(in, validate));
    lavapipe = find_lavapipe(in);
    if (lavapipe && bits == 32 * (int)lavapipe->subgroup_size)
        return 0;
    instance_close(in);
    return fail(ERR_DEVICE,
                "this version of lavapipe does not take %d-bit vectors in a running program; start it with "
                "LP_NATIVE_VECTOR_WIDTH=%d instead",
                bits, bits);
}

int instance_open(struct instance *in, int validate)
{
    memset(in, 0, sizeof *in);
    TRY(loader_open());
    if (validate)
        TRY(find_validation_layer());
    TRY(start(in, validate));
    int rc = settle_vector_width(in, validate);
    if (rc == 0)
        keep_drivers();
    return rc;
}

void instance_close(struct instance *in)
{
    if (in->messenger)
        in->destroy_messenger(in->handle, in->messenger, NULL);
    if (in->handle)
        vkDestroyInstance(in->handle, NULL);
    memset(in, 0, sizeof *in);
}

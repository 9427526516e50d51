/* vk_private.h - what the files of core/vk (and core/run) share: Vulkan itself, the device's insides,
 * and how a VkResult becomes an error. */
#ifndef VITRO_VK_PRIVATE_H
#define VITRO_VK_PRIVATE_H

#include <volk.h>

#include "buffer.h"
#include "device.h"
#include "error.h"
#include "hash.h"
#include "kernel.h"

struct shader_info;

enum { INSTANCE_DEVICES_MAX = 16, MESSAGE_SIZE = 768, SUBMITS_MAX = 8 };

/* An error code for a call's result: 0, or negative with a sentence that names the call. */
#define VK(call) vk_check((call), #call)
int vk_check(VkResult result, const char *call);

/* Opens the loader once per process: libvulkan.so.1, or what VITRO_VULKAN_LOADER names. A failure
 * is not remembered. */
int loader_open(void);

/* Decides how wide lavapipe's vectors are in this process, from what it reports now. Returns 1 when
 * the environment changed and the instance must be opened again, 0 when all is settled. */
int vector_width_settle(const struct device_info *lavapipe, int *bits);

struct validation { /* what VK_LAYER_KHRONOS_validation said */
    unsigned errors;
    char first[MESSAGE_SIZE];
};

struct instance { /* lives in one place: the messenger points into it */
    VkInstance handle;
    VkDebugUtilsMessengerEXT messenger;
    PFN_vkDestroyDebugUtilsMessengerEXT destroy_messenger; /* volk's own pointer is the last instance's */
    struct validation validation;
    uint32_t count;
    VkPhysicalDevice physical[INSTANCE_DEVICES_MAX]; /* best first */
    struct device_info infos[INSTANCE_DEVICES_MAX];
};
int instance_open(struct instance *in, int validate);
void instance_close(struct instance *in); /* a zeroed one is fine */

struct features { /* what a device offers, or what we switch on; chained by features_link */
    VkPhysicalDeviceFeatures2 core;
    VkPhysicalDeviceVulkan11Features v11;
    VkPhysicalDeviceVulkan12Features v12;
    VkPhysicalDeviceSubgroupSizeControlFeatures subgroup;
};

void features_link(struct features *f, int with_subgroup);

/* The limits of the spec or of VITRO_PRETEND; *out all zero: none. */
int limits_choose(struct device_limits *out, const struct device_limits *asked);
/* Takes away from what a device is and from what of it is switched on. */
void limits_apply(const struct device_limits *l, struct device_info *info, struct features *want);

/* What a device is; returns its rank among kinds of devices, 0 the best, or negative. */
int survey_info(VkPhysicalDevice physical, struct device_info *info);
/* Which of our features the device has, in *want; negative with the reason when one that the
 * kernels need is missing. */
int survey_features(VkPhysicalDevice physical, const struct device_info *info, struct features *want);
int survey_has_extension(VkPhysicalDevice physical, const char *name); /* 1, 0 or negative */
/* The family of the one queue: computes, and best does nothing else. */
int survey_queue(VkPhysicalDevice physical, uint32_t *family, uint32_t *timestamp_bits);

struct pipeline_cache {
    VkPipelineCache handle; /* none: the driver's own cache is relied on */
    char path[1024];        /* empty: not kept in a file */
    char loaded[HASH_TEXT]; /* fingerprint of what the file held */
};

struct binaries { /* kernel_binary.h */
    int on;   /* the device's kernels are shader objects, not pipelines */
    int grew; /* a binary was added to the folder */
    char folder[1024];
    VkResult (*create)(VkDevice, uint32_t, const struct shader_info *, const VkAllocationCallbacks *,
                       uint64_t *);
    void (*destroy)(VkDevice, uint64_t, const VkAllocationCallbacks *);
    VkResult (*data)(VkDevice, uint64_t, size_t *, void *);
    void (*bind)(VkCommandBuffer, uint32_t, const VkShaderStageFlagBits *, const uint64_t *);
};

struct lane { /* one copy on its way */
    VkCommandPool pool;
    VkCommandBuffer command;
    VkFence done;
    int busy;              /* submitted, and not waited for yet */
    struct buffer staging; /* made at its first staged copy */
};
enum { LANES = 2 };

struct device {
    struct instance instance;
    VkPhysicalDevice physical;
    VkDevice handle;
    VkQueue queue;
    uint32_t family;
    uint32_t timestamp_bits;
    struct VolkDeviceTable vk;                 /* this device's functions */
    PFN_vkSetDebugUtilsObjectNameEXT set_name; /* NULL without validation */
    struct device_info info;
    struct features features; /* what is switched on */
    int subgroup_control; /* a kernel may ask for a subgroup size */
    int compile_only;     /* see device.h; `compiled` instead of memory and queue */
    int statistics;       /* pipelines are compiled with statistics */
    uint64_t next_address; /* of a buffer without memory */
    VkPhysicalDeviceMemoryProperties memory;
    int staged;          /* device buffers are not mapped: the device's memory is its own */
    uint64_t max_buffer; /* bytes */
    uint64_t used, peak; /* bytes of device memory */
    uint64_t limit;      /* of them: device_spec's memory */
    int has_budget;      /* the driver says how much others leave */
    int uncounted; /* device_count_buffers */
    int rehearses;
    uint64_t rehearsed, rehearsed_peak, rehearsed_address; /* as used and peak; where the next buffer lies */
    size_t fail_in;      /* test feature: the fail_in-th buffer from now fails; 0: off */
    struct device_spec spec;
    struct device_limits limits; /* the spec's */
    size_t lose_in; /* test feature: the lose_in-th submit from now loses the device; 0: off */
    int lost, losses; /* now; how often it was */
    struct buffer_object *objects; /* of the buffers there are, the newest first */
    uint32_t buffers;              /* so many */
    struct pipeline_cache cache;
    struct binaries binaries;
    struct lane lanes[LANES]; /* for copies and fills, used in turn */
    unsigned next_lane;
};
void device_name_object(struct device *d, VkObjectType type, uint64_t object, const char *name);

struct kernel {
    const char *name;
    uint32_t push_bytes;
    int in_parts;
    VkPipelineLayout layout;
    VkPipeline pipeline; /* or none, and */
    uint64_t shader;     /* a shader object: kernel_binary.h */
};

void kernel_bind(struct device *d, VkCommandBuffer command, const struct kernel *k);

/* Opening into a zeroed d, and closing all but d itself. */
int device_open_on(struct device *d, const struct device_spec *spec);
void device_shut(struct device *d);

/* vkQueueSubmit, waiting for all that was submitted, and what a call has to say of a device that may be lost. */
int device_submit(struct device *d, const VkSubmitInfo *info, VkFence fence);
int device_idle(struct device *d);
int device_lost(const struct device *d, const char *call); /* 0, or ERR_LOST where it is */
int device_note(struct device *d, int rc);                 /* remembers ERR_LOST; returns rc */

uint64_t buffer_largest(uint64_t most); /* bytes that a buffer holds where none can have more than `most` */
VkBuffer buffer_handle(const struct buffer *b);

/* What the device wrote before is seen by what it does after and, with `host`, by the processor
 * once the submit is done. */
void command_barrier(struct device *d, VkCommandBuffer command, int host);

/* Work of our own: begin waits for the lane's last, the caller records into its command buffer, submit returns
 * before it is done. */
int transfer_open(struct device *d);
int transfer_begin(struct device *d, struct lane **out);
int transfer_submit(struct device *d, struct lane *l);
int transfer_wait(struct device *d, struct lane *l);
void transfer_settle(struct device *d); /* waits for all of it */
void transfer_drop_staging(struct device *d);
void transfer_close(struct device *d);

/* The cache of compiled pipelines in the file `path`; a file that is absent, damaged or another
 * driver's counts as empty. Closing writes it, whole or not at all, when there is more to keep. */
int pipeline_cache_open(struct pipeline_cache *cache, struct device *d, const char *path);
void pipeline_cache_close(struct pipeline_cache *cache, struct device *d);
/* The file for this device below the user's cache folder; empty when there is no such folder or
 * the driver keeps its own (lavapipe). */
void pipeline_cache_path(const struct device *d, char *path, size_t size);

#endif

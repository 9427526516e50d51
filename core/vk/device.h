/* device.h - Vulkan devices: listing, choosing, opening, and what the rest needs to know of one.
 *
 * The loader is opened at run time (volk), so the program starts, and says what is missing, on a
 * machine without Vulkan. Only core/vk and core/run see Vulkan's own headers (through vk_private.h).
 * VITRO_VULKAN_LOADER names another loader, VITRO_VULKAN_DRIVER the manifest of the one driver to use. */
#ifndef VITRO_VK_DEVICE_H
#define VITRO_VK_DEVICE_H

#include <stddef.h>
#include <stdint.h>

#include "number.h"

struct device_matrix { /* a product that matrix units take: A [m][k] and B [k][n] of `number`, sums in fp32 */
    enum number number;
    uint32_t m, n, k;
};
struct device_flexible { /* products of a whole workgroup of so many invocations: multiples of m, n, k */
    struct device_matrix granularity;
    uint32_t invocations;
};
enum { DEVICE_MATRICES = 12 };

struct device_info {      /* read only */
    char name[256];       /* "llvmpipe (LLVM 19.1.7, 512 bits)" */
    char driver[256];     /* "llvmpipe, Mesa 26.1.6-1~bpo13+1 (LLVM 19.1.7)" */
    uint32_t api_version; /* as VK_MAKE_API_VERSION */
    uint32_t vendor_id, device_id, driver_version;
    unsigned char pipeline_cache_uuid[16];
    int is_cpu;                          /* a software driver: kernels of the CPU-device style are chosen */
    int is_llvmpipe;                     /* Mesa's lavapipe */
    uint32_t subgroup_size;              /* the default one: 8 or 16 on lavapipe */
    uint32_t subgroup_min, subgroup_max; /* what a kernel may ask for */
    uint32_t shared_bytes;               /* shared memory of a workgroup */
    uint32_t max_invocations;            /* of a workgroup */
    uint32_t max_groups[3];              /* of a dispatch */
    uint64_t max_storage_range, max_allocation, heap_bytes; /* heap: the device-local one */
    /* usable; every kernel that needs one has another in its stead: fp16 in arithmetic and storage, bf16
     * and matrix units of a subgroup (VK_KHR_cooperative_matrix), of a workgroup (VK_NV_cooperative_matrix2) */
    int has_fp16, has_bf16, has_coopmat, has_coopmat2;
    struct device_matrix matrices[DEVICE_MATRICES]; /* of a subgroup, in the driver's order */
    uint32_t matrix_count;
    struct device_flexible flexible[DEVICE_MATRICES]; /* of a workgroup */
    uint32_t flexible_count;
    uint32_t flexible_invocations, flexible_dimension; /* at most */
    uint32_t flexible_reserved;                        /* bytes of shared memory that they take */
    uint32_t compute_units;                            /* 0: unknown */
    uint32_t subgroup_operations;                      /* in compute shaders, as VkSubgroupFeatureFlags */
    int has_subgroup_sums; /* workgroups that are one subgroup can be had, whose lanes sum and exchange */
    double timestamp_ns;   /* nanoseconds a tick; 0: no timestamps */
    int backwards;         /* it only pretends: programs are recorded as record.c says there */
};

struct device; /* an opened device with one queue; one thread at a time */

/* Fills at most `room` infos, ranked best first (discrete, integrated, virtual, CPU); returns how
 * many devices there are, or negative: no loader, no driver. A machine with a loader and no
 * device gives 0. */
int device_list(struct device_info *infos, int room);

/* What a device pretends to lack, for tests and for VITRO_PRETEND: a number that is not 0 replaces the
 * device's own where that is larger, a flag takes something away. One pretence is of another kind: `backwards`, that what
 * may run in any order runs in the other one. */
struct device_limits {
    uint32_t subgroup_size; /* as kernels see it: the driver's own must allow it or !has_subgroup_sums */
    uint32_t shared_bytes, max_invocations, max_groups;
    uint64_t max_storage_range, max_allocation; /* the latter: of buffers, too */
    int no_int64, no_fp16, no_coopmat, no_subgroup_arithmetic, no_subgroup_control, no_timestamps, backwards;
};
/* Reads "shared_bytes=16384,no_fp16": the members' names, separated by commas. */
int device_limits_parse(struct device_limits *out, const char *text);

struct device_spec {
    int index;                    /* in device_list's order; -1: the first that can run us */
    int validate;                 /* turn on VK_LAYER_KHRONOS_validation; a message fails device_check */
    size_t fail_allocation_after; /* test feature: 0 off; n: the n-th buffer fails as out of memory */
    size_t
        lose_submit;  /* test feature: 0 off; n: the n-th submit and all after it report the device as lost */
    int lose_times;   /* how often: reopened that often but once, it is lost again; 0 counts as 1 */
    uint64_t memory;  /* bytes of the device's memory to use at most; 0: all of it */
    int stage_copies; /* test feature: as on a device with memory of its own, BUFFER_DEVICE is never mapped */
    int compile_only; /* kernels are compiled, with kernel_statistics, and nothing is computed: for drivers of
                         hardware that is not there. Buffers have addresses without memory, submits end at once,
                         and what is read back is zeros. */
    const struct device_limits *limits; /* NULL: VITRO_PRETEND's, if it is set */
};
/* Refuses, with the reason, devices that lack what the kernels need: Vulkan 1.2, buffer device
 * address, scalar block layout and timeline semaphores. Without 64-bit integers in shaders, addresses are computed as
 * pairs of words.
 * The caller owns *out. */
int device_open(struct device **out, const struct device_spec *spec);
void device_close(struct device *d); /* NULL is fine; all its objects must be gone */
/* Opens a lost device anew in place: d and its info stay where they are. All its objects must be gone; refused while
 * there are buffers, and when another device stands in its place. */
int device_reopen(struct device *d);
int device_computes(const struct device *d);    /* 0: it was opened to compile only */
int device_can_be_lost(const struct device *d); /* a software driver is not, but by a test */
const struct device_info *device_info(const struct device *d);

/* Negative, with the sentence, when the validation layers have reported an error. */
int device_check(struct device *d);

/* Bytes allocated on the device now, and the most there ever were. */
uint64_t device_memory(const struct device *d, uint64_t *peak);
/* Whether buffers made from here on count in that and against device_spec's memory: a check of a kernel, whose few
 * buffers come and go before the work begins, does not. Each buffer keeps what it was made as. */
void device_count_buffers(struct device *d, int count);
/* Bytes that this program may use in all: of the device's memory, of what the driver says is left by others
 * (VK_EXT_memory_budget), and of device_spec's memory, the least. */
uint64_t device_budget(const struct device *d);
/* Bytes of the largest buffer. */
uint64_t device_largest_buffer(const struct device *d);

/* Between begin and end, buffers take no memory: they have sizes and addresses, what is written to them is lost,
 * and zeros are read. Returns the most bytes they would have taken at a time. For predicting what fits: nothing can
 * be run on them, and all of them must be destroyed before the end. */
void device_rehearse_begin(struct device *d);
uint64_t device_rehearse_end(struct device *d);
int device_rehearses(const struct device *d);

#endif

/* kernel.h - a compute pipeline without descriptor sets: buffers arrive as addresses in the push
 * constants. */
#ifndef VITRO_VK_KERNEL_H
#define VITRO_VK_KERNEL_H

#include <stddef.h>
#include <stdint.h>

struct device;
struct kernel;

enum { KERNEL_PUSH_MAX = 128, KERNEL_CONSTANTS_MAX = 20 };

struct kernel_spec {
    const char *name; /* shown by profiles and errors; lent for the kernel's life */
    const uint32_t *spirv;
    size_t spirv_bytes;
    uint32_t push_bytes;                      /* <= KERNEL_PUSH_MAX */
    uint32_t constant_count;                  /* specialisation constants 0, 1, ... */
    uint32_t constants[KERNEL_CONSTANTS_MAX]; /* their bits */
    uint32_t subgroup_size; /* 0: the driver's choice; else full subgroups of just this size */
    int in_parts;           /* a dispatch may be a part of a larger one: struct dispatch's base */
};
int kernel_create(struct kernel **out, struct device *d, const struct kernel_spec *spec);
/* Refuses a module that asks for more than the device offers: capabilities, invocations of a workgroup. */
struct spirv;
int kernel_suits(const struct device *d, const struct spirv *module);
void kernel_destroy(struct device *d, struct kernel *k); /* NULL is fine */
const char *kernel_name(const struct kernel *k);

/* What the driver's compiler says of a kernel of a device that was opened with `compile_only`: registers,
 * spills, occupancy, by the driver's own names. Fills at most `room`; returns how many there are, 0 where the
 * driver tells nothing, or negative. */
struct kernel_statistic {
    char name[64];
    double value;
};
int kernel_statistics(struct device *d, const struct kernel *k, struct kernel_statistic *list, int room);

#endif

/* spirv.h - what a SPIR-V module says of itself, read before a driver sees it: drivers are not made for modules
 * that are none. It is no validator; spirv-val is. */
#ifndef VITRO_BASE_SPIRV_H
#define VITRO_BASE_SPIRV_H

#include <stddef.h>
#include <stdint.h>

enum { SPIRV_CAPABILITIES = 64 };
struct spirv {
    uint32_t version; /* major << 16 | minor << 8 */
    uint32_t capabilities[SPIRV_CAPABILITIES], capability_count;
    uint32_t local_size[3]; /* of a workgroup; 0: by specialisation constants */
    uint32_t push_bytes;    /* how far its push constants reach, at least */
    int counts_workgroups;  /* it asks how many workgroups there are */
};

/* Refuses what is no module of whole instructions with a compute entry point `main`, and one that asks for
 * descriptors: memory comes as addresses. The sentence does not name the module. */
int spirv_read(struct spirv *out, const uint32_t *words, size_t bytes);

#endif

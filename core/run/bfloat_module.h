/* bfloat_module.h - a SPIR-V module whose 16-bit floats become bf16: the matrix kernels are compiled for fp16, and
 * few shader compilers know bf16 (GL_EXT_bfloat16 needs glslang 15.3), so their twins are made here. */
#ifndef VITRO_RUN_BFLOAT_MODULE_H
#define VITRO_RUN_BFLOAT_MODULE_H

#include <stddef.h>
#include <stdint.h>

/* The caller frees *out with mem_free. Refuses a module with a constant of 16-bit floats other than 0, whose
 * bits would mean another number. */
int bfloat_module(const uint32_t *spirv, size_t bytes, uint32_t **out, size_t *out_bytes);

#endif

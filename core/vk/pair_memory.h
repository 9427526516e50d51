/* pair_memory.h - a SPIR-V module whose variables hold addresses as pairs of 32-bit words. */
#ifndef VITRO_VK_PAIR_MEMORY_H
#define VITRO_VK_PAIR_MEMORY_H

#include <stddef.h>
#include <stdint.h>

/* The same module in which arrays, structs, variables and push constants have vectors of two words where they had
 * addresses, which become addresses when they are loaded; the caller frees *out with mem_free. For what
 * address_pairs made: SwiftShader, which lacks 64-bit integers, gives an address in an array or a struct the room of
 * one word, so that the next one overwrites its upper half. */
int pair_memory(const uint32_t *words, size_t bytes, uint32_t **out, size_t *out_bytes);

#endif

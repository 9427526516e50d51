/* address_pairs.h - a SPIR-V module without 64-bit integers, for devices that lack them (shaderInt64): addresses
 * and what is computed with them become pairs of 32-bit words. */
#ifndef VITRO_VK_ADDRESS_PAIRS_H
#define VITRO_VK_ADDRESS_PAIRS_H

#include <stddef.h>
#include <stdint.h>

/* The same module with every 64-bit integer a vector of two words, low one first; the caller frees *out with
 * mem_free. It knows the operations that addresses need, and refuses others by their number. Two assumptions:
 * 64-bit specialisation constants, and floats converted to 64-bit integers, are below 2^32. */
int address_pairs(const uint32_t *words, size_t bytes, uint32_t **out, size_t *out_bytes);

#endif

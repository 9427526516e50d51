/* processors.h - how many processors there are, and what each keeps near. */
#ifndef VITRO_BASE_PROCESSORS_H
#define VITRO_BASE_PROCESSORS_H

#include <stdint.h>

/* Those that are in use, from 1 to `most`; 1 where the system does not say. */
uint32_t processor_count(uint32_t most);

/* Bytes of a core's second cache; 512 KiB where the system does not say. */
uint64_t processor_second_cache(void);

#endif

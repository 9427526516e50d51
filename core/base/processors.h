/* processors.h - how many processors there are. */
#ifndef VITRO_BASE_PROCESSORS_H
#define VITRO_BASE_PROCESSORS_H

#include <stdint.h>

/* Those that are in use, from 1 to `most`; 1 where the system does not say. */
uint32_t processor_count(uint32_t most);

#endif

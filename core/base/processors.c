/* processors.c - see processors.h. */
#include "processors.h"

#include <unistd.h>

uint32_t processor_count(uint32_t most)
{
    const long count = sysconf(_SC_NPROCESSORS_ONLN);
    return count < 1 ? 1 : count > (long)most ? most : (uint32_t)count;
}

/* processors.c - see processors.h. */
#include "processors.h"

#include <unistd.h>

uint32_t processor_count(uint32_t most)
{
    const long count = sysconf(_SC_NPROCESSORS_ONLN);
    return count < 1 ? 1 : count > (long)most ? most : (uint32_t)count;
}

uint64_t processor_second_cache(void)
{
    long bytes = 0;
#ifdef _SC_LEVEL2_CACHE_SIZE /* glibc's, beyond POSIX */
    bytes = sysconf(_SC_LEVEL2_CACHE_SIZE);
#endif
    return bytes > 0 ? (uint64_t)bytes : 512 << 10;
}

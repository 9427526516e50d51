/* fuzz_npy.c - the header of a NumPy array. */
#include "fuzz.h"

#include "npy.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct npy a;
    (void)npy_read_header(&a, bytes, size, "fuzz");
    return 0;
}

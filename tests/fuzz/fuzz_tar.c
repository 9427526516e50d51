/* fuzz_tar.c - the bytes are a tar archive (plain or compressed) of a data set in any layout. */
#include "fuzz_files.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct source *s = NULL;
    if (source_view(&s, bytes, size, "set.tar", LIST_LANDMARK) < 0)
        return 0;
    fuzz_dataset(s, NULL);
    source_close(s);
    return 0;
}

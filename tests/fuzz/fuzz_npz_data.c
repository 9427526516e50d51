/* fuzz_npz_data.c - MedMNIST's arrays: the bytes are one .npz. */
#include "fuzz_files.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    const struct source_file file = {"set.npz", bytes, size};
    struct source *s = NULL;
    if (source_files(&s, &file, 1) < 0)
        return 0;
    fuzz_dataset(s, NULL);
    source_close(s);
    return 0;
}

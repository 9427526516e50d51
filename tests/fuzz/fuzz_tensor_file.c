/* fuzz_tensor_file.c - a zip archive of NumPy's or PyTorch's, every tensor of it read. */
#include "fuzz.h"

#include "tensor_file.h"

#include <stdlib.h>

enum { ELEMENTS = 1 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct tensor_file *f = NULL;
    if (tensor_file_view(&f, bytes, size, "fuzz") < 0)
        return 0;
    for (size_t i = 0; i < tensor_file_count(f); i++) {
        const struct tensor_entry *e = tensor_file_at(f, i);
        float *out = e->count < ELEMENTS ? malloc((e->count + 1) * sizeof *out) : NULL;
        if (out)
            (void)tensor_file_read(f, e, out);
        free(out);
    }
    tensor_file_close(f);
    return 0;
}
